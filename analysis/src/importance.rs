//! From attention rows to one score per layer, head and prompt token.

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AnalysisError;
use crate::scoring::{GroupReduction, Scoring};
use crate::tokens::ForcedKeep;

mod grouping;
mod head_scores;
mod layout;
mod reduction;
#[cfg(test)]
mod tests;
mod weighting;

pub(crate) use grouping::{GroupScores, score_group};
pub use head_scores::HeadScores;
use layout::{Layout, check_finite, check_first_visible};
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

/// One finite score for each layer, head and prompt token, with what a ranking of them needs beside: the unpooled
/// scores, which decide between equal ones, and the tokens that each layer sees.
///
/// Copies share their scores, and so does the view by query heads of [`Self::for_query_heads`].
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// Heads per layer as they are read; a multiple of the stored ones.
    heads: usize,
    head_kind: HeadKind,
    stored: Arc<StoredScores>,
}

/// What an importance and its views read.
#[derive(Debug, PartialEq)]
struct StoredScores {
    layers: usize,
    heads: usize,
    prompt_tokens: usize,
    /// `[L, heads, T]`.
    scores: Vec<f32>,
    /// The same before pooling, reduced over a group alike; none where pooling leaves the scores as they are.
    unpooled: Option<Vec<f32>>,
    /// `[L, heads]`.
    prompt_share: Vec<f32>,
    /// `[L]`: tokens before this one are seen by no decode step.
    first_visible: Vec<usize>,
}

impl Importance {
    /// Pools and groups reduced heads, `[L][H]`, by a scoring.
    ///
    /// Pooling never crosses into the last `boundary.recent` tokens (SnapKV cuts them off before it
    /// pools): the two parts are pooled apart. The prompt share of a group is the mean over its query
    /// heads. The scoring's key set and row reduction were applied by [`reduce_rows`].
    ///
    /// `first_visible`, `[L]`, holds the first position that a decode step sees of each layer: 0 without a sliding
    /// window. Tokens before it are not ranked.
    ///
    /// # Errors
    /// Heads of different lengths or layers of different head counts, heads that do not divide into
    /// groups, an even pooling kernel, a score that is not finite, another number of first visible tokens than layers.
    pub fn from_reduced(
        heads_by_layer: Vec<Vec<ReducedHead>>,
        kv_heads: usize,
        scoring: Scoring,
        boundary: ForcedKeep,
        first_visible: Vec<usize>,
    ) -> Result<Self, AnalysisError> {
        scoring.pool.check()?;
        let layout = Layout::of(&heads_by_layer, kv_heads)?;
        check_first_visible(&first_visible, heads_by_layer.len())?;
        let cut = layout.prompt_tokens.saturating_sub(boundary.recent);
        let sharing_heads = layout.query_heads / kv_heads;
        let group_size = scoring.group.size(layout.query_heads, sharing_heads);
        let groups: Vec<&[ReducedHead]> = heads_by_layer
            .iter()
            .flat_map(|heads| heads.chunks(group_size))
            .collect();
        let of_group = |group: &&[ReducedHead]| score_group(group, scoring, cut);
        let scored: Vec<GroupScores> = groups.par_iter().map(of_group).collect::<Result<_, _>>()?;
        let (scores, unpooled): (Vec<_>, Vec<_>) = scored
            .into_iter()
            .map(|group| (group.scores, group.unpooled))
            .unzip();
        let unpooled: Option<Vec<Vec<f32>>> = unpooled.into_iter().collect();
        let heads = layout.query_heads / group_size;
        Ok(Self {
            heads,
            head_kind: match scoring.group {
                GroupReduction::None => HeadKind::Query,
                GroupReduction::Mean | GroupReduction::Max => HeadKind::Kv,
                GroupReduction::Layer => HeadKind::Layer,
            },
            stored: Arc::new(StoredScores {
                layers: heads_by_layer.len(),
                heads,
                prompt_tokens: layout.prompt_tokens,
                scores: scores.concat(),
                unpooled: unpooled.map(|unpooled| unpooled.concat()),
                prompt_share: groups
                    .iter()
                    .map(|group| grouping::mean_share(group))
                    .collect(),
                first_visible,
            }),
        })
    }

