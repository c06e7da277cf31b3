//! Statistics that say what they are over.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Resamples of a bootstrap.
pub const RESAMPLES: usize = 2000;

/// Share of the resampled means that an interval covers.
pub const LEVEL: f64 = 0.95;

/// A two-sided interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Arithmetic mean; none of no values.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values
        .into_iter()
        .fold((0_usize, 0.0), |(count, sum), value| {
            (count + 1, sum + value)
        });
    (count > 0).then(|| sum / count as f64)
}

/// Quantile of ascending values, linear between neighbours (NumPy's default, type 7 of Hyndman and
/// Fan); `q` is held within 0..=1. None of no values.
pub fn quantile_of_sorted(ascending: &[f64], q: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = ascending.get(place.floor() as usize)?;
    let above = ascending.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}

/// Interval for the mean over samples: percentiles of [`RESAMPLES`] means of samples drawn with
/// replacement, covering [`LEVEL`]. The seed fixes the draws. None of fewer than two samples.
pub fn bootstrap_interval(samples: &[f64], seed: u64) -> Option<Interval> {
    if samples.len() < 2 {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sum: f64 = (0..samples.len())
                .map(|_| samples[random.random_range(0..samples.len())])
                .sum();
            sum / samples.len() as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let tail = 0.5 * (1.0 - LEVEL);
    Some(Interval {
        low: quantile_of_sorted(&means, tail)?,
        high: quantile_of_sorted(&means, 1.0 - tail)?,
    })
}
