//! Does what a window foresees tell what its eviction does to the output?
//!
//! Values are given as `[windows][samples]`, one number for each prompt. Prompts are the sampling units.

use crate::agreement::spearman;
use crate::error::AnalysisError;
use crate::statistics::{Interval, mean, mean_interval};

/// A mean of correlations, one for each sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanCorrelation {
    /// Mean of Spearman's correlation over the samples that have one; NaN when none has.
    pub spearman: f64,
    /// [`mean_interval`] of that mean over samples within -1..=1.
    pub interval: Option<Interval>,
    /// Samples that have a correlation: not all windows are equal in one of the two.
    pub samples: usize,
}

/// Spearman's correlation over the samples of one window: is the sample where more was foreseen the one whose
/// output changed less? NaN when one side is the same for all samples.
///
/// # Errors
/// [`AnalysisError::Mismatch`] for different numbers of samples, [`AnalysisError::NotANumber`].
pub fn correlation_over_samples(foreseen: &[f64], changed: &[f64]) -> Result<f64, AnalysisError> {
    correlation_of_numbers(foreseen, changed)
}

/// Spearman's correlation over windows, of each sample alone, and its mean over samples: of two windows on
/// the same prompt, does the one that foresees more change the output less?
///
/// # Errors
/// As [`correlation_over_samples`].
pub fn correlation_over_windows(
    foreseen: &[Vec<f64>],
    changed: &[Vec<f64>],
    seed: u64,
) -> Result<MeanCorrelation, AnalysisError> {
    let samples = foreseen.first().map_or(0, Vec::len);
    let of_sample = |values: &[Vec<f64>], sample: usize| -> Vec<f64> {
        let windows = values.iter();
        windows
            .filter_map(|window| window.get(sample).copied())
            .collect()
    };
    let mut correlations = Vec::with_capacity(samples);
    for sample in 0..samples {
        let correlation =
            correlation_of_numbers(&of_sample(foreseen, sample), &of_sample(changed, sample))?;
        if !correlation.is_nan() {
            correlations.push(correlation);
        }
    }
    Ok(MeanCorrelation {
        spearman: mean(correlations.iter().copied()).unwrap_or(f64::NAN),
        interval: mean_interval(&correlations, Some((-1.0, 1.0)), seed),
        samples: correlations.len(),
    })
}

/// Spearman's correlation over windows of their means over samples: do the two curves put the windows into the
/// same order at this budget? NaN when the means of one side are equal.
///
/// # Errors
/// As [`correlation_over_samples`].
pub fn correlation_of_means(
    foreseen: &[Vec<f64>],
    changed: &[Vec<f64>],
) -> Result<f64, AnalysisError> {
    let means = |values: &[Vec<f64>]| -> Vec<f64> {
        let windows = values.iter();
        windows
            .map(|window| mean(window.iter().copied()).unwrap_or(f64::NAN))
            .collect()
    };
    correlation_of_numbers(&means(foreseen), &means(changed))
}

/// [`spearman`] of numbers that single precision may not tell apart: it only looks at their order.
fn correlation_of_numbers(left: &[f64], right: &[f64]) -> Result<f64, AnalysisError> {
    spearman(&dense_ranks(left)?, &dense_ranks(right)?)
}

/// Ranks from the smallest number up, equal numbers sharing one.
fn dense_ranks(numbers: &[f64]) -> Result<Vec<f32>, AnalysisError> {
    if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
        return Err(AnalysisError::NotANumber {
            what: "the value",
            place: format!("number {index}"),
            value: numbers[index].to_string(),
        });
    }
    let mut ascending = numbers.to_vec();
    ascending.sort_unstable_by(f64::total_cmp);
    ascending.dedup();
    let rank = |number: &f64| ascending.partition_point(|other| other < number) as f32;
    Ok(numbers.iter().map(rank).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_windows_is_a_mean_over_samples_and_leaves_out_those_without_order() {
        let foreseen = [
            vec![0.1, 0.3, 0.2],
            vec![0.2, 0.2, 0.2],
            vec![0.3, 0.1, 0.2],
        ];
        let changed = [
            vec![3.0, 1.0, 1.0],
            vec![2.0, 2.0, 2.0],
            vec![1.0, 0.5, 3.0],
        ];
        let over = correlation_over_windows(&foreseen, &changed, 1).unwrap();
        // sample 0: -1; sample 1: ranks (3, 2, 1) against (2, 3, 1), 0.5; sample 2: nothing foreseen differs
        assert_eq!((over.samples, over.spearman), (2, -0.25));
        let interval = over.interval.unwrap();
        assert_eq!((interval.low, interval.high), (-1.0, 1.0));
        let none = correlation_over_windows(&[], &[], 1).unwrap();
        assert!(none.spearman.is_nan() && none.samples == 0 && none.interval.is_none());
    }

    #[test]
    fn of_means_looks_at_the_order_of_the_curves() {
        let foreseen = [vec![0.0, 0.4], vec![0.3, 0.3], vec![0.5, 0.5]];
        let changed = [vec![9.0, 1.0], vec![2.0, 2.0], vec![2.0, 0.0]];
        assert_eq!(correlation_of_means(&foreseen, &changed), Ok(-1.0));
    }

    /// These differ by less than single precision can tell.
    #[test]
    fn numbers_that_are_almost_equal_keep_their_order() {
        let close = [1.0, 1.0 + 1e-12, 1.0 + 2e-12];
        let found = correlation_over_samples(&close, &[3.0, 2.0, 1.0]).unwrap();
        assert_eq!(found, -1.0);
        assert!(correlation_over_samples(&close, &[1.0]).is_err());
        assert!(correlation_over_samples(&[1.0, f64::NAN], &[1.0, 2.0]).is_err());
    }
}
