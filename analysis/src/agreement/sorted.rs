//! One side's scores sorted once, for every measure that needs their order.

use crate::order::{SortKeys, descending};

/// Finite scores and their indices from the largest down, ties by the second key, then the lower index.
pub(super) struct Sorted<'a> {
    scores: &'a [f32],
    order: Vec<u32>,
}

impl<'a> Sorted<'a> {
    pub(super) fn of(keys: SortKeys<'a>) -> Self {
        Self {
            scores: keys.scores,
            order: descending(keys),
        }
    }

    /// Scores without a second key.
    pub(super) fn of_scores(scores: &'a [f32]) -> Self {
        Self::of(SortKeys {
            scores,
            tie_break: None,
        })
    }

    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    /// The order cut into runs of equal scores.
    pub(super) fn ties(&self) -> impl Iterator<Item = &[u32]> {
        let scores = self.scores;
        self.order
            .chunk_by(move |&a, &b| scores[a as usize] == scores[b as usize])
    }

    /// Zero-based ranks from the largest score down, tied scores sharing the mean of their places.
    pub(super) fn average_ranks(&self) -> Vec<f64> {
        let mut ranks = vec![0.0; self.scores.len()];
        let mut place = 0;
        for tied in self.ties() {
            let rank = place as f64 + 0.5 * (tied.len() as f64 - 1.0);
            for &token in tied {
                ranks[token as usize] = rank;
            }
            place += tied.len();
        }
        ranks
    }

    /// Ranks from the largest score down, tied scores sharing the first of their places.
    pub(super) fn first_ranks(&self) -> Vec<u32> {
        let mut ranks = vec![0; self.scores.len()];
        let mut place = 0;
        for tied in self.ties() {
            for &token in tied {
                ranks[token as usize] = place;
            }
            place += tied.len() as u32;
        }
        ranks
    }

    /// Ranks from the largest score down, each once: in the whole order.
    pub(super) fn ranks(&self) -> Vec<u32> {
        let mut ranks = vec![0; self.scores.len()];
        for (rank, &token) in self.order.iter().enumerate() {
            ranks[token as usize] = rank as u32;
        }
        ranks
    }
}
