//! Tables of text, to paste into a spreadsheet: columns by tabs, a header line.

use kvlens_analysis::{Compare, Metric};

use super::views::View;

/// A table that grows line by line.
pub struct Table(String);

impl Table {
    /// A table with a header and no line yet.
    pub fn new<S: AsRef<str>>(header: &[S]) -> Self {
        let mut table = Self(String::new());
        table.line(header);
        table
    }

    /// Adds a line. Tabs and line breaks in a cell would shift the others, so they become blanks.
    pub fn line<S: AsRef<str>>(&mut self, cells: &[S]) {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| cell.as_ref().replace(['\t', '\n', '\r'], " "))
            .collect();
        self.0 += &cells.join("\t");
        self.0.push('\n');
    }

    /// The text to paste.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

/// A number as a cell; nothing where it is undefined.
pub fn number(value: f64) -> String {
    match value.is_nan() {
        true => String::new(),
        false => value.to_string(),
    }
}

/// A number that may be missing, as a cell.
pub fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Every metric at the budget, and what each window costs: what several views show.
pub fn windows_at_budget(view: &View<'_>) -> Option<Table> {
    view.shown()?;
    let mut header = vec!["window", "budget_tokens"];
    let has_ceilings = view
        .shown()
        .is_some_and(|(_, shown)| shown.options.compare == Compare::Methods);
    header.extend(Metric::ALL.map(Metric::label));
    let ceilings = Metric::ALL.map(|metric| format!("{} of", metric.label()));
    header.extend(ceilings.iter().filter(|_| has_ceilings).map(String::as_str));
    header.extend(["rows", "extra_tokens", "seconds", "flops", "peak_bytes"]);
    let mut table = Table::new(&header);
    let measured = view
        .shown()
        .map_or(&[][..], |(_, shown)| &shown.sample.windows);
    for (window, measured) in view.derived.bands().iter().zip(measured) {
        let mut line = vec![
            window.label.clone(),
            view.derived.budget_tokens().to_string(),
        ];
        line.extend(Metric::ALL.map(|metric| {
            let mean = window.band(metric).map(|band| &band.mean);
            let mean = mean.and_then(|mean| mean.get(view.derived.budget_index));
            mean.map_or(String::new(), |mean| number(*mean))
        }));
        let at = view.derived.budget_index;
        let ceilings = Metric::ALL.map(|metric| {
            let ceiling = window.ceiling(metric).and_then(|ceiling| ceiling.get(at));
            ceiling.map_or(String::new(), |value| number(*value))
        });
        line.extend(ceilings.into_iter().filter(|_| has_ceilings));
        let cost = measured.cost;
        line.extend([
            cost.rows.to_string(),
            cost.extra_tokens.to_string(),
            cost.seconds.to_string(),
            cost.flops.to_string(),
            cost.peak_bytes.to_string(),
        ]);
        table.line(&line);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_never_shifts_the_others() {
        let mut table = Table::new(&["a", "b"]);
        table.line(&["x\ty", "line\nbreak"]);
        assert_eq!(table.0, "a\tb\nx y\tline break\n");
    }
}
