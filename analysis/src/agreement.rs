//! Agreement of two scorings of the same tokens, without a budget.

use rayon::prelude::*;

use crate::comparison::{Side, same};
use crate::error::{AnalysisError, finite};
use crate::importance::{HeadScores, Importance};
use crate::tokens::ForcedKeep;

mod correlation;
mod divergence;
mod exchanges;
mod rank_overlap;
mod sorted;

pub use correlation::{kendall, spearman};
use divergence::Divergences;
pub use divergence::{cosine, js, kl, total_variation};
pub use rank_overlap::{RBO_PERSISTENCE, rank_biased_overlap};
use sorted::Sorted;

/// Every budget-free measure of one head, over the rankable tokens.
///
/// NaN where a measure is undefined; each function says when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// [`spearman`], -1..=1.
    pub spearman: f64,
    /// [`kendall`], -1..=1.
    pub kendall: f64,
    /// [`kl`] of the oracle from the window in nats, 0 or more.
    pub kl: f64,
    /// [`js`] in nats, 0..=ln 2.
    pub js: f64,
    /// [`cosine`], 0..=1 for attention.
    pub cosine: f64,
    /// [`rank_biased_overlap`] at [`RBO_PERSISTENCE`], 0..=1.
    pub rbo: f64,
    /// [`total_variation`], 0..=1.
    pub total_variation: f64,
}

impl Agreement {
    /// The measures of one head's scores over their rankable tokens.
    ///
    /// # Errors
    /// [`AnalysisError::Mismatch`] when the sides rank other tokens.
    pub fn of(truth: HeadScores<'_>, window: HeadScores<'_>) -> Result<Self, AnalysisError> {
        same_tokens(truth, window)?;
        // Each side is sorted once for the three measures of order.
        let truth_sorted = Sorted::of(truth.sort_keys());
        let window_sorted = Sorted::of(window.sort_keys());
        let (truth, window) = (truth.rankable_scores(), window.rankable_scores());
        let Divergences {
            kl,
            js,
            total_variation,
        } = Divergences::of(truth, window);
        Ok(Self {
            spearman: correlation::spearman_of(&truth_sorted, &window_sorted),
            kendall: correlation::kendall_of(&truth_sorted, &window_sorted),
            kl,
            js,
            cosine: cosine(truth, window)?,
            rbo: rank_overlap::overlap_of(&truth_sorted, &window_sorted, RBO_PERSISTENCE),
            total_variation,
        })
    }
}

/// Refuses sides that rank other tokens.
fn same_tokens(truth: HeadScores<'_>, window: HeadScores<'_>) -> Result<(), AnalysisError> {
    let (of_truth, of_window) = (truth.rankable(), window.rankable());
    same("first rankable tokens", of_truth.start, of_window.start)?;
    same("last rankable tokens", of_truth.end, of_window.end)
}

/// Refuses sides of different lengths and scores that are not finite.
fn comparable(oracle: &[f32], window: &[f32]) -> Result<(), AnalysisError> {
    same("lengths", oracle.len(), window.len())?;
    finite("the oracle's score", oracle, |token| {
        format!("token {token}")
    })?;
    finite("the window's score", window, |token| {
        format!("token {token}")
    })
}

