//! The key/value cache of one sequence, preallocated.

use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};

use super::config::ModelConfig;
use super::evicted::{Evicted, Hidden};
use super::masks::Masks;
use crate::SessionError;

/// Keys and values of every layer, `[heads, capacity, D]` each, of which the first `len` tokens are filled.
/// `heads` is G; an evicted cache may keep other tokens for every query head and then has H of them.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    len: usize,
    capacity: usize,
    prompt_tokens: usize,
    /// L entries: keys that a query of the layer sees, itself included; `None` for all.
    sliding_windows: Vec<Option<usize>>,
    evicted: Option<EvictedTokens>,
}

/// What an eviction left, and what is hidden of it in each layer, once somebody asked.
#[derive(Debug)]
struct EvictedTokens {
    kept: Evicted,
    hidden: OnceLock<Vec<Hidden>>,
}

/// One layer's keys (after rotation) and values.
#[derive(Debug)]
pub(crate) struct LayerCache {
    keys: Tensor,
    values: Tensor,
}

impl KvCache {
    /// Room for a prompt of `prompt_tokens` tokens and so many behind it.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device has not that much memory.
    pub(crate) fn new(
        config: &ModelConfig,
        prompt_tokens: usize,
        tokens_behind: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, SessionError> {
        let capacity = prompt_tokens.saturating_add(tokens_behind);
        let shape = (config.kv_heads, capacity, config.head_dim);
        let layers = (0..config.layers)
            .map(|_| LayerCache::new(shape, dtype, device))
            .collect::<Result<_, SessionError>>()?;
        Ok(Self {
            layers,
            len: 0,
            capacity,
            prompt_tokens,
            sliding_windows: config.sliding_windows.clone(),
            evicted: None,
        })
    }

    /// A cache of its own with the tokens that an eviction kept, each with the rotation that it had. One that
    /// keeps everything is laid out as this one and gives the same numbers, bit for bit.
    pub(crate) fn keeping(&self, kept: Evicted, room: usize) -> Result<Self, SessionError> {
        let kept = kept.stored_once(self.layer(0)?.keys.dim(0)?)?;
        let len = kept.slots();
        let full: Vec<_> = self
            .layers
            .iter()
            .map(|cached| [&cached.keys, &cached.values])
            .collect();
        let layers = kept
            .gather(&full, room)?
            .into_iter()
            .map(|[keys, values]| LayerCache { keys, values })
            .collect();
        let has_gaps = !kept.keeps_everything();
        Ok(Self {
            layers,
            len,
            capacity: len + room,
            prompt_tokens: self.prompt_tokens,
            sliding_windows: self.sliding_windows.clone(),
            evicted: has_gaps.then(|| EvictedTokens {
                kept,
                hidden: OnceLock::new(),
            }),
        })
    }

    /// L.
    pub(crate) fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Filled tokens.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was fed yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// T: tokens of the whole prompt, whatever an eviction left of it; with it goes how everything is rotated.
    pub(crate) fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// Tokens that still fit.
    pub(crate) fn room(&self) -> usize {
        self.capacity - self.len
    }

    /// Writes the keys and values `[G, rows, D]` of new tokens behind the filled ones and gives back
    /// both for all tokens so far, `[heads, len + rows, D]`, without copying.
    /// The length only moves on [`advance`](Self::advance), after every layer was fed.
    pub(crate) fn append(
        &self,
        layer: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(Tensor, Tensor), SessionError> {
        let rows = keys.dim(1)?;
        let cache = self.layer(layer)?;
        let heads = cache.keys.dim(0)?;
        let filled = self.len + rows;
        cache
            .keys
            .slice_set(&repeat_heads(keys, heads)?, 1, self.len)?;
        cache
            .values
            .slice_set(&repeat_heads(values, heads)?, 1, self.len)?;
        Ok((
            cache.keys.narrow(1, 0, filled)?,
            cache.values.narrow(1, 0, filled)?,
        ))
    }

    /// Keys and values of all tokens so far with those of new ones `[G, rows, D]` behind them,
    /// `[heads, len + rows, D]`: copies through which gradients pass, while the cache stays as it is.
    pub(crate) fn joined(
        &self,
        layer: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(Tensor, Tensor), SessionError> {
        let cache = self.layer(layer)?;
        let heads = cache.keys.dim(0)?;
        let join = |cached: &Tensor, new: &Tensor| {
            let filled = cached.narrow(1, 0, self.len)?;
            Ok::<_, SessionError>(Tensor::cat(&[filled, repeat_heads(new, heads)?], 1)?)
        };
        Ok((join(&cache.keys, keys)?, join(&cache.values, values)?))
    }

    /// How `rows` new rows of a layer find out which keys their sliding window does not reach: by counting back over the
    /// cache or, where the cache has gaps, from what this adds to the logits, `[heads, rows or 1, len + rows]`.
    pub(crate) fn sliding_window(
        &self,
        layer: usize,
        rows: usize,
        masks: &Masks,
    ) -> Result<(Option<usize>, Option<Tensor>), SessionError> {
        let Some(evicted) = &self.evicted else {
            return Ok((self.sliding_windows.get(layer).copied().flatten(), None));
        };
        let hidden = match evicted.hidden.get() {
            Some(hidden) => hidden,
            None => {
                let (windows, device) = (&self.sliding_windows, self.layer(layer)?.keys.device());
                let made = evicted.kept.hidden(windows, self.capacity, device)?;
                evicted.hidden.get_or_init(|| made)
            }
        };
        let of_layer = hidden.get(layer);
        let of_layer = of_layer.ok_or_else(|| no_layer(layer, self.layers.len()))?;
        Ok((None, of_layer.of_rows(self.len, rows, masks)?))
    }

    pub(crate) fn advance(&mut self, rows: usize) {
        self.len += rows;
    }

    /// Forgets every token from index `len` on; what lies before is untouched.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Keys of a layer for the first `tokens` tokens, `[heads, tokens, D]`, a view.
    pub(crate) fn keys(&self, layer: usize, tokens: usize) -> Result<Tensor, SessionError> {
        Ok(self.layer(layer)?.keys.narrow(1, 0, tokens)?)
    }

    /// Values of a layer for the first `tokens` tokens, `[heads, tokens, D]`, a view.
    pub(crate) fn values(&self, layer: usize, tokens: usize) -> Result<Tensor, SessionError> {
        Ok(self.layer(layer)?.values.narrow(1, 0, tokens)?)
    }

    /// Bytes of keys and values with all the room.
    pub(crate) fn bytes(&self) -> usize {
        let tensors = self
            .layers
            .iter()
            .flat_map(|layer| [&layer.keys, &layer.values]);
        tensors
            .map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes())
            .sum()
    }

    fn layer(&self, layer: usize) -> Result<&LayerCache, SessionError> {
        self.layers
            .get(layer)
            .ok_or_else(|| no_layer(layer, self.layers.len()))
    }
}

fn no_layer(layer: usize, layers: usize) -> SessionError {
    SessionError::Internal {
        reason: format!("the cache has {layers} layers, layer {layer} was asked for"),
    }
}

impl LayerCache {
    fn new(
        shape: (usize, usize, usize),
        dtype: DType,
        device: &Device,
    ) -> Result<Self, SessionError> {
        Ok(Self {
            keys: Tensor::zeros(shape, dtype, device)?,
            values: Tensor::zeros(shape, dtype, device)?,
        })
    }
}

/// `[G, rows, D]` with every head as often as it takes to make `heads`, contiguous.
fn repeat_heads(tensor: &Tensor, heads: usize) -> Result<Tensor, SessionError> {
    let (kv_heads, rows, head_dim) = tensor.dims3()?;
    if kv_heads == heads {
        return Ok(tensor.contiguous()?);
    }
    Ok(tensor
        .unsqueeze(1)?
        .broadcast_as((kv_heads, heads / kv_heads, rows, head_dim))?
        .reshape((heads, rows, head_dim))?)
}
