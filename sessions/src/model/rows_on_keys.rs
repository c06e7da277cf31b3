//! Rows against the keys that they see, in blocks: the one place where queries meet keys on the model's device.
//!
//! Nothing of size T x T is held: a block of queries meets only the keys that it can see, and a block is
//! made small enough that its scores stay within what [`ScoreBlocks`](super::score_blocks::ScoreBlocks) says. Query
//! heads of one key/value head are stacked as rows of one product, so keys are never copied per head.

use std::ops::Range;

use candle_core::{D, DType, Tensor};

use super::kernels::Kernels;
use super::masks::Masks;
use super::one_sweep::MaskedSoftmax;
use crate::SessionError;

/// Queries `[H, R, D]` at cache indices `first_index..first_index + R`, and all keys so far `[G, N, D]`.
#[derive(Clone, Copy)]
pub(crate) struct RowsOnKeys<'a> {
    pub(crate) queries: &'a Tensor,
    pub(crate) keys: &'a Tensor,
    pub(crate) first_index: usize,
    /// How many keys a query sees, itself included; `None` for all before it.
    pub(crate) sliding_window: Option<usize>,
    /// Added to the logits: `[heads of the keys, R, N]`, or `[heads of the keys, 1, N]` for all rows alike, minus
    /// infinity on what a row does not see. That it sees nothing behind itself need not be said.
    pub(crate) hidden_keys: Option<&'a Tensor>,
    /// Of the run that the rows are part of.
    pub(crate) masks: &'a Masks,
    pub(crate) kernels: Kernels,
}

/// Rows of a block and the keys that any of them sees.
pub(super) struct Block {
    pub(super) rows: Range<usize>,
    pub(super) keys: Range<usize>,
}

impl RowsOnKeys<'_> {
    /// All rows, block by block.
    pub(super) fn blocks(&self) -> Result<Vec<Block>, SessionError> {
        let (heads, rows, _) = self.queries.dims3()?;
        let step = self.kernels.blocks.rows(heads, self.first_index + rows);
        let block = |start: usize| {
            let end = rows.min(start + step);
            let first_query = self.first_index + start;
            let window = self.sliding_window;
            let first_key = window.map_or(0, |window| (first_query + 1).saturating_sub(window));
            Block {
                rows: start..end,
                keys: first_key..self.first_index + end,
            }
        };
        Ok((0..rows).step_by(step).map(block).collect())
    }

    /// Attention weights `[G, H / G * B, keys of the block]`, f32.
    pub(super) fn weights(&self, block: &Block) -> Result<Tensor, SessionError> {
        let (products, scale) = self.products(block)?;
        match self.one_sweep(block, scale) {
            Some(softmax) => Ok(softmax.apply(&products)?),
            None => Ok(self.softmax_in_steps(block, &(products * scale)?)?.0),
        }
    }

    /// Log of the sum over visible keys of exp(logit), with the scale applied to the logit: `[H, R]` f32. Logits are
    /// formed in single precision from queries and keys as they are, which is how whoever scores the rows forms them
    /// again; a model of 16 bits has its own rounded.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device fails.
    pub(crate) fn log_sum_exp(&self) -> Result<Tensor, SessionError> {
        let [queries, keys] = [self.queries, self.keys].map(|tensor| tensor.to_dtype(DType::F32));
        let single = RowsOnKeys {
            queries: &queries?,
            keys: &keys?,
            ..*self
        };
        let of_blocks = single
            .blocks()?
            .iter()
            .map(|block| single.log_sum_exp_of(block))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::cat(&of_blocks, 1)?)
    }

    fn log_sum_exp_of(&self, block: &Block) -> Result<Tensor, SessionError> {
        let (products, scale) = self.products(block)?;
        let log_sums = match self.one_sweep(block, scale) {
            Some(softmax) => softmax.log_sums(&products)?,
            None => self.softmax_in_steps(block, &(products * scale)?)?.1,
        };
        Ok(log_sums.reshape((self.queries.dim(0)?, block.rows.len()))?)
    }

    /// Products of the block's queries and keys `[G, H / G * B, keys]`, f32, and what makes them logits.
    fn products(&self, block: &Block) -> Result<(Tensor, f64), SessionError> {
        let (heads, _, head_dim) = self.queries.dims3()?;
        let kv_heads = self.keys.dim(0)?;
        let stacked = (kv_heads, heads / kv_heads * block.rows.len(), head_dim);
        let (before, scale) = split_scale(head_dim);
        let queries = self.queries.narrow(1, block.rows.start, block.rows.len())?;
        let queries = (queries * before)?.contiguous()?.reshape(stacked)?;
        let keys = self.keys.narrow(1, block.keys.start, block.keys.len())?;
        let products = queries.matmul(&keys.transpose(1, 2)?)?;
        Ok((products.to_dtype(DType::F32)?, scale))
    }

    /// The operation that turns products into weights in one sweep, where it can.
    fn one_sweep(&self, block: &Block, scale: f64) -> Option<MaskedSoftmax> {
        (self.kernels.one_sweep && self.hidden_keys.is_none()).then(|| MaskedSoftmax {
            scale: scale as f32,
            rows: block.rows.len(),
            own_key: self.first_index + block.rows.start - block.keys.start,
            sliding_window: self.sliding_window,
        })
    }

    /// Weights of logits `[G, H / G * B, keys]` and their log-sum-exps `[G, H / G * B, 1]`.
    fn softmax_in_steps(
        &self,
        block: &Block,
        logits: &Tensor,
    ) -> Result<(Tensor, Tensor), SessionError> {
        let logits = self.hide(block, self.mask(block, logits)?)?;
        // the result does not depend on what is subtracted, so no gradient need pass through it
        let maxima = logits.detach().max_keepdim(D::Minus1)?;
        let weights = logits.broadcast_sub(&maxima)?.exp()?;
        let sums = weights.sum_keepdim(D::Minus1)?;
        let log_sums = (maxima + sums.log()?)?;
        Ok((weights.broadcast_div(&sums)?, log_sums))
    }

    /// Minus infinity on the keys that stand behind a row, or too far before it.
    fn mask(&self, block: &Block, logits: &Tensor) -> Result<Tensor, SessionError> {
        let (rows, keys) = (block.rows.len(), block.keys.len());
        if rows == 1 {
            // the block holds no key that it does not see
            return Ok(logits.clone());
        }
        let queries = self.first_index + block.rows.start..self.first_index + block.rows.end;
        let (window, device) = (self.sliding_window, logits.device());
        let mask = self
            .masks
            .causal(queries, block.keys.clone(), window, device)?;
        let masked = logits
            .reshape((self.queries.dim(0)?, rows, keys))?
            .broadcast_add(&mask)?;
        Ok(masked.reshape(logits.shape())?)
    }

    /// Adds what `hidden_keys` says of the block.
    fn hide(&self, block: &Block, logits: Tensor) -> Result<Tensor, SessionError> {
        let Some(hidden) = self.hidden_keys else {
            return Ok(logits);
        };
        let (kv_heads, stacked, keys) = logits.dims3()?;
        let rows = block.rows.len();
        let hidden = hidden.narrow(2, block.keys.start, keys)?;
        let hidden = match hidden.dim(1)? {
            1 => hidden,
            _ => hidden.narrow(1, block.rows.start, rows)?,
        };
        let added = logits
            .reshape((kv_heads, stacked / rows, rows, keys))?
            .broadcast_add(&hidden.unsqueeze(1)?)?;
        Ok(added.reshape(logits.shape())?)
    }
}

