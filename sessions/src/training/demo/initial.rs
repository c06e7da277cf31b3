//! Parameters before the first step.

use candle_core::{Device, Tensor, Var};

use super::plan::TrainingPlan;
use super::planted;
use crate::SessionError;
use crate::model::{ModelConfig, Parameters};
use crate::training::random::{Draws, Purpose};

/// Standard deviation of the token embeddings.
pub(crate) const EMBEDDING_DEVIATION: f64 = 0.08;

/// Values of every parameter on the CPU, by name: uniform with variance 1 / inputs, what is added to the
/// residual stream of the embeddings' size and smaller by the square root of twice the layers; norms 1.
///
/// # Errors
/// [`SessionError::Plan`] if heads are to be planted into a shape that is too small for them.
pub(crate) fn parameters(
    plan: &TrainingPlan,
    config: &ModelConfig,
    device: &Device,
) -> Result<Parameters, SessionError> {
    let mut draws = Draws::new(plan.seed, Purpose::InitialWeights, 0);
    let mut values = Vec::new();
    for (name, shape) in shapes(config) {
        let count = shape.iter().product();
        let data = match shape.as_slice() {
            [_, inputs] => {
                let deviation = if name.contains("embed_tokens") {
                    EMBEDDING_DEVIATION
                } else {
                    let into_stream = name.contains("o_proj") || name.contains("down_proj");
                    let size = if into_stream {
                        EMBEDDING_DEVIATION / (2.0 * config.layers as f64).sqrt()
                    } else {
                        1.0
                    };
                    size / (*inputs as f64).sqrt()
                };
                draws.spread(count, deviation)
            }
            _ => vec![1.0; count],
        };
        values.push((name, shape, data));
    }
    if plan.planted {
        planted::plant(&mut values, config, &mut draws)?;
    }
    values
        .into_iter()
        .map(|(name, shape, data)| {
            let tensor = Tensor::from_vec(data, shape, device)?;
            Ok((name, Var::from_tensor(&tensor)?))
        })
        .collect()
}

/// Names and shapes of a Llama's parameters with tied embeddings, as Hugging Face stores them.
fn shapes(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let hidden = config.hidden_size;
    let wide = config.intermediate_size;
    let queries = config.query_heads * config.head_dim;
    let keys = config.kv_heads * config.head_dim;
    let mut shapes = vec![(
        "model.embed_tokens.weight".to_owned(),
        vec![config.vocabulary, hidden],
    )];
    for layer in 0..config.layers {
        let parts: [(&str, Vec<usize>); 9] = [
            ("input_layernorm", vec![hidden]),
            ("self_attn.q_proj", vec![queries, hidden]),
            ("self_attn.k_proj", vec![keys, hidden]),
            ("self_attn.v_proj", vec![keys, hidden]),
            ("self_attn.o_proj", vec![hidden, queries]),
            ("post_attention_layernorm", vec![hidden]),
            ("mlp.gate_proj", vec![wide, hidden]),
            ("mlp.up_proj", vec![wide, hidden]),
            ("mlp.down_proj", vec![hidden, wide]),
        ];
        shapes.extend(
            parts.map(|(part, shape)| (format!("model.layers.{layer}.{part}.weight"), shape)),
        );
    }
    shapes.push(("model.norm.weight".to_owned(), vec![hidden]));
    shapes
}
