//! Tables of text, to paste into a spreadsheet: columns by tabs, a header line.

use kvlens_analysis::{Budget, Compare, Metric};
use serde::{Deserialize, Serialize};

use super::views::View;

/// A number as it is read on the screen, with a minus sign in place of a hyphen; copied tables keep the hyphen, which
/// programs read.
#[must_use]
pub fn with_minus(number: &str) -> String {
    number.replace('-', "−")
}

/// A difference or a correlation with its sign.
#[must_use]
pub fn signed(number: f64, decimals: usize) -> String {
    with_minus(&format!("{number:+.decimals$}"))
}

/// A budget in words.
#[must_use]
pub fn budget_words(budget: Budget) -> String {
    match budget {
        Budget::Tokens(1) => "1 token".to_owned(),
        Budget::Tokens(tokens) => format!("{tokens} tokens"),
        share @ Budget::Fraction(_) => share.to_string().replace('%', " %"),
    }
}

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

    /// The text to paste in another notation.
    #[must_use]
    pub fn written(self, format: TableFormat) -> String {
        match format {
            TableFormat::Tabs => self.0,
            TableFormat::Markdown => markdown(&self.0),
            TableFormat::Latex => latex(&self.0),
            TableFormat::Html => html(&self.0),
        }
    }
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableFormat {
    /// Columns by tabs, for a spreadsheet.
    Tabs,
    /// GitHub's Markdown.
    Markdown,
    /// LaTeX with the rules of booktabs.
    Latex,
    /// An HTML table.
    Html,
}

impl TableFormat {
    /// Its name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Tabs => "tabs",
            Self::Markdown => "Markdown",
            Self::Latex => "LaTeX",
            Self::Html => "HTML",
        }
    }
}

/// Lines of cells; numbers with four digits behind the point, as one reads them.
fn rows(text: &str) -> Vec<Vec<String>> {
    let readable = |cell: &str| match (cell.contains('.'), cell.parse::<f64>()) {
        (true, Ok(value)) => {
            let short = format!("{value:.4}");
            match short.trim_start_matches('-') {
                // what rounds to nothing keeps its size
                "0.0000" if value != 0.0 => format!("{value:.2e}"),
                _ => short,
            }
        }
        _ => cell.to_owned(),
    };
    let lines = text.lines();
    lines
        .map(|line| line.split('\t').map(readable).collect())
        .collect()
}

fn markdown(text: &str) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rows: Vec<Vec<String>> = rows(text)
        .into_iter()
        .map(|row| {
            row.into_iter()
                .map(|cell| cell.replace('|', "\\|"))
                .collect()
        })
        .collect();
    let Some((header, body)) = rows.split_first() else {
        return String::new();
    };
    let ruler = vec!["---".to_owned(); header.len()];
    let body: String = body.iter().map(|row| line(row)).collect();
    line(header) + &line(&ruler) + &body
}

fn latex(text: &str) -> String {
    let escaped = |cell: &String| -> String {
        cell.chars()
            .map(|letter| match letter {
                '&' | '%' | '$' | '#' | '_' | '{' | '}' => format!("\\{letter}"),
                '~' => "\\textasciitilde{}".to_owned(),
                '^' => "\\textasciicircum{}".to_owned(),
                '\\' => "\\textbackslash{}".to_owned(),
                '−' => "$-$".to_owned(),
                letter => letter.to_string(),
            })
            .collect()
    };
    let line = |cells: &Vec<String>| {
        let cells: Vec<String> = cells.iter().map(escaped).collect();
        format!("{} \\\\\n", cells.join(" & "))
    };
    let rows = rows(text);
    let Some((header, body)) = rows.split_first() else {
        return String::new();
    };
    // words to the left, numbers to the right
    let is_number = |column: usize| {
        let mut cells = body.iter().filter_map(|row| row.get(column));
        cells.all(|cell| cell.is_empty() || cell.parse::<f64>().is_ok())
    };
    let columns = (0..header.len()).map(|column| if is_number(column) { 'r' } else { 'l' });
    let columns: String = columns.collect();
    let body: String = body.iter().map(line).collect();
    format!(
        "\\begin{{tabular}}{{{columns}}}\n\\toprule\n{}\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n",
        line(header)
    )
}

fn html(text: &str) -> String {
    let line = |tag: &str, cells: &Vec<String>| {
        let cells = cells
            .iter()
            .map(|cell| format!("<{tag}>{}</{tag}>", escaped_html(cell)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let rows = rows(text);
    let Some((header, body)) = rows.split_first() else {
        return String::new();
    };
    let body: String = body.iter().map(|row| line("td", row)).collect();
    format!("<table>\n{}{body}</table>\n", line("th", header))
}

/// Text as it stands in HTML.
#[must_use]
pub fn escaped_html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
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
    fn numbers_are_written_one_way_on_the_screen() {
        assert_eq!(signed(-0.2, 2), "−0.20");
        assert_eq!(signed(0.2, 3), "+0.200");
        assert_eq!(with_minus("-1.5"), "−1.5");
        assert_eq!(budget_words(Budget::Fraction(0.07)), "7 %");
        assert_eq!(budget_words(Budget::Fraction(0.125)), "12.5 %");
        assert_eq!(budget_words(Budget::Tokens(64)), "64 tokens");
        assert_eq!(budget_words(Budget::Tokens(1)), "1 token");
    }

    #[test]
    fn a_cell_never_shifts_the_others() {
        let mut table = Table::new(&["a", "b"]);
        table.line(&["x\ty", "line\nbreak"]);
        assert_eq!(table.0, "a\tb\nx y\tline break\n");
    }

    #[test]
    fn tables_are_written_for_papers_and_pages() {
        let table = || {
            let mut table = Table::new(&["window_a", "recall"]);
            table.line(&["laq:n=8|x", "0.123456"]);
            table.line(&["last & 8 %", "0.00000012"]);
            table
        };
        assert_eq!(
            table().written(TableFormat::Markdown),
            "| window_a | recall |\n| --- | --- |\n| laq:n=8\\|x | 0.1235 |\n| last & 8 % | 1.20e-7 |\n"
        );
        assert_eq!(
            table().written(TableFormat::Latex),
            "\\begin{tabular}{lr}\n\\toprule\nwindow\\_a & recall \\\\\n\\midrule\nlaq:n=8|x & 0.1235 \\\\\n\
             last \\& 8 \\% & 1.20e-7 \\\\\n\\bottomrule\n\\end{tabular}\n"
        );
        let page = table().written(TableFormat::Html);
        assert!(page.contains("<td>last &amp; 8 %</td>"), "{page}");
    }
}
