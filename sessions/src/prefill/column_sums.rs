//! The attention that all prompt rows pay to each prompt token, summed up block by block.

use std::time::Instant;

use candle_core::{D, DType, Device, Tensor};

use crate::SessionError;
use crate::model::ModelConfig;

/// Bound on the weights of one block, in bytes, as in the forward pass: nothing of size T x T is held.
const BLOCK_BYTES: usize = 32 << 20;

/// Upper bound of rows in one block.
const BLOCK_ROWS: usize = 128;

/// Column sums of the causal attention matrix, per layer and query head.
#[derive(Debug)]
pub(crate) struct ColumnSums {
    /// L entries `[H, n]`, f32, on the model's device, for the n tokens so far.
    layers: Vec<Option<Tensor>>,
    sliding_windows: Vec<Option<usize>>,
    seconds: f64,
}

/// Rows of one layer with their keys.
struct Rows<'a> {
    first_index: usize,
    queries: &'a Tensor,
    log_sum_exp: &'a Tensor,
    keys: &'a Tensor,
    sliding_window: Option<usize>,
}

impl ColumnSums {
    pub(super) fn new(config: &ModelConfig) -> Self {
        Self {
            layers: vec![None; config.layers],
            sliding_windows: config.sliding_windows.clone(),
            seconds: 0.0,
        }
    }

    /// Adds rows `[H, R, D]` with their log-sum-exps `[H, R]`; `keys` `[G, n, D]` end with their own.
    pub(super) fn offer(
        &mut self,
        layer: usize,
        first_index: usize,
        queries: &Tensor,
        log_sum_exp: &Tensor,
        keys: &Tensor,
    ) -> Result<(), SessionError> {
        let started = Instant::now();
        let rows = Rows {
            first_index,
            queries,
            log_sum_exp,
            keys,
            sliding_window: self.sliding_windows.get(layer).copied().flatten(),
        };
        let added = rows.column_sums()?;
        if let Some(sums) = self.layers.get_mut(layer) {
            *sums = Some(match sums.take() {
                None => added,
                Some(before) => {
                    let room = added.dim(1)? - before.dim(1)?;
                    (before.pad_with_zeros(1, 0, room)? + added)?
                }
            });
        }
        self.seconds += started.elapsed().as_secs_f64();
        Ok(())
    }

    /// `[L, H, T]`, f32, on the CPU.
    pub(crate) fn tensor(&self) -> Result<Tensor, SessionError> {
        let layers = self
            .layers
            .iter()
            .flatten()
            .map(|sums| sums.to_device(&Device::Cpu))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::stack(&layers, 0)?)
    }

    /// Wall time of the summing, during prefill.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Bytes of the largest block of weights over a prompt of so many tokens.
    pub(crate) fn block_bytes(config: &ModelConfig, prompt_tokens: usize) -> usize {
        let row = config.query_heads * prompt_tokens * DType::F32.size_in_bytes();
        row * (BLOCK_BYTES / row.max(1)).clamp(1, BLOCK_ROWS)
    }
}

impl Rows<'_> {
    fn column_sums(&self) -> Result<Tensor, SessionError> {
        let (heads, rows, _) = self.queries.dims3()?;
        let tokens = self.keys.dim(1)?;
        let fitting = BLOCK_BYTES / (heads * tokens * DType::F32.size_in_bytes());
        let step = fitting.clamp(1, BLOCK_ROWS);
        let mut sums = Tensor::zeros((heads, tokens), DType::F32, self.queries.device())?;
        for start in (0..rows).step_by(step) {
            sums = (sums + self.block_sums(start, step.min(rows - start))?)?;
        }
        Ok(sums)
    }

    /// Column sums of the rows `start..start + count`, which see no key behind the last of them.
    fn block_sums(&self, start: usize, count: usize) -> Result<Tensor, SessionError> {
        let (heads, _, head_dim) = self.queries.dims3()?;
        let (kv_heads, tokens, _) = self.keys.dims3()?;
        let seen = self.first_index + start + count;
        let stacked = (kv_heads, heads / kv_heads * count, head_dim);
        let queries = self.queries.narrow(1, start, count)?.contiguous()?;
        let scale = 1.0 / f64::from(head_dim as u32).sqrt();
        let logits = queries
            .reshape(stacked)?
            .matmul(&self.keys.narrow(1, 0, seen)?.transpose(1, 2)?)?
            .to_dtype(DType::F32)?
            .reshape((heads, count, seen))?;
        let log_sums = self
            .log_sum_exp
            .narrow(1, start, count)?
            .unsqueeze(D::Minus1)?;
        let weights = (logits * scale)?
            .broadcast_sub(&log_sums)?
            .broadcast_add(&self.mask(start, count, seen)?)?
            .exp()?;
        Ok(weights.sum(1)?.pad_with_zeros(1, 0, tokens - seen)?)
    }

    /// `[count, tokens]` of 0 and minus infinity.
    fn mask(&self, start: usize, count: usize, tokens: usize) -> Result<Tensor, SessionError> {
        let mut values = Vec::with_capacity(count * tokens);
        for row in start..start + count {
            let query = self.first_index + row;
            let first_seen = self
                .sliding_window
                .map_or(0, |window| (query + 1).saturating_sub(window));
            values.extend((0..tokens).map(|key| {
                if (first_seen..=query).contains(&key) {
                    0.0_f32
                } else {
                    f32::NEG_INFINITY
                }
            }));
        }
        Ok(Tensor::from_vec(
            values,
            (count, tokens),
            self.queries.device(),
        )?)
    }
}
