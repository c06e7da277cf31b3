//! Recall of a window of consecutive queries against the place where it sits.

use rayon::prelude::*;

use super::{HeadRows, TopTokens, check_side};
use crate::error::AnalysisError;
use crate::order::descending;
use crate::tokens::ForcedKeep;

/// Consecutive rows of one head that a window slides over, and the oracle of the same head.
#[derive(Debug, Clone, Copy)]
pub struct PlaceInput<'a> {
    /// Rows of consecutive positions, `[R, T]`: prompt queries, then decode queries. A prompt query gives
    /// weight 0 to the keys behind it. The scoring is the window's.
    pub rows: HeadRows<'a>,
    /// Position of the first row; decode step `i` stands at `T + i`.
    pub first_position: usize,
    /// Rows of one window, `W`.
    pub width: usize,
    /// Positions from one window to the next.
    pub stride: usize,
    /// The oracle's importance, `[T]`.
    pub oracle: &'a [f32],
    /// Tokens that no ranking contains.
    pub exempt: ForcedKeep,
    /// Budgets in tokens, each in 1..=T, in any order.
    pub budgets: &'a [usize],
}

/// One place of the window.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedRecall {
    /// Position of the window's last row; `T - 1` is the last window of the prompt, as `SnapKV`'s.
    pub last_position: usize,
    /// Recall of the oracle at each budget; 1 when no token is rankable.
    pub recall: Vec<f32>,
    /// Share of the oracle's top B at or before the last row, at each budget: a window in the middle of
    /// the prompt cannot see the rest, however well it foresees.
    pub visible: Vec<f32>,
}

/// Recall of every window of `W` rows, by ascending place (the figure that motivates LAQ, arXiv
/// 2505.20334: recall rises as the window nears the end of the prompt and is highest in the generation).
///
/// Windows are placed so that one of them ends at the last prompt token, when its rows are given. Windows
/// in the generation are part of the oracle, so their recall is an upper bound and no forecast. Only the rows
/// given are held: a long prompt is swept in blocks that overlap by `W - 1` rows.
///
/// # Errors
/// Rows, oracle and budgets that do not fit, weights and scores that are not finite,
/// [`AnalysisError::OutOfBounds`] for a width of no rows or of more than there are, [`AnalysisError::Empty`] for
/// a stride of zero.
pub fn recall_by_place(input: PlaceInput<'_>) -> Result<Vec<PlacedRecall>, AnalysisError> {
    let (rows, prompt_tokens) = input.rows.check()?;
    check_side(
        "the oracle's score",
        input.oracle,
        prompt_tokens,
        input.budgets,
    )?;
    if input.width == 0 || input.width > rows {
        return Err(AnalysisError::OutOfBounds {
            what: "the width of a window",
            bounds: "between 1 and the number of rows",
            value: input.width.to_string(),
        });
    }
    if input.stride == 0 {
        return Err(AnalysisError::Empty {
            what: "positions from one window to the next",
        });
    }
    let oracle = TopTokens::of(input.oracle, input.exempt, input.budgets);
    let oracle_order = descending(&input.oracle[input.exempt.rest(prompt_tokens)]);
    let last_of_prompt = prompt_tokens - 1;
    (input.width..=rows)
        .into_par_iter()
        .map(|end| (end, input.first_position + end - 1))
        .filter(|(_, last)| last % input.stride == last_of_prompt % input.stride)
        .map(|(end, last_position)| {
            let scores = input.rows.scores_of(end - input.width..end)?;
            Ok(PlacedRecall {
                last_position,
                recall: oracle.recall_with(&scores),
                visible: input.visible(&oracle_order, last_position),
            })
        })
        .collect()
}

impl PlaceInput<'_> {
    /// `oracle_order` counts the tokens from the first that is rankable.
    fn visible(&self, oracle_order: &[u32], last_position: usize) -> Vec<f32> {
        let offset = self.exempt.rest(self.oracle.len()).start;
        self.budgets
            .iter()
            .map(|&budget| {
                let top = &oracle_order[..budget.min(oracle_order.len())];
                let seen = top
                    .iter()
                    .filter(|&&token| token as usize + offset <= last_position)
                    .count();
                crate::overlap::share(seen as f64, top.len() as f64) as f32
            })
            .collect()
    }
}
