//! Statistics that say what they are over.
//!
//! Prompts are the sampling units: tokens and heads of one prompt depend on each other, so intervals
//! and tests resample prompts (samples) and never tokens or heads.

mod bounded;
mod corrections;
mod interval;
mod paired;
mod sign_flip;
mod stability;
mod values;
mod winners;

pub use corrections::{benjamini_hochberg, holm};
pub use interval::{FEWEST_TO_RESAMPLE, Interval, LEVEL, RESAMPLES, mean_interval};
pub use paired::{
    HeadDifference, PairedDifference, Verdict, paired_difference, paired_differences_by_head,
};
pub use sign_flip::{FEWEST_TO_RESOLVE, SIGN_FLIPS, sign_flip_p};
pub use stability::{HeadStability, average_ranks, concordance, stability_by_head};
pub use values::WindowValues;
pub use winners::{HeadWinner, WIN_LEVEL, best_by_head, winners_by_head};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_mean_and_no_quantile() {
        assert_eq!(mean([]), None);
        assert_eq!(mean([1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(quantile_of_sorted(&[], 0.5), None);
        assert_eq!(quantile_of_sorted(&[1.0, 3.0], 7.0), Some(3.0));
    }
}
