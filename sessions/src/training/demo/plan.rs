//! What a training run of the built-in model is: shape, data, curriculum, rates.

use serde::{Deserialize, Serialize};

use crate::SessionError;

/// A training run, fully determined on the CPU by these values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingPlan {
    /// Chooses initial weights and data.
    pub seed: u64,
    /// Shape of the model.
    pub shape: TrainingShape,
    /// Tasks that documents ask about, each with its relative frequency.
    pub mixture: Vec<(String, u32)>,
    /// Tokens of one step, over all its sequences.
    pub step_tokens: usize,
    /// The length curriculum, in order.
    pub stages: Vec<TrainingStage>,
    /// Learning rate of the matrices inside layers (Muon).
    pub matrix_learning_rate: f64,
    /// Learning rate of embedding and norms (Adam).
    pub vector_learning_rate: f64,
    /// Steps over which the rates rise from 0 at the very beginning.
    pub warmup_steps: usize,
    /// Largest norm of the whole gradient; a longer one is shortened to it.
    pub clip_norm: f64,
    /// What each kind of token counts in the loss.
    pub loss_weights: LossWeights,
    /// Whether some heads begin as previous-token and induction heads.
    pub planted: bool,
}

/// Shape of a model to train: a Llama with tied embeddings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingShape {
    /// Tokens of the vocabulary, at most (the tokenizer may find fewer).
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// L: decoder layers.
    pub layers: usize,
    /// H: query heads.
    pub query_heads: usize,
    /// G: key/value heads.
    pub kv_heads: usize,
    /// D: width of one head.
    pub head_dim: usize,
    /// Base of the rotary wavelengths.
    pub rope_theta: f64,
    /// Positions that the configuration announces, in tokens.
    pub max_positions: usize,
}

/// A stretch of training at one sequence length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingStage {
    /// T: tokens of one sequence.
    pub sequence_tokens: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// Both learning rates times this at the stage's beginning.
    pub first_rate: f64,
    /// Both learning rates times this at its end; linear in between.
    pub last_rate: f64,
    /// Share of the sequences that are a repeated segment of random tokens.
    pub repeated_share: f64,
    /// Percent of the documents that open with a question.
    pub opening_percent: usize,
    /// Questions that a document has at most.
    pub most_questions: usize,
    /// Another mixture than the plan's.
    pub mixture: Option<Vec<(String, u32)>>,
}

/// Weight of a token's loss, by what the token is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossWeights {
    /// Document and question.
    pub text: f64,
    /// The answer's wording, and its end.
    pub wording: f64,
    /// The values in the answer.
    pub values: f64,
    /// Only this share of the document's and question's tokens is drawn for the loss, each with
    /// `text / text_share`: the expectation is the same and most of the output layer's work is saved.
    pub text_share: f64,
}

impl TrainingPlan {
    /// Steps of all stages.
    pub fn steps(&self) -> usize {
        self.stages
            .iter()
            .fold(0, |sum: usize, stage| sum.saturating_add(stage.steps))
    }

    /// The stage that a step (from 0) belongs to: its number, the stage, and the step inside it.
    pub(crate) fn stage_of(&self, step: usize) -> Option<(usize, &TrainingStage, usize)> {
        let mut first = 0;
        for (index, stage) in self.stages.iter().enumerate() {
            if step - first < stage.steps {
                return Some((index, stage, step - first));
            }
            first += stage.steps;
        }
        None
    }

    /// What both learning rates are multiplied by at a step.
    pub(crate) fn rate_at(&self, step: usize) -> f64 {
        let warmup = ((step + 1) as f64 / self.warmup_steps.max(1) as f64).min(1.0);
        self.stage_of(step).map_or(0.0, |(_, stage, inside)| {
            let progress = inside as f64 / stage.steps as f64;
            warmup * (stage.first_rate + progress * (stage.last_rate - stage.first_rate))
        })
    }

    /// Whether a run of `other` that has done `steps` steps can go on as this one: everything that was used
    /// so far is the same.
    pub(crate) fn continues(&self, other: &Self, steps: usize) -> bool {
        let begun = |plan: &Self| match plan.stage_of(steps.saturating_sub(1)) {
            Some((last, _, _)) => plan.stages.iter().take(last + 1).cloned().collect(),
            None => Vec::<TrainingStage>::new(),
        };
        let same_stages = steps == 0 || begun(self) == begun(other);
        let stages = self.stages.clone();
        same_stages
            && *self
                == Self {
                    stages,
                    ..other.clone()
                }
    }

    /// # Errors
    /// [`SessionError::Plan`] naming the value that makes no training.
    pub(crate) fn check(&self) -> Result<(), SessionError> {
        let wrong = |reason: String| Err(SessionError::Plan { reason });
        if self.mixture.is_empty() {
            return wrong("a training plan needs at least one task".to_owned());
        }
        if self.steps() == 0 {
            return wrong("a training plan needs at least one step".to_owned());
        }
        if self.shape.parameters() > MOST_PARAMETERS {
            return wrong(format!(
                "a model of {} parameters is too large for this trainer, which takes up to {MOST_PARAMETERS}",
                self.shape.parameters()
            ));
        }
        if self.step_tokens > MOST_STEP_TOKENS {
            return wrong(format!(
                "a step of {} tokens is too long; at most {MOST_STEP_TOKENS}",
                self.step_tokens
            ));
        }
        for stage in &self.stages {
            if stage.sequence_tokens < SHORTEST_SEQUENCE {
                return wrong(format!(
                    "a stage has sequences of {} tokens; the shortest that hold a question and its answer have {SHORTEST_SEQUENCE}",
                    stage.sequence_tokens
                ));
            }
            if self.step_tokens < stage.sequence_tokens {
                return wrong(format!(
                    "a step of {} tokens holds no sequence of {}",
                    self.step_tokens, stage.sequence_tokens
                ));
            }
            if stage.sequence_tokens > self.shape.max_positions {
                return wrong(format!(
                    "sequences of {} tokens do not fit a model of {} positions",
                    stage.sequence_tokens, self.shape.max_positions
                ));
            }
        }
        Ok(())
    }
}

/// Bounds on what is allocated from a plan before anything is trained: far above what a small model needs.
const MOST_PARAMETERS: usize = 1 << 28;
const MOST_STEP_TOKENS: usize = 1 << 22;

impl TrainingShape {
    /// Numbers that are trained, norms left out; the largest number where it does not fit.
    fn parameters(&self) -> usize {
        let heads = self.query_heads.saturating_add(self.kv_heads);
        let attention = heads.saturating_mul(self.head_dim).saturating_mul(2);
        let feed_forward = self.intermediate_size.saturating_mul(3);
        let rows = attention
            .saturating_add(feed_forward)
            .saturating_mul(self.layers);
        rows.saturating_add(self.vocabulary)
            .saturating_mul(self.hidden_size)
    }
}

/// Shorter documents hold no question and answer.
const SHORTEST_SEQUENCE: usize = 80;
