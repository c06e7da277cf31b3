//! The kinds of figures: which axes, marks and colours a figure's rows get.

mod curves;
mod dots;
mod maps;
mod needle;
mod one_head;

pub use one_head::TokenFate;

use super::FigureError;
use super::chart::{Chart, LegendEntry, PageStyle, Panel};
use super::palette::{Ground, SeriesStyle, all_series, ordered};
use super::rows::{CHANCE, FigureRow};
use crate::distinct;

/// A kind of figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureKind {
    /// A metric against the budget, a curve per window with its interval.
    Recall,
    /// The same, a panel per layer.
    RecallByLayer,
    /// A metric at a budget against the layer, a curve per window.
    Layer,
    /// A metric at a budget for every layer and head, a panel per window.
    HeadMap,
    /// Two windows' difference for every layer and head.
    HeadDifference,
    /// The best window of every layer and head.
    Winner,
    /// Recall of single decode steps.
    DecodeStep,
    /// Recall of the decode stage up to a horizon.
    Horizon,
    /// Recall against where the window sits.
    Place,
    /// What is kept of the tokens that the answer needs, against their depth in the prompt.
    Depth,
    /// Hit rate at a few budgets.
    HitRate,
    /// Divergence of the decode stage from a window for every layer and head.
    Kl,
    /// Cosine of pseudo and decode queries, before and after the rotary embedding.
    Queries,
    /// Budgets shared out in several ways.
    Allocation,
    /// A metric against the time that a window takes.
    Cost,
    /// What one window finds and another misses, a row and a column per window.
    Complementarity,
    /// Where a window ranks the tokens that the decode stage ranks here or there.
    RankDensity,
    /// Attention of one head's queries on the prompt, in powers of ten, a panel per observation.
    Attention,
    /// What became of each token of the prompt, a panel per window.
    Tokens,
    /// What an eviction does to the output against the budget, a curve per window.
    Fidelity,
    /// The same against recall, dots of a window joined in the order of its budgets.
    FidelityRecall,
    /// A needle grid: values by length and depth, a panel per window and value.
    Needle,
    /// What heads are like against a metric, a dot per head and a panel per window.
    Profile,
    /// What becomes of the needed tokens against the budget, a curve per window.
    Evidence,
}

/// The words and limits of a figure.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FigureText {
    /// What the horizontal axis shows.
    pub x: String,
    /// What the values are.
    pub value: String,
    /// Names of the places 0, 1, ... on the horizontal axis, for bars.
    pub names: Vec<String>,
    /// Every window that there is, shown or not: the style of a window goes by those of its method before it, so that it
    /// is the same in every figure of a session.
    pub windows: Vec<String>,
    /// The ends of the value axis or the colour bar, instead of the kind's own.
    pub range: Option<(f64, f64)>,
    /// Whether the horizontal axis is one of counts, which is logarithmic where there is a choice.
    pub counts: bool,
    /// A line under the figure.
    pub note: Option<String>,
}

/// The chart of a figure's rows.
///
/// # Errors
/// [`FigureError::Empty`] without rows.
pub fn chart(
    kind: FigureKind,
    rows: &[FigureRow],
    text: &FigureText,
    style: &PageStyle,
) -> Result<Chart, FigureError> {
    if rows.is_empty() {
        return Err(FigureError::Empty);
    }
    let figure = Figure { rows, text, style };
    Ok(match kind {
        FigureKind::Recall
        | FigureKind::RecallByLayer
        | FigureKind::Layer
        | FigureKind::DecodeStep
        | FigureKind::Horizon
        | FigureKind::Place
        | FigureKind::Depth
        | FigureKind::Fidelity
        | FigureKind::Evidence
        | FigureKind::Allocation => curves::chart(kind, &figure),
        FigureKind::HeadMap | FigureKind::HeadDifference | FigureKind::Kl => {
            maps::chart(kind, &figure)
        }
        FigureKind::Complementarity => maps::pairs(&figure),
        FigureKind::Needle => needle::chart(&figure),
        FigureKind::RankDensity => maps::ranks(&figure),
        FigureKind::Attention => one_head::attention(&figure),
        FigureKind::Tokens => one_head::tokens(&figure),
        FigureKind::Winner => maps::winners(&figure),
        FigureKind::HitRate | FigureKind::Queries => dots::bars(&figure),
        FigureKind::Cost => dots::cost(&figure),
        FigureKind::Profile => dots::heads(&figure),
        FigureKind::FidelityRecall => dots::against_recall(&figure),
    })
}

/// What every kind works from.
struct Figure<'a> {
    rows: &'a [FigureRow],
    text: &'a FigureText,
    style: &'a PageStyle,
}

