//! Expected Attention (Devoto et al. 2025, arXiv 2510.00636; formula and defaults of kvpress's
//! `ExpectedAttentionPress`): the attention that future queries would pay if they were drawn as the prompt's were.
//!
//! Per layer and query head: mean mu `[D]` and covariance S `[D, D]` of the prompt's queries before rotation,
//! without those of the first `sinks=4` tokens; R the mean rotation of the next `future=512` positions;
//! mu' = R mu, S' = R S RT. Score of prompt token j, not a sink: softmax_j(mu' . k_j / sqrt(D) + k_jT S' k_j / (2 D)),
//! plus `epsilon=0`, times the norm of value v_j; then the mean over the query heads of a key/value head.
//! Sinks are always kept and score as high as the head's best. No pooling.

use std::time::Instant;

use candle_core::{D, DType, Device, Tensor};
use kvlens_analysis::{ForcedKeep, GroupReduction, Scoring};
use rayon::prelude::*;

use super::{ObservationWindow, WindowLabel};
use crate::SessionError;
use crate::attention_rows::PromptKeys;
use crate::estimate::{Memory, RunShape, WindowMemory};
use crate::model::{Model, ModelConfig};
use crate::observation::{Cost, Observation, ScoreKind, TokenScores};
use crate::prefill::{Needs, Prefilled, QueryMoments, RunControl};

/// Sinks of kvpress, left out of the statistics and always kept.
const PUBLISHED_SINKS: usize = 4;

/// Positions behind the prompt that kvpress averages the rotation over.
const PUBLISHED_FUTURE: usize = 512;

/// Attention of queries of a fitted Gaussian.
#[derive(Debug, Clone)]
pub struct ExpectedAttention {
    label: String,
    sinks: usize,
    future: usize,
    epsilon: f32,
}

/// Mean cosines and sines `[D / 2]` of the rotation over the positions to come.
struct MeanRotation {
    cos: Vec<f64>,
    sin: Vec<f64>,
}

impl ExpectedAttention {
    /// From `expected[:sinks=4,future=512,epsilon=0]`.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for any other option.
    pub fn from_label(label: &WindowLabel) -> Result<Self, SessionError> {
        let mut options = label.options();
        let window = Self {
            label: label.text().to_owned(),
            sinks: options.parsed("sinks", PUBLISHED_SINKS)?,
            future: options.count("future", PUBLISHED_FUTURE)?,
            epsilon: options.parsed("epsilon", 0.0)?,
        };
        if !window.epsilon.is_finite() || window.epsilon < 0.0 {
            return Err(options.wrong("epsilon must be a number of at least 0"));
        }
        options.finish()?;
        Ok(window)
    }

    /// `[L, H, T]`.
    fn scores(
        &self,
        config: &ModelConfig,
        prefilled: &Prefilled,
        keys: &PromptKeys,
    ) -> Result<Tensor, SessionError> {
        let prompt_tokens = prefilled.prompt_tokens();
        let shape = (config.layers, config.query_heads, prompt_tokens);
        if prompt_tokens <= self.sinks {
            // nothing but sinks, which are kept: there is no query to expect anything of, and nothing to rank
            return Ok(Tensor::zeros(shape, DType::F32, &Device::Cpu)?);
        }
        let moments = prefilled.query_moments(self.sinks)?;
        let rotations: Vec<MeanRotation> = (0..config.layers)
            .map(|layer| {
                let frequencies = config.inverse_frequencies(layer, prompt_tokens);
                MeanRotation::behind(&frequencies, prompt_tokens, self.future)
            })
            .collect();
        let heads = rotations
            .par_iter()
            .enumerate()
            .flat_map(|(layer, rotation)| {
                let heads = (0..config.query_heads).into_par_iter();
                heads.map(move |head| (layer, head, rotation))
            })
            .map(|(layer, head, rotation)| {
                let kv_head = head * config.kv_heads / config.query_heads;
                let logits = expected_logits(keys, moments, rotation, layer, head, kv_head)?;
                let values = prefilled.values(layer)?.get(kv_head)?;
                let norms = values.to_dtype(DType::F32)?.sqr()?.sum(D::Minus1)?.sqrt()?;
                Ok(self.with_values(&logits, &norms.to_vec1()?))
            })
            .collect::<Result<Vec<Vec<f32>>, SessionError>>()?;
        Ok(Tensor::from_vec(heads.concat(), shape, &Device::Cpu)?)
    }

