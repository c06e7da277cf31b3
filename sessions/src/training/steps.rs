//! What every training does alike: gradients and their sums, and steps that are saved, stopped and gone on with.

use candle_core::Tensor;

use super::state::TrainingState;
use crate::model::Parameters;
use crate::{CancelFlag, SessionError};

/// Gradient of a loss, one tensor a parameter in their order: zeros where the loss does not depend on it.
pub(super) fn gradient_of(
    loss: &Tensor,
    parameters: &Parameters,
) -> Result<Vec<Tensor>, SessionError> {
    let store = loss.backward()?;
    parameters
        .values()
        .map(|parameter| match store.get(parameter.as_tensor()) {
            Some(gradient) => Ok(gradient.detach()),
            None => Ok(parameter.as_tensor().zeros_like()?.detach()),
        })
        .collect()
}

/// Adds the gradient of another part of a step. Parts are added in their order, whoever was done first.
pub(super) fn add(sum: &mut [Tensor], part: &[Tensor]) -> Result<(), SessionError> {
    for (sum, part) in sum.iter_mut().zip(part) {
        *sum = (&*sum + part)?;
    }
    Ok(())
}

/// A training: P the settings of its run, C a point of its curve.
pub(super) trait Training<P, C> {
    /// Does one step and adds its point to the curve. A step that is refused leaves the state as it was.
    fn step(&mut self, state: &mut TrainingState<P, C>) -> Result<(), SessionError>;

    /// Writes everything that the next step needs.
    fn save(&self, state: &TrainingState<P, C>) -> Result<(), SessionError>;
}

/// Goes on until `last` steps are done, and saves now and then and at the end, however it ends.
///
/// # Errors
/// [`SessionError::Cancelled`], or what a step or its saving says; the steps before are saved.
pub(super) fn run_steps<P, C>(
    training: &mut impl Training<P, C>,
    state: &mut TrainingState<P, C>,
    last: usize,
    steps_between_saves: usize,
    cancel: &CancelFlag,
) -> Result<(), SessionError> {
    let mut outcome = Ok(());
    while outcome.is_ok() && state.curve.len() < last {
        outcome = cancel.check().and_then(|()| training.step(state));
        let done = state.curve.len();
        if outcome.is_ok() && done < last && done.is_multiple_of(steps_between_saves) {
            training.save(state)?;
        }
    }
    // a training that is refused at its first step leaves nothing behind
    if !state.curve.is_empty() || matches!(outcome, Err(SessionError::Cancelled)) {
        training.save(state)?;
    }
    outcome
}
