//! From an observation and the prompt's keys back to attention weights and importance.

use candle_core::{DType, Device, Tensor};
use kvlens_analysis::{
    AttentionRows, ForcedKeep, Importance, ReducedHead, Scoring, SideScoring, reduce_rows,
};
use rayon::prelude::*;

use crate::observation::{Evidence, Observation, QueryRows, TokenScores};
use crate::{CancelFlag, SessionError};

/// The prompt's keys and what is needed to see them as the model did.
#[derive(Debug, Clone)]
pub struct PromptKeys {
    /// `[L, G, T, D]` after rotation, on the CPU in the model's dtype.
    keys: Tensor,
    /// H.
    query_heads: usize,
    /// L entries: keys that a query of the layer sees, itself included; `None` for all.
    sliding_windows: Vec<Option<usize>>,
    /// Looked at before each group of heads: on a long prompt, scoring is the longest part of a window.
    cancel: CancelFlag,
}

impl PromptKeys {
    pub(crate) fn new(
        keys: Tensor,
        query_heads: usize,
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
            query_heads,
            sliding_windows,
            cancel: CancelFlag::default(),
        })
    }

    /// The same keys, on which nothing is scored any more once the flag is raised.
    #[must_use]
    pub fn stopped_by(self, cancel: &CancelFlag) -> Self {
        Self {
            cancel: cancel.clone(),
            ..self
        }
    }

    /// # Errors
    /// [`SessionError::Cancelled`] once whoever scores on these keys is to stop.
    pub(crate) fn check_cancel(&self) -> Result<(), SessionError> {
        self.cancel.check()
    }

    /// Keys after rotation, `[L, G, T, D]`.
    pub fn tensor(&self) -> &Tensor {
        &self.keys
    }

    /// Query heads of one key/value head, H / G.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the keys have not four dimensions.
    pub fn group_size(&self) -> Result<usize, SessionError> {
        let (_, kv_heads, ..) = self.keys.dims4()?;
        Ok(self.query_heads / kv_heads.max(1))
    }

    /// How many keys a query of the layer sees, itself included; `None` for all.
    pub(crate) fn sliding_window(&self, layer: usize) -> Option<usize> {
        self.sliding_windows.get(layer).copied().flatten()
    }

    /// Logits of the query heads of one layer and key/value head on the prompt, scaled:
    /// `[H / G * W, T]` row-major, query head by query head.
    pub(crate) fn logits(
        &self,
        queries: &Tensor,
        layer: usize,
        kv_head: usize,
    ) -> Result<Vec<f32>, SessionError> {
        self.cancel.check()?;
        let (_, kv_heads, _, head_dim) = self.keys.dims4()?;
        let (_, heads, rows, _) = queries.dims4()?;
        let group = heads / kv_heads;
        let queries = queries
            .get(layer)?
            .narrow(0, kv_head * group, group)?
            .to_dtype(DType::F32)?
            .reshape((group * rows, head_dim))?;
        let keys = self.keys.get(layer)?.get(kv_head)?.to_dtype(DType::F32)?;
        let scale = 1.0 / f64::from(head_dim as u32).sqrt();
        let logits = (queries.matmul(&keys.t()?)? * scale)?;
        Ok(logits.flatten_all()?.to_vec1()?)
    }

    /// Attention weights of one layer and key/value head on the prompt, for each of its H / G query heads:
    /// `[W, T]` row-major, f32, zero where a row does not see a key. Not renormalised over the prompt.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if rows and keys are not of the same model.
    pub fn attention_rows(
        &self,
        rows: &QueryRows,
        layer: usize,
        kv_head: usize,
    ) -> Result<Vec<Vec<f32>>, SessionError> {
        let (_, kv_heads, prompt_tokens, _) = self.keys.dims4()?;
        let count = rows.count();
        let group = rows.queries().dim(1)? / kv_heads;
        let logits = self.logits(rows.queries(), layer, kv_head)?;
        let log_sums = rows
            .log_sum_exp()
            .get(layer)?
            .narrow(0, kv_head * group, group)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let window = self.sliding_window(layer);
        let mut by_head = vec![Vec::with_capacity(count * prompt_tokens); group];
        for (index, (logits, log_sum)) in
            logits.chunks_exact(prompt_tokens).zip(log_sums).enumerate()
        {
            let visible = rows
                .visible_keys()
                .get(index % count)
                .map_or(0, |&count| count as usize);
            let first = window.map_or(0, |window| visible.saturating_sub(window));
            if let Some(weights) = by_head.get_mut(index / count) {
                weights.extend(logits.iter().enumerate().map(|(key, logit)| {
                    if (first..visible).contains(&key) {
                        (logit - log_sum).exp()
                    } else {
                        0.0
                    }
                }));
            }
        }
        Ok(by_head)
    }

    /// Importance of every prompt token with the scoring and the heads of one side of a comparison, parallel over heads.
    /// It knows what the decode stage sees of every layer ([`Self::first_visible`]). Ready-made scores are taken as they
    /// are in place of reduced rows: the scoring's key set and row reduction do not touch them.
    ///
    /// # Errors
    /// As [`attention_rows`](Self::attention_rows), or what the scoring refuses.
    pub fn importance(
        &self,
        observation: &Observation,
        side: SideScoring,
    ) -> Result<Importance, SessionError> {
        let SideScoring {
            scoring, boundary, ..
        } = side;
        let importance = self.scored(observation, scoring, boundary, self.first_visible()?)?;
        Ok(side.heads(importance, self.query_heads)?)
    }

    /// Importance by the scoring that an observation was published with, for an eviction: its rule ranks all tokens,
    /// also those that a layer does not see.
    pub(crate) fn importance_for_eviction(
        &self,
        observation: &Observation,
    ) -> Result<Importance, SessionError> {
        let (layers, ..) = self.keys.dims4()?;
        let (scoring, boundary) = (observation.scoring(), observation.forced_keep());
        self.scored(observation, scoring, boundary, vec![0; layers])
    }

    fn scored(
        &self,
        observation: &Observation,
        scoring: Scoring,
        boundary: ForcedKeep,
        first_visible: Vec<usize>,
    ) -> Result<Importance, SessionError> {
        let (layers, kv_heads, ..) = self.keys.dims4()?;
        let heads: Vec<ReducedHead> = match observation.evidence() {
            Evidence::Queries(rows) => self.reduce(rows, scoring)?,
            Evidence::Scores(scores) => self.ready_made(scores)?,
        };
        let mut heads = heads.into_iter();
        let by_layer = (0..layers)
            .map(|_| heads.by_ref().take(self.query_heads).collect())
            .collect();
        Ok(Importance::from_reduced(
            by_layer,
            kv_heads,
            scoring,
            boundary,
            first_visible,
        )?)
    }

    /// The first position of each layer, `[L]`, that the decode stage sees. Its first step stands right behind the
    /// prompt; later ones see no token that it does not.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the keys have not four dimensions.
    pub fn first_visible(&self) -> Result<Vec<usize>, SessionError> {
        let (.., prompt_tokens, _) = self.keys.dims4()?;
        let windows = self.sliding_windows.iter();
        let first = |window: &Option<usize>| {
            window.map_or(0, |window| (prompt_tokens + 1).saturating_sub(window))
        };
        Ok(windows.map(first).collect())
    }

    /// Rows reduced to one score per token, for the L * H heads in turn.
    fn reduce(&self, rows: &QueryRows, scoring: Scoring) -> Result<Vec<ReducedHead>, SessionError> {
        let (layers, kv_heads, prompt_tokens, _) = self.keys.dims4()?;
        let by_group: Vec<Vec<ReducedHead>> = (0..layers * kv_heads)
            .into_par_iter()
            .map(|index| {
                self.attention_rows(rows, index / kv_heads, index % kv_heads)?
                    .iter()
                    .map(|weights| {
                        let rows = AttentionRows {
                            weights,
                            rows: rows.count(),
                            prompt_tokens,
                        };
                        Ok(reduce_rows(rows, scoring.keys, scoring.reduce)?)
                    })
                    .collect::<Result<Vec<_>, SessionError>>()
            })
            .collect::<Result<_, _>>()?;
        Ok(by_group.into_iter().flatten().collect())
    }

    /// Ready-made scores for the L * H heads in turn. Rows inside the prompt see nothing else, so attention
    /// has a prompt share of 1; other scores have none (NaN).
    fn ready_made(&self, scores: &TokenScores) -> Result<Vec<ReducedHead>, SessionError> {
        let (layers, ..) = self.keys.dims4()?;
        let prompt_share = if scores.kind().is_attention() {
            1.0
        } else {
            f32::NAN
        };
        (0..layers * self.query_heads)
            .map(|index| {
                let (layer, head) = (index / self.query_heads, index % self.query_heads);
                Ok(ReducedHead {
                    scores: scores.for_query_head(layer, head, self.query_heads)?,
                    prompt_share,
                })
            })
            .collect()
    }
}

/// The tensor on the CPU, as the session file keeps it.
pub(crate) fn on_cpu(tensor: &Tensor) -> Result<Tensor, SessionError> {
    Ok(tensor.to_device(&Device::Cpu)?.contiguous()?)
}
