//! Recall alone, at budgets that are known beforehand: nothing is ranked, and few scores are sorted.
//!
//! Two top-B sets share the tokens whose larger *level* is at most that of B, where the level of a token is the
//! index of the smallest asked budget whose top holds it. So a histogram of the larger level and its running sum
//! give the recall at all asked budgets.

use rayon::prelude::*;

use crate::budget::AscendingBudgets;
use crate::comparison::{check_budgets, same};
use crate::error::AnalysisError;
use crate::importance::{HeadKind, Importance};
use crate::order::{MOST_TOPS, in_descending_order, levels};
use crate::overlap::share;
use crate::tokens::ForcedKeep;

/// Which tokens lie in the oracle's top B at each of some budgets, for every head.
#[derive(Debug, Clone)]
pub struct OracleTops {
    layers: usize,
    heads: usize,
    head_kind: HeadKind,
    prompt_tokens: usize,
    exempt: ForcedKeep,
    budgets: AscendingBudgets,
    /// `[L, heads]`.
    by_head: Vec<HeadTops>,
}

impl OracleTops {
    /// The tops of an oracle over the tokens that are not exempt, at budgets in tokens in any order. Takes one
    /// byte per head and token, or four when more than 254 budgets are asked for. Parallel over heads.
    ///
    /// # Errors
    /// [`AnalysisError::PromptTooLong`] when positions do not fit in `u32`;
    /// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T.
    pub fn of(
        oracle: &Importance,
        exempt: ForcedKeep,
        budgets: &[usize],
    ) -> Result<Self, AnalysisError> {
        let prompt_tokens = oracle.prompt_tokens();
        if u32::try_from(prompt_tokens).is_err() {
            return Err(AnalysisError::PromptTooLong { prompt_tokens });
        }
        check_budgets(budgets, prompt_tokens)?;
        let rankable = exempt.rest(prompt_tokens);
        let budgets = AscendingBudgets::new(budgets, rankable.len());
        let tops_of_head = |scores: &[f32]| HeadTops::of(&scores[rankable.clone()], &budgets);
        Ok(Self {
            layers: oracle.layers(),
            heads: oracle.heads(),
            head_kind: oracle.head_kind(),
            prompt_tokens,
            exempt,
            by_head: oracle.by_head().map(tops_of_head).collect(),
            budgets,
        })
    }

    /// Recall of a window at each budget as it was asked for, for every head `[L, heads]` and then budget: the
    /// share of the oracle's top B that is in the window's top B, over the tokens that are not exempt. 1 when no
    /// token is rankable.
    ///
    /// It is [`Metric::Recall`](crate::Metric::Recall), bit for bit, for those who want nothing else. Parallel
    /// over heads.
    ///
    /// # Errors
    /// [`AnalysisError::Mismatch`] when the sides differ in layers, heads or tokens.
    pub fn recall_by_head(&self, window: &Importance) -> Result<Vec<Vec<f32>>, AnalysisError> {
        same("layers", self.layers, window.layers())?;
        same("heads", self.heads, window.heads())?;
        same("head kinds", self.head_kind, window.head_kind())?;
        same("prompt tokens", self.prompt_tokens, window.prompt_tokens())?;
        let rankable = self.exempt.rest(self.prompt_tokens);
        let recall_of_head = |(scores, oracle): (&[f32], &HeadTops)| {
            oracle.recall_with(&scores[rankable.clone()], &self.budgets)
        };
        let by_head = window.by_head().zip(&self.by_head);
        Ok(by_head.map(recall_of_head).collect())
    }
}

/// One side of a head: where each of its N tokens stands.
#[derive(Debug, Clone)]
pub(crate) enum HeadTops {
    /// The level of each token among the budgets.
    Levels(Vec<u8>),
    /// The rank of each token, where there are more budgets than levels.
    Ranks(Vec<u32>),
}

impl HeadTops {
    pub(crate) fn of(scores: &[f32], budgets: &AscendingBudgets) -> Self {
        if budgets.count() <= MOST_TOPS {
            return Self::Levels(levels(scores, budgets.tops()));
        }
        let mut ranks = vec![0; scores.len()];
        let best_first = in_descending_order(scores, |token| token as u32);
        for (token, rank) in best_first.iter().zip(0..) {
            ranks[token as usize] = rank;
        }
        Self::Ranks(ranks)
    }

    /// Recall between this side and the scores of the other, whichever of the two is the oracle, at the budgets
    /// that this side was made for; 1 when there are no tokens. Of equal scores the first ranks higher.
    pub(crate) fn recall_with(&self, scores: &[f32], budgets: &AscendingBudgets) -> Vec<f32> {
        let mut recall = vec![0.0; budgets.count()];
        let mut shared = 0;
        for ((added, asked), tokens) in budgets.steps().zip(self.shared_with(scores, budgets)) {
            shared += tokens;
            recall[asked] = share(f64::from(shared), added.end as f64) as f32;
        }
        recall
    }

    /// Tokens that both sides have in the top of each budget, by ascending budget, and not in the one before.
    fn shared_with(&self, scores: &[f32], budgets: &AscendingBudgets) -> Vec<u32> {
        match self {
            Self::Levels(own) => {
                let tokens = tokens_at_levels(own, &levels(scores, budgets.tops()));
                tokens[..budgets.count()].to_vec()
            }
            Self::Ranks(own) => {
                let tokens = tokens_at_ranks(own, scores);
                let added = budgets.steps().map(|(ranks, _)| ranks);
                added
                    .map(|ranks| tokens[ranks].iter().copied().map(u32::from).sum())
                    .collect()
            }
        }
    }
}

