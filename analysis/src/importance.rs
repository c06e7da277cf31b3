//! From attention rows to one score per layer, head and prompt token.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AnalysisError;
use crate::scoring::{GroupReduction, Scoring};
use crate::tokens::ForcedKeep;

mod grouping;
mod reduction;
#[cfg(test)]
mod tests;

pub(crate) use grouping::score_group;
pub use reduction::{AttentionRows, ReducedHead, reduce_rows};
pub(crate) use reduction::{RowReducer, check_rows};

/// What one head of an importance stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadKind {
    /// One query head.
    Query,
    /// One key/value head: the query heads of its group reduced to one.
    Kv,
    /// One score shared by all heads of the layer.
    Layer,
}

impl HeadKind {
    /// The word that tables and labels use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Kv => "kv",
            Self::Layer => "layer",
        }
    }
}

impl fmt::Display for HeadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One finite score for each layer, head and prompt token.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    layers: usize,
    heads: usize,
    head_kind: HeadKind,
    prompt_tokens: usize,
    scores: Vec<f32>,
    prompt_share: Vec<f32>,
    /// By layer: tokens before this one are seen by no decode step.
    first_visible: Vec<usize>,
}

impl Importance {
    /// Pools and groups reduced heads, `[L][H]`, by a scoring.
    ///
    /// Pooling never crosses into the last `boundary.recent` tokens (SnapKV cuts them off before it
    /// pools): the two parts are pooled apart. The prompt share of a group is the mean over its query
    /// heads. The scoring's key set and row reduction were applied by [`reduce_rows`].
    ///
    /// # Errors
    /// Heads of different lengths or layers of different head counts, heads that do not divide into
    /// groups, an even pooling kernel, a score that is not finite.
    pub fn from_reduced(
        heads_by_layer: Vec<Vec<ReducedHead>>,
        kv_heads: usize,
        scoring: Scoring,
        boundary: ForcedKeep,
    ) -> Result<Self, AnalysisError> {
        scoring.pool.check()?;
        let layout = Layout::of(&heads_by_layer, kv_heads)?;
        let cut = layout.prompt_tokens.saturating_sub(boundary.recent);
        let sharing_heads = layout.query_heads / kv_heads;
        let group_size = scoring.group.size(layout.query_heads, sharing_heads);
        let groups: Vec<&[ReducedHead]> = heads_by_layer
            .iter()
            .flat_map(|heads| heads.chunks(group_size))
            .collect();
        let scored: Vec<Vec<f32>> = groups
            .par_iter()
            .map(|group| score_group(group, scoring, cut))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            layers: heads_by_layer.len(),
            heads: layout.query_heads / group_size,
            head_kind: match scoring.group {
                GroupReduction::None => HeadKind::Query,
                GroupReduction::Mean | GroupReduction::Max => HeadKind::Kv,
                GroupReduction::Layer => HeadKind::Layer,
            },
            prompt_tokens: layout.prompt_tokens,
            scores: scored.concat(),
            prompt_share: groups
                .iter()
                .map(|group| grouping::mean_share(group))
                .collect(),
            first_visible: vec![0; heads_by_layer.len()],
        })
    }

    /// The same on layers of which some see only the last keys: `first_visible`, `[L]`, holds the first position that
    /// a decode step sees. Tokens before it are ranked behind all others, by their positions, whatever their scores,
    /// and take no part in [`agreement_by_head`](crate::agreement_by_head).
    ///
    /// # Errors
    /// [`AnalysisError::Length`] for another number of layers.
    pub fn with_first_visible(self, first_visible: Vec<usize>) -> Result<Self, AnalysisError> {
        if first_visible.len() != self.layers {
            return Err(AnalysisError::Length {
                what: "the first visible tokens of an importance",
                dimensions: format!("[layers {}]", self.layers),
                expected: self.layers,
                found: first_visible.len(),
            });
        }
        Ok(Self {
            first_visible,
            ..self
        })
    }

    /// The first position of a layer that a decode step sees, at most T.
    pub fn first_visible(&self, layer: usize) -> usize {
        let first = self.first_visible.get(layer).copied().unwrap_or(0);
        first.min(self.prompt_tokens)
    }

    /// Scores that do not come from attention rows: `scores` is `[L, heads, T]`, `prompt_share` `[L, heads]`.
    ///
    /// # Errors
    /// A dimension of zero, a buffer of another length, a score that is not finite.
    pub fn new(
        layers: usize,
        heads: usize,
        head_kind: HeadKind,
        prompt_tokens: usize,
        scores: Vec<f32>,
        prompt_share: Vec<f32>,
    ) -> Result<Self, AnalysisError> {
        for (count, what) in [
            (layers, "layers"),
            (heads, "heads"),
            (prompt_tokens, "prompt tokens"),
        ] {
            if count == 0 {
                return Err(AnalysisError::Empty { what });
            }
        }
        let all_heads = layers.saturating_mul(heads);
        let expected = all_heads.saturating_mul(prompt_tokens);
        if scores.len() != expected {
            return Err(AnalysisError::Length {
                what: "an importance",
                dimensions: format!("[layers {layers}, heads {heads}, tokens {prompt_tokens}]"),
                expected,
                found: scores.len(),
            });
        }
        if prompt_share.len() != all_heads {
            return Err(AnalysisError::Length {
                what: "the prompt shares of an importance",
                dimensions: format!("[layers {layers}, heads {heads}]"),
                expected: all_heads,
                found: prompt_share.len(),
            });
        }
        for (index, head_scores) in scores.chunks_exact(prompt_tokens).enumerate() {
            check_finite(head_scores, index / heads, index % heads)?;
        }
        Ok(Self {
            layers,
            heads,
            head_kind,
            prompt_tokens,
            scores,
            prompt_share,
            first_visible: vec![0; layers],
        })
    }

    /// The scores of one head, `[T]`.
    ///
    /// # Panics
    /// When the layer or the head does not exist.
    pub fn head(&self, layer: usize, head: usize) -> &[f32] {
        let start = self.head_index(layer, head) * self.prompt_tokens;
        &self.scores[start..start + self.prompt_tokens]
    }

    /// One importance for several heads, given as layer and head: the mean of their scores and of their
    /// prompt shares, as the only head of the only layer. Sums in `f64`.
    ///
    /// # Errors
    /// [`AnalysisError::Empty`] when no head is given.
    ///
    /// # Panics
    /// When a layer or a head does not exist.
    pub fn mean_over_heads(&self, heads: &[(usize, usize)]) -> Result<Self, AnalysisError> {
        if heads.is_empty() {
            return Err(AnalysisError::Empty {
                what: "heads to take the mean over",
            });
        }
        let count = heads.len() as f64;
        let mut sums = vec![0.0_f64; self.prompt_tokens];
        let mut share = 0.0_f64;
        for &(layer, head) in heads {
            for (sum, &score) in sums.iter_mut().zip(self.head(layer, head)) {
                *sum += f64::from(score);
            }
            share += f64::from(self.prompt_share(layer, head));
        }
        let mean = Self::new(
            1,
            1,
            HeadKind::Layer,
            self.prompt_tokens,
            sums.into_iter().map(|sum| (sum / count) as f32).collect(),
            vec![(share / count) as f32],
        )?;
        let firsts = heads.iter().map(|&(layer, _)| self.first_visible(layer));
        mean.with_first_visible(vec![firsts.min().unwrap_or(0)])
    }

    /// Mean over the window's rows of the attention of one head that falls on the prompt.
    ///
    /// # Panics
    /// When the layer or the head does not exist.
    pub fn prompt_share(&self, layer: usize, head: usize) -> f32 {
        self.prompt_share[self.head_index(layer, head)]
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Number of heads per layer, of the kind [`Self::head_kind`].
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// What one head stands for.
    pub fn head_kind(&self) -> HeadKind {
        self.head_kind
    }

    /// Number of prompt tokens, `T`.
    pub fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// The scores of all heads in turn, layer by layer, each `[T]`.
    pub(crate) fn by_head(&self) -> rayon::slice::ChunksExact<'_, f32> {
        self.scores.par_chunks_exact(self.prompt_tokens)
    }

    fn head_index(&self, layer: usize, head: usize) -> usize {
        assert!(
            layer < self.layers && head < self.heads,
            "no layer {layer}, head {head}"
        );
        layer * self.heads + head
    }
}

