//! Two windows on the same samples.

use rayon::prelude::*;

use super::{
    Interval, WIN_LEVEL, WindowValues, benjamini_hochberg, bootstrap_interval, holm, mean,
    sign_flip_p,
};
use crate::comparison::same;
use crate::error::AnalysisError;

/// What an interval of a paired difference says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The first side is higher: the whole interval lies above zero.
    FirstHigher,
    /// The second side is higher: the whole interval lies below zero.
    SecondHigher,
    /// The interval spans or touches zero, or there are too few samples for one.
    NotResolved,
}

impl Verdict {
    fn of(interval: Option<Interval>) -> Self {
        match interval {
            Some(Interval { low, .. }) if low > 0.0 => Self::FirstHigher,
            Some(Interval { high, .. }) if high < 0.0 => Self::SecondHigher,
            _ => Self::NotResolved,
        }
    }
}

/// The first window less the second, sample by sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDifference {
    /// Number of samples.
    pub samples: usize,
    /// Mean of first less second.
    pub mean: f64,
    /// [`bootstrap_interval`] of that mean; none of fewer than two samples.
    pub interval: Option<Interval>,
    /// [`sign_flip_p`] of the differences.
    pub p: f64,
    /// What the interval says.
    pub verdict: Verdict,
}

/// Compares two sides whose values belong to the same samples, in the same order.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when they differ in length, [`AnalysisError::Empty`] without samples,
/// [`AnalysisError::NotANumber`] for a value that is not finite.
pub fn paired_difference(
    first: &[f64],
    second: &[f64],
    seed: u64,
) -> Result<PairedDifference, AnalysisError> {
    same("numbers of samples", first.len(), second.len())?;
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    if let Some(sample) = differences.iter().position(|value| !value.is_finite()) {
        return Err(AnalysisError::NotANumber {
            what: "the difference",
            place: format!("sample {sample}"),
            value: differences[sample].to_string(),
        });
    }
    let mean = mean(differences.iter().copied()).ok_or(AnalysisError::Empty { what: "samples" })?;
    let interval = bootstrap_interval(&differences, seed);
    Ok(PairedDifference {
        samples: differences.len(),
        mean,
        interval,
        p: sign_flip_p(&differences, seed),
        verdict: Verdict::of(interval),
    })
}

/// One head of a map of paired differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadDifference {
    /// The difference by itself, uncorrected.
    pub difference: PairedDifference,
    /// Its p-value corrected over all heads by [`holm`].
    pub p_holm: f64,
    /// Its p-value corrected over all heads by [`benjamini_hochberg`].
    pub p_benjamini_hochberg: f64,
}

impl HeadDifference {
    /// Whether the interval excludes zero and the p-value, corrected over the map by
    /// [`benjamini_hochberg`], is at most [`WIN_LEVEL`]: what a map of heads marks as resolved.
    pub fn is_resolved(&self) -> bool {
        self.difference.verdict != Verdict::NotResolved && self.p_benjamini_hochberg <= WIN_LEVEL
    }
}

/// Compares two windows in every head, `[heads]`; every head is resampled alike.
///
/// # Errors
/// [`AnalysisError::OutOfBounds`] when a window does not exist.
pub fn paired_differences_by_head(
    values: &WindowValues,
    first: usize,
    second: usize,
    seed: u64,
) -> Result<Vec<HeadDifference>, AnalysisError> {
    for window in [first, second] {
        if window >= values.windows() {
            return Err(AnalysisError::OutOfBounds {
                what: "the index of a window",
                bounds: "below their number",
                value: window.to_string(),
            });
        }
    }
    let differences: Vec<PairedDifference> = (0..values.heads())
        .into_par_iter()
        .map(|head| {
            let side = |window| values.over_samples(window, head);
            paired_difference(&side(first), &side(second), seed)
        })
        .collect::<Result<_, _>>()?;
    let p_values: Vec<f64> = differences.iter().map(|difference| difference.p).collect();
    let corrected = holm(&p_values)?
        .into_iter()
        .zip(benjamini_hochberg(&p_values)?);
    Ok(differences
        .into_iter()
        .zip(corrected)
        .map(
            |(difference, (p_holm, p_benjamini_hochberg))| HeadDifference {
                difference,
                p_holm,
                p_benjamini_hochberg,
            },
        )
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten samples with the given gap between the sides and the same small scatter.
    fn sides(gap: f64) -> (Vec<f64>, Vec<f64>) {
        let scatter = |sample: u32| f64::from(sample * 7 % 10) / 100.0 - 0.045;
        let second: Vec<f64> = (0..10).map(|sample| f64::from(sample) / 20.0).collect();
        let first = (0..10)
            .zip(&second)
            .map(|(s, value)| value + gap + scatter(s));
        (first.collect(), second)
    }

    #[test]
    fn a_gap_beyond_the_scatter_is_resolved_and_one_within_it_is_not() {
        let told = |gap| {
            let (first, second) = sides(gap);
            paired_difference(&first, &second, 1).unwrap()
        };
        assert_eq!(told(0.1).verdict, Verdict::FirstHigher);
        assert_eq!(told(-0.1).verdict, Verdict::SecondHigher);
        assert_eq!(told(0.005).verdict, Verdict::NotResolved);
        assert!((told(0.1).mean - 0.1).abs() < 1e-12);
        assert_eq!(told(0.1).p, 2.0 / 1024.0);
        assert!(told(0.005).p > 0.5);
    }

    #[test]
    fn pairing_sees_through_what_samples_have_in_common() {
        let (first, second) = sides(0.05);
        let paired = paired_difference(&first, &second, 1).unwrap();
        assert_eq!(paired.verdict, Verdict::FirstHigher);
        let alone = |side: &[f64]| bootstrap_interval(side, 1).unwrap();
        assert!(alone(&first).low < alone(&second).high);
    }

    #[test]
    fn equal_sides_and_too_few_samples_are_not_resolved() {
        let equal = paired_difference(&[0.5; 9], &[0.5; 9], 1).unwrap();
        assert_eq!((equal.verdict, equal.p), (Verdict::NotResolved, 1.0));
        let one = paired_difference(&[0.9], &[0.1], 1).unwrap();
        assert_eq!((one.verdict, one.interval), (Verdict::NotResolved, None));
        assert!(paired_difference(&[], &[], 1).is_err());
        let refused = paired_difference(&[0.5, f64::NAN], &[0.5, 0.5], 1).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the difference of sample 1 is NaN, not a finite number"
        );
    }

    #[test]
    fn a_map_is_corrected_over_its_heads() {
        let (first, second) = sides(0.1);
        let quiet = sides(0.005).0;
        // Head 0 differs, heads 1 to 3 hardly.
        let rows = |side: &[f64], other: &[f64]| -> Vec<f64> {
            let samples = side.iter().zip(other);
            samples.flat_map(|(&a, &b)| [a, b, b, b]).collect()
        };
        let mut all = rows(&first, &quiet);
        all.extend(rows(&second, &second));
        let values = WindowValues::new(2, 10, 4, all).unwrap();
        let heads = paired_differences_by_head(&values, 0, 1, 1).unwrap();
        assert_eq!(heads[0].difference.p, 2.0 / 1024.0);
        assert_eq!(heads[0].p_holm, 4.0 * 2.0 / 1024.0);
        assert_eq!(heads[0].p_benjamini_hochberg, 4.0 * 2.0 / 1024.0);
        assert_eq!(heads[3].p_holm, 1.0);
        assert_eq!(heads[3].p_benjamini_hochberg, heads[3].difference.p);
        assert!(paired_differences_by_head(&values, 0, 2, 1).is_err());
    }
}