/// Number of tokens that have each level as the larger one of two sides.
fn tokens_at_levels(one: &[u8], other: &[u8]) -> [u32; LEVELS] {
    // Most tokens have one of few levels, and a counter that is added to again at once has to wait.
    let mut lanes = [[0; LEVELS]; 4];
    let (ones, last_ones) = one.as_chunks::<4>();
    let (others, last_others) = other.as_chunks::<4>();
    for (ones, others) in ones.iter().zip(others) {
        for ((lane, one), other) in lanes.iter_mut().zip(ones).zip(others) {
            lane[usize::from(*one.max(other))] += 1;
        }
    }
    let [mut tokens, second, third, fourth] = lanes;
    for (one, other) in last_ones.iter().zip(last_others) {
        tokens[usize::from(*one.max(other))] += 1;
    }
    for (index, count) in tokens.iter_mut().enumerate() {
        *count += second[index] + third[index] + fourth[index];
    }
    tokens
}

const LEVELS: usize = u8::MAX as usize + 1;

/// Number of tokens that have each rank as the larger one of two sides, from the ranks of one and the scores of
/// the other. No more than two tokens have the same, one by either side.
fn tokens_at_ranks(ranks: &[u32], scores: &[f32]) -> Vec<u8> {
    let mut tokens = vec![0; scores.len()];
    // With ranks for labels, the sort puts them into the order of the scores.
    let sorted = in_descending_order(scores, |token| ranks[token]);
    for (rank, place) in sorted.iter().zip(0..) {
        tokens[rank.max(place) as usize] += 1;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::BudgetGrid;

    const TOKENS: usize = 3001;

    /// Scores of many tokens and two heads, every one of them tied with others.
    fn importance(factor: usize) -> Importance {
        let scores = (0..2 * TOKENS).map(|index| (index * factor % 997) as f32 / 64.0);
        let shares = vec![1.0; 2];
        Importance::new(1, 2, HeadKind::Query, TOKENS, scores.collect(), shares).unwrap()
    }

    /// Shares of the oracle's top that are in the window's top, by sorting both for each budget.
    fn by_definition(
        oracle: &Importance,
        window: &Importance,
        exempt: ForcedKeep,
        head: usize,
        budget: usize,
    ) -> f32 {
        let best = |side: &Importance| -> Vec<usize> {
            let scores = side.head(0, head);
            let mut tokens: Vec<usize> = exempt.rest(TOKENS).collect();
            tokens.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            tokens.truncate(budget);
            tokens.sort_unstable();
            tokens
        };
        let (truth, kept) = (best(oracle), best(window));
        let is_shared = |token: &&usize| truth.binary_search(token).is_ok();
        (kept.iter().filter(is_shared).count() as f64 / truth.len() as f64) as f32
    }

    #[test]
    fn recall_of_many_tokens_is_that_of_a_plain_top_at_each_budget() {
        let (oracle, window) = (importance(7919), importance(104_729));
        let exempt = ForcedKeep {
            sinks: 4,
            recent: 7,
        };
        // More budgets than there are levels, and some of them twice; the last few are behind the rankable tokens.
        let many: Vec<usize> = (1..=TOKENS).rev().step_by(11).chain([5, 5]).collect();
        assert!(many.len() > MOST_TOPS);
        let few = BudgetGrid::new(TOKENS, 30).unwrap();
        for budgets in [few.tokens(), &[TOKENS, 1, 64, 64], &many] {
            let tops = OracleTops::of(&oracle, exempt, budgets).unwrap();
            let found = tops.recall_by_head(&window).unwrap();
            assert_eq!(found.len(), 2);
            for (head, recall) in found.iter().enumerate() {
                for (&budget, &recall) in budgets.iter().zip(recall) {
                    let expected = by_definition(&oracle, &window, exempt, head, budget);
                    assert_eq!(recall, expected, "head {head}, budget {budget}");
                }
            }
        }
    }

    #[test]
    fn recall_is_one_where_no_token_is_rankable() {
        let exempt = ForcedKeep {
            sinks: 1,
            recent: TOKENS,
        };
        let tops = OracleTops::of(&importance(3), exempt, &[1, TOKENS]).unwrap();
        assert_eq!(tops.recall_by_head(&importance(5)).unwrap(), [[1.0; 2]; 2]);
    }

    #[test]
    fn sides_that_do_not_match_and_budgets_outside_the_prompt_are_refused() {
        let none = ForcedKeep::default();
        let tops = OracleTops::of(&importance(3), none, &[1]).unwrap();
        let short = Importance::new(1, 1, HeadKind::Query, 2, vec![0.5; 2], vec![1.0]).unwrap();
        assert_eq!(
            tops.recall_by_head(&short).unwrap_err().to_string(),
            "the heads of the two sides differ: 2 for the oracle, 1 for the window"
        );
        for budget in [0, TOKENS + 1] {
            assert!(OracleTops::of(&importance(5), none, &[budget]).is_err());
        }
    }
}
