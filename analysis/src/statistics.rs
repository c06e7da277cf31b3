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

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn uniform(count: usize) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        (0..count).map(|_| random.random::<f64>()).collect()
    }

    #[test]
    fn nothing_has_no_mean_and_no_quantile() {
        assert_eq!(mean([]), None);
        assert_eq!(mean([1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(quantile_of_sorted(&[], 0.5), None);
        assert_eq!(quantile_of_sorted(&[1.0, 3.0], 7.0), Some(3.0));
    }

    #[test]
    fn fewer_than_two_samples_have_no_interval() {
        assert_eq!(bootstrap_interval(&[], 1), None);
        assert_eq!(bootstrap_interval(&[0.5], 1), None);
        assert_eq!(
            bootstrap_interval(&[0.5, 0.5], 1),
            Some(Interval {
                low: 0.5,
                high: 0.5
            })
        );
    }

    #[test]
    fn the_seed_fixes_the_interval() {
        let samples = uniform(20);
        assert_eq!(
            bootstrap_interval(&samples, 7),
            bootstrap_interval(&samples, 7)
        );
        assert_ne!(
            bootstrap_interval(&samples, 7),
            bootstrap_interval(&samples, 8)
        );
    }

    /// The mean of many samples is normal: the interval reaches 1.96 standard errors to each side. The
    /// 2.5th percentile of 2000 resamples scatters by sqrt(0.025 * 0.975 / 2000) over the normal
    /// density there, 0.0584, which is 0.06 standard errors; five times that is allowed.
    #[test]
    fn the_interval_is_the_normal_one_for_many_samples() {
        let samples = uniform(400);
        let middle = mean(samples.iter().copied()).unwrap();
        let variance = mean(samples.iter().map(|s| (s - middle).powi(2))).unwrap();
        let standard_error = (variance / 400.0).sqrt();
        let interval = bootstrap_interval(&samples, 11).unwrap();
        let allowed = 5.0 * 0.06 * standard_error;
        assert!((interval.low - (middle - 1.96 * standard_error)).abs() < allowed);
        assert!((interval.high - (middle + 1.96 * standard_error)).abs() < allowed);
    }
}
