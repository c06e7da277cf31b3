//! From an observation and the prompt's keys back to attention weights and importance.

mod log_sum_exp;
mod on_device;

pub(crate) use log_sum_exp::LooseRows;

use candle_core::{DType, Tensor};
use kvlens_analysis::{AttentionRows, Importance, ReducedHead, SideScoring, reduce_rows};
use rayon::prelude::*;

use crate::half_format::HalfFormat;
use crate::observation::{Evidence, Observation, QueryRows, ReducedScores, Reduction, TokenScores};
use crate::{CancelFlag, SessionError};

/// The prompt's keys and what is needed to see them as the model did.
#[derive(Debug, Clone)]
pub struct PromptKeys {
    /// L entries `[G, T, D]` after rotation, in the model's dtype: views of what holds them anyway. None where a session
    /// keeps no keys.
    layers: Vec<Tensor>,
    /// Whether rows come to where these keys are to be scored, by a GPU's operations; else the keys are on the CPU.
    scored_there: bool,
    /// (L, G, T, D).
    shape: (usize, usize, usize, usize),
    /// H.
    query_heads: usize,
    /// L entries: keys that a query of the layer sees, itself included; `None` for all.
    sliding_windows: Vec<Option<usize>>,
    /// Looked at before each group of heads: on a long prompt, scoring is the longest part of a window.
    cancel: CancelFlag,
}

impl PromptKeys {
    /// `layers` has one `[G, T, D]` for each layer, on the CPU unless [rows are scored there](Self::scored_there).
    pub(crate) fn new(
        layers: Vec<Tensor>,
        query_heads: usize,
        sliding_windows: Vec<Option<usize>>,
    ) -> Result<Self, SessionError> {
        let dims = layers.first().map(Tensor::dims3).transpose()?;
        let (kv_heads, prompt_tokens, head_dim) = dims.unwrap_or_default();
        let alike = layers
            .iter()
            .all(|keys| keys.dims() == [kv_heads, prompt_tokens, head_dim]);
        if !alike || sliding_windows.len() != layers.len() {
            return Err(SessionError::Internal {
                reason: format!(
                    "keys of {} layers, of which some differ in shape or have no sliding window ({})",
                    layers.len(),
                    sliding_windows.len()
                ),
            });
        }
        Ok(Self {
            shape: (layers.len(), kv_heads, prompt_tokens, head_dim),
            layers,
            scored_there: false,
            query_heads,
            sliding_windows,
            cancel: CancelFlag::default(),
        })
    }

    /// What is known of keys that a session does not keep; of `shape` (L, G, T, D).
    pub(crate) fn absent(
        shape: (usize, usize, usize, usize),
        query_heads: usize,
        sliding_windows: Vec<Option<usize>>,
    ) -> Self {
        Self {
            layers: Vec::new(),
            scored_there: false,
            shape,
            query_heads,
            sliding_windows,
            cancel: CancelFlag::default(),
        }
    }

    /// The same keys, on which rows are scored where they are, wherever that is.
    #[must_use]
    pub(crate) fn scored_there(self) -> Self {
        Self {
            scored_there: true,
            ..self
        }
    }

    /// Whether rows are scored where the keys are, by a GPU's operations.
    pub(crate) fn are_scored_there(&self) -> bool {
        self.scored_there
    }

    /// The same without the keys themselves.
    pub(crate) fn without_tensors(self) -> Self {
        Self {
            layers: Vec::new(),
            scored_there: false,
            ..self
        }
    }

    /// Whether the keys themselves are here.
    pub fn are_kept(&self) -> bool {
        !self.layers.is_empty()
    }

    /// (L, G, T, D).
    pub fn shape(&self) -> (usize, usize, usize, usize) {
        self.shape
    }

    /// Keys of a layer after rotation, `[G, T, D]`, where they are.
    ///
    /// # Errors
    /// [`SessionError::Plan`] where no keys were kept, [`SessionError::Internal`] for a layer that is not there.
    pub fn layer(&self, layer: usize) -> Result<&Tensor, SessionError> {
        if !self.are_kept() {
            return Err(SessionError::Plan {
                reason: "the session keeps no keys, so single attention weights cannot be told and no query can be \
                         scored anew; capture with --keep keys"
                    .to_owned(),
            });
        }
        self.layers
            .get(layer)
            .ok_or_else(|| SessionError::Internal {
                reason: format!("layer {layer} of {} was asked for", self.layers.len()),
            })
    }

    /// Keys of every layer in turn.
    pub(crate) fn layers(&self) -> &[Tensor] {
        &self.layers
    }

    /// Query heads of one key/value head, H / G.
    ///
    /// # Errors
    /// [`SessionError::Internal`] for keys without heads.
    pub fn group_size(&self) -> Result<usize, SessionError> {
        let group = self.query_heads.checked_div(self.shape.1);
        group.ok_or_else(|| SessionError::Internal {
            reason: "the prompt's keys have no heads".to_owned(),
        })
    }

    /// The same keys in another format.
    pub(crate) fn converted(&self, numbers: HalfFormat) -> Result<Self, SessionError> {
        Ok(Self {
            layers: numbers.round_all(&self.layers)?,
            ..self.clone()
        })
    }

