//! RMS norm (Zhang and Sennrich 2019).

use candle_core::{CpuStorage, CustomOp2, Error, Layout, Result, Shape, Tensor};

use super::masked_softmax::dot;
use super::values;

/// `weight * rows / sqrt(mean(rows^2) + epsilon)` along the last dimension: rows `[.., width]`, weight `[width]`.
pub(crate) fn rms_norm(rows: &Tensor, weight: &Tensor, epsilon: f32) -> Result<Tensor> {
    rows.contiguous()?.apply_op2(weight, RmsNorm { epsilon })
}

struct RmsNorm {
    epsilon: f32,
}

/// 1 over the root mean square.
fn inverse_size(row: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot(row, row) / row.len() as f32 + epsilon).sqrt()
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "RMS norm"
    }

    fn cpu_fwd(
        &self,
        rows: &CpuStorage,
        rows_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let rows = values(rows, rows_layout, "RMS norm")?;
        let weight = values(weight, weight_layout, "RMS norm")?;
        let mut normed = vec![0.0f32; rows.len()];
        let width = weight.len().max(1);
        for (row, normed) in rows.chunks_exact(width).zip(normed.chunks_exact_mut(width)) {
            let inverse = inverse_size(row, self.epsilon);
            for ((normed, value), weight) in normed.iter_mut().zip(row).zip(weight) {
                *normed = value * inverse * weight;
            }
        }
        Ok((CpuStorage::F32(normed), rows_layout.shape().clone()))
    }

    fn bwd(
        &self,
        rows: &Tensor,
        weight: &Tensor,
        _normed: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let width = weight.elem_count().max(1);
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (rows_data, weight_data, gradient_data) =
            (values(rows)?, values(weight)?, values(gradient)?);
        if gradient_data.len() != rows_data.len() {
            return Err(Error::Msg(
                "RMS norm: the gradient has another shape".to_owned(),
            ));
        }
        let mut of_rows = vec![0.0f32; rows_data.len()];
        let mut of_weight = vec![0.0f32; width];
        let parts = rows_data
            .chunks_exact(width)
            .zip(gradient_data.chunks_exact(width));
        for ((row, gradient), result) in parts.zip(of_rows.chunks_exact_mut(width)) {
            let inverse = inverse_size(row, self.epsilon);
            for ((result, gradient), weight) in result.iter_mut().zip(gradient).zip(&weight_data) {
                *result = gradient * weight;
            }
            let along = dot(result, row) * inverse * inverse / width as f32;
            for ((result, value), (of_weight, gradient)) in result
                .iter_mut()
                .zip(row)
                .zip(of_weight.iter_mut().zip(gradient))
            {
                *result = inverse * (*result - value * along);
                *of_weight += gradient * value * inverse;
            }
        }
        let device = rows.device();
        Ok((
            Some(Tensor::from_vec(of_rows, rows.shape(), device)?),
            Some(Tensor::from_vec(of_weight, weight.shape(), device)?),
        ))
    }
}
