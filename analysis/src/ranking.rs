//! Prompt tokens sorted by importance, for every head.

use rayon::prelude::*;

use crate::error::AnalysisError;
use crate::importance::{HeadKind, Importance};
use crate::order::in_descending_order;
use crate::tokens::ForcedKeep;

/// Rank of a token that is exempt from ranking.
pub const EXEMPT: u32 = u32::MAX;

/// The ranking of every head: best token first, ties by the lower position. On a layer with a sliding window the
/// tokens that no decode step sees come last, by their positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rankings {
    layers: usize,
    heads: usize,
    head_kind: HeadKind,
    prompt_tokens: usize,
    exempt: ForcedKeep,
    order: Vec<u32>,
    rank: Vec<u32>,
}

impl Rankings {
    /// Ranks the tokens that are not exempt, in parallel over heads. An [`Importance`] holds finite
    /// scores only, so every two tokens can be compared.
    ///
    /// # Errors
    /// [`AnalysisError::PromptTooLong`] when positions do not fit in `u32`.
    pub fn of(importance: &Importance, exempt: ForcedKeep) -> Result<Self, AnalysisError> {
        let prompt_tokens = importance.prompt_tokens();
        if u32::try_from(prompt_tokens).is_err() {
            return Err(AnalysisError::PromptTooLong { prompt_tokens });
        }
        let rankable = exempt.rest(prompt_tokens);
        let all_heads = importance.layers() * importance.heads();
        // Filled where they stay, so that the peak is the result and one head per thread.
        // Zeroed memory costs nothing before a thread writes to it.
        let mut order = vec![0; all_heads * rankable.len()];
        let mut rank = vec![0; all_heads * prompt_tokens];
        rank.par_chunks_mut(prompt_tokens).for_each(|rank| {
            rank[..rankable.start].fill(EXEMPT);
            rank[rankable.end..].fill(EXEMPT);
        });
        importance
            .by_head()
            .zip(order.par_chunks_mut(rankable.len().max(1)))
            .zip(rank.par_chunks_mut(prompt_tokens))
            .enumerate()
            .for_each(|(head, ((scores, order), rank))| {
                let visible = importance.first_visible(head / importance.heads());
                let visible = visible.clamp(rankable.start, rankable.end);
                let offset = visible as u32;
                let scores = &scores[visible..rankable.end];
                let best_first = in_descending_order(scores, |token| token as u32 + offset);
                let unseen = rankable.start as u32..offset;
                let tokens = best_first.iter().chain(unseen);
                for ((slot, token), place) in order.iter_mut().zip(tokens).zip(0..) {
                    *slot = token;
                    rank[token as usize] = place;
                }
            });
        Ok(Self {
            layers: importance.layers(),
            heads: importance.heads(),
            head_kind: importance.head_kind(),
            prompt_tokens,
            exempt,
            order,
            rank,
        })
    }

    /// Positions of the rankable tokens of one head, best first, `[N]`.
    ///
    /// # Panics
    /// When the layer or the head does not exist.
    pub fn order(&self, layer: usize, head: usize) -> &[u32] {
        let rankable = self.rankable_tokens();
        let start = self.head_index(layer, head) * rankable;
        &self.order[start..start + rankable]
    }

    /// Rank of every prompt token of one head, 0 for the best, [`EXEMPT`] for exempt tokens, `[T]`.
    ///
    /// # Panics
    /// When the layer or the head does not exist.
    pub fn rank(&self, layer: usize, head: usize) -> &[u32] {
        let start = self.head_index(layer, head) * self.prompt_tokens;
        &self.rank[start..start + self.prompt_tokens]
    }

    /// Number of tokens that are ranked, `N`.
    pub fn rankable_tokens(&self) -> usize {
        self.exempt.rest(self.prompt_tokens).len()
    }

    /// The tokens that are not ranked.
    pub fn exempt(&self) -> ForcedKeep {
        self.exempt
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Number of heads per layer.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Number of prompt tokens, `T`.
    pub fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// What one head stands for.
    pub fn head_kind(&self) -> HeadKind {
        self.head_kind
    }

    fn head_index(&self, layer: usize, head: usize) -> usize {
        assert!(
            layer < self.layers && head < self.heads,
            "no layer {layer}, head {head}"
        );
        layer * self.heads + head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn importance(scores: Vec<f32>) -> Importance {
        let tokens = scores.len() / 2;
        Importance::new(1, 2, HeadKind::Query, tokens, scores, vec![1.0; 2]).unwrap()
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
    fn what_a_layer_does_not_see_comes_last_by_position() {
        let scores = vec![9.0, 8.0, 0.1, 0.3, 9.0, 0.0, 0.0, 0.2];
        let seen = |first: usize, exempt: ForcedKeep| {
            let seen = importance(scores.clone())
                .with_first_visible(vec![first])
                .unwrap();
            Rankings::of(&seen, exempt).unwrap()
        };
        let rankings = seen(2, ForcedKeep::default());
        assert_eq!(rankings.order(0, 0), [3, 2, 0, 1]);
        assert_eq!(rankings.rank(0, 0), [2, 3, 1, 0]);
        assert_eq!(rankings.order(0, 1), [3, 2, 0, 1]);
        let exempt = ForcedKeep {
            sinks: 1,
            recent: 1,
        };
        assert_eq!(seen(2, exempt).order(0, 0), [2, 1]);
        assert_eq!(seen(9, exempt).order(0, 0), [1, 2]);
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
        assert_eq!(rankings.rankable_tokens(), 2);
        assert_eq!(rankings.order(0, 0), [2, 1]);
        assert_eq!(rankings.rank(0, 0), [EXEMPT, 1, 0, EXEMPT, EXEMPT]);
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
        assert_eq!(rankings.rankable_tokens(), 0);
        assert!(rankings.order(0, 1).is_empty());
        assert_eq!(rankings.rank(0, 1), [EXEMPT, EXEMPT]);
    }
}
