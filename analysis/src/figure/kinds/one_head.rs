//! Maps of one head of one sample.

use super::{Figure, FigureKind, maps};
use crate::figure::axis::Axis;
use crate::figure::chart::{CellSign, Chart, LegendEntry};
use crate::figure::palette::{Dash, Marker, SeriesStyle};
use crate::figure::scene::Rgb;

/// Tick labels on an axis, at most.
const LABELS: usize = 8;
/// Height of a row of queries, and of a line of tokens, over the width of a column.
const ROW: f64 = 0.45;
const LINE: f64 = 2.0;

/// What becomes of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFate {
    /// The decode stage uses it most, and the window keeps it.
    Found,
    /// The decode stage uses it most, and the window does not keep it.
    Missed,
    /// The window keeps it, and the decode stage uses others more.
    InVain,
    /// Neither.
    Neither,
}

impl TokenFate {
    /// Every fate, in the order of legends.
    pub const ALL: [Self; 4] = [Self::Found, Self::Missed, Self::InVain, Self::Neither];

    /// Of a token that is kept or not, and is among those that the decode stage uses most or not.
    #[must_use]
    pub fn of(kept: bool, used: bool) -> Self {
        match (kept, used) {
            (true, true) => Self::Found,
            (false, true) => Self::Missed,
            (true, false) => Self::InVain,
            (false, false) => Self::Neither,
        }
    }

    /// The name of its series.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "kept, in the decode stage's top",
            Self::Missed => "missed, in its top",
            Self::InVain => "kept, not in its top",
            Self::Neither => "neither",
        }
    }

    fn color(self) -> Rgb {
        match self {
            Self::Found => Rgb(0, 95, 160),
            Self::Missed => Rgb(195, 80, 0),
            Self::InVain => Rgb(150, 190, 220),
            Self::Neither => Rgb(236, 236, 236),
        }
    }

    /// What tells it apart in grey.
    fn sign(self) -> CellSign {
        match self {
            Self::Missed => CellSign::Stroke,
            _ => CellSign::None,
        }
    }
}

/// Attention on the prompt: the panels below each other, each with as many rows as its observation has.
pub(super) fn attention(figure: &Figure<'_>) -> Chart {
    let mut chart = maps::chart(FigureKind::Attention, figure);
    let names = &figure.text.names;
    let most = figure
        .rows
        .iter()
        .filter_map(|row| row.y)
        .fold(0.0, f64::max);
    for panel in &mut chart.panels {
        let rows = figure.rows.iter().filter(|row| row.panel == panel.title);
        let last = rows.filter_map(|row| row.y).fold(0.0, f64::max);
        panel.x = Axis::thinned(&figure.text.x, names, LABELS);
        panel.y = Axis::cells("query", last as usize + 1, LABELS / 2);
    }
    chart.columns = 1;
    chart.aspect = (ROW * (most + 1.0) / names.len().max(1) as f64).clamp(0.15, 0.45);
    chart
}

/// The tokens of the prompt in lines that run downwards.
pub(super) fn tokens(figure: &Figure<'_>) -> Chart {
    let fate = |name: &str| TokenFate::ALL.into_iter().find(|fate| fate.name() == name);
    let mut chart = maps::map(figure, &|row| {
        let fate = fate(&row.series).unwrap_or(TokenFate::Neither);
        (fate.color(), fate.sign(), None)
    });
    let width = figure.text.names.len().max(1);
    let last = figure
        .rows
        .iter()
        .filter_map(|row| row.y)
        .fold(0.0, f64::max);
    let lines = last as usize + 1;
    let first: Vec<String> = (0..lines)
        .rev()
        .map(|line| (line * width).to_string())
        .collect();
    for panel in &mut chart.panels {
        panel.x = Axis::thinned(&figure.text.x, &figure.text.names, LABELS);
        panel.y = Axis::thinned("first token", &first, LABELS / 2);
    }
    chart.columns = 1;
    chart.aspect = (LINE * lines as f64 / width as f64).clamp(0.08, 1.25);
    chart.legend = TokenFate::ALL
        .into_iter()
        .map(|fate| LegendEntry {
            label: fate.name().to_owned(),
            style: SeriesStyle {
                color: fate.color(),
                dash: Dash::Solid,
                marker: match fate {
                    TokenFate::Missed => Marker::Cross,
                    _ => Marker::Square,
                },
            },
            line: false,
        })
        .collect();
    chart
}
