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
    for (name, shape) in config.llama_weights() {
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