/// The dimensions that all reduced heads share.
struct Layout {
    query_heads: usize,
    prompt_tokens: usize,
}

impl Layout {
    fn of(heads_by_layer: &[Vec<ReducedHead>], kv_heads: usize) -> Result<Self, AnalysisError> {
        let first_layer = heads_by_layer
            .first()
            .ok_or(AnalysisError::Empty { what: "layers" })?;
        let first_head = first_layer
            .first()
            .ok_or(AnalysisError::Empty { what: "heads" })?;
        let layout = Self {
            query_heads: first_layer.len(),
            prompt_tokens: first_head.scores.len(),
        };
        if layout.prompt_tokens == 0 {
            return Err(AnalysisError::Empty {
                what: "prompt tokens",
            });
        }
        if kv_heads == 0 || !layout.query_heads.is_multiple_of(kv_heads) {
            return Err(AnalysisError::Grouping {
                query_heads: layout.query_heads,
                kv_heads,
            });
        }
        for (layer, heads) in heads_by_layer.iter().enumerate() {
            layout.check_layer(layer, heads)?;
        }
        Ok(layout)
    }

    fn check_layer(&self, layer: usize, heads: &[ReducedHead]) -> Result<(), AnalysisError> {
        if heads.len() != self.query_heads {
            return Err(AnalysisError::HeadCount {
                layer,
                expected: self.query_heads,
                found: heads.len(),
            });
        }
        for (head, reduced) in heads.iter().enumerate() {
            if reduced.scores.len() != self.prompt_tokens {
                return Err(AnalysisError::HeadLength {
                    layer,
                    head,
                    expected: self.prompt_tokens,
                    found: reduced.scores.len(),
                });
            }
            check_finite(&reduced.scores, layer, head)?;
        }
        Ok(())
    }
}

fn check_finite(scores: &[f32], layer: usize, head: usize) -> Result<(), AnalysisError> {
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(()),
        Some(token) => Err(AnalysisError::NotFinite {
            layer,
            head,
            token,
            value: scores[token].to_string(),
        }),
    }
}
