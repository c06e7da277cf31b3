//! The two objectives: how far the rows' mean attention is from the response's.

use candle_core::{Device, Tensor};
use kvlens_analysis::Importance;

use crate::SessionError;
use crate::model::{Adapters, Decoder, KvCache};
use crate::windows::TrainedMethod;

/// Keeps the logarithm of a weight that rounds to zero finite.
const SMALLEST_WEIGHT: f64 = 1e-20;

/// What is trained, as tensors that carry their gradients.
pub(super) struct Rows {
    /// `[n, hidden]`.
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
    let embeddings = rows.embeddings.to_dtype(decoder.dtype())?;
    let attention =
        decoder.attention_behind(&embeddings, &positions, cache, rows.adapters.as_ref())?;
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

/// Mean over the heads of KL(p || q) of the rows of `[H, T]`, each brought to sum 1.
fn divergence(p: &Tensor, q: &Tensor) -> Result<Tensor, SessionError> {
    let normalized =
        |weights: &Tensor| Ok::<_, SessionError>(weights.broadcast_div(&weights.sum_keepdim(1)?)?);
    let (p, q) = (normalized(p)?, normalized(q)?);
    let logarithm = |weights: &Tensor| (weights + SMALLEST_WEIGHT)?.log();
    let difference = (logarithm(&p)? - logarithm(&q)?)?;
    Ok((p * difference)?.sum(1)?.mean(0)?)
}
