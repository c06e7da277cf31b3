//! Keys of the tokens that were fed behind a prompt: with the prompt's own, all that a decode step attends to.

use candle_core::{D, DType, Tensor};

use crate::SessionError;
use crate::attention_rows::PromptKeys;
use crate::half_format::HalfFormat;
use crate::model::{KvCache, on_cpu};
use crate::observation::QueryRows;

/// Keys of the R tokens behind a prompt, after rotation, on the CPU in the model's format: those of a question that comes
/// after it, and of the S decode steps.
#[derive(Debug, Clone)]
pub struct DecodeKeys {
    /// L entries `[G, R, D]`.
    layers: Vec<Tensor>,
}

impl DecodeKeys {
    /// Copies what stands in the cache behind a prompt of `prompt_tokens` tokens, before a window forgets it.
    pub(crate) fn of(cache: &KvCache, prompt_tokens: usize) -> Result<Self, SessionError> {
        let layers = behind(cache, prompt_tokens, |layer, len| cache.keys(layer, len))?;
        Ok(Self { layers })
    }

    /// Of tensors `[G, R, D]`, one for each layer.
    pub(crate) fn new(layers: Vec<Tensor>) -> Self {
        Self { layers }
    }

    /// L entries `[G, R, D]`.
    pub fn layers(&self) -> &[Tensor] {
        &self.layers
    }

    /// The same in another format.
    pub(crate) fn converted(&self, numbers: HalfFormat) -> Result<Self, SessionError> {
        Ok(Self::new(numbers.round_all(&self.layers)?))
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        let layers = self.layers.iter();
        layers
            .map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes())
            .sum()
    }

    /// Keys of a layer, `[G, R, D]`.
    ///
    /// # Errors
    /// [`SessionError::Internal`] for a layer that is not there.
    pub fn layer(&self, layer: usize) -> Result<&Tensor, SessionError> {
        self.layers
            .get(layer)
            .ok_or_else(|| SessionError::Internal {
                reason: format!(
                    "keys of the decode stage of layer {layer} of {} were asked for",
                    self.layers.len()
                ),
            })
    }

    /// Euclidean norms of the keys of one layer and key/value head: of the prompt's T tokens and of the R behind it.
    ///
    /// # Errors
    /// [`SessionError::Plan`] where the prompt's keys were not kept; [`SessionError::Internal`] for a layer that is not
    /// there.
    pub fn all_norms(
        &self,
        keys: &PromptKeys,
        layer: usize,
        kv_head: usize,
    ) -> Result<Vec<f32>, SessionError> {
        let mut norms = Vec::new();
        for keys in [keys.layer(layer)?, self.layer(layer)?] {
            let squares = keys.get(kv_head)?.to_dtype(DType::F32)?.sqr()?;
            norms.extend(squares.sum(D::Minus1)?.sqrt()?.to_vec1::<f32>()?);
        }
        Ok(norms)
    }

    /// Attention weights of one layer and key/value head on the tokens behind the prompt, for each of its H / G query
    /// heads: `[W, R]` row-major, f32, zero where a row does not see a key. With
    /// [`PromptKeys::attention_rows`] these are all that a row pays, which add up to 1.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if rows and keys are not of the same sample.
    pub fn attention_rows(
        &self,
        keys: &PromptKeys,
        rows: &QueryRows,
        layer: usize,
        kv_head: usize,
    ) -> Result<Vec<Vec<f32>>, SessionError> {
        let (_, _, prompt_tokens, head_dim) = keys.shape();
        let (group, count) = (keys.group_size()?, rows.count());
        let behind = self.layer(layer)?.get(kv_head)?.to_dtype(DType::F32)?;
        let tokens = behind.dim(0)?;
        let of_group = |tensor: &Tensor| tensor.get(layer)?.narrow(0, kv_head * group, group);
        let queries = of_group(rows.queries())?
            .to_dtype(DType::F32)?
            .reshape((group * count, head_dim))?;
        let scale = 1.0 / f64::from(head_dim as u32).sqrt();
        let logits = (queries.matmul(&behind.t()?)? * scale)?;
        let logits = logits.flatten_all()?.to_vec1::<f32>()?;
        let log_sums = of_group(rows.log_sum_exp())?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let window = keys.sliding_window(layer);
        let mut heads = vec![Vec::with_capacity(count * tokens); group];
        for (index, (logits, log_sum)) in
            logits.chunks_exact(tokens.max(1)).zip(log_sums).enumerate()
        {
            let visible = rows.visible_keys().get(index % count);
            let visible = visible.map_or(0, |&keys| keys as usize);
            let first = window.map_or(0, |window| visible.saturating_sub(window));
            let weights = (prompt_tokens..).zip(logits).map(|(place, logit)| {
                match (first..visible).contains(&place) {
                    true => (logit - log_sum).exp(),
                    false => 0.0,
                }
            });
            if let Some(head) = heads.get_mut(index / count) {
                head.extend(weights);
            }
        }
        Ok(heads)
    }
}

/// What stands in each layer of a cache behind a prompt, of keys or values `[heads, len, D]`.
pub(crate) fn behind(
    cache: &KvCache,
    prompt_tokens: usize,
    of: impl Fn(usize, usize) -> Result<Tensor, SessionError>,
) -> Result<Vec<Tensor>, SessionError> {
    let len = cache.len();
    let layers = (0..cache.layers()).map(|layer| {
        let behind = of(layer, len)?.narrow(1, prompt_tokens, len - prompt_tokens)?;
        // a copy also where nothing has to move: the cache is written over
        Ok(on_cpu(&behind)?.force_contiguous()?)
    });
    layers.collect()
}
