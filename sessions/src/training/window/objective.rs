//! The two objectives: how far the rows' mean attention is from the response's.

use candle_core::{DType, Device, Tensor};
use kvlens_analysis::Importance;

use crate::SessionError;
use crate::model::{Adapters, Decoder, KvCache, Parameters};
use crate::training::steps::gradient_of;
use crate::windows::TrainedMethod;

/// Keeps the logarithm of a weight that rounds to zero finite.
const SMALLEST_WEIGHT: f64 = 1e-20;

/// Bounds of the loss's scale in f16: gradients down to 2^-48 come back, of which a mean over 10^9 entries has many.
const LARGEST_SCALE: f64 = (1_u64 << 24) as f64;
const SCALE_STEP: f64 = 16.0;

/// What is trained, as tensors that carry their gradients.
pub(super) struct Rows {
    /// `[n, hidden]`, in the decoder's dtype as the adapters are.
    pub(super) embeddings: Tensor,
    pub(super) adapters: Option<Adapters>,
}

/// The response's mean attention on the prompt of each layer in turn, `[H, T]` f32, not renormalised.
pub(super) fn targets(oracle: &Importance, device: &Device) -> Result<Vec<Tensor>, SessionError> {
    let (heads, tokens) = (oracle.heads(), oracle.prompt_tokens());
    (0..oracle.layers())
        .map(|layer| {
            let scores: Vec<f32> = (0..heads)
                .flat_map(|head| oracle.head(layer, head).iter().copied())
                .collect();
            Ok(Tensor::from_vec(scores, (heads, tokens), device)?)
        })
        .collect()
}

/// The loss of one prompt, a scalar. A is the rows' mean attention on the prompt, cut to it and not
/// renormalised, `[L, H, T]`, A* the response's.
///
/// Judge Q (arXiv 2509.10798): the mean over all entries of (A - A*)^2. LookaheadKV: both brought to sum 1
/// over the prompt, KL(A* || A) in nats, averaged over layers and heads.
///
/// # Errors
/// [`SessionError::Tensor`] if the targets are of another model or prompt.
pub(super) fn loss(
    method: TrainedMethod,
    decoder: &Decoder,
    cache: &KvCache,
    rows: &Rows,
    targets: &[Tensor],
) -> Result<Tensor, SessionError> {
    let first = cache.len() as u32;
    let count = rows.embeddings.dim(0)? as u32;
    let positions: Vec<u32> = (first..first + count).collect();
    let adapters = rows.adapters.as_ref();
    let attention = decoder.attention_behind(&rows.embeddings, &positions, cache, adapters)?;
    let of_layers = attention
        .iter()
        .zip(targets)
        .map(|(attention, target)| {
            let mean = attention.mean(1)?;
            match method {
                TrainedMethod::JudgeQ => Ok((mean - target)?.sqr()?.mean_all()?),
                TrainedMethod::LookaheadKv => divergence(target, &mean),
            }
        })
        .collect::<Result<Vec<_>, SessionError>>()?;
    Ok(Tensor::stack(&of_layers, 0)?.mean(0)?)
}

/// Gradient of a loss, f32, in the parameters' order.
///
/// In f16 the loss is scaled up before it is passed back, and the gradient down again: a mean over L * H * T squares has
/// gradients below the smallest number of f16, which would come back as zeros. The scale is the largest power of
/// [`SCALE_STEP`] up to [`LARGEST_SCALE`] that overflows nowhere.
///
/// # Errors
/// [`SessionError::Tensor`] if the device fails.
pub(super) fn gradient(
    loss: &Tensor,
    parameters: &Parameters,
    dtype: DType,
) -> Result<Vec<Tensor>, SessionError> {
    let mut scale = match dtype {
        DType::F16 => LARGEST_SCALE,
        _ => 1.0,
    };
    loop {
        let gradient = scaled_gradient(loss, parameters, scale)?;
        if scale == 1.0 || is_finite(&gradient)? {
            return Ok(gradient);
        }
        scale /= SCALE_STEP;
    }
}

fn scaled_gradient(
    loss: &Tensor,
    parameters: &Parameters,
    scale: f64,
) -> Result<Vec<Tensor>, SessionError> {
    gradient_of(&(loss * scale)?, parameters)?
        .into_iter()
        .map(|gradient| Ok((gradient / scale)?))
        .collect()
}

fn is_finite(gradient: &[Tensor]) -> Result<bool, SessionError> {
    for tensor in gradient {
        // infinite or no number as soon as one of the entries is
        let sum = tensor.abs()?.sum_all()?.to_scalar::<f32>()?;
        if !sum.is_finite() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Mean over the heads of KL(p || q) of the rows of `[H, T]`, each brought to sum 1.
fn divergence(p: &Tensor, q: &Tensor) -> Result<Tensor, SessionError> {
    let normalized =
        |weights: &Tensor| Ok::<_, SessionError>(weights.broadcast_div(&weights.sum_keepdim(1)?)?);
    let (p, q) = (normalized(p)?, normalized(q)?);
    let logarithm = |weights: &Tensor| (weights + SMALLEST_WEIGHT)?.log();
    let difference = (logarithm(&p)? - logarithm(&q)?)?;
    Ok((p * difference)?.sum(1)?.mean(0)?)
}
