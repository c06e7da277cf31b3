//! Prompt tokens sorted by importance, for every head.

use std::ops::Range;

use rayon::prelude::*;

use crate::collection::HeadShape;
use crate::error::AnalysisError;
use crate::importance::{HeadKind, HeadScores, Importance};
use crate::order::in_descending_order;
use crate::tokens::ForcedKeep;

/// Rank of a token that is not ranked: exempt, or seen by no decode step on this layer.
pub const UNRANKED: u32 = u32::MAX;

/// The ranking of every head: best token first, in the order of [`HeadScores`]. How many tokens are ranked is a fact
/// of the layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rankings {
    heads: usize,
    head_kind: HeadKind,
    prompt_tokens: usize,
    exempt: ForcedKeep,
    /// Heads per layer that are ranked; each is read by `heads / stored_heads` heads.
    stored_heads: usize,
    layers: Vec<LayerRanks>,
    /// Layer by layer `[stored heads, N]`.
    order: Vec<u32>,
    /// `[L, stored heads, T]`.
    rank: Vec<u32>,
}

/// What is the same for all heads of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LayerRanks {
    first_visible: usize,
    rankable: Range<usize>,
    /// Where the layer's first head begins in the order.
    order_start: usize,
}

impl Rankings {
    /// Ranks the tokens that are neither exempt nor out of their layer's sight, in parallel over heads. Heads that
    /// read the same scores are ranked and stored once.
    ///
    /// # Errors
    /// [`AnalysisError::PromptTooLong`] when positions do not fit in `u32`.
    pub fn of(importance: &Importance, exempt: ForcedKeep) -> Result<Self, AnalysisError> {
        let prompt_tokens = importance.prompt_tokens();
        if u32::try_from(prompt_tokens).is_err() {
            return Err(AnalysisError::PromptTooLong { prompt_tokens });
        }
        let stored_heads = importance.stored_heads();
        let mut order_length = 0;
        let layers: Vec<LayerRanks> = (0..importance.layers())
            .map(|layer| {
                let rankable = importance.rankable(layer, exempt);
                let order_start = order_length;
                order_length += stored_heads * rankable.len();
                LayerRanks {
                    first_visible: importance.first_visible(layer),
                    rankable,
                    order_start,
                }
            })
            .collect();
        // Filled where they stay, so that the peak is the result and one head per thread.
        // Zeroed memory costs nothing before a thread writes to it.
        let mut order = vec![0; order_length];
        let mut rank = vec![0; layers.len() * stored_heads * prompt_tokens];
        let mut rest = order.as_mut_slice();
        let mut order_by_head = Vec::with_capacity(layers.len() * stored_heads);
        for layer in &layers {
            for _ in 0..stored_heads {
                let (of_head, behind) = rest.split_at_mut(layer.rankable.len());
                order_by_head.push(of_head);
                rest = behind;
            }
        }
        let sharing = importance.heads() / stored_heads;
        order_by_head
            .into_par_iter()
            .zip(rank.par_chunks_mut(prompt_tokens))
            .enumerate()
            .for_each(|(index, (order, rank))| {
                let (layer, head) = (index / stored_heads, index % stored_heads * sharing);
                rank_head(importance.head_scores(layer, head, exempt), order, rank);
            });
        Ok(Self {
            heads: importance.heads(),
            head_kind: importance.head_kind(),
            prompt_tokens,
            exempt,
            stored_heads,
            layers,
            order,
            rank,
        })
    }

    /// Positions of the rankable tokens of one head, best first, `[N]`.
    ///
    /// # Panics
    /// When the layer or the head does not exist.
    pub fn order(&self, layer: usize, head: usize) -> &[u32] {
        let LayerRanks {
            rankable,
            order_start,
            ..
        } = &self.layers[layer];
        let start = order_start + self.stored_head(head) * rankable.len();
        &self.order[start..start + rankable.len()]
    }

    /// Rank of every prompt token of one head, 0 for the best, [`UNRANKED`] for those that are not ranked, `[T]`.
    ///
    /// # Panics
    /// When the layer or the head does not exist.
    pub fn rank(&self, layer: usize, head: usize) -> &[u32] {
        assert!(layer < self.layers.len(), "no layer {layer}");
        let start = (layer * self.stored_heads + self.stored_head(head)) * self.prompt_tokens;
        &self.rank[start..start + self.prompt_tokens]
    }

