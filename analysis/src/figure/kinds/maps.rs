//! Maps of layers and heads.

use super::{Figure, FigureKind, legend};
use crate::figure::axis::Axis;
use crate::figure::chart::{CellSign, Chart, ColorBar, ColorMap, Mark, Panel};
use crate::figure::rows::FigureRow;
use crate::figure::scene::Rgb;

/// Cells without a number.
const MISSING: Rgb = Rgb(205, 205, 205);
/// How far the colour of a win that is not resolved fades.
const FADED: f32 = 0.6;
/// Tick labels on an axis of a map, at most.
const LABELS: usize = 8;
/// The limits of a map's height over its width.
const FLATTEST: f64 = 0.3;
const TALLEST: f64 = 1.25;

/// A panel for each of the rows' panels, colours from a bar of a fixed range.
pub(super) fn chart(kind: FigureKind, figure: &Figure<'_>) -> Chart {
    let (default, colors) = match kind {
        FigureKind::HeadDifference => ((-0.5, 0.5), ColorMap::Diverging),
        FigureKind::Kl => ((0.0, 4.0), ColorMap::Sequential),
        _ => ((0.0, 1.0), ColorMap::Sequential),
    };
    let bar = ColorBar {
        label: figure.text.value.clone(),
        axis: Axis::linear("", figure.text.range.unwrap_or(default), 4),
        map: colors,
    };
    let cell = |row: &FigureRow| {
        if !row.value.is_finite() {
            return (MISSING, CellSign::Stroke);
        }
        let share = bar.axis.share(row.value).clamp(0.0, 1.0);
        let sign = match row.resolved {
            Some(false) => CellSign::Stroke,
            _ if row.value < 0.0 => CellSign::Minus,
            _ => CellSign::None,
        };
        (colors.color(share as f32), sign)
    };
    let mut chart = map(figure, &cell);
    chart.bar = Some(bar.clone());
    chart
}

/// A panel for each of the rows' panels, the winner's colour and marker in each cell.
pub(super) fn winners(figure: &Figure<'_>) -> Chart {
    let series = figure.series(true);
    let cell = |row: &FigureRow| {
        let found = series
            .iter()
            .find(|(label, _)| *label == row.series && row.value.is_finite());
        match found {
            Some((_, style)) if row.resolved == Some(true) => {
                (style.color, CellSign::Marker(style.marker))
            }
            Some((_, style)) => (
                style.color.towards(Rgb::WHITE, FADED),
                CellSign::Marker(style.marker),
            ),
            None => (MISSING, CellSign::Stroke),
        }
    };
    let mut chart = map(figure, &cell);
    chart.legend = legend(&series, false);
    chart
}

fn map(figure: &Figure<'_>, cell: &dyn Fn(&FigureRow) -> (Rgb, CellSign)) -> Chart {
    let last = |place: fn(&FigureRow) -> f64| {
        let all = figure.rows.iter().map(place);
        all.fold(0.0, f64::max) as usize
    };
    let heads = last(|row| row.x) + 1;
    let layers = last(|row| row.y.unwrap_or(0.0)) + 1;
    let names = figure.panels();
    let columns = figure.columns(names.len());
    let panels = names.iter().map(|&name| {
        let rows = figure.rows.iter().filter(|row| row.panel == name);
        let marks = rows.map(|row| {
            let (fill, sign) = cell(row);
            Mark::Cell {
                x: row.x,
                y: row.y.unwrap_or(0.0),
                fill,
                sign,
            }
        });
        Panel {
            title: name.to_owned(),
            x: Axis::cells(&figure.text.x, heads, LABELS),
            y: Axis::cells("layer", layers, LABELS),
            marks: marks.collect(),
        }
    });
    Chart {
        panels: panels.collect(),
        columns,
        aspect: (layers as f64 / heads as f64).clamp(FLATTEST, TALLEST),
        legend: Vec::new(),
        bar: None,
        note: figure.text.note.clone(),
    }
}
