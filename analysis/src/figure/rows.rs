//! The numbers of a figure: rows that are drawn, and samples on their way to rows.

use std::collections::HashMap;

use crate::statistics::{mean, mean_interval};
pub use crate::tables::FigureRow;

/// One number per sample, for every point of every series.
#[derive(Debug, Clone, Default)]
pub struct SeriesSamples {
    points: Vec<SeriesPoint>,
    /// Where a point stands in `points`; never iterated.
    known: HashMap<(String, String, u64), usize>,
}

#[derive(Debug, Clone)]
struct SeriesPoint {
    panel: String,
    series: String,
    x: f64,
    values: Vec<f64>,
}

impl SeriesSamples {
    /// Adds what one sample says of a point.
    pub fn push(&mut self, panel: &str, series: &str, x: f64, value: f64) {
        let key = (panel.to_owned(), series.to_owned(), x.to_bits());
        let next = self.points.len();
        let index = *self.known.entry(key).or_insert(next);
        if index == next {
            self.points.push(SeriesPoint {
                panel: panel.to_owned(),
                series: series.to_owned(),
                x,
                values: Vec::new(),
            });
        }
        self.points[index].values.push(value);
    }

    /// The points with mean and interval over samples: panels and series in the order in which they first
    /// came, then by x. `bounds` are what a value cannot leave.
    pub fn rows(&self, bounds: Option<(f64, f64)>, seed: u64) -> Vec<FigureRow> {
        let mut panels: Vec<&str> = Vec::new();
        let mut series: Vec<&str> = Vec::new();
        for point in &self.points {
            if !panels.contains(&point.panel.as_str()) {
                panels.push(&point.panel);
            }
            if !series.contains(&point.series.as_str()) {
                series.push(&point.series);
            }
        }
        let place = |names: &[&str], name: &str| names.iter().position(|known| *known == name);
        let mut order: Vec<&SeriesPoint> = self.points.iter().collect();
        order.sort_by(|a, b| {
            let key =
                |point: &SeriesPoint| (place(&panels, &point.panel), place(&series, &point.series));
            key(a).cmp(&key(b)).then(a.x.total_cmp(&b.x))
        });
        order
            .into_iter()
            .map(|point| point.row(bounds, seed))
            .collect()
    }
}

impl SeriesPoint {
    fn row(&self, bounds: Option<(f64, f64)>, seed: u64) -> FigureRow {
        let interval = mean_interval(&self.values, bounds, seed);
        FigureRow {
            panel: self.panel.clone(),
            series: self.series.clone(),
            x: self.x,
            y: None,
            value: mean(self.values.iter().copied()).unwrap_or(f64::NAN),
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            samples: u32::try_from(self.values.len()).unwrap_or(u32::MAX),
            resolved: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_become_means_in_the_order_of_coming_and_of_x() {
        let mut samples = SeriesSamples::default();
        for (series, x, value) in [("laq", 2.0, 0.5), ("last", 1.0, 0.25), ("laq", 1.0, 1.0)] {
            samples.push("end", series, x, value);
            samples.push("end", series, x, value);
        }
        samples.push("end", "laq", 2.0, 0.8);
        let rows = samples.rows(Some((0.0, 1.0)), 1);
        let told: Vec<(&str, f64, f64, u32)> = rows
            .iter()
            .map(|row| (row.series.as_str(), row.x, row.value, row.samples))
            .collect();
        assert_eq!(
            told,
            [
                ("laq", 1.0, 1.0, 2),
                ("laq", 2.0, 0.6, 3),
                ("last", 1.0, 0.25, 2)
            ]
        );
        // Two samples at the upper bound: the exact interval from the root of 0.025 on.
        let low = rows[0].low.unwrap();
        assert!((low - 0.025_f64.sqrt()).abs() < 1e-12 && rows[0].high == Some(1.0));
        assert!(rows[1].low.unwrap() >= 0.0 && rows[1].high.unwrap() <= 1.0);
    }
}