    /// Softmax over all tokens but the sinks, times the values' norms.
    fn with_values(&self, logits: &[f64], value_norms: &[f32]) -> Vec<f32> {
        let rest = logits.iter().skip(self.sinks);
        let largest = rest.clone().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = rest.clone().map(|logit| (logit - largest).exp()).sum();
        let scores: Vec<f32> = rest
            .zip(value_norms.iter().skip(self.sinks))
            .map(|(logit, norm)| (((logit - largest).exp() / sum) as f32 + self.epsilon) * norm)
            .collect();
        let best = scores.iter().copied().fold(0.0, f32::max);
        let sinks = self.sinks.min(logits.len());
        std::iter::repeat_n(best, sinks).chain(scores).collect()
    }
}

/// Logarithm of the expected exponential of a future query's logit on each prompt key, `[T]`.
fn expected_logits(
    keys: &PromptKeys,
    moments: &QueryMoments,
    rotation: &MeanRotation,
    layer: usize,
    head: usize,
    kv_head: usize,
) -> Result<Vec<f64>, SessionError> {
    keys.check_cancel()?;
    let of_layer = moments.layer(layer)?;
    let head_dim = moments.head_dim();
    let mut mean = of_layer.mean.get(head).cloned().unwrap_or_default();
    let mut covariance = of_layer.covariance.get(head).cloned().unwrap_or_default();
    rotation.apply(&mut mean);
    // R S RT: rotate every row, then every column
    for row in &mut covariance {
        rotation.apply(row);
    }
    rotation.apply_to_columns(&mut covariance);
    let keys = keys
        .tensor()
        .get(layer)?
        .get(kv_head)?
        .to_dtype(DType::F64)?;
    let mean = Tensor::from_vec(mean, (head_dim, 1), &Device::Cpu)?;
    let covariance = Tensor::from_vec(covariance.concat(), (head_dim, head_dim), &Device::Cpu)?;
    let linear = (keys.matmul(&mean)?.squeeze(1)? / (head_dim as f64).sqrt())?;
    let quadratic = (keys.matmul(&covariance)? * &keys)?.sum(D::Minus1)?;
    Ok((linear + (quadratic / (2 * head_dim) as f64)?)?.to_vec1()?)
}

impl MeanRotation {
    fn behind(frequencies: &[f32], prompt_tokens: usize, future: usize) -> Self {
        let mean = |of: fn(f32) -> f32, frequency: f32| {
            let positions = prompt_tokens..prompt_tokens + future;
            let sum: f64 = positions
                .map(|position| f64::from(of(position as f32 * frequency)))
                .sum();
            sum / future as f64
        };
        Self {
            cos: frequencies.iter().map(|&f| mean(f32::cos, f)).collect(),
            sin: frequencies.iter().map(|&f| mean(f32::sin, f)).collect(),
        }
    }

    /// Pairs are (i, i + D / 2).
    fn apply(&self, vector: &mut [f64]) {
        let (left, right) = vector.split_at_mut(self.cos.len());
        let pairs = left.iter_mut().zip(right);
        for ((a, b), (cos, sin)) in pairs.zip(self.cos.iter().zip(&self.sin)) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }

