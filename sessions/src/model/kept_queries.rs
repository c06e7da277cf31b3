//! Keeping the queries of chosen rows while the model runs.

use candle_core::{Device, Tensor};

use super::cache::KvCache;
use super::decoder::Decoder;
use super::masks::Masks;
use super::rows_on_keys::RowsOnKeys;
use super::tap::{LayerTap, TappedRows};
use crate::SessionError;

/// Keeps, in every layer, the queries of the rows at cache index `first_index` and after.
///
/// What is kept is a view of what the forward pass makes anyway, so keeping costs only memory.
#[derive(Debug)]
pub(crate) struct KeptQueries {
    first_index: usize,
    /// For each layer pieces `[H, r, D]`, after rotation.
    layers: Vec<Vec<Tensor>>,
}

/// Rows of every layer, on the CPU.
#[derive(Debug, Clone)]
pub(crate) struct CapturedRows {
    /// `[L, H, W, D]`, in the model's dtype.
    pub(crate) queries: Tensor,
    /// `[L, H, W]`, f32.
    pub(crate) log_sum_exp: Tensor,
}

impl KeptQueries {
    pub(crate) fn new(layers: usize, first_index: usize) -> Self {
        Self {
            first_index,
            layers: vec![Vec::new(); layers],
        }
    }

    /// The queries alone, `[L, H, W, D]`, on the CPU.
    pub(crate) fn queries(self) -> Result<Tensor, SessionError> {
        let layers = self.layers.iter().map(|pieces| {
            let joined = Tensor::cat(pieces, 1)?;
            // a view would bring the whole chunk that it is cut from
            Ok(joined.contiguous()?.to_device(&Device::Cpu)?)
        });
        let layers = layers.collect::<Result<Vec<_>, SessionError>>()?;
        Ok(Tensor::stack(&layers, 0)?)
    }

    /// Brings everything to the CPU, with the log-sum-exps over the keys that the rows see in the cache that they
    /// joined, of which nothing was evicted.
    pub(crate) fn finish(
        self,
        decoder: &Decoder,
        cache: &KvCache,
    ) -> Result<CapturedRows, SessionError> {
        let sliding_windows = &decoder.config().sliding_windows;
        let masks = Masks::before(cache.len(), decoder.kernels());
        let log_sums = self
            .layers
            .iter()
            .enumerate()
            .map(|(layer, pieces)| {
                let queries = Tensor::cat(pieces, 1)?;
                let rows = RowsOnKeys {
                    queries: &queries,
                    keys: &cache.keys(layer, self.first_index + queries.dim(1)?)?,
                    first_index: self.first_index,
                    sliding_window: sliding_windows.get(layer).copied().flatten(),
                    hidden_keys: None,
                    masks: &masks,
                    kernels: decoder.kernels(),
                };
                Ok(rows.log_sum_exp()?.to_device(&Device::Cpu)?)
            })
            .collect::<Result<Vec<_>, SessionError>>()?;
        Ok(CapturedRows {
            log_sum_exp: Tensor::stack(&log_sums, 0)?,
            queries: self.queries()?,
        })
    }
}

impl LayerTap for KeptQueries {
    fn rows(&mut self, rows: &TappedRows<'_>) -> Result<(), SessionError> {
        let count = rows.queries.dim(1)?;
        let skipped = self.first_index.saturating_sub(rows.first_index);
        if skipped < count
            && let Some(kept) = self.layers.get_mut(rows.layer)
        {
            kept.push(rows.queries.narrow(1, skipped, count - skipped)?);
        }
        Ok(())
    }
}

impl CapturedRows {
    /// The last `rows` of the captured rows.
    pub(crate) fn last(&self, rows: usize) -> Result<Self, SessionError> {
        let captured = self.queries.dim(2)?;
        let start = captured
            .checked_sub(rows)
            .ok_or_else(|| SessionError::Internal {
                reason: format!("{rows} rows were asked for, but prefill kept only {captured}"),
            })?;
        Ok(Self {
            queries: self.queries.narrow(2, start, rows)?.contiguous()?,
            log_sum_exp: self.log_sum_exp.narrow(2, start, rows)?.contiguous()?,
        })
    }
}