    /// Scores that do not come from attention rows: `scores` is `[L, heads, T]`, `prompt_share` `[L, heads]`,
    /// `first_visible` `[L]` as for [`Self::from_reduced`].
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
        first_visible: Vec<usize>,
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
        check_first_visible(&first_visible, layers)?;
        for (index, head_scores) in scores.chunks_exact(prompt_tokens).enumerate() {
            check_finite(head_scores, index / heads, index % heads)?;
        }
        Ok(Self {
            heads,
            head_kind,
            stored: Arc::new(StoredScores {
                layers,
                heads,
                prompt_tokens,
                scores,
                unpooled: None,
                prompt_share,
                first_visible,
            }),
        })
    }

    /// The same scores read by each of a layer's H query heads: head `h` reads the stored head `h * stored / H`, that
    /// of its key/value group, or the only one of its layer. The scores are shared, not copied.
    ///
    /// So windows that score for a whole group are held against the same truth as those that score for every head.
    ///
    /// # Errors
    /// [`AnalysisError::Grouping`] when H query heads cannot share the stored heads evenly.
    pub fn for_query_heads(&self, query_heads: usize) -> Result<Self, AnalysisError> {
        let stored = self.stored.heads;
        if query_heads == 0 || !query_heads.is_multiple_of(stored) {
            return Err(AnalysisError::Grouping {
                query_heads,
                kv_heads: stored,
            });
        }
        Ok(Self {
            heads: query_heads,
            head_kind: HeadKind::Query,
            stored: Arc::clone(&self.stored),
        })
    }

    /// The scores of one head, `[T]`.
    ///
    /// # Panics
    /// When the layer or the head does not exist.
    pub fn head(&self, layer: usize, head: usize) -> &[f32] {
        self.head_scores(layer, head, ForcedKeep::default())
            .scores()
    }

    /// One importance for several heads, given as layer and head: the mean of their scores, of their unpooled scores
    /// and of their prompt shares, as the only head of the only layer. Sums in `f64`. It sees what any of the layers
    /// sees.
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
        let all = || {
            let whole = |&(layer, head): &(usize, usize)| {
                self.head_scores(layer, head, ForcedKeep::default())
            };
            heads.iter().map(whole)
        };
        let shares = heads
            .iter()
            .map(|&(layer, head)| f64::from(self.prompt_share(layer, head)));
        let firsts = heads.iter().map(|&(layer, _)| self.first_visible(layer));
        let pooled = self.stored.unpooled.is_some();
        Ok(Self {
            heads: 1,
            head_kind: HeadKind::Layer,
            stored: Arc::new(StoredScores {
                layers: 1,
                heads: 1,
                prompt_tokens: self.prompt_tokens(),
                scores: mean_of(all().map(HeadScores::scores), self.prompt_tokens()),
                unpooled: pooled
                    .then(|| mean_of(all().map(HeadScores::tie_break), self.prompt_tokens())),
                prompt_share: vec![(shares.sum::<f64>() / heads.len() as f64) as f32],
                first_visible: vec![firsts.min().unwrap_or(0)],
            }),
        })
    }

    /// Mean over the window's rows of the attention of one head that falls on the prompt.
    ///
    /// # Panics
    /// When the layer or the head does not exist.
    pub fn prompt_share(&self, layer: usize, head: usize) -> f32 {
        self.stored.prompt_share[self.stored_index(layer, head)]
    }

    /// The prompt shares of all heads, `[L, heads]`.
    pub fn prompt_shares(&self) -> Vec<f32> {
        let layers = 0..self.layers();
        layers
            .flat_map(|layer| (0..self.heads).map(move |head| self.prompt_share(layer, head)))
            .collect()
    }

    /// The first position of a layer that a decode step sees, at most T.
    pub fn first_visible(&self, layer: usize) -> usize {
        let first = self.stored.first_visible.get(layer).copied().unwrap_or(0);
        first.min(self.prompt_tokens())
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.stored.layers
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
        self.stored.prompt_tokens
    }

    /// Heads per layer that are stored; each is read by `heads / stored` heads.
    pub(crate) fn stored_heads(&self) -> usize {
        self.stored.heads
    }

    fn stored_index(&self, layer: usize, head: usize) -> usize {
        assert!(
            layer < self.stored.layers && head < self.heads,
            "no layer {layer}, head {head}"
        );
        layer * self.stored.heads + head * self.stored.heads / self.heads
    }
}

/// The mean of equally long slices, token by token.
fn mean_of<'a>(slices: impl ExactSizeIterator<Item = &'a [f32]>, tokens: usize) -> Vec<f32> {
    let count = slices.len() as f64;
    let mut sums = vec![0.0_f64; tokens];
    for slice in slices {
        for (sum, &score) in sums.iter_mut().zip(slice) {
            *sum += f64::from(score);
        }
    }
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}
