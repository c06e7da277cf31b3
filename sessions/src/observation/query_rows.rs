//! The queries of a window's rows, with what is needed to recompute any attention weight.

use std::ops::Range;

use candle_core::{DType, Tensor};

use crate::SessionError;
use crate::half_format::HalfFormat;
use crate::model::{CapturedRows, RopeConfig};

/// W rows of every layer and query head.
///
/// The weight of row r of head h on prompt key j is `exp(q . k_j / sqrt(D) - log_sum_exp)` for the keys
/// that the row sees, and 0 for others: j < `visible_keys[r]` and, on a layer with a sliding window of w
/// keys, j >= `visible_keys[r] - w`. It is the weight that the model itself used (of 16 bits:
/// but for the rounding of its logits): nothing is renormalised over the prompt.
#[derive(Debug, Clone)]
pub struct QueryRows {
    queries: Tensor,
    log_sum_exp: Tensor,
    positions: Vec<u32>,
    visible_keys: Vec<u32>,
}

impl QueryRows {
    pub(crate) fn new(
        rows: CapturedRows,
        positions: Vec<u32>,
        visible_keys: Vec<u32>,
    ) -> Result<Self, SessionError> {
        let (_, _, count, _) = rows.queries.dims4()?;
        if count == 0 || positions.len() != count || visible_keys.len() != count {
            return Err(SessionError::Internal {
                reason: format!(
                    "{count} query rows for {} positions and {} key limits",
                    positions.len(),
                    visible_keys.len(),
                ),
            });
        }
        Ok(Self {
            queries: rows.queries,
            log_sum_exp: rows.log_sum_exp,
            positions,
            visible_keys,
        })
    }

    /// The rows of several windows of one prompt, one after the other.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] for rows of other models.
    pub fn concatenate(parts: &[&Self]) -> Result<Self, SessionError> {
        let queries: Vec<&Tensor> = parts.iter().map(|part| &part.queries).collect();
        let log_sums: Vec<&Tensor> = parts.iter().map(|part| &part.log_sum_exp).collect();
        Ok(Self {
            queries: Tensor::cat(&queries, 2)?,
            log_sum_exp: Tensor::cat(&log_sums, 2)?,
            positions: parts
                .iter()
                .flat_map(|part| part.positions.clone())
                .collect(),
            visible_keys: parts
                .iter()
                .flat_map(|part| part.visible_keys.clone())
                .collect(),
        })
    }

    /// Some consecutive rows of these.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] for rows that are not there, [`SessionError::Internal`] for no row.
    pub fn range(&self, rows: Range<usize>) -> Result<Self, SessionError> {
        let narrowed = CapturedRows {
            queries: self.queries.narrow(2, rows.start, rows.len())?,
            log_sum_exp: self.log_sum_exp.narrow(2, rows.start, rows.len())?,
        };
        let of = |all: &[u32]| all.get(rows.clone()).unwrap_or_default().to_vec();
        Self::new(narrowed, of(&self.positions), of(&self.visible_keys))
    }

    /// The same with queries in another format; log-sum-exps stay in single precision.
    pub(crate) fn converted(&self, numbers: HalfFormat) -> Result<Self, SessionError> {
        Ok(Self {
            queries: numbers.round(&self.queries)?,
            ..self.clone()
        })
    }

    /// W.
    pub fn count(&self) -> usize {
        self.positions.len()
    }

    /// W rotary positions.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// W counts: row r stands right behind this many tokens, itself included, and sees no later key.
    pub fn visible_keys(&self) -> &[u32] {
        &self.visible_keys
    }

    /// Queries after rotation, `[L, H, W, D]`, on the CPU in the model's dtype.
    pub fn queries(&self) -> &Tensor {
        &self.queries
    }

    /// [`Self::queries`] in single precision, row-major.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the tensor cannot be read.
    pub fn values(&self) -> Result<Vec<f32>, SessionError> {
        let values = self.queries.to_dtype(DType::F32)?.flatten_all()?;
        Ok(values.to_vec1()?)
    }

