//! What one window keeps that another misses.
//!
//! Every share is of the oracle's top B among the rankable tokens. As in [`crate::comparison`], running
//! sums over ranks give all budgets in one pass over the tokens of a head.

use rayon::prelude::*;

use crate::comparison::{check_budgets, same_heads};
use crate::error::AnalysisError;
use crate::overlap::{overlap_along, recall, share};
use crate::ranking::Rankings;

/// The oracle's top B split by which of two windows keep its tokens; the four shares sum to 1.
///
/// With no rankable token, or with all of them kept by both, `both` is 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Complementarity {
    /// The budget in tokens.
    pub budget: usize,
    /// In the top B of both windows.
    pub both: f32,
    /// In the first window's top B only.
    pub first_only: f32,
    /// In the second window's top B only.
    pub second_only: f32,
    /// In neither.
    pub neither: f32,
    /// Tokens in the top B of either window, B up to 2 B: what keeping both selections would cost.
    pub union_tokens: usize,
}

impl Complementarity {
    /// Share of the oracle's top B that at least one of the windows keeps.
    pub fn union_recall(&self) -> f32 {
        1.0 - self.neither
    }
}

/// Splits the oracle's top B between two windows, for every head `[L, heads]` and then budget.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the three differ in layers, heads, tokens or exempt tokens;
/// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T.
pub fn complementarity(
    oracle: &Rankings,
    first: &Rankings,
    second: &Rankings,
    budgets: &[usize],
) -> Result<Vec<Vec<Complementarity>>, AnalysisError> {
    same_heads(oracle, first)?;
    same_heads(oracle, second)?;
    check_budgets(budgets, oracle.prompt_tokens())?;
    let heads = oracle.heads();
    Ok((0..oracle.layers() * heads)
        .into_par_iter()
        .map(|index| {
            let (layer, head) = (index / heads, index % heads);
            split_head(oracle, [first, second], (layer, head), budgets)
        })
        .collect())
}

fn split_head(
    oracle: &Rankings,
    [first, second]: [&Rankings; 2],
    (layer, head): (usize, usize),
    budgets: &[usize],
) -> Vec<Complementarity> {
    let oracle_rank = oracle.rank(layer, head);
    let first_rank = first.rank(layer, head);
    let second_order = second.order(layer, head);
    let by_first = overlap_along(first.order(layer, head), oracle_rank);
    let by_second = overlap_along(second_order, oracle_rank);
    let of_windows = overlap_along(second_order, first_rank);
    // A token is in all three top-B sets when the largest of its ranks is below B.
    let larger: Vec<u32> = oracle_rank
        .iter()
        .zip(first_rank)
        .map(|(a, b)| *a.max(b))
        .collect();
    let by_both = overlap_along(second_order, &larger);
    budgets
        .iter()
        .map(|&budget| {
            let top = budget.min(oracle.rankable_tokens());
            let (a, b, both) = (by_first[top], by_second[top], by_both[top]);
            let of_top = |count: u32| match top {
                0 => 0.0,
                _ => (f64::from(count) / top as f64) as f32,
            };
            Complementarity {
                budget,
                both: share(f64::from(both), top as f64) as f32,
                first_only: of_top(a - both),
                second_only: of_top(b - both),
                neither: of_top(top as u32 + both - a - b),
                union_tokens: 2 * top - of_windows[top] as usize,
            }
        })
        .collect()
}

/// Share of the oracle's top B that at least one of several windows keeps, each at the full budget B, for
/// every head `[L, heads]` and then budget. 1 when no token is rankable.
///
/// # Errors
/// [`AnalysisError::Empty`] without windows, otherwise as [`complementarity`].
pub fn union_recall(
    oracle: &Rankings,
    windows: &[&Rankings],
    budgets: &[usize],
) -> Result<Vec<Vec<f32>>, AnalysisError> {
    if windows.is_empty() {
        return Err(AnalysisError::Empty { what: "windows" });
    }
    for window in windows {
        same_heads(oracle, window)?;
    }
    check_budgets(budgets, oracle.prompt_tokens())?;
    let heads = oracle.heads();
    Ok((0..oracle.layers() * heads)
        .into_par_iter()
        .map(|index| {
            let (layer, head) = (index / heads, index % heads);
            // The best rank that any window gives a token decides from which budget on it is kept.
            let mut best = windows[0].rank(layer, head).to_vec();
            for window in &windows[1..] {
                for (best, &rank) in best.iter_mut().zip(window.rank(layer, head)) {
                    *best = rank.min(*best);
                }
            }
            let overlap = overlap_along(oracle.order(layer, head), &best);
            let at_budget = |&budget: &usize| recall(&overlap, budget);
            budgets.iter().map(at_budget).collect()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::{HeadKind, Importance};
    use crate::tokens::ForcedKeep;

    fn ranked(scores: &[f32], exempt: ForcedKeep) -> Rankings {
        let tokens = scores.len();
        let scores = scores.to_vec();
        let importance = Importance::new(1, 1, HeadKind::Query, tokens, scores, vec![1.0]).unwrap();
        Rankings::of(&importance, exempt).unwrap()
    }

    #[test]
    fn four_tokens_by_hand() {
        let none = ForcedKeep::default();
        let oracle = ranked(&[4.0, 3.0, 2.0, 1.0], none);
        let first = ranked(&[4.0, 1.0, 2.0, 3.0], none);
        let second = ranked(&[1.0, 4.0, 2.0, 3.0], none);
        let split = complementarity(&oracle, &first, &second, &[1, 2, 4]).unwrap();
        let told: Vec<(f32, f32, f32, f32, usize)> = split[0]
            .iter()
            .map(|c| {
                (
                    c.both,
                    c.first_only,
                    c.second_only,
                    c.neither,
                    c.union_tokens,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (0.0, 1.0, 0.0, 0.0, 2),
                (0.0, 0.5, 0.5, 0.0, 3),
                (1.0, 0.0, 0.0, 0.0, 4)
            ]
        );
        assert_eq!(split[0][1].union_recall(), 1.0);
    }

    #[test]
    fn without_rankable_tokens_everything_is_kept() {
        let all = ForcedKeep {
            sinks: 2,
            recent: 0,
        };
        let ranking = ranked(&[1.0, 2.0], all);
        let split = complementarity(&ranking, &ranking, &ranking, &[1]).unwrap();
        assert_eq!((split[0][0].both, split[0][0].neither), (1.0, 0.0));
        assert_eq!(union_recall(&ranking, &[&ranking], &[2]).unwrap(), [[1.0]]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let none = ForcedKeep::default();
        let (two, three) = (ranked(&[1.0, 2.0], none), ranked(&[1.0, 2.0, 3.0], none));
        assert!(complementarity(&two, &two, &three, &[1]).is_err());
        for budget in [0, 3] {
            let refused = complementarity(&two, &two, &two, &[budget]).unwrap_err();
            assert!(matches!(refused, AnalysisError::BudgetOutOfRange { .. }));
        }
        assert!(union_recall(&two, &[], &[1]).is_err());
    }
}
