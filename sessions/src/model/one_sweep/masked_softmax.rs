//! Softmax over the keys that each row sees.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::values;

/// Scores that one thread takes at least: fewer are done before another one wakes up.
const SCORES_OF_A_TASK: usize = 1 << 15;

/// `softmax(scale * scores)` over the visible keys of each row, 0 elsewhere: scores `[.., rows, keys]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaskedSoftmax {
    pub(crate) scale: f32,
    /// Rows of one matrix.
    pub(crate) rows: usize,
    /// Index of the first row's own key among the matrix's columns; later rows follow one by one.
    pub(crate) own_key: usize,
    /// How many keys a row sees, its own included; `None` for all before it.
    pub(crate) sliding_window: Option<usize>,
}

impl MaskedSoftmax {
    /// The weights, of the scores' shape.
    pub(crate) fn apply(self, scores: &Tensor) -> Result<Tensor> {
        scores.contiguous()?.apply_op1(self)
    }

    /// The log of the sum over visible keys of `exp(scale * score)` of each row, `[.., rows, 1]`. They pass no gradient
    /// on.
    pub(crate) fn log_sums(self, scores: &Tensor) -> Result<Tensor> {
        scores.contiguous()?.apply_op1_no_bwd(&LogSums(self))
    }

    /// Goes through rows of `keys` scores; `store` gets those that a row sees, their place among the row's, and the
    /// row's part of the results, which are `width` numbers a row.
    fn sweep(
        &self,
        scores: &[f32],
        keys: usize,
        width: usize,
        store: impl Fn(&[f32], Range<usize>, &mut [f32]) + Sync,
    ) -> Vec<f32> {
        let mut results = vec![0.0f32; scores.len() / keys * width];
        scores
            .par_chunks_exact(keys)
            .zip(results.par_chunks_exact_mut(width))
            .enumerate()
            .with_min_len((SCORES_OF_A_TASK / keys).max(1))
            .for_each(|(row, (scores, result))| {
                let seen = self.visible(row, keys);
                if let Some(scores) = scores.get(seen.clone()) {
                    store(scores, seen, result);
                }
            });
        results
    }

    /// The columns that a row of the flattened scores sees.
    fn visible(&self, row: usize, keys: usize) -> Range<usize> {
        let end = (self.own_key + row % self.rows + 1).min(keys);
        let start = self
            .sliding_window
            .map_or(0, |window| end.saturating_sub(window));
        start..end
    }
}

impl CustomOp1 for MaskedSoftmax {
    fn name(&self) -> &'static str {
        "masked softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let scores = values(storage, layout, "masked softmax")?;
        let keys = columns(layout);
        let weights = self.sweep(scores, keys, keys, |scores, seen, row| {
            if let Some(weights) = row.get_mut(seen) {
                softmax(scores, self.scale, weights);
            }
        });
        Ok((CpuStorage::F32(weights), layout.shape().clone()))
    }

    fn bwd(&self, _scores: &Tensor, weights: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let backward = MaskedSoftmaxBackward(*self);
        Ok(Some(
            weights.apply_op2_no_bwd(&gradient.contiguous()?, &backward)?,
        ))
    }
}

/// The rows' log-sum-exps alone.
struct LogSums(MaskedSoftmax);

impl CustomOp1 for LogSums {
    fn name(&self) -> &'static str {
        "log-sum-exps of masked rows"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let scores = values(storage, layout, "log-sum-exps of masked rows")?;
        let keys = columns(layout);
        let log_sums = self.0.sweep(scores, keys, 1, |scores, _, row| {
            row.fill(log_sum_exp(scores, self.0.scale));
        });
        let mut dims = layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = 1;
        }
        Ok((CpuStorage::F32(log_sums), dims.into()))
    }
}

fn columns(layout: &Layout) -> usize {
    layout.dims().last().copied().unwrap_or(1).max(1)
}

fn largest(scores: &[f32]) -> f32 {
    scores
        .iter()
        .fold(f32::NEG_INFINITY, |most, score| most.max(*score))
}

fn log_sum_exp(scores: &[f32], scale: f32) -> f32 {
    let largest = largest(scores);
    let sum: f32 = scores
        .iter()
        .map(|score| ((score - largest) * scale).exp())
        .sum();
    largest * scale + sum.ln()
}

/// Writes the weights of `scale * scores`.
fn softmax(scores: &[f32], scale: f32, weights: &mut [f32]) {
    let largest = largest(scores);
    let mut sum = 0.0;
    for (weight, score) in weights.iter_mut().zip(scores) {
        *weight = ((score - largest) * scale).exp();
        sum += *weight;
    }
    let share = 1.0 / sum;
    for weight in weights {
        *weight *= share;
    }
}

/// From weights and their gradient to the scores' gradient.
struct MaskedSoftmaxBackward(MaskedSoftmax);

impl CustomOp2 for MaskedSoftmaxBackward {
    fn name(&self) -> &'static str {
        "masked softmax, backward"
    }

    fn cpu_fwd(
        &self,
        weights: &CpuStorage,
        weights_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let weights = values(weights, weights_layout, "masked softmax")?;
        let gradient = values(gradient, gradient_layout, "masked softmax")?;
        let keys = columns(weights_layout);
        let mut result = vec![0.0f32; weights.len()];
        let rows = weights.chunks_exact(keys).zip(gradient.chunks_exact(keys));
        for (row, ((weights, gradient), result)) in
            rows.zip(result.chunks_exact_mut(keys)).enumerate()
        {
            let seen = self.0.visible(row, keys);
            let parts = (
                weights.get(seen.clone()),
                gradient.get(seen.clone()),
                result.get_mut(seen),
            );
            if let (Some(weights), Some(gradient), Some(result)) = parts {
                let mean: f32 = dot(weights, gradient);
                for ((result, weight), gradient) in result.iter_mut().zip(weights).zip(gradient) {
                    *result = self.0.scale * weight * (gradient - mean);
                }
            }
        }
        Ok((CpuStorage::F32(result), weights_layout.shape().clone()))
    }
}

/// Sum of products in eight running sums, which the compiler can hold in one register.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a_parts, b_parts) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_parts
        .remainder()
        .iter()
        .zip(b_parts.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a_parts.zip(b_parts) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}
