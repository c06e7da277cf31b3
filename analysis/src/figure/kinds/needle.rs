//! Maps of needle grids: a column for each length, a row for each depth, the start of the document above.

use super::maps;
use super::{Figure, FigureKind};
use crate::figure::axis::Axis;
use crate::figure::chart::Chart;

/// A panel for each of the rows' panels; x is the length in tokens, y the depth.
pub(super) fn chart(figure: &Figure<'_>) -> Chart {
    let lengths = distinct(figure.rows.iter().map(|row| row.x));
    let mut depths = distinct(figure.rows.iter().filter_map(|row| row.y));
    depths.reverse();
    let mut rows = figure.rows.to_vec();
    for row in &mut rows {
        row.x = place(&lengths, row.x);
        row.y = row.y.map(|depth| place(&depths, depth));
    }
    let placed = Figure {
        rows: &rows,
        ..*figure
    };
    let mut chart = maps::chart(FigureKind::Needle, &placed);
    let names = |values: &[f64]| -> Vec<String> { values.iter().map(f64::to_string).collect() };
    let (lengths, depths) = (names(&lengths), names(&depths));
    for panel in &mut chart.panels {
        panel.x = Axis::names(&figure.text.x, &lengths);
        panel.y = Axis::names("depth", &depths);
    }
    chart
}

fn place(values: &[f64], value: f64) -> f64 {
    let found = values.iter().position(|known| *known == value);
    found.unwrap_or_default() as f64
}

fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::chart::Mark;
    use crate::figure::{FigureRow, FigureText, PageStyle, chart};

    #[test]
    fn lengths_run_to_the_right_and_depths_downwards() {
        let row = |x: f64, y: f64, value: f64| {
            FigureRow::at(("last:8", "last:8"), (x, Some(y)), value, 4)
        };
        let rows = [
            row(1024.0, 0.0, 0.5),
            row(8192.0, 0.5, 1.0),
            row(1024.0, 1.0, 0.0),
        ];
        let text = FigureText {
            x: "length (tokens)".to_owned(),
            ..FigureText::default()
        };
        let found = chart(FigureKind::Needle, &rows, &text, &PageStyle::default()).unwrap();
        let panel = &found.panels[0];
        let cells: Vec<(f64, f64)> = panel
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Cell { x, y, .. } => Some((*x, *y)),
                _ => None,
            })
            .collect();
        // y grows upwards on the page: the start of the document is the highest row
        assert_eq!(cells, [(0.0, 2.0), (1.0, 1.0), (0.0, 0.0)]);
        let names: Vec<&str> = panel
            .x
            .ticks
            .iter()
            .map(|(_, name)| name.as_str())
            .collect();
        assert_eq!(names, ["1024", "8192"]);
        let depths: Vec<&str> = panel
            .y
            .ticks
            .iter()
            .map(|(_, name)| name.as_str())
            .collect();
        assert_eq!(depths, ["1", "0.5", "0"]);
    }
}
