//! Maps of layers and heads.

use super::{Figure, FigureKind, clipped_sides, legend};
use crate::figure::axis::Axis;
use crate::figure::chart::{Beyond, CellSign, Chart, ColorBar, ColorMap, Mark, Panel};
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
        FigureKind::RankDensity => ((0.0, 0.5), ColorMap::Sequential),
        FigureKind::Attention => ((-4.0, 0.0), ColorMap::Sequential),
        _ => ((0.0, 1.0), ColorMap::Sequential),
    };
    let bar = ColorBar {
        label: figure.text.value.clone(),
        axis: Axis::linear("", figure.text.range.unwrap_or(default), 4),
        map: colors,
        beyond: (false, false),
    };
    let cell = |row: &FigureRow| {
        if !row.value.is_finite() {
            return (MISSING, CellSign::Stroke, None);
        }
        let share = bar.axis.share(row.value);
        // most weights are next to nothing, which the note says
        let beyond = match share {
            _ if kind == FigureKind::Attention => None,
            low if low < 0.0 => Some(Beyond::Below),
            high if high > 1.0 => Some(Beyond::Above),
            _ => None,
        };
        let share = share.clamp(0.0, 1.0);
        let is_below_zero = row.value < 0.0 && colors == ColorMap::Diverging;
        let sign = match (row.resolved, is_below_zero) {
            _ if row.equivalent == Some(true) => CellSign::Equal,
            (Some(false), false) => CellSign::Stroke,
            (Some(false), true) => CellSign::Falling,
            (_, true) => CellSign::Minus,
            (_, false) => CellSign::None,
        };
        (colors.color(share as f32), sign, beyond)
    };
    let mut chart = map(figure, &cell);
    let (low, high) = bar.axis.range;
    let count = |is_beyond: &dyn Fn(f64) -> bool| {
        let values = figure.rows.iter().map(|row| row.value);
        values.filter(|&value| is_beyond(value)).count()
    };
    let beyond = (count(&|value| value < low), count(&|value| value > high));
    let words = clipped_words(beyond, figure.rows.len());
    if let Some(words) = words.filter(|_| kind != FigureKind::Attention) {
        let note = chart.note.take().unwrap_or_default();
        chart.note = Some(format!("{note} {words}").trim().to_owned());
    }
    chart.bar = Some(ColorBar {
        beyond: (beyond.0 > 0, beyond.1 > 0),
        ..bar.clone()
    });
    chart
}

/// What is said of cells beyond the colour bar.
fn clipped_words(beyond: (usize, usize), cells: usize) -> Option<String> {
    let sides = clipped_sides(beyond)?;
    Some(format!(
        "Cells with a corner lie beyond the colour bar (lower left: below it, upper right: above): {sides}, of {cells}."
    ))
}

/// A panel for each of the rows' panels, a row and a column for each name.
pub(super) fn pairs(figure: &Figure<'_>) -> Chart {
    let mut chart = chart(FigureKind::Complementarity, figure);
    let names = &figure.text.names;
    for panel in &mut chart.panels {
        panel.x = Axis::names(&figure.text.x, names);
        panel.y = Axis::names("found by", names);
    }
    chart.aspect = 1.0;
    chart
}

/// A panel for each of the rows' panels, ranks on both axes.
pub(super) fn ranks(figure: &Figure<'_>) -> Chart {
    let mut chart = chart(FigureKind::RankDensity, figure);
    let names = &figure.text.names;
    for panel in &mut chart.panels {
        panel.x = Axis::thinned(&figure.text.x, names, LABELS);
        panel.y = Axis::thinned("rank by the window", names, LABELS);
    }
    chart.aspect = 1.0;
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
            Some((_, style)) if row.equivalent == Some(true) => {
                let fill = style.color.towards(Rgb::WHITE, FADED);
                (fill, CellSign::Equal, None)
            }
            Some((_, style)) if row.resolved == Some(true) => {
                (style.color, CellSign::Marker(style.marker), None)
            }
            Some((_, style)) => (
                style.color.towards(Rgb::WHITE, FADED),
                CellSign::Marker(style.marker),
                None,
            ),
            None => (MISSING, CellSign::Stroke, None),
        }
    };
    let mut chart = map(figure, &cell);
    chart.legend = legend(&series, false);
    chart
}

/// How a cell looks: its colour, the sign on it, and on which side it lies beyond the range.
type CellLook = (Rgb, CellSign, Option<Beyond>);

pub(super) fn map(figure: &Figure<'_>, cell: &dyn Fn(&FigureRow) -> CellLook) -> Chart {
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
            let (fill, sign, beyond) = cell(row);
            Mark::Cell {
                x: row.x,
                y: row.y.unwrap_or(0.0),
                fill,
                sign,
                beyond,
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
