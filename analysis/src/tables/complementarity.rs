//! `complementarity.parquet`: what one window keeps of the oracle's top tokens that another misses.

use super::declare::table;
use super::sample::SampleContext;
use super::window_head::count;
use crate::budget::Budget;
use crate::collection::HeadShape;
use crate::comparison::same;
use crate::complementarity::Complementarity;
use crate::error::AnalysisError;
use crate::importance::HeadKind;

table! {
    ComplementarityTable in "complementarity.parquet", one row per "pair of windows, head and budget";
    /// One head of a pair of windows at one budget.
    #[derive(Copy)]
    ComplementarityRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// Label of the first window.
        first: &'a str,
        /// Label of the second window.
        second: &'a str,
        /// Layer, from 0.
        layer: u32,
        /// Head within the layer, from 0.
        head: u32,
        /// What a head stands for: `query`, `kv` or `layer`.
        head_kind: HeadKind,
        /// The budget as it was typed.
        budget: Budget,
        /// The budget in tokens of this prompt.
        budget_tokens: u32,
        /// Share of the oracle's top B in the top B of both windows.
        both: Option<f64>,
        /// Share in the first window's top B only.
        first_only: Option<f64>,
        /// Share in the second window's top B only.
        second_only: Option<f64>,
        /// Share in neither.
        neither: Option<f64>,
        /// Tokens in the top B of either window.
        union_tokens: u32,
    }
}

/// The rows of one pair of windows, by layer, head, then budget; `shape` is that of the rankings compared,
/// `budgets` are those of every head's splits, in their order.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the heads are not those of the rankings, or a head has other budgets.
pub fn complementarity_rows<'a>(
    sample: &'a SampleContext,
    (first, second): (&'a str, &'a str),
    shape: HeadShape,
    budgets: &[Budget],
    by_head: &[Vec<Complementarity>],
) -> Result<Vec<ComplementarityRow<'a>>, AnalysisError> {
    same("heads", shape.layers * shape.heads, by_head.len())?;
    for splits in by_head {
        same("numbers of budgets", budgets.len(), splits.len())?;
    }
    let rows = by_head.iter().enumerate().flat_map(|(index, splits)| {
        let points = budgets.iter().zip(splits);
        points.map(move |(&budget, split)| ComplementarityRow {
            sample,
            first,
            second,
            layer: count(index / shape.heads),
            head: count(index % shape.heads),
            head_kind: shape.head_kind,
            budget,
            budget_tokens: count(split.budget),
            both: Some(split.both),
            first_only: Some(split.first_only),
            second_only: Some(split.second_only),
            neither: Some(split.neither),
            union_tokens: count(split.union_tokens),
        })
    });
    Ok(rows.collect())
}
