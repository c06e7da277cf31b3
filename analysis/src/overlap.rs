//! How many tokens the top B of two rankings share, at every budget B from one pass.
//!
//! A token lies in both top-B sets when the larger of its two ranks is below B, so a histogram of that
//! larger rank and its running sum give the overlap at all budgets.

use rayon::prelude::*;

use crate::budget::AscendingBudgets;
use crate::comparison::{check_budgets, same};
use crate::error::AnalysisError;
use crate::importance::Importance;
use crate::order::in_descending_order;
use crate::ranking::Rankings;

/// Recall of a window at each budget, for every head `[L, heads]` and then budget: the share of the
/// oracle's top B that is in the window's top B, over the tokens that the oracle's rankings do not exempt.
/// 1 when no token is rankable.
///
/// It is [`Metric::Recall`](crate::Metric::Recall) for those who want nothing else: the window's scores are
/// sorted, but no ranking of them is kept. Parallel over heads.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the sides differ in layers, heads or tokens;
/// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T.
pub fn recall_by_head(
    oracle: &Rankings,
    window: &Importance,
    budgets: &[usize],
) -> Result<Vec<Vec<f32>>, AnalysisError> {
    let tokens = window.prompt_tokens();
    same("layers", oracle.layers(), window.layers())?;
    same("heads", oracle.heads(), window.heads())?;
    same("head kinds", oracle.head_kind(), window.head_kind())?;
    same("prompt tokens", oracle.prompt_tokens(), tokens)?;
    check_budgets(budgets, tokens)?;
    let (heads, rankable) = (oracle.heads(), oracle.exempt().rest(tokens));
    let budgets = AscendingBudgets::new(budgets, rankable.len());
    Ok(window
        .by_head()
        .enumerate()
        .map(|(index, scores)| {
            let ranks = oracle.rank(index / heads, index % heads);
            recall_between(
                &ranks[rankable.clone()],
                &scores[rankable.clone()],
                &budgets,
            )
        })
        .collect())
}

/// Recall between a ranking and some scores, from the rank and the score of each of N tokens, whichever of the
/// two is the oracle. Of equal scores the first ranks higher.
pub(crate) fn recall_between(
    ranks: &[u32],
    scores: &[f32],
    budgets: &AscendingBudgets,
) -> Vec<f32> {
    // No more than two tokens have the same larger rank, one by either side.
    let mut with_larger_rank = vec![0_u8; scores.len()];
    // With ranks for labels, the sort puts them into the order of the scores.
    let sorted = in_descending_order(scores, |token| ranks[token]);
    for (rank, place) in sorted.iter().zip(0..) {
        with_larger_rank[rank.max(place) as usize] += 1;
    }
    let mut recall = vec![0.0; budgets.count()];
    let mut shared = 0;
    for (added, asked) in budgets.steps() {
        let top = added.end;
        let counts = with_larger_rank[added].iter().copied();
        shared += counts.map(u32::from).sum::<u32>();
        recall[asked] = share(f64::from(shared), top as f64) as f32;
    }
    recall
}

/// Tokens that the top B of two rankings share, for B in 0..=N, from the tokens of one of them, best first, and
/// their rank in the other.
pub(crate) fn overlap_along(order: &[u32], rank: &[u32]) -> Vec<u32> {
    let places = order.iter().zip(0..);
    let larger_ranks = places.map(|(&token, place)| rank[token as usize].max(place));
    running_overlap(order.len(), larger_ranks)
}

/// Tokens that have a larger rank below B, for B in 0..=N, from the larger rank of each of N tokens.
pub(crate) fn running_overlap(tokens: usize, larger_ranks: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut overlap = vec![0; tokens + 1];
    for larger in larger_ranks {
        overlap[larger as usize + 1] += 1;
    }
    let mut sum = 0;
    for shared in &mut overlap {
        sum += *shared;
        *shared = sum;
    }
    overlap
}

/// The share of a top-B set that the running overlap says is shared; a budget past all tokens means all.
pub(crate) fn recall(overlap: &[u32], budget: usize) -> f32 {
    let top = budget.min(overlap.len() - 1);
    share(f64::from(overlap[top]), top as f64) as f32
}

/// A part of a whole; all of it when the whole is nothing.
pub(crate) fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 1.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::BudgetGrid;
    use crate::importance::HeadKind;
    use crate::tokens::ForcedKeep;

    /// Scores of many tokens and two heads, every one of them tied with others.
    fn importance(factor: usize) -> Importance {
        let scores = (0..2 * TOKENS).map(|index| (index * factor % 997) as f32 / 64.0);
        Importance::new(
            1,
            2,
            HeadKind::Query,
            TOKENS,
            scores.collect(),
            vec![1.0; 2],
        )
        .unwrap()
    }

    const TOKENS: usize = 3001;

    #[test]
    fn recall_of_many_tokens_is_that_of_a_plain_top_at_each_budget() {
        let (oracle, window) = (importance(7919), importance(104_729));
        let exempt = ForcedKeep {
            sinks: 4,
            recent: 7,
        };
        let ranked = Rankings::of(&oracle, exempt).unwrap();
        let budgets = BudgetGrid::new(TOKENS, 30).unwrap();
        let found = recall_by_head(&ranked, &window, budgets.tokens()).unwrap();
        let best = |side: &Importance, head: usize, budget: usize| -> Vec<usize> {
            let scores = side.head(0, head);
            let mut tokens: Vec<usize> = exempt.rest(TOKENS).collect();
            tokens.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            tokens.truncate(budget);
            tokens.sort_unstable();
            tokens
        };
        for (head, recall) in found.iter().enumerate() {
            for (&budget, &recall) in budgets.tokens().iter().zip(recall) {
                let (truth, kept) = (best(&oracle, head, budget), best(&window, head, budget));
                let shared = kept
                    .iter()
                    .filter(|token| truth.binary_search(token).is_ok());
                let expected = shared.count() as f64 / truth.len() as f64;
                assert_eq!(recall, expected as f32, "head {head}, budget {budget}");
            }
        }
    }

    #[test]
    fn sides_that_do_not_match_and_budgets_outside_the_prompt_are_refused() {
        let ranked = Rankings::of(&importance(3), ForcedKeep::default()).unwrap();
        let short = Importance::new(1, 1, HeadKind::Query, 2, vec![0.5; 2], vec![1.0]).unwrap();
        let refused = recall_by_head(&ranked, &short, &[1]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the heads of the two sides differ: 2 for the oracle, 1 for the window"
        );
        for budget in [0, TOKENS + 1] {
            assert!(recall_by_head(&ranked, &importance(5), &[budget]).is_err());
        }
    }
}
