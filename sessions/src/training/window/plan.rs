//! What a window is trained on, and how.

use std::str::FromStr;

use kvlens_analysis::Budget;
use serde::{Deserialize, Serialize};

use crate::SessionError;
use crate::windows::TrainedMethod;

/// Where a training's learning rates, batch and length of responses come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrainingSettings {
    /// Found on the built-in model; the files beside it were trained with these rates and this batch.
    #[default]
    Default,
    /// LookaheadKV's paper: appendix B, table 6, as issue 2 of its repository quotes it: rate 1e-3, 32 prompts,
    /// responses of up to 512 tokens. There inputs have up to 16,384 tokens.
    Paper,
    /// The training script of LookaheadKV's repository, by the same issue: rate 1e-4, 64 prompts, responses of up to
    /// 512 tokens. There inputs have up to 4,096 tokens.
    Repository,
}

impl FromStr for TrainingSettings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "default" => Ok(Self::Default),
            "paper" => Ok(Self::Paper),
            "repository" => Ok(Self::Repository),
            _ => Err(format!("'{text}' is not default, paper or repository")),
        }
    }
}

/// Settings of a training. What Judge Q's paper says of learning rates, batch and steps is not known here; of
/// LookaheadKV's rates and batch [`TrainingSettings`] has what is. The defaults were found on the built-in model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowTrainingPlan {
    /// Which window.
    pub method: TrainedMethod,
    /// The training prompts as they were named.
    pub data: Vec<String>,
    /// The held-out prompts as they were named; without any, every tenth training prompt is held out.
    pub held_out: Vec<String>,
    /// Windows that the held-out recall is shown beside.
    pub baselines: Vec<String>,
    /// Wrap prompts in the model's chat template.
    pub chat: bool,
    /// S at most: tokens of the response that the model makes of each prompt, greedily.
    pub decode_tokens: usize,
    /// n: rows that are run behind the prompt.
    pub soft_tokens: usize,
    /// r of the low-rank additions; 0 for none.
    pub adapter_rank: usize,
    /// alpha: the additions are scaled by alpha / r.
    pub adapter_alpha: f64,
    /// Changes of the parameters.
    pub steps: usize,
    /// Prompts whose gradients are averaged for a step.
    pub step_prompts: usize,
    /// Adam's learning rate of the embeddings.
    pub token_learning_rate: f64,
    /// Adam's learning rate of the additions.
    pub adapter_learning_rate: f64,
    /// Steps over which the rates rise; then they fall along a cosine to nothing.
    pub warm_up_steps: usize,
    /// Steps between two looks at the held-out prompts.
    pub steps_between_evaluations: usize,
    /// Seed of initial values and of the order of the prompts.
    pub seed: u64,
}

/// Budgets of the held-out recall.
pub(super) const BUDGETS: [Budget; 3] = [
    Budget::Fraction(0.05),
    Budget::Fraction(0.10),
    Budget::Fraction(0.20),
];

/// Bounds on what is allocated from a plan: far above what a window needs.
const MOST_SOFT_TOKENS: usize = 4096;
const MOST_ADAPTER_RANK: usize = 1024;

impl WindowTrainingPlan {
    /// The published settings of a method (32 tokens; LookaheadKV: rank 8, alpha 32), no data yet.
    pub fn of(method: TrainedMethod) -> Self {
        let (adapter_rank, token_learning_rate) = match method {
            TrainedMethod::JudgeQ => (0, 0.02),
            TrainedMethod::LookaheadKv => (8, 0.01),
        };
        Self {
            method,
            data: Vec::new(),
            held_out: Vec::new(),
            baselines: vec!["last:32".to_owned(), "last:8".to_owned()],
            chat: false,
            decode_tokens: 64,
            soft_tokens: 32,
            adapter_rank,
            adapter_alpha: 32.0,
            steps: 2000,
            step_prompts: 8,
            token_learning_rate,
            adapter_learning_rate: 0.003,
            warm_up_steps: 50,
            steps_between_evaluations: 200,
            seed: 0,
        }
    }

    /// With the learning rates, the batch and the length of responses that a source tells of `LookaheadKV`. Optimiser,
    /// schedule and number of steps are known of neither and stay.
    #[must_use]
    pub fn with_settings(self, settings: TrainingSettings) -> Self {
        let (rate, step_prompts) = match settings {
            TrainingSettings::Default => return self,
            TrainingSettings::Paper => (1e-3, 32),
            TrainingSettings::Repository => (1e-4, 64),
        };
        Self {
            token_learning_rate: rate,
            adapter_learning_rate: rate,
            step_prompts,
            decode_tokens: 512,
            ..self
        }
    }

    /// # Errors
    /// [`SessionError::Plan`] naming the setting that makes no training.
    pub(super) fn check(&self) -> Result<(), SessionError> {
        let wrong = |reason: String| Err(SessionError::Plan { reason });
        let counts = [
            ("soft tokens", self.soft_tokens),
            ("decode tokens", self.decode_tokens),
            ("steps", self.steps),
            ("prompts of a step", self.step_prompts),
            ("steps between evaluations", self.steps_between_evaluations),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return wrong(format!("the number of {name} must be at least 1"));
        }
        if self.soft_tokens > MOST_SOFT_TOKENS || self.adapter_rank > MOST_ADAPTER_RANK {
            return wrong(format!(
                "{} soft tokens with adapters of rank {} are too many; at most {MOST_SOFT_TOKENS} and {MOST_ADAPTER_RANK}",
                self.soft_tokens, self.adapter_rank
            ));
        }
        let numbers = [
            ("alpha", self.adapter_alpha),
            ("learning rate of the tokens", self.token_learning_rate),
            ("learning rate of the adapters", self.adapter_learning_rate),
        ];
        match numbers
            .iter()
            .find(|(_, number)| !number.is_finite() || *number <= 0.0)
        {
            Some((name, number)) => wrong(format!("{name} must be a number above 0, not {number}")),
            None => Ok(()),
        }
    }

    /// Share of the learning rates at a step, counted from 0.
    pub(super) fn rate_at(&self, step: usize) -> f64 {
        if step < self.warm_up_steps {
            return (step + 1) as f64 / self.warm_up_steps as f64;
        }
        let rest = (self.steps - self.warm_up_steps.min(self.steps)).max(1);
        let done = (step - self.warm_up_steps) as f64 / rest as f64;
        0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
    }
}
