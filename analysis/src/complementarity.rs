//! What one window keeps that another misses.
//!
//! Every share is of the truth's top B among the rankable tokens. As in [`crate::comparison`], running
//! sums over ranks give all budgets in one pass over the tokens of a head.

use rayon::prelude::*;

use crate::comparison::{check_budgets, same_heads};
use crate::error::AnalysisError;
use crate::overlap::{is_defined, overlap_along, share_of};
use crate::ranking::Rankings;

/// The truth's top B split by which of two windows keep its tokens; the four shares sum to 1, and are NaN where B is
/// not below the number of rankable tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Complementarity {
    /// The budget in tokens.
    pub budget: usize,
    /// In the top B of both windows.
    pub both: f64,
    /// In the first window's top B only.
    pub first_only: f64,
    /// In the second window's top B only.
    pub second_only: f64,
    /// In neither.
    pub neither: f64,
    /// Tokens in the top B of either window, B up to 2 B: what keeping both selections would cost. All rankable
    /// tokens where B is not below their number.
    pub union_tokens: usize,
}

/// Splits the truth's top B between two windows, for every head `[L, heads]` and then budget.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the three differ in layers, heads, tokens or exempt tokens;
/// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T.
pub fn complementarity(
    truth: &Rankings,
    first: &Rankings,
    second: &Rankings,
    budgets: &[usize],
) -> Result<Vec<Vec<Complementarity>>, AnalysisError> {
    same_heads(truth, first)?;
    same_heads(truth, second)?;
    check_budgets(budgets, truth.prompt_tokens())?;
    let heads = truth.heads();
    Ok((0..truth.layers() * heads)
        .into_par_iter()
        .map(|index| {
            let (layer, head) = (index / heads, index % heads);
            split_head(truth, [first, second], (layer, head), budgets)
        })
        .collect())
}

fn split_head(
    truth: &Rankings,
    [first, second]: [&Rankings; 2],
    (layer, head): (usize, usize),
    budgets: &[usize],
) -> Vec<Complementarity> {
    let truth_rank = truth.rank(layer, head);
    let first_rank = first.rank(layer, head);
    let second_order = second.order(layer, head);
    let by_first = overlap_along(first.order(layer, head), truth_rank);
    let by_second = overlap_along(second_order, truth_rank);
    let of_windows = overlap_along(second_order, first_rank);
    // A token is in all three top-B sets when the largest of its ranks is below B.
    let larger: Vec<u32> = truth_rank
        .iter()
        .zip(first_rank)
        .map(|(a, b)| *a.max(b))
        .collect();
    let by_both = overlap_along(second_order, &larger);
    let rankable = truth.rankable_tokens(layer);
    budgets
        .iter()
        .map(|&budget| {
            let top = budget.min(rankable);
            let (a, b, both) = (by_first[top], by_second[top], by_both[top]);
            let of_top = |count: u32| match is_defined(budget, rankable) {
                true => share_of(budget, count),
                false => f64::NAN,
            };
            Complementarity {
                budget,
                both: of_top(both),
                first_only: of_top(a - both),
                second_only: of_top(b - both),
                neither: of_top(top as u32 + both - a - b),
                union_tokens: 2 * top - of_windows[top] as usize,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::{HeadKind, Importance};
    use crate::tokens::ForcedKeep;

    fn ranked(scores: &[f32], exempt: ForcedKeep) -> Rankings {
        let tokens = scores.len();
        let (kind, scores) = (HeadKind::Query, scores.to_vec());
        let importance = Importance::new(1, 1, kind, tokens, scores, vec![1.0], vec![0]).unwrap();
        Rankings::of(&importance, exempt).unwrap()
    }

    #[test]
    fn four_tokens_by_hand() {
        let none = ForcedKeep::default();
        let oracle = ranked(&[4.0, 3.0, 2.0, 1.0], none);
        let first = ranked(&[4.0, 1.0, 2.0, 3.0], none);
        let second = ranked(&[1.0, 4.0, 2.0, 3.0], none);
        let split = complementarity(&oracle, &first, &second, &[1, 2]).unwrap();
        let told: Vec<(f64, f64, f64, f64, usize)> = split[0]
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
        assert_eq!(told, [(0.0, 1.0, 0.0, 0.0, 2), (0.0, 0.5, 0.5, 0.0, 3),]);
    }

    #[test]
    fn a_budget_of_all_rankable_tokens_asks_nothing() {
        let (none, one) = (
            ForcedKeep::default(),
            ForcedKeep {
                sinks: 1,
                recent: 0,
            },
        );
        for (exempt, budget, union_tokens) in [(none, 3, 3), (one, 2, 2), (one, 3, 2)] {
            let ranking = ranked(&[1.0, 2.0, 3.0], exempt);
            let split = complementarity(&ranking, &ranking, &ranking, &[budget]).unwrap()[0][0];
            let shares = [
                split.both,
                split.first_only,
                split.second_only,
                split.neither,
            ];
            assert!(shares.iter().all(|share| share.is_nan()), "{split:?}");
            assert_eq!(split.union_tokens, union_tokens);
        }
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
    }
}
