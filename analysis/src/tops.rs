//! Recall alone, at budgets that are known beforehand: nothing is ranked, and few scores are sorted.
//!
//! Two top-B sets share the tokens whose larger *level* is at most that of B, where the level of a token is the
//! index of the smallest asked budget whose top holds it. So a histogram of the larger level and its running sum
//! give the recall at all asked budgets.

use rayon::prelude::*;

use crate::budget::AscendingBudgets;
use crate::comparison::{Side, check_budgets};
use crate::error::AnalysisError;
use crate::importance::{HeadScores, Importance};
use crate::order::{MOST_TOPS, SortKeys, in_descending_order, levels};
use crate::overlap::share_of;
use crate::tokens::ForcedKeep;

/// Which tokens lie in the truth's top B at each of some budgets, for every head.
#[derive(Debug, Clone)]
pub struct OracleTops {
    truth: Side,
    exempt: ForcedKeep,
    /// `[L]`.
    budgets: Vec<AscendingBudgets>,
    /// `[L, heads]`.
    by_head: Vec<HeadTops>,
}

impl OracleTops {
    /// The tops of a truth over its rankable tokens, at budgets in tokens in any order. Takes one byte per head and
    /// token, or four when more than 254 budgets are asked for. Parallel over heads.
    ///
    /// # Errors
    /// [`AnalysisError::PromptTooLong`] when positions do not fit in `u32`;
    /// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T.
    pub fn of(
        truth: &Importance,
        exempt: ForcedKeep,
        budgets: &[usize],
    ) -> Result<Self, AnalysisError> {
        let prompt_tokens = truth.prompt_tokens();
        if u32::try_from(prompt_tokens).is_err() {
            return Err(AnalysisError::PromptTooLong { prompt_tokens });
        }
        check_budgets(budgets, prompt_tokens)?;
        let budgets: Vec<AscendingBudgets> = (0..truth.layers())
            .map(|layer| AscendingBudgets::new(budgets, truth.rankable(layer, exempt).len()))
            .collect();
        let by_head = by_head(truth, |layer, head| {
            HeadTops::of(truth.head_scores(layer, head, exempt), &budgets[layer])
        });
        Ok(Self {
            truth: truth.into(),
            exempt,
            by_head,
            budgets,
        })
    }

    /// Recall of a window at each budget as it was asked for, for every head `[L, heads]` and then budget: the
    /// share of the truth's top B that is in the window's top B, over the rankable tokens. NaN where B is not below
    /// their number.
    ///
    /// It is [`Metric::Recall`](crate::Metric::Recall), bit for bit, for those who want nothing else. Parallel
    /// over heads.
    ///
    /// # Errors
    /// [`AnalysisError::Mismatch`] when the sides differ in layers, heads, tokens or visible tokens.
    pub fn recall_by_head(&self, window: &Importance) -> Result<Vec<Vec<f64>>, AnalysisError> {
        self.truth.check(window)?;
        Ok(by_head(window, |layer, head| {
            let scores = window.head_scores(layer, head, self.exempt);
            self.by_head[layer * window.heads() + head].recall_with(scores, &self.budgets[layer])
        }))
    }
}

/// An answer for every head of an importance, `[L, heads]`, in parallel.
fn by_head<A: Send>(
    importance: &Importance,
    ask: impl Fn(usize, usize) -> A + Sync + Send,
) -> Vec<A> {
    let heads = importance.heads();
    (0..importance.layers() * heads)
        .into_par_iter()
        .map(|index| ask(index / heads, index % heads))
        .collect()
}

/// One side of a head: where each of its N rankable tokens stands.
#[derive(Debug, Clone)]
pub(crate) enum HeadTops {
    /// The level of each token among the budgets.
    Levels(Vec<u8>),
    /// The rank of each token, where there are more budgets than levels.
    Ranks(Vec<u32>),
}

impl HeadTops {
    pub(crate) fn of(scores: HeadScores<'_>, budgets: &AscendingBudgets) -> Self {
        let keys = scores.sort_keys();
        if budgets.count() <= MOST_TOPS {
            return Self::Levels(levels(keys, budgets.tops()));
        }
        let mut ranks = vec![0; keys.scores.len()];
        let best_first = in_descending_order(keys, |token| token as u32);
        for (token, rank) in best_first.iter().zip(0..) {
            ranks[token as usize] = rank;
        }
        Self::Ranks(ranks)
    }

    /// Recall between this side and the scores of the other over the same tokens, whichever of the two is the truth,
    /// at the budgets that this side was made for; NaN where a budget is not below the number of tokens.
    pub(crate) fn recall_with(
        &self,
        scores: HeadScores<'_>,
        budgets: &AscendingBudgets,
    ) -> Vec<f64> {
        let mut recall = vec![f64::NAN; budgets.count()];
        let mut shared = 0;
        let added = self.shared_with(scores.sort_keys(), budgets);
        for ((ranks, asked), tokens) in budgets.steps().zip(added) {
            shared += tokens;
            recall[asked] = share_of(ranks.end, shared);
        }
        recall
    }

