//! What a training of a window tells of its course. Single precision, so that JSON gives back the very same
//! numbers.

use serde::{Deserialize, Serialize};

/// One step, as things were before it changed the parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowCurvePoint {
    /// Steps done before this one.
    pub step: usize,
    /// Mean loss of the step's prompts: MSE (Judge Q) or KL in nats (LookaheadKV).
    pub loss: f32,
    /// Norm of the gradient.
    pub gradient_norm: f32,
    /// The held-out prompts, where they were looked at.
    pub held_out: Option<HeldOutFigures>,
}

/// How a window does on the held-out prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOutFigures {
    /// Mean loss over all held-out prompts.
    pub loss: f32,
    /// Mean recall over layers, heads and prompts by group of prompts and budget (5 %, 10 %, 20 % of the
    /// prompt), every window and the decode stage scored alike.
    pub recall: Vec<Vec<f32>>,
}

/// Held-out prompts that are averaged together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOutGroup {
    /// The data as they were named.
    pub name: String,
    /// How many prompts.
    pub prompts: usize,
}

/// Recall of a window that is not trained, as [`HeldOutFigures::recall`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The window as it was typed.
    pub window: String,
    /// By group of prompts and budget.
    pub recall: Vec<Vec<f32>>,
}
