//! The numbers of a figure: rows that are drawn, and samples on their way to rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::statistics::{mean, mean_interval};
pub use crate::tables::FigureRow;

/// The series of what a ranking at random would reach; it is no window and has a line of its own.
pub const CHANCE: &str = "chance";

/// One number per sample, for every point of every series.
#[derive(Debug, Clone, Default)]
pub struct SeriesSamples {
    points: Vec<SeriesPoint>,
    /// Where a point stands in `points`; never iterated.
    known: HashMap<(String, String, u64), usize>,
    /// Index of a sample by its content; never iterated.
    samples: HashMap<String, usize>,
}

/// A point of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesPlace<'a> {
    /// The panel.
    pub panel: &'a str,
    /// The series.
    pub series: &'a str,
    /// Where it stands on the horizontal axis.
    pub x: f64,
}

/// Rows over the same samples at every point of a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct CommonRows {
    /// The rows.
    pub rows: Vec<FigureRow>,
    /// The most samples of any curve that do not reach all of its points and are left out.
    pub left_out: usize,
    /// The samples of the curves, by their content.
    pub samples: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct SeriesPoint {
    panel: String,
    series: String,
    x: f64,
    /// What a value cannot leave here, where that is less than on the whole curve.
    bounds: Option<(f64, f64)>,
    /// By sample: the value, and the ceiling where there is one.
    values: BTreeMap<usize, (f64, Option<f64>)>,
}

impl SeriesSamples {
    /// Adds what one sample, named by its content, says of a point, and its ceiling where there is one. A copy of the
    /// sample, and what is undefined (NaN), says nothing.
    pub fn push(&mut self, sample: &str, place: SeriesPlace<'_>, value: f64, ceiling: Option<f64>) {
        if value.is_nan() {
            return;
        }
        let next = self.samples.len();
        let sample = *self.samples.entry(sample.to_owned()).or_insert(next);
        let values = &mut self.point(place).values;
        values.entry(sample).or_insert((value, ceiling));
    }

    /// Says what the value of a sample cannot leave at a point, such as the share of ten needed tokens that a cache of one
    /// can hold. It is to be said of every sample; the widest counts.
    pub fn bound(&mut self, place: SeriesPlace<'_>, (low, high): (f64, f64)) {
        let point = self.point(place);
        let (lowest, highest) = point.bounds.unwrap_or((low, high));
        point.bounds = Some((lowest.min(low), highest.max(high)));
    }

    fn point(&mut self, place: SeriesPlace<'_>) -> &mut SeriesPoint {
        let SeriesPlace { panel, series, x } = place;
        let key = (panel.to_owned(), series.to_owned(), x.to_bits());
        let next = self.points.len();
        let index = *self.known.entry(key).or_insert(next);
        if index == next {
            self.points.push(SeriesPoint {
                panel: panel.to_owned(),
                series: series.to_owned(),
                x,
                bounds: None,
                values: BTreeMap::new(),
            });
        }
        &mut self.points[index]
    }

    /// The points with mean and interval over samples: panels and series in the order in which they first
    /// came, then by x. `bounds` are what a value cannot leave.
    pub fn rows(&self, bounds: Option<(f64, f64)>, seed: u64) -> Vec<FigureRow> {
        let points = self.ordered().into_iter();
        points.map(|point| point.row(bounds, seed, None)).collect()
    }

    /// The same, every curve over the same samples from its first point to its last: it ends where fewer than half of
    /// the samples go on, and samples that do not reach all of its points are left out of it.
    pub fn common_rows(&self, bounds: Option<(f64, f64)>, seed: u64) -> CommonRows {
        let points = self.ordered();
        let of_curve = |one: &&SeriesPoint, other: &&SeriesPoint| {
            (&one.panel, &one.series) == (&other.panel, &other.series)
        };
        let (mut rows, mut left_out) = (Vec::new(), 0);
        let mut shown = BTreeSet::new();
        for curve in points.chunk_by(of_curve) {
            let common = Common::of(curve);
            left_out = left_out.max(common.left_out);
            let points = curve.iter().filter(|point| {
                let mut samples = common.samples.iter();
                samples.all(|sample| point.values.contains_key(sample))
            });
            rows.extend(points.map(|point| point.row(bounds, seed, Some(&common.samples))));
            shown.extend(common.samples);
        }
        let samples = self.samples.iter();
        let samples = samples.filter(|(_, index)| shown.contains(*index));
        CommonRows {
            rows,
            left_out,
            samples: samples.map(|(content, _)| content.clone()).collect(),
        }
    }

    fn ordered(&self) -> Vec<&SeriesPoint> {
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
    }
}

/// The samples that a curve is over.
struct Common {
    samples: BTreeSet<usize>,
    left_out: usize,
}

impl Common {
    /// Those that are at every point at which at least half as many are as at any; where no sample is at all of these,
    /// those of the fullest point.
    fn of(curve: &[&SeriesPoint]) -> Self {
        let at =
            |point: &&SeriesPoint| -> BTreeSet<usize> { point.values.keys().copied().collect() };
        let all: BTreeSet<usize> = curve.iter().flat_map(at).collect();
        let most = curve
            .iter()
            .map(|point| point.values.len())
            .max()
            .unwrap_or(0);
        let shown = curve.iter().filter(|point| 2 * point.values.len() >= most);
        let shared = shown.map(at).reduce(|one, other| &one & &other);
        let fullest = || {
            curve
                .iter()
                .find(|point| point.values.len() == most)
                .map(at)
        };
        let samples = shared
            .filter(|samples| !samples.is_empty())
            .or_else(fullest);
        let samples = samples.unwrap_or_default();
        Self {
            left_out: all.len() - samples.len(),
            samples,
        }
    }
}

