//! The rows of an observation window collapsed to one score per prompt token.

use crate::error::AnalysisError;
use crate::scoring::{KeySet, RowReduction};

/// The attention of one head's window rows on the prompt.
#[derive(Debug, Clone, Copy)]
pub struct AttentionRows<'a> {
    /// `[W, T]` row-major; a weight is `exp(logit - lse)` with the log-sum-exp over every key that the
    /// row saw, so a row sums to at most 1 over the prompt.
    pub weights: &'a [f32],
    /// `W`.
    pub rows: usize,
    /// `T`.
    pub prompt_tokens: usize,
}

/// The rows of one head collapsed to one score per token.
#[derive(Debug, Clone, PartialEq)]
pub struct ReducedHead {
    /// `[T]`.
    pub scores: Vec<f32>,
    /// Mean over the rows of the attention that falls on the prompt, in 0..=1 for attention weights.
    pub prompt_share: f32,
}

/// Collapses the rows of one head; sums in `f64`.
///
/// With [`KeySet::Prompt`] every row is first rescaled to sum 1; a row without any weight on the
/// prompt stays zero. A NaN among the weights stays one, so that
/// [`from_reduced`](crate::importance::Importance::from_reduced) can name its layer, head and token.
///
/// # Errors
/// [`AnalysisError::Length`] or [`AnalysisError::Empty`] when the weights are not `[W, T]`.
pub fn reduce_rows(
    rows: AttentionRows<'_>,
    keys: KeySet,
    reduce: RowReduction,
) -> Result<ReducedHead, AnalysisError> {
    check_rows(rows)?;
    let mut reducer = RowReducer::new(rows.prompt_tokens, keys, reduce);
    for row in rows.weights.chunks_exact(rows.prompt_tokens) {
        reducer.push(row);
    }
    Ok(reducer.reduced())
}

/// Rows of one head collapsed one after the other, with a result after any of them.
pub(crate) struct RowReducer {
    keys: KeySet,
    reduce: RowReduction,
    scores: Vec<f64>,
    share: f64,
    rows: usize,
}

impl RowReducer {
    pub(crate) fn new(prompt_tokens: usize, keys: KeySet, reduce: RowReduction) -> Self {
        let start = match reduce {
            RowReduction::Mean | RowReduction::Sum => 0.0,
            RowReduction::Max => f64::NEG_INFINITY,
        };
        Self {
            keys,
            reduce,
            scores: vec![start; prompt_tokens],
            share: 0.0,
            rows: 0,
        }
    }

    /// Adds a row of as many weights as there are prompt tokens.
    pub(crate) fn push(&mut self, row: &[f32]) {
        let on_prompt: f64 = row.iter().map(|&weight| f64::from(weight)).sum();
        self.share += on_prompt;
        self.rows += 1;
        let divisor = match self.keys {
            KeySet::Prompt if on_prompt != 0.0 => on_prompt,
            KeySet::Prompt | KeySet::Causal => 1.0,
        };
        for (score, &weight) in self.scores.iter_mut().zip(row) {
            let weight = f64::from(weight) / divisor;
            match self.reduce {
                RowReduction::Mean | RowReduction::Sum => *score += weight,
                RowReduction::Max if weight > *score || weight.is_nan() => *score = weight,
                RowReduction::Max => {}
            }
        }
    }

    /// The rows so far as one; there must have been one.
    pub(crate) fn reduced(&self) -> ReducedHead {
        let row_count = self.rows as f64;
        let scale = match self.reduce {
            RowReduction::Mean => row_count,
            RowReduction::Sum | RowReduction::Max => 1.0,
        };
        ReducedHead {
            scores: self
                .scores
                .iter()
                .map(|score| (score / scale) as f32)
                .collect(),
            prompt_share: (self.share / row_count) as f32,
        }
    }
}

pub(crate) fn check_rows(rows: AttentionRows<'_>) -> Result<(), AnalysisError> {
    if rows.rows == 0 {
        return Err(AnalysisError::Empty {
            what: "rows of an observation window",
        });
    }
    if rows.prompt_tokens == 0 {
        return Err(AnalysisError::Empty {
            what: "prompt tokens",
        });
    }
    let expected = rows.rows.saturating_mul(rows.prompt_tokens);
    if rows.weights.len() == expected {
        return Ok(());
    }
    Err(AnalysisError::Length {
        what: "a block of attention rows",
        dimensions: format!("[rows {}, tokens {}]", rows.rows, rows.prompt_tokens),
        expected,
        found: rows.weights.len(),
    })
}
