//! Cross-entropy of rows of logits, in nats.

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};

use super::values;

/// `log(sum(exp(logits))) - logits[target]` of each row: logits `[N, V]` f32 and N targets give `[N]`.
pub(crate) fn cross_entropy(logits: &Tensor, targets: Vec<u32>) -> Result<Tensor> {
    logits.contiguous()?.apply_op1(CrossEntropy { targets })
}

struct CrossEntropy {
    targets: Vec<u32>,
}

/// Largest logit, and the sum of the exponentials after it was subtracted.
fn largest_and_sum(row: &[f32]) -> (f32, f32) {
    let largest = row
        .iter()
        .fold(f32::NEG_INFINITY, |most, logit| most.max(*logit));
    (
        largest,
        row.iter().map(|logit| (logit - largest).exp()).sum(),
    )
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = values(storage, layout, "cross-entropy")?;
        let width = layout.shape().dims().last().copied().unwrap_or(1).max(1);
        let nats = logits
            .chunks_exact(width)
            .zip(&self.targets)
            .map(|(row, target)| {
                let (largest, sum) = largest_and_sum(row);
                let wanted = row.get(*target as usize).ok_or_else(|| {
                    Error::Msg(format!("cross-entropy: target {target} of {width}"))
                })?;
                Ok(largest + sum.ln() - wanted)
            })
            .collect::<Result<Vec<f32>>>()?;
        let shape = Shape::from(nats.len());
        Ok((CpuStorage::F32(nats), shape))
    }

    fn bwd(&self, logits: &Tensor, _nats: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let width = logits.dim(candle_core::D::Minus1)?.max(1);
        let gradient = gradient.to_vec1::<f32>()?;
        let mut result = logits.flatten_all()?.to_vec1::<f32>()?;
        let rows = result.chunks_exact_mut(width).zip(&self.targets);
        for ((row, target), gradient) in rows.zip(gradient) {
            let (largest, sum) = largest_and_sum(row);
            let scale = gradient / sum;
            for value in row.iter_mut() {
                *value = (*value - largest).exp() * scale;
            }
            if let Some(wanted) = row.get_mut(*target as usize) {
                *wanted -= gradient;
            }
        }
        Ok(Some(Tensor::from_vec(
            result,
            logits.shape(),
            logits.device(),
        )?))
    }
}
