//! Two windows on the same samples.

use rayon::prelude::*;

use super::{
    Interval, WIN_LEVEL, WindowValues, benjamini_hochberg, holm, mean, mean_interval, sign_flip_p,
};
use crate::comparison::same;
use crate::error::AnalysisError;

/// What the interval and the test of a paired difference say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The first side is higher: the whole interval lies above zero and p is at most [`WIN_LEVEL`].
    FirstHigher,
    /// The second side is higher: the whole interval lies below zero and p is at most [`WIN_LEVEL`].
    SecondHigher,
    /// The interval spans or touches zero, p is larger, or there are too few samples: with fewer than six p
    /// cannot fall below 0.05.
    NotResolved,
}

impl Verdict {
    fn of(interval: Option<Interval>, p: f64) -> Self {
        match interval {
            Some(Interval { low, .. }) if low > 0.0 && p <= WIN_LEVEL => Self::FirstHigher,
            Some(Interval { high, .. }) if high < 0.0 && p <= WIN_LEVEL => Self::SecondHigher,
            _ => Self::NotResolved,
        }
    }

    /// Whether one side is higher.
    pub fn is_resolved(self) -> bool {
        self != Self::NotResolved
    }
}

/// The first window minus the second, sample by sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDifference {
    /// Number of samples.
    pub samples: usize,
    /// Mean of first less second.
    pub mean: f64,
    /// [`mean_interval`] of that mean.
    pub interval: Option<Interval>,
    /// [`sign_flip_p`] of the differences.
    pub p: f64,
    /// What interval and p say.
    pub verdict: Verdict,
}

/// Compares two sides whose values belong to the same samples, in the same order. `bounds` are what no value of
/// either side can leave, where that is known.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when they differ in length, [`AnalysisError::Empty`] without samples,
/// [`AnalysisError::NotANumber`] for a value that is not finite.
pub fn paired_difference(
    first: &[f64],
    second: &[f64],
    bounds: Option<(f64, f64)>,
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
    let bounds = bounds.map(|(low, high)| (low - high, high - low));
    let interval = mean_interval(&differences, bounds, seed);
    let p = sign_flip_p(&differences, seed);
    Ok(PairedDifference {
        samples: differences.len(),
        mean,
        interval,
        p,
        verdict: Verdict::of(interval, p),
    })
}

impl PairedDifference {
    /// Whether the two sides are as good as each other within a margin (two one-sided tests, Schuirmann 1987). Without
    /// an interval nothing is claimed.
    pub fn is_equivalent(&self, margin: f64) -> bool {
        self.interval
            .is_some_and(|interval| interval.is_within(margin))
    }
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
    /// Whether the difference is resolved by itself and its p-value, corrected over the map by
    /// [`benjamini_hochberg`], is at most [`WIN_LEVEL`] as well: what a map of heads marks as resolved.
    pub fn is_resolved(&self) -> bool {
        self.difference.verdict.is_resolved() && self.p_benjamini_hochberg <= WIN_LEVEL
    }
}