    /// Number of tokens that are ranked on a layer, `N`.
    ///
    /// # Panics
    /// When the layer does not exist.
    pub fn rankable_tokens(&self, layer: usize) -> usize {
        self.rankable(layer).len()
    }

    /// Positions of the tokens that are ranked on a layer.
    ///
    /// # Panics
    /// When the layer does not exist.
    pub fn rankable(&self, layer: usize) -> Range<usize> {
        self.layers[layer].rankable.clone()
    }

    /// The first position of a layer that a decode step sees, at most T.
    ///
    /// # Panics
    /// When the layer does not exist.
    pub fn first_visible(&self, layer: usize) -> usize {
        self.layers[layer].first_visible
    }

    /// The tokens that are ranked on no layer.
    pub fn exempt(&self) -> ForcedKeep {
        self.exempt
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Number of heads per layer.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Number of prompt tokens, `T`.
    pub fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// Layers and heads, and what a head stands for.
    pub fn shape(&self) -> HeadShape {
        HeadShape {
            layers: self.layers(),
            heads: self.heads(),
            head_kind: self.head_kind(),
        }
    }

    /// What one head stands for.
    pub fn head_kind(&self) -> HeadKind {
        self.head_kind
    }

    fn stored_head(&self, head: usize) -> usize {
        assert!(head < self.heads, "no head {head}");
        head * self.stored_heads / self.heads
    }
}

/// Fills the order `[N]` and the ranks `[T]` of one head.
fn rank_head(scores: HeadScores<'_>, order: &mut [u32], rank: &mut [u32]) {
    let rankable = scores.rankable();
    let offset = rankable.start as u32;
    rank[..rankable.start].fill(UNRANKED);
    rank[rankable.end..].fill(UNRANKED);
    let best_first = in_descending_order(scores.sort_keys(), |token| token as u32 + offset);
    for ((slot, token), place) in order.iter_mut().zip(best_first.iter()).zip(0..) {
        *slot = token;
        rank[token as usize] = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::ReducedHead;
    use crate::scoring::{GroupReduction, Pooling, Scoring};

    fn seen_from(first: usize, scores: Vec<f32>) -> Importance {
        let tokens = scores.len() / 2;
        let shares = vec![1.0; 2];
        Importance::new(1, 2, HeadKind::Query, tokens, scores, shares, vec![first]).unwrap()
    }

    fn importance(scores: Vec<f32>) -> Importance {
        seen_from(0, scores)
    }

    /// Query heads of one layer, max-pooled over three tokens.
    fn pooled(heads: &[&[f32]], kv_heads: usize, group: GroupReduction) -> Importance {
        let reduced = heads.iter().map(|scores| ReducedHead {
            scores: scores.to_vec(),
            prompt_share: 1.0,
        });
        let scoring = Scoring {
            pool: Pooling::Max { kernel: 3 },
            group,
            ..Scoring::default()
        };
        let heads = vec![reduced.collect()];
        Importance::from_reduced(heads, kv_heads, scoring, ForcedKeep::default(), vec![0]).unwrap()
    }

    #[test]
    fn ties_go_to_the_lower_position() {
        let rankings = Rankings::of(
            &importance(vec![0.1, 0.3, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0]),
            ForcedKeep::default(),
        )
        .unwrap();
        assert_eq!(rankings.order(0, 0), [1, 2, 0, 3]);
        assert_eq!(rankings.rank(0, 0), [2, 0, 1, 3]);
        assert_eq!(rankings.order(0, 1), [0, 1, 2, 3]);
    }

    #[test]
    fn the_peak_of_a_plateau_comes_first() {
        // Pooled: 5 5 9 9 9 1 1; on the plateau of 9 the peak at 3, then 2 before 4 by their own scores.
        let importance = pooled(
            &[&[0.0, 5.0, 2.0, 9.0, 1.0, 1.0, 0.0]],
            1,
            GroupReduction::None,
        );
        assert_eq!(importance.head(0, 0), [5.0, 5.0, 9.0, 9.0, 9.0, 1.0, 1.0]);
        let rankings = Rankings::of(&importance, ForcedKeep::default()).unwrap();
        assert_eq!(rankings.order(0, 0), [3, 2, 4, 1, 0, 5, 6]);
        // The exempt peak is not ranked, its pooled neighbours are.
        let exempt = ForcedKeep {
            sinks: 0,
            recent: 4,
        };
        let rankings = Rankings::of(&importance, exempt).unwrap();
        assert_eq!(rankings.order(0, 0), [2, 1, 0]);
    }

    #[test]
    fn what_a_layer_does_not_see_is_not_ranked() {
        let scores = vec![9.0, 8.0, 0.1, 0.3, 9.0, 0.0, 0.0, 0.2];
        let seen = |first: usize, exempt: ForcedKeep| {
            Rankings::of(&seen_from(first, scores.clone()), exempt).unwrap()
        };
        let rankings = seen(2, ForcedKeep::default());
        assert_eq!(rankings.order(0, 0), [3, 2]);
        assert_eq!(rankings.rank(0, 0), [UNRANKED, UNRANKED, 1, 0]);
        assert_eq!(rankings.order(0, 1), [3, 2]);
        assert_eq!(
            (rankings.rankable_tokens(0), rankings.first_visible(0)),
            (2, 2)
        );
        let exempt = ForcedKeep {
            sinks: 1,
            recent: 1,
        };
        assert_eq!(seen(2, exempt).order(0, 0), [2]);
        assert!(seen(9, exempt).order(0, 0).is_empty());
        assert_eq!(seen(9, exempt).rank(0, 1), [UNRANKED; 4]);
    }

    #[test]
    fn layers_rank_as_many_tokens_as_they_see() {
        let scores = vec![3.0, 1.0, 2.0, 1.0, 2.0, 3.0, 1.0, 3.0, 2.0];
        let importance = Importance::new(
            3,
            1,
            HeadKind::Query,
            3,
            scores,
            vec![1.0; 3],
            vec![0, 2, 1],
        )
        .unwrap();
        let rankings = Rankings::of(&importance, ForcedKeep::default()).unwrap();
        assert_eq!(rankings.order(0, 0), [0, 2, 1]);
        assert_eq!(rankings.order(1, 0), [2]);
        assert_eq!(rankings.order(2, 0), [1, 2]);
        assert_eq!(rankings.rank(2, 0), [UNRANKED, 0, 1]);
    }

    #[test]
    fn shared_heads_are_ranked_once_and_read_by_all() {
        let heads: [&[f32]; 4] = [&[1.0, 2.0], &[4.0, 3.0], &[1.0, 3.0], &[2.0, 2.0]];
        let shared = pooled(&heads, 2, GroupReduction::Mean);
        let by_group = Rankings::of(&shared, ForcedKeep::default()).unwrap();
        let viewed = shared.for_query_heads(4).unwrap();
        let by_head = Rankings::of(&viewed, ForcedKeep::default()).unwrap();
        assert_eq!((by_head.heads(), by_head.head_kind()), (4, HeadKind::Query));
        for head in 0..4 {
            assert_eq!(by_head.order(0, head), by_group.order(0, head / 2));
            assert_eq!(by_head.rank(0, head), by_group.rank(0, head / 2));
        }
        assert_eq!(by_head.order.len(), by_group.order.len());
    }

    #[test]
    fn exempt_tokens_have_no_rank() {
        let rankings = Rankings::of(
            &importance(vec![9.0, 1.0, 2.0, 8.0, 7.0, 5.0, 4.0, 3.0, 2.0, 1.0]),
            ForcedKeep {
                sinks: 1,
                recent: 2,
            },
        )
        .unwrap();
        assert_eq!(rankings.rankable_tokens(0), 2);
        assert_eq!(rankings.order(0, 0), [2, 1]);
        assert_eq!(rankings.rank(0, 0), [UNRANKED, 1, 0, UNRANKED, UNRANKED]);
        assert_eq!(rankings.order(0, 1), [1, 2]);
    }

    #[test]
    fn all_tokens_may_be_exempt() {
        let rankings = Rankings::of(
            &importance(vec![1.0; 4]),
            ForcedKeep {
                sinks: 9,
                recent: 9,
            },
        )
        .unwrap();
        assert_eq!(rankings.rankable_tokens(0), 0);
        assert!(rankings.order(0, 1).is_empty());
        assert_eq!(rankings.rank(0, 1), [UNRANKED; 2]);
    }
}
