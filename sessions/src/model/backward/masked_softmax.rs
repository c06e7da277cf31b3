//! Softmax over the keys that each row sees.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

use super::values;

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

    /// The columns that a row of the flattened scores sees.
    fn visible(&self, row: usize, keys: usize) -> std::ops::Range<usize> {
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
        let keys = layout.shape().dims().last().copied().unwrap_or(1).max(1);
        let mut weights = vec![0.0f32; scores.len()];
        let rows = scores
            .chunks_exact(keys)
            .zip(weights.chunks_exact_mut(keys));
        for (row, (scores, weights)) in rows.enumerate() {
            let seen = self.visible(row, keys);
            if let (Some(scores), Some(weights)) = (scores.get(seen.clone()), weights.get_mut(seen))
            {
                softmax(scores, self.scale, weights);
            }
        }
        Ok((CpuStorage::F32(weights), layout.shape().clone()))
    }

    fn bwd(&self, _scores: &Tensor, weights: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let backward = MaskedSoftmaxBackward(*self);
        Ok(Some(
            weights.apply_op2_no_bwd(&gradient.contiguous()?, &backward)?,
        ))
    }
}

fn softmax(scores: &[f32], scale: f32, weights: &mut [f32]) {
    let largest = scores
        .iter()
        .fold(f32::NEG_INFINITY, |most, score| most.max(*score));
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
        let keys = weights_layout
            .shape()
            .dims()
            .last()
            .copied()
            .unwrap_or(1)
            .max(1);
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
