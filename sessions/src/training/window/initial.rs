//! Parameters of a window before the first step.

use candle_core::{DType, Device, Tensor, Var};

use super::plan::WindowTrainingPlan;
use crate::SessionError;
use crate::model::{Model, Parameters, Projection};
use crate::training::random::{Draws, Purpose};
use crate::windows::TrainedMethod;
use crate::windows::trained_file::{SOFT_TOKENS, adapter_name};

/// Soft tokens and the two halves of each addition, f32 on the model's device.
///
/// Judge Q's paper does not say how its tokens begin: here as tokens of the vocabulary, drawn at random.
/// LookaheadKV's begin random, with the embeddings' own mean square; A uniform with variance 1 / width, B
/// zero, so that the additions begin as none. The last layer has additions to queries and keys only: nothing
/// else there can reach a score (METHODS.md, section 3); a layer with experts has them in its attention only.
pub(super) fn parameters(
    plan: &WindowTrainingPlan,
    model: &Model,
) -> Result<Parameters, SessionError> {
    let config = model.config();
    let device = model.decoder().device();
    let mut draws = Draws::new(plan.seed, Purpose::InitialWeights, 0);
    let mut parameters = Parameters::new();
    let soft_tokens = match plan.method {
        TrainedMethod::JudgeQ => {
            let ids: Vec<u32> = (0..plan.soft_tokens)
                .map(|_| draws.below(config.vocabulary) as u32)
                .collect();
            model.embed(&ids)?.to_dtype(DType::F32)?
        }
        TrainedMethod::LookaheadKv => {
            let some: Vec<u32> = (0..256)
                .map(|_| draws.below(config.vocabulary) as u32)
                .collect();
            let squares = model.embed(&some)?.to_dtype(DType::F32)?.sqr()?;
            let deviation = f64::from(squares.mean_all()?.to_scalar::<f32>()?).sqrt();
            let count = plan.soft_tokens * config.hidden_size;
            let values = draws.spread(count, deviation);
            Tensor::from_vec(values, (plan.soft_tokens, config.hidden_size), device)?
        }
    };
    parameters.insert(SOFT_TOKENS.to_owned(), Var::from_tensor(&soft_tokens)?);
    if plan.adapter_rank > 0 {
        for layer in 0..config.layers {
            let adapted = adapted(layer + 1 == config.layers).iter();
            for &projection in adapted.filter(|projection| projection.is_in(config, layer)) {
                let (wide_in, wide_out) = projection.widths(config);
                let deviation = (wide_in as f64).sqrt().recip();
                let values = draws.spread(plan.adapter_rank * wide_in, deviation);
                let a = Tensor::from_vec(values, (plan.adapter_rank, wide_in), device)?;
                let b = zeros((wide_out, plan.adapter_rank), device)?;
                let name = |half| adapter_name(layer, projection, half);
                parameters.insert(name("lora_a"), Var::from_tensor(&a)?);
                parameters.insert(name("lora_b"), Var::from_tensor(&b)?);
            }
        }
    }
    Ok(parameters)
}

fn adapted(is_last_layer: bool) -> &'static [Projection] {
    if is_last_layer {
        &[Projection::Query, Projection::Key]
    } else {
        &Projection::ALL
    }
}

fn zeros(shape: (usize, usize), device: &Device) -> Result<Tensor, SessionError> {
    Ok(Tensor::zeros(shape, DType::F32, device)?)
}
