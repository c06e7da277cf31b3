//! Bars and dots.

use super::{Figure, legend};
use crate::figure::axis::Axis;
use crate::figure::chart::{Chart, Mark, Panel};
use crate::figure::palette::{Ground, SeriesStyle, ordered};
use crate::figure::rows::FigureRow;

/// Share of a place that its bars take.
const FILLED: f64 = 0.8;

/// Bars side by side at each named place, one for each series.
pub(super) fn bars(figure: &Figure<'_>) -> Chart {
    let are_windows = figure
        .text
        .names
        .iter()
        .all(|name| name.parse::<f64>().is_ok());
    let series = figure.series(are_windows);
    let width = FILLED / series.len().max(1) as f64;
    let bar = |index: usize, row: &FigureRow| {
        let (style, x) = (
            series[index].1,
            row.x - 0.5 * FILLED + (index as f64 + 0.5) * width,
        );
        let bar = Mark::Bar {
            style,
            x,
            width: 0.92 * width,
            y: row.value,
            interval: row.low.zip(row.high),
        };
        let ends = [x - 0.5 * width, x + 0.5 * width];
        std::iter::once(bar).chain(ceiling(style, row, ends))
    };
    let names = figure.panels();
    let lowest = figure.rows.iter().map(|row| row.value).fold(0.0, f64::min);
    let range = match lowest < 0.0 {
        true => (-1.0, 1.0),
        false => (0.0, 1.0),
    };
    let panels = names.iter().map(|&name| Panel {
        title: name.to_owned(),
        x: Axis::names(&figure.text.x, &figure.text.names),
        y: Axis::linear(&figure.text.value, figure.text.range.unwrap_or(range), 5),
        marks: series
            .iter()
            .enumerate()
            .flat_map(|(index, (label, _))| figure.of(name, label).map(move |row| (index, row)))
            .flat_map(|(index, row)| bar(index, row))
            .collect(),
    });
    figure.chart(panels.collect(), legend(&series, false))
}

/// A thin line at a row's ceiling, if it has one.
fn ceiling(style: SeriesStyle, row: &FigureRow, ends: [f64; 2]) -> Option<Mark> {
    let ceiling = row.ceiling?;
    Some(Mark::Line {
        color: style.color,
        points: ends.map(|x| (x, ceiling)).to_vec(),
    })
}

/// Dots of each series, joined in the order of coming, on two axes of shares.
pub(super) fn against_recall(figure: &Figure<'_>) -> Chart {
    let series = figure.series(true);
    let names = figure.panels();
    let marks = |panel: &str| {
        let of_series = series.iter().flat_map(|&(label, style)| {
            let rows: Vec<&FigureRow> = figure.of(panel, label).collect();
            let line = Mark::Line {
                color: style.color,
                points: rows.iter().map(|row| (row.x, row.value)).collect(),
            };
            let dots = rows.into_iter().map(move |row| Mark::Dot {
                style,
                x: row.x,
                y: row.value,
                interval: row.low.zip(row.high),
            });
            std::iter::once(line).chain(dots)
        });
        of_series.collect()
    };
    let range = figure.text.range.unwrap_or((0.0, 1.0));
    let panels = names.iter().map(|&name| Panel {
        title: name.to_owned(),
        x: Axis::linear(&figure.text.x, (0.0, 1.0), 5),
        y: Axis::linear(&figure.text.value, range, 5),
        marks: marks(name),
    });
    figure.chart(panels.collect(), legend(&series, false))
}

/// A dot for each head, a panel for each of the rows' panels.
pub(super) fn heads(figure: &Figure<'_>) -> Chart {
    let style = ordered(0, Ground::Light);
    let text = figure.text;
    let (low, high) = figure.x_range();
    let x = match text.counts {
        true => Axis::powers_of_two(&text.x, (low.max(1.0), high.max(2.0)), 6),
        false => Axis::linear(&text.x, (low.min(0.0), high), 5),
    };
    let highest = figure.rows.iter().map(|row| row.value).fold(1.0, f64::max);
    let y = Axis::linear(&text.value, text.range.unwrap_or((0.0, highest)), 5);
    let names = figure.panels();
    let panels = names.iter().map(|&name| {
        let rows = figure.rows.iter().filter(|row| row.panel == name);
        let known = rows.filter(|row| row.x.is_finite() && row.value.is_finite());
        Panel {
            title: name.to_owned(),
            x: x.clone(),
            y: y.clone(),
            marks: known
                .map(|row| Mark::Dot {
                    style,
                    x: row.x,
                    y: row.value,
                    interval: None,
                })
                .collect(),
        }
    });
    figure.chart(panels.collect(), Vec::new())
}

/// A dot for each series: what it gives against what it takes.
pub(super) fn cost(figure: &Figure<'_>) -> Chart {
    let series = figure.series(true);
    let names = figure.panels();
    let (low, high) = figure.x_range();
    let panels = names.iter().map(|&name| Panel {
        title: name.to_owned(),
        x: Axis::powers_of_ten(&figure.text.x, (low / 1.5, high * 1.5)),
        y: Axis::linear(
            &figure.text.value,
            figure.text.range.unwrap_or((0.0, 1.0)),
            5,
        ),
        marks: series
            .iter()
            .flat_map(|(label, style)| figure.of(name, label).map(move |row| (*style, row)))
            .flat_map(|(style, row)| {
                let dot = Mark::Dot {
                    style,
                    x: row.x,
                    y: row.value,
                    interval: row.low.zip(row.high),
                };
                // the axis is logarithmic
                let ends = [row.x / 1.2, row.x * 1.2];
                std::iter::once(dot).chain(ceiling(style, row, ends))
            })
            .collect(),
    });
    figure.chart(panels.collect(), legend(&series, false))
}
