//! What a model is and how it was trained, from its training log.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use kvlens_datasets::read_text_at_most;
use kvlens_sessions::training::{CurvePoint, TrainingPlan, TrainingStage};
use serde::Deserialize;

use super::card::Values;
use crate::jobs::failure::Failure;

/// Steps that a line of the curve is averaged over.
const CURVE_STEPS: usize = 100;

#[derive(Deserialize)]
struct Log {
    plan: TrainingPlan,
    curve: Vec<CurvePoint>,
}

/// Far above what a million steps take.
const MOST_LOG_BYTES: u64 = 1 << 30;

/// Behind the recipe of a model whose heads did not all begin at random.
const PLANTED: &str = include_str!("planted.md");

/// What the card says of shape, recipe and curve.
///
/// # Errors
/// No log, or none that can be read.
pub fn values(model: &Path, weights_sha256: &str) -> Result<Values> {
    let path = model.join("training-log.json");
    let log = read_text_at_most(&path, MOST_LOG_BYTES)
        .with_context(|| format!("the training log cannot be read: {}", path.display()))?;
    let Log { plan, curve } = serde_json::from_str(&log).map_err(|error| {
        Failure::BadInput(format!(
            "this is no training log ({error}): {}",
            path.display()
        ))
    })?;
    let (shape, weights) = (&plan.shape, plan.loss_weights);
    let planted = if plan.planted { PLANTED.trim_end() } else { "" };
    Ok(vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("layers", shape.layers.to_string()),
        ("query_heads", shape.query_heads.to_string()),
        ("head_dim", shape.head_dim.to_string()),
        ("kv_heads", shape.kv_heads.to_string()),
        ("hidden_size", shape.hidden_size.to_string()),
        ("intermediate_size", shape.intermediate_size.to_string()),
        ("vocabulary", shape.vocabulary.to_string()),
        ("rope_theta", shape.rope_theta.to_string()),
        ("weights_sha256", weights_sha256.to_owned()),
        ("seed", plan.seed.to_string()),
        ("step_tokens", plan.step_tokens.to_string()),
        (
            "matrix_learning_rate",
            plan.matrix_learning_rate.to_string(),
        ),
        (
            "vector_learning_rate",
            plan.vector_learning_rate.to_string(),
        ),
        ("clip_norm", plan.clip_norm.to_string()),
        ("text_weight", weights.text.to_string()),
        ("wording_weight", weights.wording.to_string()),
        ("values_weight", weights.values.to_string()),
        ("planted", planted.to_owned()),
        ("stages", stages(&plan.stages)),
        ("curve", means(&curve)),
    ])
}

fn stages(stages: &[TrainingStage]) -> String {
    let mut rows = String::new();
    for stage in stages {
        // writing to a String cannot fail
        let _ = writeln!(
            rows,
            "| {} | {} | {} to {} | {} % | {} |",
            stage.sequence_tokens,
            stage.steps,
            stage.first_rate,
            stage.last_rate,
            stage.opening_percent,
            stage.most_questions
        );
    }
    rows
}

/// Means over so many steps, never over two lengths.
fn means(curve: &[CurvePoint]) -> String {
    let mut rows = String::new();
    for points in curve
        .chunk_by(|a, b| a.sequence_tokens == b.sequence_tokens)
        .flat_map(|stage| stage.chunks(CURVE_STEPS))
    {
        let mean = |value: fn(&CurvePoint) -> f32| {
            let sum: f64 = points.iter().map(|point| f64::from(value(point))).sum();
            sum / points.len() as f64
        };
        if let (Some(first), Some(last)) = (points.first(), points.last()) {
            let _ = writeln!(
                rows,
                "| {} to {} | {} | {:.3} | {:.1} % |",
                first.step + 1,
                last.step + 1,
                first.sequence_tokens,
                mean(|point| point.loss),
                100.0 * mean(|point| point.value_accuracy)
            );
        }
    }
    rows
}
