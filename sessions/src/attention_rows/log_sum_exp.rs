//! Log-sum-exps of queries that the model did not run against the whole prompt, such as those of a
//! lookahead on an evicted cache.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::PromptKeys;
use crate::SessionError;

/// Queries `[L, H, W, D]` of which row r sees the keys before `visible_keys[r]`.
pub(crate) struct LooseRows<'a> {
    pub(crate) queries: &'a Tensor,
    pub(crate) visible_keys: &'a [u32],
    /// Keys `[L, K, n, D]` of the n tokens behind the prompt, for one, every or any group of query heads
    /// (K divides H); `None` where rows see the prompt alone.
    pub(crate) keys_behind: Option<&'a Tensor>,
}

impl PromptKeys {
    /// `[L, H, W]`, f32: over the prompt's keys that a row sees and over those behind the prompt.
    pub(crate) fn log_sum_exp(&self, rows: &LooseRows<'_>) -> Result<Tensor, SessionError> {
        if self.are_scored_there() {
            return self.log_sum_exp_there(rows);
        }
        let (layers, kv_heads, prompt_tokens, _) = self.shape();
        let (_, heads, count, _) = rows.queries.dims4()?;
        let by_group: Vec<Vec<f32>> = (0..layers * kv_heads)
            .into_par_iter()
            .map(|index| {
                let (layer, kv_head) = (index / kv_heads, index % kv_heads);
                let on_prompt = self.logits(rows.queries, layer, kv_head)?;
                let window = self.sliding_window(layer);
                let group = heads / kv_heads;
                let mut sums = Vec::with_capacity(group * count);
                for (row, on_prompt) in on_prompt.chunks_exact(prompt_tokens).enumerate() {
                    let (head, row) = (kv_head * group + row / count, row % count);
                    let behind = rows.logits_behind(layer, head, row)?;
                    let visible = rows.visible_keys.get(row).map_or(0, |&keys| keys as usize);
                    let first = window.map_or(0, |window| visible.saturating_sub(window));
                    let all = on_prompt.iter().chain(&behind).take(visible).skip(first);
                    sums.push(log_sum_exp(all.copied()));
                }
                Ok(sums)
            })
            .collect::<Result<_, SessionError>>()?;
        Ok(Tensor::from_vec(
            by_group.concat(),
            (layers, heads, count),
            &Device::Cpu,
        )?)
    }
}

impl LooseRows<'_> {
    /// Scaled logits of one row on the keys behind the prompt.
    fn logits_behind(
        &self,
        layer: usize,
        head: usize,
        row: usize,
    ) -> Result<Vec<f32>, SessionError> {
        let Some(keys) = self.keys_behind else {
            return Ok(Vec::new());
        };
        let (_, heads, _, head_dim) = self.queries.dims4()?;
        let key_heads = keys.dim(1)?;
        let keys = keys.get(layer)?.get(head * key_heads / heads)?;
        let query = self.queries.get(layer)?.get(head)?.narrow(0, row, 1)?;
        let scale = 1.0 / f64::from(head_dim as u32).sqrt();
        let logits = query
            .to_dtype(DType::F32)?
            .matmul(&keys.to_dtype(DType::F32)?.t()?)?;
        Ok((logits * scale)?.flatten_all()?.to_vec1()?)
    }
}

/// Natural logarithm of the sum of exponentials, in f64; minus infinity of nothing.
fn log_sum_exp(logits: impl Iterator<Item = f32> + Clone) -> f32 {
    let largest = logits.clone().fold(f32::NEG_INFINITY, f32::max);
    if largest == f32::NEG_INFINITY {
        return largest;
    }
    let sum: f64 = logits.map(|logit| f64::from(logit - largest).exp()).sum();
    largest + sum.ln() as f32
}

#[cfg(test)]
mod tests {
    use super::log_sum_exp;

    #[test]
    fn large_logits_do_not_overflow_and_none_is_minus_infinity() {
        let sum = log_sum_exp([1000.0_f32, 1000.0].into_iter());
        assert!((sum - (1000.0 + 2.0_f32.ln())).abs() < 1e-4, "{sum}");
        assert_eq!(log_sum_exp(std::iter::empty()), f32::NEG_INFINITY);
    }
}
