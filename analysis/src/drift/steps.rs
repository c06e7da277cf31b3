//! Recall of one decode step, and of the decode stage up to a horizon.

use rayon::prelude::*;

use super::{HeadRows, TopTokens, check_side};
use crate::error::AnalysisError;
use crate::tokens::ForcedKeep;

/// One head's decode stage, step by step, and a window's importance for the same head.
#[derive(Debug, Clone, Copy)]
pub struct DriftInput<'a> {
    /// The decode stage's rows, `[S, T]`, and the scoring of the oracle.
    pub decode: HeadRows<'a>,
    /// The window's importance, `[T]`.
    pub window: &'a [f32],
    /// Tokens that no ranking contains.
    pub exempt: ForcedKeep,
    /// Budgets in tokens, each in 1..=T, in any order.
    pub budgets: &'a [usize],
}

/// Recall of every decode step by itself, `[S]` and then budget: the share of what that single step
/// attends to most that is in the window's top B. 1 when no token is rankable.
///
/// # Errors
/// Rows, window and budgets that do not fit, weights and scores that are not finite.
pub fn recall_by_step(input: DriftInput<'_>) -> Result<Vec<Vec<f32>>, AnalysisError> {
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
/// The horizon 1 is the first step alone, the horizon `S` the whole oracle.
///
/// # Errors
/// As [`recall_by_step`]; [`AnalysisError::OutOfBounds`] for a horizon of no steps or of more than there are.
pub fn recall_by_horizon(
    input: DriftInput<'_>,
    horizons: &[usize],
) -> Result<Vec<Vec<f32>>, AnalysisError> {
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
    fn window_tops(&self) -> Result<(usize, TopTokens), AnalysisError> {
        let (steps, prompt_tokens) = self.decode.check()?;
        check_side(
            "the window's score",
            self.window,
            prompt_tokens,
            self.budgets,
        )?;
        Ok((steps, TopTokens::of(self.window, self.exempt, self.budgets)))
    }
}