    /// The queries as they were before the rotary embedding of a prompt of T tokens, row-major: each pair (i, i + D / 2) turned
    /// back by its row's position times the pair's frequency, and freed of what the scaling multiplies it by. Angles
    /// are formed in f32 as the model forms them.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the tensor cannot be read.
    pub fn unrotated(
        &self,
        rope: &RopeConfig,
        prompt_tokens: usize,
    ) -> Result<Vec<f32>, SessionError> {
        let head_dim = self.queries.dim(3)?;
        let frequencies = rope.inverse_frequencies(head_dim, prompt_tokens);
        let factors = rope.factors(head_dim);
        let mut values = self.values()?;
        let positions = self.positions.iter().cycle();
        for (query, &position) in values.chunks_exact_mut(head_dim).zip(positions) {
            let (left, right) = query.split_at_mut(head_dim / 2);
            let pairs = left.iter_mut().zip(right).zip(&frequencies);
            for (((a, b), frequency), factor) in pairs.zip(&factors) {
                let (sin, cos) = f64::from(position as f32 * frequency).sin_cos();
                let factor = f64::from(*factor);
                let (x, y) = (f64::from(*a) / factor, f64::from(*b) / factor);
                *a = (x * cos + y * sin) as f32;
                *b = (y * cos - x * sin) as f32;
            }
        }
        Ok(values)
    }

    /// Log-sum-exp of each row's logits over every key that it sees, prompt and beyond: `[L, H, W]`, f32.
    pub fn log_sum_exp(&self) -> &Tensor {
        &self.log_sum_exp
    }

    /// Bytes of queries and log-sum-exps.
    pub fn bytes(&self) -> usize {
        self.queries.elem_count() * self.queries.dtype().size_in_bytes()
            + self.log_sum_exp.elem_count() * self.log_sum_exp.dtype().size_in_bytes()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Kernels, Rotary};

    fn unrotated_is_what_was_rotated(config: &Value) {
        const HEAD_DIM: usize = 8;
        let rope = RopeConfig::from_json(config.as_object().unwrap(), 10_000.0, 4096).unwrap();
        let positions = vec![0, 3, 500];
        let plain: Vec<f32> = (0..2 * 3 * HEAD_DIM)
            .map(|index| ((index * 37 + 11) % 23) as f32 / 10.0 - 1.0)
            .collect();
        let heads = Tensor::from_vec(plain.clone(), (2, 3, HEAD_DIM), &Device::Cpu).unwrap();
        let rotation = Rotary::new(&rope, HEAD_DIM)
            .at(
                &positions,
                400,
                DType::F32,
                &Device::Cpu,
                Kernels::of(&Device::Cpu),
            )
            .unwrap();
        let rows = CapturedRows {
            queries: rotation.apply(&heads).unwrap().unsqueeze(0).unwrap(),
            log_sum_exp: Tensor::zeros((1, 2, 3), DType::F32, &Device::Cpu).unwrap(),
        };
        let rows = QueryRows::new(rows, positions, vec![400; 3]).unwrap();
        let found = rows.unrotated(&rope, 400).unwrap();
        for (found, plain) in found.iter().zip(&plain) {
            // products of f32, of numbers up to 1.3
            assert!(
                (found - plain).abs() < 1e-5,
                "{config}: {found}, not {plain}"
            );
        }
    }

    #[test]
    fn rotated_queries_are_turned_back_and_freed_of_the_scalings_factor() {
        let yarn = json!({"rope_type": "yarn", "factor": 4.0, "attention_factor": 1.7,
            "original_max_position_embeddings": 1024});
        let longrope = json!({"type": "longrope", "short_factor": [1.0, 1.2, 1.5],
            "long_factor": [1.0, 2.0, 4.0]});
        unrotated_is_what_was_rotated(&json!({}));
        unrotated_is_what_was_rotated(&json!({"rope_scaling": yarn}));
        unrotated_is_what_was_rotated(
            &json!({"rope_scaling": longrope, "partial_rotary_factor": 0.75,
            "original_max_position_embeddings": 1024}),
        );
    }
}
