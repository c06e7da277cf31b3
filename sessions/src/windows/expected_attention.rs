//! Expected Attention (Devoto et al. 2025, arXiv 2510.00636; formula and defaults of kvpress's
//! `ExpectedAttentionPress`): the attention that future queries would pay if they were drawn as the prompt's were.
//!
//! Per layer and query head: mean mu `[D]` and covariance S `[D, D]` of the prompt's queries before rotation,
//! without those of the first `sinks=4` tokens; R the mean rotation of the next `future=512` positions;
//! mu' = R mu, S' = R S RT. Score of prompt token j, not a sink: softmax_j(mu' . k_j / sqrt(D) + k_jT S' k_j / (2 D)),
//! plus `epsilon=0`, times the norm of value v_j; then the mean over the query heads of a key/value head.
//! Sinks are always kept and score as high as the head's best. No pooling.

use candle_core::{D, DType, Device, Tensor};
use kvlens_analysis::{ForcedKeep, GroupReduction, Scoring};
use rayon::prelude::*;

use super::{Observe, Observed, Run, Window, WindowOptions};
use crate::SessionError;
use crate::attention_rows::PromptKeys;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::model::{ModelConfig, on_cpu};
use crate::observation::{ScoreKind, TokenScores};
use crate::prefill::{HeadMoments, Needs, Prefilled, QueryMoments};

/// Sinks of kvpress, left out of the statistics and always kept.
const PUBLISHED_SINKS: usize = 4;

/// Positions behind the prompt that kvpress averages the rotation over.
const PUBLISHED_FUTURE: usize = 512;

/// Attention of queries of a fitted Gaussian.
struct ExpectedAttention {
    sinks: usize,
    future: usize,
    epsilon: f32,
}

/// Mean cosines and sines `[D / 2]` of the rotation over the positions to come.
struct MeanRotation {
    cos: Vec<f64>,
    sin: Vec<f64>,
}

/// From `expected[:sinks=4,future=512,epsilon=0]`.
pub(super) fn expected_attention(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    let window = ExpectedAttention {
        sinks: options.parsed("sinks", PUBLISHED_SINKS)?,
        future: options.count("future", PUBLISHED_FUTURE)?,
        epsilon: options.parsed("epsilon", 0.0)?,
    };
    if !window.epsilon.is_finite() || window.epsilon < 0.0 {
        return Err(options.wrong("epsilon must be a number of at least 0"));
    }
    let keep = ForcedKeep {
        sinks: window.sinks,
        recent: 0,
    };
    let scoring = Scoring {
        group: GroupReduction::Mean,
        ..Scoring::default()
    };
    Ok(Window::by_scores(window).scored(scoring).keeping(keep))
}