impl<'a> Figure<'a> {
    /// Names of the panels in the order in which they first come.
    fn panels(&self) -> Vec<&'a str> {
        distinct(self.rows.iter().map(|row| row.panel.as_str()))
    }

    /// Names of the series but for chance, in the order in which they first come, with their styles. Windows have theirs
    /// by all that there are; other series are told apart by their order.
    fn series(&self, are_windows: bool) -> Vec<(&'a str, SeriesStyle)> {
        let names = self.rows.iter().map(|row| row.series.as_str());
        let names = distinct(names.filter(|name| *name != CHANCE));
        let styles = match are_windows {
            true => self.window_styles(&names),
            false => (0..names.len())
                .map(|index| ordered(index, Ground::Light))
                .collect(),
        };
        names.into_iter().zip(styles).collect()
    }

    fn window_styles(&self, names: &[&str]) -> Vec<SeriesStyle> {
        let there = self.text.windows.iter().map(String::as_str);
        let all = distinct(there.chain(names.iter().copied()));
        let styles = all_series(&all, Ground::Light);
        let of = |name: &&str| all.iter().position(|known| known == name);
        names
            .iter()
            .filter_map(of)
            .map(|index| styles[index])
            .collect()
    }

    fn of<'b>(
        &'b self,
        panel: &'b str,
        series: &'b str,
    ) -> impl Iterator<Item = &'a FigureRow> + 'b {
        self.rows
            .iter()
            .filter(move |row| row.panel == panel && row.series == series)
    }

    /// Panels side by side.
    fn columns(&self, panels: usize) -> usize {
        let most = match self.style.width.is_wide() {
            false => 2,
            true => 4,
        };
        panels.min(most).max(1)
    }

    /// Height over width of a panel.
    fn aspect(&self, columns: usize) -> f64 {
        match (columns, self.style.width.is_wide()) {
            (1, false) => 0.68,
            (1, true) => 0.42,
            _ => 0.85,
        }
    }

    /// Panels of curves or dots with their legend, and a word of those beyond the value axis.
    fn chart(&self, panels: Vec<Panel>, legend: Vec<LegendEntry>) -> Chart {
        let columns = self.columns(panels.len());
        let note = [self.text.note.clone(), self.beyond_axis()];
        let note: Vec<String> = note.into_iter().flatten().collect();
        Chart {
            panels,
            columns,
            aspect: self.aspect(columns),
            legend,
            bar: None,
            note: (!note.is_empty()).then(|| note.join(" ")),
        }
    }

    /// How many values lie above or below a value axis that somebody chose.
    fn beyond_axis(&self) -> Option<String> {
        let (low, high) = self.text.range?;
        let values = || self.rows.iter().map(|row| row.value);
        let below = values().filter(|value| *value < low).count();
        let above = values().filter(|value| *value > high).count();
        let sides = clipped_sides((below, above))?;
        Some(format!(
            "Cut off at the ends of the value axis: {sides}, of {} points.",
            self.rows.len()
        ))
    }

    /// The least and the largest x.
    fn x_range(&self) -> (f64, f64) {
        let all = self.rows.iter().map(|row| row.x);
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        })
    }
}

/// The legend of several series; a single unnamed one needs none.
fn legend(series: &[(&str, SeriesStyle)], line: bool) -> Vec<LegendEntry> {
    let entries = series.iter().filter(|(label, _)| !label.is_empty());
    entries
        .map(|&(label, style)| LegendEntry {
            label: label.to_owned(),
            style,
            line,
        })
        .collect()
}

/// How many of something lie below and above a range; none where none do.
fn clipped_sides((below, above): (usize, usize)) -> Option<String> {
    let side = |count: usize, words: &str| (count > 0).then(|| format!("{count} {words}"));
    let sides = [side(below, "below"), side(above, "above")];
    let sides: Vec<String> = sides.into_iter().flatten().collect();
    (!sides.is_empty()).then(|| sides.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where `last:32` is not shown, `last:8` stays the second window of its method.
    #[test]
    fn a_window_has_the_same_style_beside_all_windows_and_alone() {
        let legend = |shown: &[&str]| {
            let rows: Vec<FigureRow> = shown
                .iter()
                .map(|&label| FigureRow::at(("", label), (16.0, None), 0.5, 4))
                .collect();
            let text = FigureText {
                windows: ["last:32", "last:8"].map(str::to_owned).to_vec(),
                ..FigureText::default()
            };
            chart(FigureKind::Recall, &rows, &text, &PageStyle::default())
                .unwrap()
                .legend
        };
        let (both, alone) = (legend(&["last:32", "last:8"]), legend(&["last:8"]));
        assert_ne!(both[0].style, both[1].style);
        assert_eq!(alone, both[1..]);
    }
}
