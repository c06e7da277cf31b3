//! How the built-in model was trained.
//!
//! Short texts first, until values are found at all; then longer ones, up to 2,048 tokens. A length is only
//! good for itself: what was trained at 288 tokens fails at 512. Questions that stand before the document are
//! harder than those behind it and get their own stages, in which the lengths take turns so that none is
//! forgotten.

use super::plan::{LossWeights, TrainingPlan, TrainingShape, TrainingStage};

type Weights = &'static [(&'static str, u32)];

/// Of the tokenizer and the first stages.
const MIXTURE: Weights = &[
    ("facts", 8),
    ("niah", 2),
    ("multi-niah", 2),
    ("key-value", 2),
    ("variable-tracking", 1),
    ("passage", 1),
    ("list", 1),
];

/// With more of what takes several facts.
const HARDER: Weights = &[
    ("facts", 6),
    ("niah", 2),
    ("multi-niah", 4),
    ("key-value", 2),
    ("variable-tracking", 2),
    ("passage", 2),
    ("list", 1),
];

/// Of the last stages.
const OPENING: Weights = &[
    ("facts", 8),
    ("niah", 2),
    ("multi-niah", 4),
    ("key-value", 2),
    ("variable-tracking", 2),
    ("passage", 1),
];

#[derive(Clone, Copy)]
enum Mixture {
    Plan,
    Harder,
    Opening,
}

/// Tokens of a sequence, steps, rates at the beginning and the end, share of repeated segments, percent of
/// texts that open with a question, questions at most, mixture.
type Stage = (usize, usize, (f64, f64), f64, usize, usize, Mixture);

#[rustfmt::skip]
const STAGES: [Stage; 33] = [
    (96, 300, (1.0, 1.0), 0.3, 50, 12, Mixture::Plan),
    (192, 250, (1.0, 1.0), 0.1, 50, 12, Mixture::Plan),
    (288, 250, (1.0, 0.6), 0.0, 50, 12, Mixture::Plan),
    (512, 400, (0.5, 0.5), 0.0, 50, 12, Mixture::Plan),
    (1024, 261, (0.4, 0.4), 0.0, 50, 12, Mixture::Plan),
    (288, 250, (0.6, 0.6), 0.0, 100, 2, Mixture::Harder),
    (512, 300, (0.5, 0.5), 0.0, 80, 3, Mixture::Harder),
    (1024, 400, (0.4, 0.4), 0.0, 70, 4, Mixture::Harder),
    (2048, 350, (0.4, 0.02), 0.0, 60, 8, Mixture::Harder),
    (2048, 60, (0.4, 0.4), 0.0, 85, 3, Mixture::Opening),
    (1024, 50, (0.4, 0.4), 0.0, 85, 3, Mixture::Opening),
    (512, 25, (0.4, 0.4), 0.0, 85, 3, Mixture::Opening),
    (288, 15, (0.4, 0.4), 0.0, 85, 3, Mixture::Opening),
    (2048, 60, (0.4, 0.375), 0.0, 85, 3, Mixture::Opening),
    (1024, 50, (0.375, 0.35), 0.0, 85, 3, Mixture::Opening),
    (512, 25, (0.35, 0.325), 0.0, 85, 3, Mixture::Opening),
    (288, 15, (0.325, 0.3), 0.0, 85, 3, Mixture::Opening),
    (2048, 60, (0.3, 0.275), 0.0, 85, 3, Mixture::Opening),
    (1024, 50, (0.275, 0.25), 0.0, 85, 3, Mixture::Opening),
    (512, 25, (0.25, 0.225), 0.0, 85, 3, Mixture::Opening),
    (288, 15, (0.225, 0.2), 0.0, 85, 3, Mixture::Opening),
    (2048, 60, (0.2, 0.175), 0.0, 85, 3, Mixture::Opening),
    (1024, 50, (0.175, 0.15), 0.0, 85, 3, Mixture::Opening),
    (512, 25, (0.15, 0.125), 0.0, 85, 3, Mixture::Opening),
    (288, 15, (0.125, 0.1), 0.0, 85, 3, Mixture::Opening),
    (2048, 60, (0.1, 0.08), 0.0, 85, 3, Mixture::Opening),
    (1024, 50, (0.08, 0.06), 0.0, 85, 3, Mixture::Opening),
    (512, 25, (0.06, 0.04), 0.0, 85, 3, Mixture::Opening),
    (288, 15, (0.04, 0.02), 0.0, 85, 3, Mixture::Opening),
    (2048, 130, (0.2, 0.1), 0.0, 95, 2, Mixture::Opening),
    (1024, 20, (0.1, 0.05), 0.0, 95, 2, Mixture::Opening),
    (2048, 50, (0.05, 0.02), 0.0, 95, 2, Mixture::Opening),
    (288, 10, (0.02, 0.02), 0.0, 95, 2, Mixture::Opening),
];

impl Default for TrainingPlan {
    /// The recipe of the built-in model.
    fn default() -> Self {
        Self {
            seed: 1,
            shape: TrainingShape {
                vocabulary: 3072,
                hidden_size: 128,
                intermediate_size: 352,
                layers: 4,
                query_heads: 4,
                kv_heads: 2,
                head_dim: 32,
                rope_theta: 500_000.0,
                max_positions: 4096,
            },
            mixture: owned(MIXTURE),
            step_tokens: 4096,
            stages: STAGES.into_iter().map(stage).collect(),
            matrix_learning_rate: 0.01,
            vector_learning_rate: 0.003,
            warmup_steps: 30,
            clip_norm: 1.0,
            loss_weights: LossWeights {
                text: 0.1,
                wording: 0.3,
                values: 1.0,
                text_share: 0.25,
            },
            planted: true,
        }
    }
}

fn stage(row: Stage) -> TrainingStage {
    let (sequence_tokens, steps, rates, repeated_share, opening_percent, most_questions, mixture) =
        row;
    TrainingStage {
        sequence_tokens,
        steps,
        first_rate: rates.0,
        last_rate: rates.1,
        repeated_share,
        opening_percent,
        most_questions,
        mixture: match mixture {
            Mixture::Plan => None,
            Mixture::Harder => Some(owned(HARDER)),
            Mixture::Opening => Some(owned(OPENING)),
        },
    }
}

fn owned(weights: Weights) -> Vec<(String, u32)> {
    weights
        .iter()
        .map(|(task, weight)| ((*task).to_owned(), *weight))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_is_the_one_in_the_built_in_models_log() {
        #[derive(serde::Deserialize)]
        struct Log {
            plan: TrainingPlan,
            curve: Vec<crate::training::CurvePoint>,
        }
        let log = include_str!("../../../builtin/demo/training-log.json");
        let log: Log = serde_json::from_str(log).unwrap();
        assert_eq!(log.plan, TrainingPlan::default());
        assert_eq!(log.curve.len(), log.plan.steps());
    }
}
