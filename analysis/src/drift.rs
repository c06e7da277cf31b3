//! When and where a window foresees: recall by decode step, by horizon, and by the place of the window; and how long
//! what a decode step attends to stays the same.

use std::ops::Range;

use crate::budget::AscendingBudgets;
use crate::comparison::check_budgets;
use crate::error::{AnalysisError, finite};
use crate::importance::{
    AttentionRows, GroupScores, HeadScores, ReducedHead, RowReducer, check_rows, score_group,
};
use crate::scoring::{GroupReduction, Scoring};
use crate::tokens::ForcedKeep;
use crate::tops::HeadTops;

mod persistence;
mod places;
mod steps;
#[cfg(test)]
mod tests;

pub use persistence::{StepOverlaps, overlap_of_steps};
pub use places::{PlaceInput, PlacedRecall, recall_by_place};
pub use steps::{DriftInput, recall_by_horizon, recall_by_step};

/// The attention rows of one head of an importance, with the scoring that makes one score per token of
/// any of them.
#[derive(Debug, Clone, Copy)]
pub struct HeadRows<'a> {
    /// The rows of each query head of the group, equally many of equally many tokens; one query head
    /// when the scoring does not group.
    pub query_heads: &'a [AttentionRows<'a>],
    /// How rows become scores.
    pub scoring: Scoring,
    /// Pooling never crosses into the last `boundary.recent` tokens.
    pub boundary: ForcedKeep,
}

impl<'a> HeadRows<'a> {
    /// Checks the rows and gives their number and the number of tokens.
    fn check(&self) -> Result<(usize, usize), AnalysisError> {
        self.scoring.pool.check()?;
        let first = self.query_heads.first().ok_or(AnalysisError::Empty {
            what: "query heads",
        })?;
        if self.scoring.group == GroupReduction::None && self.query_heads.len() > 1 {
            return Err(AnalysisError::OutOfBounds {
                what: "the number of query heads without a group reduction",
                bounds: "at 1",
                value: self.query_heads.len().to_string(),
            });
        }
        for (head, rows) in self.query_heads.iter().enumerate() {
            check_rows(*rows)?;
            if (rows.rows, rows.prompt_tokens) != (first.rows, first.prompt_tokens) {
                return Err(AnalysisError::Length {
                    what: "the attention of a query head",
                    dimensions: format!("[rows {}, tokens {}]", first.rows, first.prompt_tokens),
                    expected: first.rows * first.prompt_tokens,
                    found: rows.rows * rows.prompt_tokens,
                });
            }
            finite("the attention weight", rows.weights, |index| {
                let (row, token) = (index / rows.prompt_tokens, index % rows.prompt_tokens);
                format!("query head {head}, row {row}, token {token}")
            })?;
        }
        Ok((first.rows, first.prompt_tokens))
    }

    /// A reducer for each query head, without rows yet.
    fn reducers(&self) -> Vec<RowReducer> {
        let Scoring { keys, reduce, .. } = self.scoring;
        self.query_heads
            .iter()
            .map(|rows| RowReducer::new(rows.prompt_tokens, keys, reduce))
            .collect()
    }

    /// Adds one row of every query head.
    fn push(&self, reducers: &mut [RowReducer], row: usize) {
        for (reducer, rows) in reducers.iter_mut().zip(self.query_heads) {
            let start = row * rows.prompt_tokens;
            reducer.push(&rows.weights[start..start + rows.prompt_tokens]);
        }
    }

    /// One score per token of the rows that the reducers hold.
    fn scores(&self, reducers: &[RowReducer]) -> Result<GroupScores, AnalysisError> {
        let group: Vec<ReducedHead> = reducers.iter().map(RowReducer::reduced).collect();
        let tokens = group.first().map_or(0, |head| head.scores.len());
        let cut = tokens.saturating_sub(self.boundary.recent);
        score_group(&group, self.scoring, cut)
    }

    /// One score per token of consecutive rows.
    fn scores_of(&self, rows: Range<usize>) -> Result<GroupScores, AnalysisError> {
        let mut reducers = self.reducers();
        for row in rows {
            self.push(&mut reducers, row);
        }
        self.scores(&reducers)
    }
}

/// The side of a head that is known beforehand, which recall is asked with again and again.
struct KnownSide {
    rankable: Range<usize>,
    budgets: AscendingBudgets,
    tops: HeadTops,
}

impl KnownSide {
    /// Refuses scores of another number of tokens than the rows have, and budgets outside 1..=T.
    fn of(
        known: HeadScores<'_>,
        prompt_tokens: usize,
        budgets: &[usize],
    ) -> Result<Self, AnalysisError> {
        let found = known.scores().len();
        if found != prompt_tokens {
            return Err(AnalysisError::Length {
                what: "an importance",
                dimensions: format!("[tokens {prompt_tokens}]"),
                expected: prompt_tokens,
                found,
            });
        }
        if u32::try_from(prompt_tokens).is_err() {
            return Err(AnalysisError::PromptTooLong { prompt_tokens });
        }
        check_budgets(budgets, prompt_tokens)?;
        let budgets = AscendingBudgets::new(budgets, known.rankable().len());
        Ok(Self {
            rankable: known.rankable(),
            tops: HeadTops::of(known, &budgets),
            budgets,
        })
    }

    /// Recall between this side and rows over the same tokens, at each budget, whichever of the two is the truth.
    fn recall_with(&self, rows: &GroupScores) -> Vec<f64> {
        let unpooled = rows.unpooled.as_deref();
        let rows = HeadScores::new(&rows.scores, unpooled, self.rankable.clone());
        self.tops.recall_with(rows, &self.budgets)
    }
}