impl ExpectedAttention {
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
        let scores = match keys.are_scored_there() {
            true => self.scores_there(prefilled, keys, moments, &rotations)?,
            false => self.scores_of_groups(config, prefilled, keys, moments, &rotations)?,
        };
        Ok(Tensor::from_vec(scores, shape, &Device::Cpu)?)
    }

    /// On the processor, the groups of heads at the same time.
    fn scores_of_groups(
        &self,
        config: &ModelConfig,
        prefilled: &Prefilled,
        keys: &PromptKeys,
        moments: &QueryMoments,
        rotations: &[MeanRotation],
    ) -> Result<Vec<f32>, SessionError> {
        let groups = rotations
            .par_iter()
            .enumerate()
            .flat_map(|(layer, rotation)| {
                let kv_heads = (0..config.kv_heads).into_par_iter();
                kv_heads.map(move |kv_head| (layer, kv_head, rotation))
            });
        let groups = groups
            .map(|(layer, kv_head, rotation)| {
                let norms = norms(&prefilled.values(layer)?.get(kv_head)?)?.to_vec1()?;
                let group = keys.group_size()?;
                let group_keys = keys.layer(layer)?.get(kv_head)?.to_dtype(DType::F64)?;
                let mut scores = Vec::with_capacity(group * prefilled.prompt_tokens());
                for head in kv_head * group..(kv_head + 1) * group {
                    keys.check_cancel()?;
                    let future = rotation.of(moments.head(layer, head)?);
                    let logits = expected_logits(&group_keys, future)?;
                    scores.extend(self.with_values(&logits, &norms));
                }
                Ok(scores)
            })
            .collect::<Result<Vec<Vec<f32>>, SessionError>>()?;
        Ok(groups.concat())
    }

    /// Where the keys are, a layer at a time: its logits and its values' norms come back.
    fn scores_there(
        &self,
        prefilled: &Prefilled,
        keys: &PromptKeys,
        moments: &QueryMoments,
        rotations: &[MeanRotation],
    ) -> Result<Vec<f32>, SessionError> {
        let group = keys.group_size()?;
        let mut scores = Vec::new();
        for (layer, rotation) in rotations.iter().enumerate() {
            keys.check_cancel()?;
            let heads = 0..group * keys.shape().1;
            let heads = heads.map(|head| Ok(rotation.of(moments.head(layer, head)?)));
            let heads = heads.collect::<Result<Vec<_>, SessionError>>()?;
            let norms = on_cpu(&norms(&prefilled.values(layer)?)?)?.to_vec2()?;
            let logits = expected_logits_there(keys.layer(layer)?, &heads)?;
            let by_head = norms
                .iter()
                .flat_map(|norms| std::iter::repeat_n(norms, group));
            for (logits, norms) in logits.iter().zip(by_head) {
                scores.extend(self.with_values(logits, norms));
            }
        }
        Ok(scores)
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

/// Euclidean norms over the last dimension, in single precision.
fn norms(values: &Tensor) -> Result<Tensor, SessionError> {
    let squares = values.to_dtype(DType::F32)?.sqr()?;
    Ok(squares.sum(D::Minus1)?.sqrt()?)
}

/// Logarithm of the expected exponential of a future query's logit on each prompt key, `[T]`; keys `[T, D]`, f64.
fn expected_logits(keys: &Tensor, future: HeadMoments) -> Result<Vec<f64>, SessionError> {
    let head_dim = keys.dim(1)?;
    let mean = Tensor::from_vec(future.mean, (head_dim, 1), &Device::Cpu)?;
    let covariance = future.covariance.concat();
    let covariance = Tensor::from_vec(covariance, (head_dim, head_dim), &Device::Cpu)?;
    let linear = (keys.matmul(&mean)?.squeeze(1)? / (head_dim as f64).sqrt())?;
    let quadratic = (keys.matmul(&covariance)? * keys)?.sum(D::Minus1)?;
    Ok((linear + (quadratic / (2 * head_dim) as f64)?)?.to_vec1()?)
}

/// The same for all H heads of a layer, `[H][T]`, where its keys `[G, T, D]` are.
fn expected_logits_there(
    keys: &Tensor,
    futures: &[HeadMoments],
) -> Result<Vec<Vec<f64>>, SessionError> {
    let (kv_heads, tokens, head_dim) = keys.dims3()?;
    let group = futures.len() / kv_heads.max(1);
    let keys = match keys.device() {
        // Apple's GPUs have no double precision
        Device::Metal(_) => on_cpu(keys)?,
        _ => keys.clone(),
    };
    let keys = keys.to_dtype(DType::F64)?;
    let each = futures.iter();
    let means: Vec<f64> = each.clone().flat_map(|head| head.mean.clone()).collect();
    let covariances: Vec<f64> = each.flat_map(|head| head.covariance.concat()).collect();
    let means = Tensor::from_vec(means, (kv_heads, group, head_dim), keys.device())?;
    let shape = (kv_heads, group, head_dim, head_dim);
    let covariances = Tensor::from_vec(covariances, shape, keys.device())?;
    let linear = (means.matmul(&keys.transpose(1, 2)?)? / (head_dim as f64).sqrt())?;
    let quadratic = (0..group).map(|head| {
        let covariances = covariances.narrow(1, head, 1)?.squeeze(1)?.contiguous()?;
        (keys.matmul(&covariances)? * &keys)?.sum(D::Minus1)
    });
    let quadratic = Tensor::stack(&quadratic.collect::<Result<Vec<_>, _>>()?, 1)?;
    let logits = (linear + (quadratic / (2 * head_dim) as f64)?)?;
    Ok(on_cpu(&logits.reshape((kv_heads * group, tokens))?)?.to_vec2()?)
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

    /// The moments of queries that stand behind the prompt: R mu and R S RT.
    fn of(&self, moments: HeadMoments) -> HeadMoments {
        let (mut mean, mut covariance) = (moments.mean, moments.covariance);
        self.apply(&mut mean);
        // every row, then every column
        for row in &mut covariance {
            self.apply(row);
        }
        self.apply_to_columns(&mut covariance);
        HeadMoments { mean, covariance }
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

impl Observe for ExpectedAttention {
    fn needs(&self) -> Needs {
        Needs {
            query_moments: [self.sinks].into(),
            ..Needs::default()
        }
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let config = run.config;
        let double = DType::F64.size_in_bytes() as f64;
        let (tokens, width) = (run.prompt_tokens as f64, config.head_dim as f64);
        // on every thread, or on a GPU for all heads of a layer: the keys, their products with the covariance, and those
        // with the keys; and the covariance, as a tensor and as rows
        let products = 3.0 * tokens * width * double;
        let moments = 2.0 * width * width * double;
        let groups = match run.on_gpu {
            true => run.beside_the_model(config.kv_heads as f64 * products),
            false => Memory::on_host(run.threads as f64 * (products + moments)),
        };
        let scores = Memory::on_host(2.0 * run.scores(config.query_heads));
        Ok(run.observed_by_scores(config.query_heads, groups + scores))
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let (config, prompt_tokens) = (run.config(), run.prompt_tokens());
        let scores = self.scores(config, run.prefilled, &run.keys()?)?;
        let moments = run.prefilled.query_moments(self.sinks)?;
        let (rows, seconds, bytes) = (moments.rows(), moments.seconds(), moments.bytes());
        run.looked_at(rows);
        run.spent_in_prefill(seconds);
        run.held(bytes);
        // a product of D x D numbers for each row and for each key, of every query head
        let width = (config.layers * config.query_heads * config.head_dim) as f64;
        let products = (rows + prompt_tokens) as f64 * config.head_dim as f64;
        run.computed(2.0 * width * products + config.scoring_flops(1, prompt_tokens));
        Ok(TokenScores::new(ScoreKind::ExpectedAttention, &scores)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_rank_first_and_take_no_part_in_the_softmax() {
        let window = ExpectedAttention {
            sinks: 1,
            future: 1,
            epsilon: 0.0,
        };
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
