//! From an observation and the prompt's keys back to attention weights and importance.

use candle_core::{DType, Device, Tensor};
use kvlens_analysis::{AttentionRows, ForcedKeep, Importance, ReducedHead, Scoring, reduce_rows};
use rayon::prelude::*;

use crate::SessionError;
use crate::observation::Observation;

/// The prompt's keys and what is needed to see them as the model did.
#[derive(Debug, Clone)]
pub struct PromptKeys {
    /// `[L, G, T, D]` after rotation, on the CPU in the model's dtype.
    keys: Tensor,
    /// L entries: keys that a query of the layer sees, itself included; `None` for all.
    sliding_windows: Vec<Option<usize>>,
}

impl PromptKeys {
    pub(crate) fn new(
        keys: Tensor,
        sliding_windows: Vec<Option<usize>>,
    ) -> Result<Self, SessionError> {
        let (layers, ..) = keys.dims4()?;
        if sliding_windows.len() != layers {
            return Err(SessionError::Plan {
                reason: format!(
                    "{} sliding windows for keys of {layers} layers",
                    sliding_windows.len()
                ),
            });
        }
        Ok(Self {
            keys,
            sliding_windows,
        })
    }

    /// Keys after rotation, `[L, G, T, D]`.
    pub fn tensor(&self) -> &Tensor {
        &self.keys
    }

    /// Attention weights of one layer and key/value head on the prompt, for each of its H / G query heads:
    /// `[W, T]` row-major, f32, zero where a row does not see a key. Not renormalised over the prompt.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if observation and keys are not of the same model.
    pub fn attention_rows(
        &self,
        observation: &Observation,
        layer: usize,
        kv_head: usize,
    ) -> Result<Vec<Vec<f32>>, SessionError> {
        let (_, kv_heads, prompt_tokens, head_dim) = self.keys.dims4()?;
        let (_, heads, rows, _) = observation.queries().dims4()?;
        let group = heads / kv_heads;
        let queries = observation
            .queries()
            .get(layer)?
            .narrow(0, kv_head * group, group)?
            .to_dtype(DType::F32)?
            .reshape((group * rows, head_dim))?;
        let keys = self.keys.get(layer)?.get(kv_head)?.to_dtype(DType::F32)?;
        let scale = 1.0 / (head_dim as f32).sqrt();
        let logits = queries
            .matmul(&keys.t()?)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let log_sums = observation
            .log_sum_exp()
            .get(layer)?
            .narrow(0, kv_head * group, group)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let window = self.sliding_windows.get(layer).copied().flatten();
        let mut by_head = vec![Vec::with_capacity(rows * prompt_tokens); group];
        for (index, (logits, log_sum)) in
            logits.chunks_exact(prompt_tokens).zip(log_sums).enumerate()
        {
            let visible = observation
                .visible_keys()
                .get(index % rows)
                .map_or(0, |&count| count as usize);
            let first = window.map_or(0, |window| visible.saturating_sub(window));
            if let Some(weights) = by_head.get_mut(index / rows) {
                weights.extend(logits.iter().enumerate().map(|(key, logit)| {
                    if (first..visible).contains(&key) {
                        (logit * scale - log_sum).exp()
                    } else {
                        0.0
                    }
                }));
            }
        }
        Ok(by_head)
    }

    /// Importance of every prompt token under a scoring, for every layer and head; parallel over heads.
    /// Pooling never crosses into the last `boundary.recent` tokens.
    ///
    /// # Errors
    /// As [`attention_rows`](Self::attention_rows), or what the scoring refuses.
    pub fn importance(
        &self,
        observation: &Observation,
        scoring: Scoring,
        boundary: ForcedKeep,
    ) -> Result<Importance, SessionError> {
        let (layers, kv_heads, prompt_tokens, _) = self.keys.dims4()?;
        let by_group: Vec<Vec<ReducedHead>> = (0..layers * kv_heads)
            .into_par_iter()
            .map(|index| {
                self.attention_rows(observation, index / kv_heads, index % kv_heads)?
                    .iter()
                    .map(|weights| {
                        let rows = AttentionRows {
                            weights,
                            rows: observation.rows(),
                            prompt_tokens,
                        };
                        Ok(reduce_rows(rows, scoring.keys, scoring.reduce)?)
                    })
                    .collect::<Result<Vec<_>, SessionError>>()
            })
            .collect::<Result<_, _>>()?;
        let mut groups = by_group.into_iter();
        let by_layer = (0..layers)
            .map(|_| groups.by_ref().take(kv_heads).flatten().collect())
            .collect();
        Ok(Importance::from_reduced(
            by_layer, kv_heads, scoring, boundary,
        )?)
    }
}

/// The tensor on the CPU, as the session file keeps it.
pub(crate) fn on_cpu(tensor: &Tensor) -> Result<Tensor, SessionError> {
    Ok(tensor.to_device(&Device::Cpu)?.contiguous()?)
}