    /// H.
    pub(crate) fn query_heads(&self) -> usize {
        self.query_heads
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

    /// How many keys a query of the layer sees, itself included; `None` for all.
    pub fn sliding_window(&self, layer: usize) -> Option<usize> {
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
        let (_, kv_heads, _, head_dim) = self.shape;
        let (_, heads, rows, _) = queries.dims4()?;
        let group = heads / kv_heads;
        let queries = queries
            .get(layer)?
            .narrow(0, kv_head * group, group)?
            .to_dtype(DType::F32)?
            .reshape((group * rows, head_dim))?;
        let keys = self.layer(layer)?.get(kv_head)?.to_dtype(DType::F32)?;
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
        if self.scored_there {
            return self.attention_rows_there(rows, layer, kv_head..kv_head + 1);
        }
        let (_, kv_heads, prompt_tokens, _) = self.shape;
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

    /// [`attention_rows`](Self::attention_rows) of all H query heads of a layer.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn layer_attention_rows(
        &self,
        rows: &QueryRows,
        layer: usize,
    ) -> Result<Vec<Vec<f32>>, SessionError> {
        let (_, kv_heads, ..) = self.shape;
        if self.scored_there {
            return self.attention_rows_there(rows, layer, 0..kv_heads);
        }
        let groups = (0..kv_heads).map(|kv_head| self.attention_rows(rows, layer, kv_head));
        Ok(groups.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Importance of every prompt token with the scoring and the heads of one side of a comparison, parallel over heads.
    /// It knows what the decode stage sees of every layer ([`Self::first_visible`]). Ready-made scores are taken as they
    /// are in place of reduced rows: the scoring's key set and row reduction do not touch them.
    ///
    /// # Errors
    /// As [`attention_rows`](Self::attention_rows), or what the scoring refuses; a weight by values, which are not here
    /// (see [`CapturedSample::importance`](crate::CapturedSample::importance)).
    pub fn importance(
        &self,
        observation: &Observation,
        side: SideScoring,
    ) -> Result<Importance, SessionError> {
        self.weighted_importance(observation, side, None)
    }

    /// As [`importance`](Self::importance), with what a scoring may weigh attention by, L * H entries `[T]`.
    pub(crate) fn weighted_importance(
        &self,
        observation: &Observation,
        side: SideScoring,
        weights: Option<&[Vec<f32>]>,
    ) -> Result<Importance, SessionError> {
        let mut importance = self.scored(observation, side, self.first_visible())?;
        if !side.scoring.weight.is_none() && observation.evidence().is_attention() {
            importance = importance.weighted(weights.ok_or_else(no_values)?)?;
        }
        Ok(side.heads(importance, self.query_heads)?)
    }

    /// Importance by the scoring that an observation was published with, for an eviction: its rule ranks all tokens
    /// alike, whatever the decode stage sees.
    pub(crate) fn importance_as_published(
        &self,
        observation: &Observation,
    ) -> Result<Importance, SessionError> {
        let (layers, ..) = self.shape;
        if !observation.scoring().weight.is_none() {
            return Err(no_values());
        }
        self.scored(observation, observation.published_side(), vec![0; layers])
    }

    fn scored(
        &self,
        observation: &Observation,
        side: SideScoring,
        first_visible: Vec<usize>,
    ) -> Result<Importance, SessionError> {
        let SideScoring {
            scoring, boundary, ..
        } = side;
        let (layers, kv_heads, ..) = self.shape;
        let heads: Vec<ReducedHead> = match observation.evidence() {
            Evidence::Queries(rows) => self.reduce(rows, scoring.into())?,
            Evidence::Scores(scores) => self.ready_made(scores)?,
            Evidence::Reduced(reduced) => reduced.heads(scoring)?,
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
    pub fn first_visible(&self) -> Vec<usize> {
        let (.., prompt_tokens, _) = self.shape;
        let first = |window: &Option<usize>| {
            window.map_or(0, |window| (prompt_tokens + 1).saturating_sub(window))
        };
        self.sliding_windows.iter().map(first).collect()
    }

    /// Rows reduced to one score per token, for the L * H heads in turn.
    fn reduce(
        &self,
        rows: &QueryRows,
        scoring: Reduction,
    ) -> Result<Vec<ReducedHead>, SessionError> {
        if self.scored_there {
            return self.reduce_there(rows, scoring);
        }
        let (layers, kv_heads, prompt_tokens, _) = self.shape;
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

    /// Rows reduced in one way, to be kept in place of the keys.
    pub(crate) fn reduced_scores(
        &self,
        rows: &QueryRows,
        reduction: Reduction,
    ) -> Result<ReducedScores, SessionError> {
        let shape = [self.shape.0, self.query_heads];
        ReducedScores::of(reduction, shape, &self.reduce(rows, reduction)?)
    }

    /// Ready-made scores for the L * H heads in turn. Rows inside the prompt see nothing else, so attention
    /// has a prompt share of 1; other scores have none (NaN).
    fn ready_made(&self, scores: &TokenScores) -> Result<Vec<ReducedHead>, SessionError> {
        let (layers, ..) = self.shape;
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

fn no_values() -> SessionError {
    SessionError::Plan {
        reason: "attention cannot be weighed by values here, because none were kept; capture with --keep keys,values, \
                 or leave out the weight"
            .to_owned(),
    }
}