/// The measures of every head, `[L, heads]`, over the tokens that are not exempt and that a decode step sees.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the sides differ in layers, heads, tokens or visible tokens.
pub fn agreement_by_head(
    truth: &Importance,
    window: &Importance,
    exempt: ForcedKeep,
) -> Result<Vec<Agreement>, AnalysisError> {
    Side::from(truth).check(window)?;
    let heads = truth.heads();
    (0..truth.layers() * heads)
        .into_par_iter()
        .map(|index| {
            let (layer, head) = (index / heads, index % heads);
            let truth = truth.head_scores(layer, head, exempt);
            Agreement::of(truth, window.head_scores(layer, head, exempt))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::HeadKind;

    fn seen_from(first: usize, scores: &[f32], heads: usize) -> Importance {
        let (tokens, scores) = (scores.len() / heads, scores.to_vec());
        let (kind, shares) = (HeadKind::Query, vec![1.0; heads]);
        Importance::new(1, heads, kind, tokens, scores, shares, vec![first]).unwrap()
    }

    fn importance(scores: &[f32], heads: usize) -> Importance {
        seen_from(0, scores, heads)
    }

    fn whole(scores: &[f32]) -> HeadScores<'_> {
        HeadScores::new(scores, None, 0..scores.len())
    }

    #[test]
    fn exempt_tokens_take_no_part() {
        let oracle = importance(&[9.0, 1.0, 2.0, 3.0, 0.0, 1.0, 1.0, 2.0, 3.0, 9.0], 2);
        let window = importance(&[0.0, 1.0, 2.0, 3.0, 9.0, 9.0, 3.0, 2.0, 1.0, 1.0], 2);
        let exempt = ForcedKeep {
            sinks: 1,
            recent: 1,
        };
        let by_head = agreement_by_head(&oracle, &window, exempt).unwrap();
        assert_eq!((by_head[0].spearman, by_head[0].kendall), (1.0, 1.0));
        assert_eq!((by_head[0].kl, by_head[0].js), (0.0, 0.0));
        assert!((by_head[0].cosine - 1.0).abs() < 1e-15);
        assert_eq!((by_head[1].spearman, by_head[1].kendall), (-1.0, -1.0));
        // The shares are 1/6, 2/6, 3/6 against their reverse.
        assert!((by_head[1].kl - 3.0_f64.ln() / 3.0).abs() < 1e-15);
        assert!((by_head[1].cosine - 10.0 / 14.0).abs() < 1e-15);
    }

    #[test]
    fn tokens_that_no_decode_step_sees_take_no_part() {
        let truth = seen_from(2, &[0.0, 0.0, 3.0, 1.0, 2.0], 1);
        let window = seen_from(2, &[7.0, 9.0, 1.0, 3.0, 2.0], 1);
        let found = agreement_by_head(&truth, &window, ForcedKeep::default()).unwrap();
        assert_eq!((found[0].spearman, found[0].kendall), (-1.0, -1.0));
        let all_seen = importance(&[7.0, 9.0, 1.0, 3.0, 2.0], 1);
        assert!(agreement_by_head(&truth, &all_seen, ForcedKeep::default()).is_err());
    }

    #[test]
    fn without_rankable_tokens_every_measure_is_undefined() {
        let scores = importance(&[0.5, 0.5], 1);
        let exempt = ForcedKeep {
            sinks: 2,
            recent: 0,
        };
        let agreement = agreement_by_head(&scores, &scores, exempt).unwrap()[0];
        let Agreement {
            spearman,
            kendall,
            kl,
            js,
            cosine,
            rbo,
            total_variation,
        } = agreement;
        assert!(
            [spearman, kendall, kl, js, cosine, rbo, total_variation]
                .iter()
                .all(|measure| measure.is_nan())
        );
    }

    #[test]
    fn negative_scores_are_no_distribution() {
        let agreement = Agreement::of(whole(&[-1.0, 2.0, 3.0]), whole(&[1.0, 2.0, 3.0])).unwrap();
        assert!(agreement.kl.is_nan() && agreement.js.is_nan());
        assert!(agreement.total_variation.is_nan());
        assert_eq!(agreement.spearman, 1.0);
    }

    #[test]
    fn a_score_that_is_no_number_is_refused_with_its_place() {
        let measures = [spearman, kendall, kl, js, cosine, total_variation];
        for measure in measures {
            let refused = measure(&[0.5, 0.25, f32::NAN], &[0.5, 0.25, 0.125]).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "the oracle's score of token 2 is NaN, not a finite number"
            );
        }
    }

    #[test]
    fn lengths_and_heads_must_match() {
        let refused = Agreement::of(whole(&[0.5, 0.25]), whole(&[0.5])).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the last rankable tokens of the two sides differ: 2 for the oracle, 1 for the window"
        );
        assert!(kl(&[0.5, 0.25], &[0.5]).is_err());
        let (one, two) = (importance(&[0.5, 0.25], 1), importance(&[0.5, 0.25], 2));
        let refused = agreement_by_head(&one, &two, ForcedKeep::default());
        assert!(matches!(
            refused,
            Err(AnalysisError::Mismatch { what: "heads", .. })
        ));
    }
}