/// Compares two windows in every head, `[heads]`; every head is resampled alike. None of a head that is undefined
/// in any sample; such heads do not count in the corrections either.
///
/// # Errors
/// [`AnalysisError::OutOfBounds`] when a window does not exist.
pub fn paired_differences_by_head(
    values: &WindowValues,
    first: usize,
    second: usize,
    seed: u64,
) -> Result<Vec<Option<HeadDifference>>, AnalysisError> {
    for window in [first, second] {
        if window >= values.windows() {
            return Err(AnalysisError::OutOfBounds {
                what: "the index of a window",
                bounds: "below their number",
                value: window.to_string(),
            });
        }
    }
    let defined = values.defined_heads();
    let differences: Vec<PairedDifference> = defined
        .par_iter()
        .map(|&head| {
            let side = |window| values.over_samples(window, head);
            paired_difference(&side(first), &side(second), values.bounds(), seed)
        })
        .collect::<Result<_, _>>()?;
    let p_values: Vec<f64> = differences.iter().map(|difference| difference.p).collect();
    let corrected = holm(&p_values)?
        .into_iter()
        .zip(benjamini_hochberg(&p_values)?);
    let corrected = differences.into_iter().zip(corrected).map(
        |(difference, (p_holm, p_benjamini_hochberg))| HeadDifference {
            difference,
            p_holm,
            p_benjamini_hochberg,
        },
    );
    Ok(values.by_head(&defined, corrected.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Option<(f64, f64)> = Some((0.0, 1.0));

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
            paired_difference(&first, &second, SHARE, 1).unwrap()
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
        let paired = paired_difference(&first, &second, SHARE, 1).unwrap();
        assert_eq!(paired.verdict, Verdict::FirstHigher);
        let alone = |side: &[f64]| mean_interval(side, SHARE, 1).unwrap();
        assert!(alone(&first).low < alone(&second).high);
    }

    #[test]
    fn equal_sides_and_too_few_samples_are_not_resolved() {
        let equal = paired_difference(&[0.5; 9], &[0.5; 9], SHARE, 1).unwrap();
        assert_eq!((equal.verdict, equal.p), (Verdict::NotResolved, 1.0));
        let one = paired_difference(&[0.9], &[0.1], SHARE, 1).unwrap();
        assert_eq!((one.verdict, one.interval), (Verdict::NotResolved, None));
        assert!(paired_difference(&[], &[], None, 1).is_err());
        let refused = paired_difference(&[0.5, f64::NAN], &[0.5, 0.5], None, 1).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the difference of sample 1 is NaN, not a finite number"
        );
    }

    /// Four differences of one sign are the strongest evidence that four samples can give: p is 0.125.
    #[test]
    fn a_verdict_never_contradicts_its_p() {
        let (high, low) = ([0.50, 0.51, 0.52, 0.53], [0.10, 0.12, 0.11, 0.10]);
        let few = paired_difference(&high, &low, SHARE, 1).unwrap();
        assert!(few.interval.unwrap().low > 0.0, "the case shows nothing");
        assert_eq!((few.p, few.verdict), (0.125, Verdict::NotResolved));
        let six = |side: [f64; 4]| [side[0], side[1], side[2], side[3], side[0], side[1]];
        let enough = paired_difference(&six(high), &six(low), SHARE, 1).unwrap();
        assert_eq!((enough.p, enough.verdict), (0.03125, Verdict::FirstHigher));
    }

    #[test]
    fn as_good_as_is_a_claim_of_its_own() {
        let (first, second) = sides(0.1);
        let apart = paired_difference(&first, &second, SHARE, 1).unwrap();
        assert!(!apart.is_equivalent(0.05) && apart.is_equivalent(0.3));
        let near = paired_difference(&sides(0.001).0, &second, SHARE, 1).unwrap();
        let Interval { low, high } = near.interval.unwrap();
        // by the interval's ends, whichever is farther off
        let farther = high.max(-low);
        assert!(near.is_equivalent(farther * 1.01) && !near.is_equivalent(farther * 0.99));
        // two samples that are apart by chance say nothing
        let few = paired_difference(&[0.5, 0.1], &[0.1, 0.5], None, 1).unwrap();
        assert!(!few.is_equivalent(0.02));
    }

    #[test]
    fn an_undefined_head_is_left_out_of_the_map_and_of_its_corrections() {
        let (first, second) = sides(0.1);
        let rows = |side: &[f64], hole: f64| -> Vec<f64> {
            let samples = side.iter().enumerate();
            let row = |(sample, &value)| [value, if sample == 4 { hole } else { 0.5 }];
            samples.flat_map(row).collect()
        };
        let all = [rows(&first, f64::NAN), rows(&second, 0.5)].concat();
        let values = WindowValues::new(2, 10, 2, all, SHARE).unwrap();
        let heads = paired_differences_by_head(&values, 0, 1, 1).unwrap();
        assert!(heads[1].is_none());
        assert_eq!(heads[0].unwrap().p_holm, 2.0 / 1024.0);
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
        let values = WindowValues::new(2, 10, 4, all, SHARE).unwrap();
        let heads = paired_differences_by_head(&values, 0, 1, 1).unwrap();
        let heads: Vec<HeadDifference> = heads.into_iter().flatten().collect();
        assert_eq!(heads[0].difference.p, 2.0 / 1024.0);
        assert_eq!(heads[0].p_holm, 4.0 * 2.0 / 1024.0);
        assert_eq!(heads[0].p_benjamini_hochberg, 4.0 * 2.0 / 1024.0);
        assert_eq!(heads[3].p_holm, 1.0);
        assert_eq!(heads[3].p_benjamini_hochberg, heads[3].difference.p);
        assert!(paired_differences_by_head(&values, 0, 2, 1).is_err());
    }
}
