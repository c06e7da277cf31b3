//! The attention that all prompt rows pay to each prompt token, summed up block by block.

use std::time::Instant;

use candle_core::{D, DType, Device, Tensor};

use crate::SessionError;
use crate::model::{ModelConfig, ScoreBlocks, causal_mask};

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
    pub(crate) fn block_bytes(&self, config: &ModelConfig, prompt_tokens: usize) -> usize {
        let heads = config.query_heads;
        let is_gpu = self
            .layers
            .iter()
            .flatten()
            .any(|sums| !sums.device().is_cpu());
        ScoreBlocks::row_bytes(heads, prompt_tokens)
            * ScoreBlocks::on(is_gpu).rows(heads, prompt_tokens)
    }
}

impl Rows<'_> {
    fn column_sums(&self) -> Result<Tensor, SessionError> {
        let (heads, rows, _) = self.queries.dims3()?;
        let tokens = self.keys.dim(1)?;
        let step = ScoreBlocks::of(self.queries.device()).rows(heads, tokens);
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
        let single = |tensor: &Tensor, first: usize, many: usize| {
            tensor
                .narrow(1, first, many)?
                .to_dtype(DType::F32)?
                .contiguous()
        };
        let scale = 1.0 / f64::from(head_dim as u32).sqrt();
        // products of 16 bits would be rounded, and those that the log-sum-exps are of are not
        let keys = single(self.keys, 0, seen)?;
        let logits = single(self.queries, start, count)?
            .reshape(stacked)?
            .matmul(&keys.transpose(1, 2)?)?
            .reshape((heads, count, seen))?;
        let log_sums = self
            .log_sum_exp
            .narrow(1, start, count)?
            .unsqueeze(D::Minus1)?;
        let mask = causal_mask(
            seen - count..seen,
            0..seen,
            self.sliding_window,
            self.queries.device(),
        )?;
        let weights = (logits * scale)?
            .broadcast_sub(&log_sums)?
            .broadcast_add(&mask)?
            .exp()?;
        Ok(weights.sum(1)?.pad_with_zeros(1, 0, tokens - seen)?)
    }
}
