//! Curves with bands.

use super::{Figure, FigureKind, legend};
use crate::figure::axis::Axis;
use crate::figure::chart::{Chart, Mark, Panel};
use crate::figure::palette::SeriesStyle;
use crate::figure::rows::{CHANCE, FigureRow};
use crate::figure::scene::Rgb;

/// Ticks on an axis of a panel, at most.
const TICKS: usize = 8;
/// Points that a line joins, at least, where they are places.
const FEWEST_JOINED: usize = 3;
/// How much longer than the shortest a step may be that a line spans.
const STEP_SLACK: f64 = 1.5;

/// Opacity of a band, and how many of them may lie on each other before they get fainter.
const BAND_OPACITY: f64 = 0.18;
const BANDS: f64 = 5.0;

/// A panel for each of the rows' panels, a curve for each series.
pub(super) fn chart(kind: FigureKind, figure: &Figure<'_>) -> Chart {
    let series = figure.series(are_windows(kind));
    let names = figure.panels();
    let most = TICKS / figure.columns(names.len());
    let range = figure.x_range();
    let x = match kind {
        FigureKind::DecodeStep | FigureKind::Place | FigureKind::Layer => {
            Axis::whole(&figure.text.x, range, most.max(3))
        }
        FigureKind::Depth => Axis::linear(&figure.text.x, (0.0, 1.0), 5),
        _ => Axis::powers_of_two(&figure.text.x, range, most.max(3)),
    };
    let y = Axis::linear(
        &figure.text.value,
        figure.text.range.unwrap_or((0.0, 1.0)),
        5,
    );
    let panels = names.iter().map(|&name| Panel {
        title: name.to_owned(),
        x: x.clone(),
        y: y.clone(),
        marks: marks(kind, figure, name),
    });
    figure.chart(panels.collect(), legend(&series, true))
}

/// Whether the series are windows, which have colours of their own.
fn are_windows(kind: FigureKind) -> bool {
    !matches!(kind, FigureKind::Allocation | FigureKind::Place)
}

fn marks(kind: FigureKind, figure: &Figure<'_>, panel: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    if kind == FigureKind::Place {
        marks.push(Mark::Upright { x: 0.0 });
    }
    let chance: Vec<&FigureRow> = figure.of(panel, CHANCE).collect();
    marks.extend(line(Rgb::REFERENCE, &chance, |row| Some(row.value)));
    let series = figure.series(are_windows(kind));
    let opacity = BAND_OPACITY * (BANDS / series.len() as f64).min(1.0);
    for (index, (label, style)) in series.into_iter().enumerate() {
        let rows: Vec<&FigureRow> = figure
            .of(panel, label)
            .filter(|row| row.value.is_finite())
            .collect();
        marks.extend(line(style.color, &rows, |row| row.ceiling));
        if kind == FigureKind::Place {
            marks.extend(runs(style, &rows, opacity));
            continue;
        }
        marks.push(curve(style, &rows, opacity, index));
    }
    marks
}

fn curve(style: SeriesStyle, rows: &[&FigureRow], opacity: f64, first_marker: usize) -> Mark {
    Mark::Curve {
        style,
        points: rows.iter().map(|row| (row.x, row.value)).collect(),
        band: rows
            .iter()
            .filter_map(|row| Some((row.x, row.low?, row.high?)))
            .collect(),
        opacity,
        first_marker,
    }
}

/// Points are joined where they stand in one row of steps; a line between a few that stand apart would tell of places that
/// nobody looked at.
fn runs(style: SeriesStyle, rows: &[&FigureRow], opacity: f64) -> Vec<Mark> {
    let steps = rows.windows(2).map(|pair| pair[1].x - pair[0].x);
    let step = steps.fold(f64::INFINITY, f64::min);
    let runs = rows.chunk_by(|one, next| next.x - one.x <= STEP_SLACK * step);
    let marks = runs.flat_map(|run| match run.len() < FEWEST_JOINED {
        true => run.iter().map(|row| dot(style, row)).collect(),
        false => vec![curve(style, run, opacity, 0)],
    });
    marks.collect()
}

fn dot(style: SeriesStyle, row: &FigureRow) -> Mark {
    Mark::Dot {
        style,
        x: row.x,
        y: row.value,
        interval: row.low.zip(row.high),
    }
}

/// A thin line through a number of some rows, if any has it.
fn line(
    color: Rgb,
    rows: &[&FigureRow],
    value: impl Fn(&FigureRow) -> Option<f64>,
) -> Option<Mark> {
    let points: Vec<(f64, f64)> = rows
        .iter()
        .filter_map(|row| Some((row.x, value(row)?)))
        .collect();
    (!points.is_empty()).then_some(Mark::Line { color, points })
}
