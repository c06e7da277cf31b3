//! The key/value cache of one sequence, preallocated.

use candle_core::{DType, Device, Tensor};

use super::config::ModelConfig;
use crate::SessionError;

/// Keys and values of every layer, `[G, capacity, D]` each, of which the first `len` tokens are filled.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    len: usize,
    capacity: usize,
}

/// One layer's keys (after rotation) and values.
#[derive(Debug)]
pub(crate) struct LayerCache {
    keys: Tensor,
    values: Tensor,
}

impl KvCache {
    /// Room for `capacity` tokens.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device has not that much memory.
    pub(crate) fn new(
        config: &ModelConfig,
        capacity: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, SessionError> {
        let shape = (config.kv_heads, capacity, config.head_dim);
        let layers = (0..config.layers)
            .map(|_| {
                Ok(LayerCache {
                    keys: Tensor::zeros(shape, dtype, device)?,
                    values: Tensor::zeros(shape, dtype, device)?,
                })
            })
            .collect::<Result<_, SessionError>>()?;
        Ok(Self {
            layers,
            len: 0,
            capacity,
        })
    }

    /// Filled tokens.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was fed yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens that still fit.
    pub(crate) fn room(&self) -> usize {
        self.capacity - self.len
    }

    /// Writes the keys and values `[G, rows, D]` of new tokens behind the filled ones and gives back
    /// both for all tokens so far, `[G, len + rows, D]`, without copying.
    /// The length only moves on [`advance`](Self::advance), after every layer was fed.
    pub(crate) fn append(
        &self,
        layer: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(Tensor, Tensor), SessionError> {
        let rows = keys.dim(1)?;
        let cache = self.layer(layer)?;
        cache.keys.slice_set(&keys.contiguous()?, 1, self.len)?;
        cache.values.slice_set(&values.contiguous()?, 1, self.len)?;
        let filled = self.len + rows;
        Ok((
            cache.keys.narrow(1, 0, filled)?,
            cache.values.narrow(1, 0, filled)?,
        ))
    }

    pub(crate) fn advance(&mut self, rows: usize) {
        self.len += rows;
    }

    /// Forgets every token from index `len` on; what lies before is untouched.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Keys of a layer for the first `tokens` tokens, `[G, tokens, D]`, a view.
    pub(crate) fn keys(&self, layer: usize, tokens: usize) -> Result<Tensor, SessionError> {
        Ok(self.layer(layer)?.keys.narrow(1, 0, tokens)?)
    }

    fn layer(&self, layer: usize) -> Result<&LayerCache, SessionError> {
        self.layers.get(layer).ok_or_else(|| SessionError::Plan {
            reason: format!(
                "the cache has {} layers, layer {layer} was asked for",
                self.layers.len()
            ),
        })
    }
}
