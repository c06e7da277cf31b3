//! Recall of one decode step, and of the decode stage up to a horizon.

use rayon::prelude::*;

use super::{HeadRows, KnownSide};
use crate::error::AnalysisError;
use crate::importance::HeadScores;

/// One head's decode stage, step by step, and a window's scores for the same head.
#[derive(Debug, Clone, Copy)]
pub struct DriftInput<'a> {
    /// The decode stage's rows, `[S, T]`, and the scoring of the truth.
    pub decode: HeadRows<'a>,
    /// The window's scores; the rows are ranked over the same tokens.
    pub window: HeadScores<'a>,
    /// Budgets in tokens, each in 1..=T, in any order.
    pub budgets: &'a [usize],
}

/// Recall of every decode step by itself, `[S]` and then budget: the share of what that single step
/// attends to most that is in the window's top B, over the rankable tokens. NaN where B is not below their number.
///
/// # Errors
/// Rows, window and budgets that do not fit, weights and scores that are not finite.
pub fn recall_by_step(input: DriftInput<'_>) -> Result<Vec<Vec<f64>>, AnalysisError> {
    let (steps, window) = input.window_tops()?;
    (0..steps)
        .into_par_iter()
        .map(|step| {
            let scores = input.decode.scores_of(step..step + 1)?;
            Ok(window.recall_with(&scores))
        })
        .collect()
}

/// Recall of the decode stage cut after a number of steps, for each such horizon as given and then budget.
/// The horizon 1 is the first step alone, the horizon `S` the whole truth: then recall
/// is that of [`compare`](crate::compare), on every layer.
///
/// # Errors
/// As [`recall_by_step`]; [`AnalysisError::OutOfBounds`] for a horizon of no steps or of more than there are.
pub fn recall_by_horizon(
    input: DriftInput<'_>,
    horizons: &[usize],
) -> Result<Vec<Vec<f64>>, AnalysisError> {
    let (steps, window) = input.window_tops()?;
    if let Some(wrong) = horizons
        .iter()
        .find(|&&horizon| horizon == 0 || horizon > steps)
    {
        return Err(AnalysisError::OutOfBounds {
            what: "a horizon",
            bounds: "between 1 and the number of decode steps",
            value: wrong.to_string(),
        });
    }
    let mut recall = vec![Vec::new(); horizons.len()];
    let mut reducers = input.decode.reducers();
    for step in 0..steps {
        input.decode.push(&mut reducers, step);
        if !horizons.contains(&(step + 1)) {
            continue;
        }
        let scores = input.decode.scores(&reducers)?;
        let reached = window.recall_with(&scores);
        for (slot, _) in recall
            .iter_mut()
            .zip(horizons)
            .filter(|(_, horizon)| **horizon == step + 1)
        {
            slot.clone_from(&reached);
        }
    }
    Ok(recall)
}

impl DriftInput<'_> {
    fn window_tops(&self) -> Result<(usize, KnownSide), AnalysisError> {
        let (steps, prompt_tokens) = self.decode.check()?;
        let window = KnownSide::of(self.window, prompt_tokens, self.budgets)?;
        Ok((steps, window))
    }
}
