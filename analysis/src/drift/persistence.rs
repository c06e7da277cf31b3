//! How much of what single decode steps attend to most stays the same from one step to the next.

use std::ops::Range;

use super::{HeadRows, KnownSide};
use crate::error::AnalysisError;
use crate::importance::{GroupScores, HeadScores};

/// Overlaps of one head's decode steps at each budget, in the mean over all steps but the first; NaN for a single step
/// and where B is not below the rankable tokens.
///
/// An overlap is the share of one top B that the other has, too. Both have B tokens, so it is the same from either side;
/// it is recall of one by the other, and the Jaccard index is `overlap / (2 - overlap)`.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOverlaps {
    /// Of a step's top B with that of the step before.
    pub next_step: Vec<f64>,
    /// Of a step's top B with that of the mean over all steps before it.
    pub steps_before: Vec<f64>,
}

/// Overlaps of the decode steps of one head, `[S, T]`, over some rankable tokens.
///
/// # Errors
/// Rows and budgets that do not fit, weights that are not finite.
pub fn overlap_of_steps(
    decode: HeadRows<'_>,
    rankable: Range<usize>,
    budgets: &[usize],
) -> Result<StepOverlaps, AnalysisError> {
    let (steps, prompt_tokens) = decode.check()?;
    let side = |scores: &GroupScores| {
        let unpooled = scores.unpooled.as_deref();
        let scores = HeadScores::new(&scores.scores, unpooled, rankable.clone());
        KnownSide::of(scores, prompt_tokens, budgets)
    };
    let mut sums = [vec![0.0; budgets.len()], vec![0.0; budgets.len()]];
    let mut so_far = decode.reducers();
    let mut last: Option<KnownSide> = None;
    for step in 0..steps {
        let scores = decode.scores_of(step..step + 1)?;
        if let Some(last) = last {
            let before = side(&decode.scores(&so_far)?)?;
            let found = [last.recall_with(&scores), before.recall_with(&scores)];
            for (sums, found) in sums.iter_mut().zip(found) {
                for (sum, overlap) in sums.iter_mut().zip(found) {
                    *sum += overlap;
                }
            }
        }
        last = Some(side(&scores)?);
        decode.push(&mut so_far, step);
    }
    let pairs = steps.saturating_sub(1) as f64;
    let [next_step, steps_before] = sums.map(|sums| sums.iter().map(|sum| sum / pairs).collect());
    Ok(StepOverlaps {
        next_step,
        steps_before,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::AttentionRows;
    use crate::scoring::Scoring;
    use crate::tokens::ForcedKeep;

    fn overlaps(weights: &[f32], rows: usize, budgets: &[usize]) -> StepOverlaps {
        let rows = AttentionRows {
            weights,
            rows,
            prompt_tokens: 4,
        };
        let decode = HeadRows {
            query_heads: &[rows],
            scoring: Scoring::default(),
            boundary: ForcedKeep::default(),
        };
        overlap_of_steps(decode, 0..4, budgets).unwrap()
    }

    /// By hand: the tops of one token are 0, 1, 0, those of two {0, 1}, {1, 2}, {0, 3}; the mean of the first two steps
    /// ranks 1, 0, 2, 3.
    #[test]
    fn three_steps_by_hand() {
        let weights = [
            [0.5, 0.25, 0.125, 0.0],
            [0.0, 0.5, 0.25, 0.125],
            [0.5, 0.0, 0.125, 0.25],
        ]
        .concat();
        let found = overlaps(&weights, 3, &[2, 1, 4]);
        assert_eq!(found.next_step[..2], [(0.5 + 0.0) / 2.0, 0.0]);
        assert_eq!(found.steps_before[..2], [(0.5 + 0.5) / 2.0, 0.0]);
        assert!(found.next_step[2].is_nan() && found.steps_before[2].is_nan());
    }

    #[test]
    fn steps_that_repeat_overlap_wholly_and_a_single_one_says_nothing() {
        let row = [0.5, 0.25, 0.125, 0.0];
        let found = overlaps(&[row, row, row].concat(), 3, &[1, 3]);
        assert_eq!(found.next_step, [1.0, 1.0]);
        assert_eq!(found.steps_before, [1.0, 1.0]);
        assert!(overlaps(&row, 1, &[1]).next_step[0].is_nan());
    }
}