    /// Tokens that both sides have in the top of each defined budget, by ascending budget, and not in the one before.
    fn shared_with(&self, keys: SortKeys<'_>, budgets: &AscendingBudgets) -> Vec<u32> {
        match self {
            Self::Levels(own) => {
                let tokens = tokens_at_levels(own, &levels(keys, budgets.tops()));
                tokens[..budgets.count()].to_vec()
            }
            Self::Ranks(own) => {
                let tokens = tokens_at_ranks(own, keys);
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
fn tokens_at_ranks(ranks: &[u32], keys: SortKeys<'_>) -> Vec<u8> {
    let mut tokens = vec![0; keys.scores.len()];
    // With ranks for labels, the sort puts them into the order of the scores.
    let sorted = in_descending_order(keys, |token| ranks[token]);
    for (rank, place) in sorted.iter().zip(0..) {
        tokens[rank.max(place) as usize] += 1;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::BudgetGrid;
    use crate::importance::HeadKind;

    const TOKENS: usize = 3001;
    const FIRST_VISIBLE: usize = 40;

    /// Scores of many tokens and two heads, every one of them tied with others; the first tokens are out of sight.
    fn importance(factor: usize) -> Importance {
        let scores = (0..2 * TOKENS).map(|index| (index * factor % 997) as f32 / 64.0);
        let (shares, seen) = (vec![1.0; 2], vec![FIRST_VISIBLE]);
        Importance::new(
            1,
            2,
            HeadKind::Query,
            TOKENS,
            scores.collect(),
            shares,
            seen,
        )
        .unwrap()
    }

    /// Shares of the truth's top that are in the window's top, by sorting both for each budget.
    fn by_definition(
        truth: &Importance,
        window: &Importance,
        exempt: ForcedKeep,
        head: usize,
        budget: usize,
    ) -> f64 {
        let tokens: Vec<usize> = (FIRST_VISIBLE..TOKENS)
            .filter(|&token| !exempt.contains(token, TOKENS))
            .collect();
        let best = |side: &Importance| -> Vec<usize> {
            let scores = side.head(0, head);
            let mut tokens = tokens.clone();
            tokens.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            tokens.truncate(budget);
            tokens.sort_unstable();
            tokens
        };
        if budget >= tokens.len() {
            return f64::NAN;
        }
        let (truth, kept) = (best(truth), best(window));
        let is_shared = |token: &&usize| truth.binary_search(token).is_ok();
        kept.iter().filter(is_shared).count() as f64 / truth.len() as f64
    }

    #[test]
    fn recall_of_many_tokens_is_that_of_a_plain_top_at_each_budget() {
        let (truth, window) = (importance(7919), importance(104_729));
        let exempt = ForcedKeep {
            sinks: 4,
            recent: 7,
        };
        // More budgets than there are levels, and some of them twice; the last few are not below the rankable tokens.
        let many: Vec<usize> = (1..=TOKENS).rev().step_by(11).chain([5, 5]).collect();
        assert!(many.len() > MOST_TOPS);
        let few = BudgetGrid::new(TOKENS, 30).unwrap();
        for budgets in [few.tokens(), &[TOKENS, 1, 64, 64, 2954, 2953], &many] {
            let tops = OracleTops::of(&truth, exempt, budgets).unwrap();
            let found = tops.recall_by_head(&window).unwrap();
            assert_eq!(found.len(), 2);
            for (head, recall) in found.iter().enumerate() {
                for (&budget, &recall) in budgets.iter().zip(recall) {
                    let expected = by_definition(&truth, &window, exempt, head, budget);
                    let same = recall == expected || (recall.is_nan() && expected.is_nan());
                    assert!(same, "head {head}, budget {budget}: {recall}, {expected}");
                }
            }
        }
    }

    #[test]
    fn recall_is_undefined_where_no_token_is_rankable() {
        let exempt = ForcedKeep {
            sinks: 1,
            recent: TOKENS,
        };
        let tops = OracleTops::of(&importance(3), exempt, &[1, TOKENS]).unwrap();
        let found = tops.recall_by_head(&importance(5)).unwrap();
        assert_eq!((found.len(), found[0].len()), (2, 2));
        assert!(found.iter().flatten().all(|recall| recall.is_nan()));
    }

    #[test]
    fn sides_that_do_not_match_and_budgets_outside_the_prompt_are_refused() {
        let none = ForcedKeep::default();
        let tops = OracleTops::of(&importance(3), none, &[1]).unwrap();
        let kind = HeadKind::Query;
        let short = Importance::new(1, 1, kind, 2, vec![0.5; 2], vec![1.0], vec![0]).unwrap();
        assert_eq!(
            tops.recall_by_head(&short).unwrap_err().to_string(),
            "the heads of the two sides differ: 2 for the oracle, 1 for the window"
        );
        let (scores, shares) = (vec![0.5; 2 * TOKENS], vec![1.0; 2]);
        let all_seen = Importance::new(1, 2, kind, TOKENS, scores, shares, vec![0]).unwrap();
        assert_eq!(
            tops.recall_by_head(&all_seen).unwrap_err().to_string(),
            "the first visible tokens of the two sides differ: 40 for the oracle, 0 for the window"
        );
        for budget in [0, TOKENS + 1] {
            assert!(OracleTops::of(&importance(5), none, &[budget]).is_err());
        }
    }
}