impl SeriesPoint {
    /// Over all of its samples, or over some.
    fn row(
        &self,
        bounds: Option<(f64, f64)>,
        seed: u64,
        samples: Option<&BTreeSet<usize>>,
    ) -> FigureRow {
        let is_in = |sample: &usize| samples.is_none_or(|samples| samples.contains(sample));
        let found = self.values.iter().filter(|(sample, _)| is_in(sample));
        let (values, ceilings): (Vec<f64>, Vec<Option<f64>>) =
            found.map(|(_, &(value, ceiling))| (value, ceiling)).unzip();
        let interval = mean_interval(&values, self.bounds.or(bounds), seed);
        let ceilings: Option<Vec<f64>> = ceilings.into_iter().collect();
        let value = mean(values.iter().copied()).unwrap_or(f64::NAN);
        let names = (self.panel.as_str(), self.series.as_str());
        FigureRow {
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            ceiling: ceilings.and_then(mean),
            ..FigureRow::at(names, (self.x, None), value, values.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(series: &str, x: f64) -> SeriesPlace<'_> {
        SeriesPlace {
            panel: "end",
            series,
            x,
        }
    }

    fn told(rows: &[FigureRow]) -> Vec<(&str, f64, f64, u32)> {
        rows.iter()
            .map(|row| (row.series.as_str(), row.x, row.value, row.samples))
            .collect()
    }

    /// Of 22 needed tokens a cache of one token keeps at most 1 / 22.
    #[test]
    fn an_interval_keeps_to_what_is_possible_at_its_point() {
        let mut samples = SeriesSamples::default();
        for (sample, value) in [("a", 0.0), ("b", 0.0), ("c", 0.0), ("d", 0.01)] {
            samples.push(sample, place("last", 1.0), value, None);
            samples.bound(place("last", 1.0), (0.0, 1.0 / 22.0));
            samples.push(sample, place("last", 2.0), value, None);
        }
        let rows = samples.rows(Some((0.0, 1.0)), 1);
        assert!(rows[0].high.unwrap() <= 1.0 / 22.0, "{rows:?}");
        assert!(rows[1].high.unwrap() > 0.5, "{rows:?}");
    }

    #[test]
    fn points_become_means_in_the_order_of_coming_and_of_x_and_a_copy_counts_once() {
        let mut samples = SeriesSamples::default();
        for (series, x, value) in [("laq", 2.0, 0.5), ("last", 1.0, 0.25), ("laq", 1.0, 1.0)] {
            samples.push("a", place(series, x), value, Some(0.75));
            samples.push("b", place(series, x), value, Some(1.0));
        }
        samples.push("c", place("laq", 2.0), 0.8, None);
        samples.push("c", place("laq", 2.0), 0.1, None);
        samples.push("d", place("laq", 2.0), f64::NAN, None);
        let rows = samples.rows(Some((0.0, 1.0)), 1);
        assert_eq!(
            told(&rows),
            [
                ("laq", 1.0, 1.0, 2),
                ("laq", 2.0, 0.6, 3),
                ("last", 1.0, 0.25, 2)
            ]
        );
        assert_eq!((rows[0].ceiling, rows[1].ceiling), (Some(0.875), None));
        // Two samples at the upper bound: the exact interval from the root of 0.025 on.
        let low = rows[0].low.unwrap();
        assert!((low - 0.025_f64.sqrt()).abs() < 1e-12 && rows[0].high == Some(1.0));
        assert!(rows[1].low.unwrap() >= 0.0 && rows[1].high.unwrap() <= 1.0);
    }

    /// Ten samples of the same falling curve would rise where those end that are low.
    #[test]
    fn a_curve_is_over_the_same_samples_from_its_first_point_to_its_last() {
        let mut samples = SeriesSamples::default();
        for (sample, level, steps) in [("a", 0.9, 4), ("b", 0.7, 3), ("c", 0.2, 2), ("d", 0.4, 3)] {
            for step in 1..=steps {
                samples.push(sample, place("laq", f64::from(step)), level, None);
            }
        }
        let found = samples.common_rows(None, 1);
        let two_thirds = (0.9 + 0.7 + 0.4) / 3.0;
        assert_eq!(
            told(&found.rows),
            [1.0, 2.0, 3.0].map(|step| ("laq", step, two_thirds, 3))
        );
        assert_eq!(found.left_out, 1);
        let shown = BTreeSet::from(["a", "b", "d"].map(str::to_owned));
        assert_eq!(found.samples, shown);
        assert_eq!(samples.rows(None, 1)[3].samples, 1);
    }

    #[test]
    fn curves_that_share_no_point_are_over_the_samples_of_the_fullest() {
        let mut samples = SeriesSamples::default();
        samples.push("a", place("laq", 1.0), 0.5, None);
        samples.push("b", place("laq", 2.0), 0.7, None);
        let found = samples.common_rows(None, 1);
        assert_eq!(told(&found.rows), [("laq", 1.0, 0.5, 1)]);
        assert_eq!(found.left_out, 1);
    }
}
