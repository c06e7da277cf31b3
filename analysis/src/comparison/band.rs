//! A metric over many heads.

use rayon::prelude::*;

use crate::statistics;

/// A metric over a set of heads, per budget. Heads where it is undefined (NaN) are left out; NaN where none is left.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Mean over the heads.
    pub mean: Vec<f64>,
    /// 10th percentile over the heads.
    pub low: Vec<f64>,
    /// 90th percentile over the heads.
    pub high: Vec<f64>,
}

impl Band {
    /// Mean, 10th and 90th percentile of the curves of some heads at each of `points` points; a curve that
    /// ends before, or is undefined there, is left out.
    #[must_use]
    pub fn of(curves: &[&[f64]], points: usize) -> Self {
        let at_point = |index: usize| {
            let of_heads = curves.iter().filter_map(|curve| curve.get(index).copied());
            let mut values: Vec<f64> = of_heads.filter(|value| !value.is_nan()).collect();
            values.sort_unstable_by(f64::total_cmp);
            let mean = statistics::mean(values.iter().copied());
            [
                mean,
                statistics::quantile_of_sorted(&values, 0.1),
                statistics::quantile_of_sorted(&values, 0.9),
            ]
            .map(|value| value.unwrap_or(f64::NAN))
        };
        let at_points: Vec<[f64; 3]> = (0..points).into_par_iter().map(at_point).collect();
        let side = |side: usize| at_points.iter().map(|values| values[side]).collect();
        Self {
            mean: side(0),
            low: side(1),
            high: side(2),
        }
    }
}
