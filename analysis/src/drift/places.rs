//! Recall of a window of consecutive queries against the place where it sits.

use rayon::prelude::*;

use super::{HeadRows, KnownSide};
use crate::error::AnalysisError;
use crate::importance::HeadScores;
use crate::order::descending;
use crate::overlap::{is_defined, share_of};

/// Consecutive rows of one head that a window slides over, and the truth of the same head.
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
    /// The truth's scores; every window is ranked over the same tokens.
    pub truth: HeadScores<'a>,
    /// Budgets in tokens, each in 1..=T, in any order.
    pub budgets: &'a [usize],
}

/// One place of the window.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedRecall {
    /// Position of the window's last row; `T - 1` is the last window of the prompt, as `SnapKV`'s.
    pub last_position: usize,
    /// Recall of the truth at each budget; NaN where it is not below the number of rankable tokens.
    pub recall: Vec<f64>,
    /// Share of the truth's top B at or before the last row, at each budget: a window in the middle of
    /// the prompt cannot see the rest, however well it foresees. NaN as for recall.
    pub visible: Vec<f64>,
}

/// Recall of every window of `W` rows, by ascending place (the figure that motivates LAQ, arXiv
/// 2505.20334: recall rises as the window nears the end of the prompt and is highest in the generation).
///
/// Windows are placed so that one of them ends at the last prompt token, when its rows are given. Windows
/// in the generation are part of the truth, so their recall is an upper bound and no forecast. Only the rows
/// given are held: a long prompt is swept in blocks that overlap by `W - 1` rows. A place whose rows are those of a
/// window has that window's recall, if both are pooled within the same boundary.
///
/// # Errors
/// Rows, truth and budgets that do not fit, weights that are not finite,
/// [`AnalysisError::OutOfBounds`] for a width of no rows or of more than there are, [`AnalysisError::Empty`] for
/// a stride of zero.
pub fn recall_by_place(input: PlaceInput<'_>) -> Result<Vec<PlacedRecall>, AnalysisError> {
    let (rows, prompt_tokens) = input.rows.check()?;
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
    let truth = KnownSide::of(input.truth, prompt_tokens, input.budgets)?;
    let truth_order = descending(input.truth.sort_keys());
    let last_of_prompt = prompt_tokens - 1;
    (input.width..=rows)
        .into_par_iter()
        .map(|end| (end, input.first_position + end - 1))
        .filter(|(_, last)| last % input.stride == last_of_prompt % input.stride)
        .map(|(end, last_position)| {
            let scores = input.rows.scores_of(end - input.width..end)?;
            Ok(PlacedRecall {
                last_position,
                recall: truth.recall_with(&scores),
                visible: input.visible(&truth_order, last_position),
            })
        })
        .collect()
}

impl PlaceInput<'_> {
    /// `truth_order` counts the tokens from the first that is rankable.
    fn visible(&self, truth_order: &[u32], last_position: usize) -> Vec<f64> {
        let offset = self.truth.rankable().start;
        let at_budget = |&budget: &usize| {
            if !is_defined(budget, truth_order.len()) {
                return f64::NAN;
            }
            let top = truth_order[..budget].iter();
            let seen = top.filter(|&&token| token as usize + offset <= last_position);
            share_of(budget, seen.count() as u32)
        };
        self.budgets.iter().map(at_budget).collect()
    }
}
