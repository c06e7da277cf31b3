//! Rank-biased overlap: the overlap of two rankings at every depth, the top weighing most.

use super::same_tokens;
use super::sorted::Sorted;
use crate::error::AnalysisError;
use crate::importance::HeadScores;
use crate::overlap::overlap_along;

/// Persistence of the rank-biased overlap that [`Agreement`](super::Agreement) and the tables hold.
///
/// A reader who goes on to the next rank with probability `p` looks at `1 / (1 - p)` ranks on average: 100
/// tokens, which is where the papers' budgets of 64 to 512 tokens begin to matter.
pub const RBO_PERSISTENCE: f64 = 0.99;

/// Extrapolated rank-biased overlap of two scorings of the same tokens, 0..=1 (Webber, Moffat and Zobel,
/// "A similarity measure for indefinite rankings", ACM TOIS 28(4), 2010, equation 32 for lists of one
/// length): `A(N) p^N + (1 - p) / p * sum over d in 1..=N of A(d) p^d`, where `A(d)` is the share that the
/// two top-`d` sets have in common.
///
/// Both sides rank the same `N` tokens, so `A(N)` is 1. Tied scores are ranked in the order of [`HeadScores`], as
/// everywhere in this crate, and not as the tied ranks of section 4.6 of that paper. `p` is the
/// persistence. NaN of no tokens.
///
/// # Errors
/// [`AnalysisError::OutOfBounds`] for a persistence outside 0..1 (both ends excluded),
/// [`AnalysisError::Mismatch`] when the sides rank other tokens.
pub fn rank_biased_overlap(
    truth: HeadScores<'_>,
    window: HeadScores<'_>,
    persistence: f64,
) -> Result<f64, AnalysisError> {
    same_tokens(truth, window)?;
    if !(persistence > 0.0 && persistence < 1.0) {
        return Err(AnalysisError::OutOfBounds {
            what: "the persistence of a rank-biased overlap",
            bounds: "above 0 and below 1",
            value: persistence.to_string(),
        });
    }
    Ok(overlap_of(
        &Sorted::of(truth.sort_keys()),
        &Sorted::of(window.sort_keys()),
        persistence,
    ))
}

/// The same of sorted sides and a persistence that was checked.
pub(super) fn overlap_of(oracle: &Sorted<'_>, window: &Sorted<'_>, persistence: f64) -> f64 {
    if oracle.order().is_empty() {
        return f64::NAN;
    }
    let overlap = overlap_along(window.order(), &oracle.ranks());
    // Weights p^(d-1) (1 - p) for d in 1..=N and p^N for what follows: they sum to 1.
    let (mut weight, mut sum) = (1.0 - persistence, 0.0);
    for (depth, &shared) in overlap.iter().enumerate().skip(1) {
        sum += weight * f64::from(shared) / depth as f64;
        weight *= persistence;
    }
    let rest = weight / (1.0 - persistence);
    (sum + rest).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(scores: &[f32]) -> HeadScores<'_> {
        HeadScores::new(scores, None, 0..scores.len())
    }

    fn overlap(truth: &[f32], window: &[f32], persistence: f64) -> Result<f64, AnalysisError> {
        rank_biased_overlap(whole(truth), whole(window), persistence)
    }

    #[test]
    fn two_tokens_by_hand() {
        // Reversed: nothing shared at depth 1, all at depth 2 and beyond, which weighs p.
        let reversed = overlap(&[2.0, 1.0], &[1.0, 2.0], 0.75).unwrap();
        assert_eq!(reversed, 0.75);
        assert_eq!(overlap(&[0.5], &[0.25], 0.5), Ok(1.0));
        assert!(overlap(&[], &[], 0.5).unwrap().is_nan());
        assert!(overlap(&[1.0], &[], 0.5).is_err());
    }

    #[test]
    fn ties_go_by_the_unpooled_score_then_to_the_lower_position() {
        let tied = overlap(&[1.0, 1.0, 1.0], &[3.0, 2.0, 1.0], 0.9).unwrap();
        assert!((tied - 1.0).abs() < 1e-15);
        let against_it = overlap(&[1.0, 1.0], &[1.0, 2.0], 0.9).unwrap();
        assert!((against_it - 0.9).abs() < 1e-15);
        let with_peak = HeadScores::new(&[1.0, 1.0], Some(&[0.5, 1.0]), 0..2);
        let along = rank_biased_overlap(with_peak, whole(&[1.0, 2.0]), 0.9).unwrap();
        assert!((along - 1.0).abs() < 1e-15);
    }

    #[test]
    fn a_persistence_at_or_past_the_ends_is_refused() {
        for persistence in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            assert!(overlap(&[1.0], &[1.0], persistence).is_err());
        }
        let refused = overlap(&[1.0], &[1.0], 1.0).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the persistence of a rank-biased overlap must lie above 0 and below 1, not at 1"
        );
    }
}
