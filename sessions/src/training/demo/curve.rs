//! What a training of the built-in model tells of its course.

use serde::{Deserialize, Serialize};

use super::plan::TrainingPlan;
use crate::training::state::TrainingState;

/// What one step had to say, before it changed the model. Single precision, so that JSON gives back the very
/// same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps done before this one.
    pub step: usize,
    /// T of the step's sequences.
    pub sequence_tokens: usize,
    /// Weighted mean cross-entropy, in nats per token.
    pub loss: f32,
    /// Value tokens whose prediction was the most probable token, of all value tokens.
    pub value_accuracy: f32,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f32,
}

/// A run of the built-in model's training.
pub(crate) type DemoState = TrainingState<TrainingPlan, CurvePoint>;