    fn apply_to_columns(&self, matrix: &mut [Vec<f64>]) {
        let (upper, lower) = matrix.split_at_mut(self.cos.len());
        let pairs = upper.iter_mut().zip(lower);
        for ((above, below), (cos, sin)) in pairs.zip(self.cos.iter().zip(&self.sin)) {
            for (a, b) in above.iter_mut().zip(below) {
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}

impl ObservationWindow for ExpectedAttention {
    fn label(&self) -> &str {
        &self.label
    }

    fn gives_rows(&self) -> bool {
        false
    }

    fn needs(&self) -> Needs {
        Needs {
            query_moments: [self.sinks].into(),
            ..Needs::default()
        }
    }

    fn scoring(&self) -> Scoring {
        Scoring {
            group: GroupReduction::Mean,
            ..Scoring::default()
        }
    }

    fn forced_keep(&self) -> ForcedKeep {
        ForcedKeep {
            sinks: self.sinks,
            recent: 0,
        }
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let config = run.config;
        let double = DType::F64.size_in_bytes() as f64;
        let (tokens, width) = (run.prompt_tokens as f64, config.head_dim as f64);
        // on every thread: the keys, their products with the covariance, and those with the keys; and the
        // covariances of a layer, as a tensor and as rows
        let products = 3.0 * tokens * width * double;
        let moments = 2.0 * config.query_heads as f64 * width * width * double;
        let threads = Memory::on_host(run.threads as f64 * (products + moments));
        let scores = Memory::on_host(2.0 * run.scores(config.query_heads));
        Ok(run.observed_by_scores(config.query_heads, run.copied_keys() + threads + scores))
    }

    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        let started = Instant::now();
        let config = model.config();
        let prompt_tokens = prefilled.prompt_tokens();
        let keys = prefilled
            .keys_for_scoring(model)?
            .stopped_by(control.cancel);
        let scores = self.scores(config, prefilled, &keys)?;
        let scores = TokenScores::new(ScoreKind::ExpectedAttention, &scores)?;
        let moments = prefilled.query_moments(self.sinks)?;
        // a product of D x D numbers for each row and for each key, of every query head
        let width = (config.layers * config.query_heads * config.head_dim) as f64;
        let products = (moments.rows() + prompt_tokens) as f64 * config.head_dim as f64;
        let cost = Cost {
            rows: moments.rows(),
            seconds: moments.seconds() + started.elapsed().as_secs_f64(),
            flops: 2.0 * width * products + config.scoring_flops(1, prompt_tokens),
            extra_tokens: 0,
            peak_bytes: moments.bytes() + scores.bytes(),
        };
        Observation::by_scores(self.info(Vec::new(), cost), scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_rank_first_and_take_no_part_in_the_softmax() {
        let window = ExpectedAttention::from_label(&"expected:sinks=1".parse().unwrap()).unwrap();
        let scores = window.with_values(&[50.0, 0.0, 0.0, 2.0_f64.ln()], &[1.0, 1.0, 2.0, 1.0]);
        assert_eq!(scores, [0.5, 0.25, 0.5, 0.5]);
    }

    #[test]
    fn the_rotation_of_a_covariance_is_that_of_its_factor() {
        let rotation = MeanRotation {
            cos: vec![0.6, 1.0],
            sin: vec![0.8, 0.0],
        };
        let mut vector = vec![1.0, 2.0, 3.0, 4.0];
        let mut matrix: Vec<Vec<f64>> = vector
            .iter()
            .map(|a| vector.iter().map(|b| a * b).collect())
            .collect();
        rotation.apply(&mut vector);
        assert!((vector[0] - (0.6 - 2.4)).abs() < 1e-12, "{vector:?}");
        assert!((vector[2] - (1.8 + 0.8)).abs() < 1e-12, "{vector:?}");
        for row in &mut matrix {
            rotation.apply(row);
        }
        rotation.apply_to_columns(&mut matrix);
        for (a, row) in vector.iter().zip(&matrix) {
            for (b, found) in vector.iter().zip(row) {
                assert!((a * b - found).abs() < 1e-12);
            }
        }
    }
}