/// 1 / sqrt(D) as a power of two, which queries are multiplied by, and the rest, which their products are. A product of
/// unscaled queries and keys passes the largest number of f16 soon; a power of two changes no bit of the result.
fn split_scale(head_dim: usize) -> (f64, f64) {
    let root = (head_dim as f64).sqrt();
    let before = (-root.log2().floor()).exp2();
    (before, 1.0 / (root * before))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn values(tensor: &Tensor) -> Vec<f32> {
        let single = tensor.to_dtype(DType::F32).unwrap();
        single.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
        let (a, b) = (values(a), values(b));
        assert_eq!(a.len(), b.len());
        a.iter()
            .zip(&b)
            .fold(0.0, |most, (a, b)| most.max((a - b).abs()))
    }

    #[test]
    fn the_scale_is_split_at_a_power_of_two() {
        assert_eq!(split_scale(64), (0.125, 1.0));
        let (before, rest) = split_scale(128);
        assert_eq!(before, 0.125);
        assert!((before * rest - 1.0 / 128.0_f64.sqrt()).abs() < 1e-15);
    }

    /// Both choices of operations on 300 rows behind 20 others, four query heads on two of keys.
    #[test]
    fn a_gpus_operations_give_what_a_processors_give() {
        let random = |heads, rows| Tensor::randn(0.0_f32, 1.5, (heads, rows, 16), &Device::Cpu);
        let (queries, keys) = (random(4, 300).unwrap(), random(2, 320).unwrap());
        for sliding_window in [None, Some(1), Some(50), Some(1000)] {
            let rows = RowsOnKeys {
                queries: &queries,
                keys: &keys,
                first_index: 20,
                sliding_window,
                hidden_keys: None,
                masks: &Masks::before(320, Kernels::of(&Device::Cpu)),
                kernels: Kernels::of(&Device::Cpu),
            };
            let gpu = RowsOnKeys {
                masks: &Masks::before(320, Kernels::of_gpu()),
                kernels: Kernels::of_gpu(),
                ..rows
            };
            let log_sums = [rows.log_sum_exp().unwrap(), gpu.log_sum_exp().unwrap()];
            assert!(largest_difference(&log_sums[0], &log_sums[1]) < 1e-5);
            let dense = |rows: &RowsOnKeys<'_>| {
                let blocks = rows.blocks().unwrap();
                let of = |block: &Block| {
                    let weights = rows.weights(block).unwrap();
                    let weights = weights.reshape((4, block.rows.len(), block.keys.len()));
                    let behind = 320 - block.keys.end;
                    weights
                        .unwrap()
                        .pad_with_zeros(2, block.keys.start, behind)
                        .unwrap()
                };
                Tensor::cat(&blocks.iter().map(of).collect::<Vec<_>>(), 1).unwrap()
            };
            assert!(largest_difference(&dense(&rows), &dense(&gpu)) < 1e-5);
        }
    }
}
