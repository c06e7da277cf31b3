//! What a model is and how it was trained, from its training log.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use kvlens_sessions::training::{CurvePoint, TrainingPlan};
use serde::Deserialize;

use crate::jobs::failure::Failure;

/// Steps that a line of the curve is averaged over.
const CURVE_STEPS: usize = 100;

#[derive(Deserialize)]
struct Log {
    plan: TrainingPlan,
    curve: Vec<CurvePoint>,
}

/// The card's beginning.
///
/// # Errors
/// No log, or none that can be read.
pub fn text(model: &Path, weights_sha256: &str) -> Result<String> {
    let path = model.join("training-log.json");
    let log = fs::read_to_string(&path)
        .with_context(|| format!("the training log cannot be read: {}", path.display()))?;
    let Log { plan, curve } = serde_json::from_str(&log).map_err(|error| {
        Failure::BadInput(format!(
            "this is no training log ({error}): {}",
            path.display()
        ))
    })?;
    let shape = &plan.shape;
    let mut text = format!(
        "# A small language model that retrieves\n\n\
         Trained by KVLens {} from generated English-like documents; the text is the project's own. It answers questions \
         about facts in the prompt and knows nothing else.\n\n\
         Llama architecture, tied embeddings: {} layers, {} query heads of {}, {} key/value heads, width {}, feed-forward {}, \
         at most {} tokens of vocabulary (byte-level BPE), RoPE base {}. Weights in f32, SHA-256 `{weights_sha256}`.\n\n\
         ## Recipe\n\n\
         `kvlens train demo-model --plan PLAN --out DIR`, PLAN being the `plan` of `training-log.json`; seed {}, {} tokens a step, \
         Muon {} for the matrices in layers, Adam {} for the rest, gradient norm clipped at {}, loss weights {} (text), {} (wording), {} (values).{}\n\n\
         | tokens of a sequence | steps | rates times | opening question | questions, at most |\n|---|---|---|---|---|\n",
        env!("CARGO_PKG_VERSION"),
        shape.layers,
        shape.query_heads,
        shape.head_dim,
        shape.kv_heads,
        shape.hidden_size,
        shape.intermediate_size,
        shape.vocabulary,
        shape.rope_theta,
        plan.seed,
        plan.step_tokens,
        plan.matrix_learning_rate,
        plan.vector_learning_rate,
        plan.clip_norm,
        plan.loss_weights.text,
        plan.loss_weights.wording,
        plan.loss_weights.values,
        if plan.planted {
            " Two heads of layer 0 began as previous-token heads and one key/value group of layers 1 and 2 as induction heads (planted); all were trained. The query heads of a planted group began alike and get the same gradient, so they stayed alike."
        } else {
            ""
        }
    );
    for stage in &plan.stages {
        // writing to a String cannot fail
        let _ = writeln!(
            text,
            "| {} | {} | {} to {} | {} % | {} |",
            stage.sequence_tokens,
            stage.steps,
            stage.first_rate,
            stage.last_rate,
            stage.opening_percent,
            stage.most_questions
        );
    }
    text.push_str(
        "\n## Training curve\n\nMeans over the steps; values are teacher-forced tokens whose prediction was the most probable token.\n\n\
         | steps | tokens of a sequence | loss, nats | values right |\n|---|---|---|---|\n",
    );
    for points in curve
        .chunk_by(|a, b| a.sequence_tokens == b.sequence_tokens)
        .flat_map(|stage| stage.chunks(CURVE_STEPS))
    {
        let mean = |value: fn(&CurvePoint) -> f32| {
            points
                .iter()
                .map(|point| f64::from(value(point)))
                .sum::<f64>()
                / points.len() as f64
        };
        if let (Some(first), Some(last)) = (points.first(), points.last()) {
            let _ = writeln!(
                text,
                "| {} to {} | {} | {:.3} | {:.1} % |",
                first.step + 1,
                last.step + 1,
                first.sequence_tokens,
                mean(|point| point.loss),
                100.0 * mean(|point| point.value_accuracy)
            );
        }
    }
    Ok(text)
}
