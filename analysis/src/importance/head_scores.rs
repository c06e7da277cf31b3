//! What every ranking is made of.

use std::ops::Range;

use super::Importance;
use crate::order::SortKeys;
use crate::tokens::ForcedKeep;

/// The scores of one head with everything that a ranking of them needs: which tokens are ranked, and what decides
/// between equal scores.
///
/// A token stands before another if its score is higher; if the scores are equal, if its unpooled score is higher;
/// if these are equal too, if its position is lower. Max pooling turns a peak into a plateau of equal scores, and
/// without the second key the peak itself would be in the middle of it.
#[derive(Debug, Clone, Copy)]
pub struct HeadScores<'a> {
    scores: &'a [f32],
    /// None where pooling left the scores as they were.
    unpooled: Option<&'a [f32]>,
    first: usize,
    end: usize,
}

impl<'a> HeadScores<'a> {
    pub(crate) fn new(
        scores: &'a [f32],
        unpooled: Option<&'a [f32]>,
        rankable: Range<usize>,
    ) -> Self {
        Self {
            scores,
            unpooled,
            first: rankable.start,
            end: rankable.end,
        }
    }

    /// The importance of every prompt token, `[T]`.
    pub fn scores(self) -> &'a [f32] {
        self.scores
    }

    /// The unpooled scores, which decide between equal ones, `[T]`.
    pub fn tie_break(self) -> &'a [f32] {
        self.unpooled.unwrap_or(self.scores)
    }

    /// Positions of the tokens that are ranked: those that are not exempt and that a decode step sees on this layer.
    pub fn rankable(self) -> Range<usize> {
        self.first..self.end
    }

    /// Scores of the rankable tokens, `[N]`.
    pub(crate) fn rankable_scores(self) -> &'a [f32] {
        &self.scores[self.rankable()]
    }

    /// What the rankable tokens are sorted by; the index 0 is the first of them.
    pub(crate) fn sort_keys(self) -> SortKeys<'a> {
        SortKeys {
            scores: self.rankable_scores(),
            tie_break: self.unpooled.map(|unpooled| &unpooled[self.rankable()]),
        }
    }
}

impl Importance {
    /// The scores of one head, ready to be ranked: over the tokens that are neither exempt nor out of this layer's
    /// sight.
    ///
    /// # Panics
    /// When the layer or the head does not exist.
    pub fn head_scores(&self, layer: usize, head: usize, exempt: ForcedKeep) -> HeadScores<'_> {
        let start = self.stored_index(layer, head) * self.prompt_tokens();
        let of_head = start..start + self.prompt_tokens();
        let unpooled = self.stored.unpooled.as_deref();
        HeadScores::new(
            &self.stored.scores[of_head.clone()],
            unpooled.map(|unpooled| &unpooled[of_head]),
            self.rankable(layer, exempt),
        )
    }

    /// Positions of a layer's tokens that are neither exempt nor out of its sight.
    pub(crate) fn rankable(&self, layer: usize, exempt: ForcedKeep) -> Range<usize> {
        let rest = exempt.rest(self.prompt_tokens());
        self.first_visible(layer).clamp(rest.start, rest.end)..rest.end
    }
}
