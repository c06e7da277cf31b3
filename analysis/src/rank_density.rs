//! Where a window ranks the tokens that the truth ranks here or there: a histogram over pairs of ranks.

use crate::ranking::UNRANKED;

/// Counts of tokens by the truth's and the window's rank, on logarithmic axes, over any number of heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankDensity {
    /// First rank (from 0) of each bin, and the number of ranks at the end.
    edges: Vec<u32>,
    /// `[bins, bins]`: the truth's bin, then the window's.
    counts: Vec<u64>,
}

impl RankDensity {
    /// An empty histogram for `tokens` ranks and about `bins` bins a side: their edges lie at powers of a common
    /// factor, rounded to whole ranks, so small ranks have bins of their own.
    #[must_use]
    pub fn new(tokens: usize, bins: usize) -> Self {
        let tokens = tokens.max(1);
        let edge = |place: usize| {
            let share = place as f64 / bins.max(1) as f64;
            ((tokens as f64 + 1.0).powf(share)).round() as u32 - 1
        };
        let mut edges: Vec<u32> = (0..=bins.max(1)).map(edge).collect();
        edges.dedup();
        let side = edges.len() - 1;
        Self {
            edges,
            counts: vec![0; side * side],
        }
    }

    /// Bins of one side.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.edges.len() - 1
    }

    /// The ranks of a bin, counted from 0.
    #[must_use]
    pub fn ranks(&self, bin: usize) -> std::ops::Range<u32> {
        let edge = |place: usize| self.edges.get(place).copied().unwrap_or(0);
        edge(bin)..edge(bin + 1)
    }

    /// Counts the tokens of one head; both slices hold a rank for every prompt token, [`UNRANKED`] for those that
    /// are in no ranking.
    pub fn add(&mut self, truth: &[u32], window: &[u32]) {
        let bins = self.bins();
        for (&truth, &window) in truth.iter().zip(window) {
            if truth == UNRANKED || window == UNRANKED {
                continue;
            }
            let cell = self.bin_of(truth) * bins + self.bin_of(window);
            if let Some(count) = self.counts.get_mut(cell) {
                *count += 1;
            }
        }
    }

    fn bin_of(&self, rank: u32) -> usize {
        let after = self.edges.partition_point(|&edge| edge <= rank);
        (after - 1).min(self.bins() - 1)
    }

    /// Of the tokens in the truth's bin, the share that the window ranks in its bin: `[bins, bins]`, each row of
    /// sum 1; NaN where the truth's bin holds no token.
    #[must_use]
    pub fn shares(&self) -> Vec<f32> {
        self.counts
            .chunks_exact(self.bins())
            .flat_map(|row| {
                let sum: u64 = row.iter().sum();
                row.iter().map(move |&count| match sum {
                    0 => f32::NAN,
                    _ => (count as f64 / sum as f64) as f32,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_cover_every_rank_once_and_the_first_ranks_stand_alone() {
        for tokens in [1, 2, 7, 512, 100_000] {
            let density = RankDensity::new(tokens, 24);
            assert_eq!(density.ranks(0), 0..1);
            let mut next = 0;
            for bin in 0..density.bins() {
                assert_eq!(density.ranks(bin).start, next);
                next = density.ranks(bin).end;
                assert!(density.ranks(bin).contains(&(next - 1)));
                assert_eq!(density.bin_of(next - 1), bin);
            }
            assert_eq!(next as usize, tokens);
        }
    }

    #[test]
    fn the_same_ranking_lies_on_the_diagonal_and_rows_sum_to_one() {
        let ranks: Vec<u32> = (0..60).map(|token| (token * 7) % 60).collect();
        let mut density = RankDensity::new(60, 10);
        density.add(&ranks, &ranks);
        let bins = density.bins();
        for (cell, share) in density.shares().into_iter().enumerate() {
            let expected = if cell / bins == cell % bins { 1.0 } else { 0.0 };
            assert_eq!(share, expected);
        }
        let backwards: Vec<u32> = ranks.iter().map(|rank| 59 - rank).collect();
        density.add(&ranks, &backwards);
        for row in density.shares().chunks(bins) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn unranked_tokens_are_not_counted() {
        let mut density = RankDensity::new(2, 4);
        density.add(&[UNRANKED, 0, 1], &[0, UNRANKED, 1]);
        assert!(
            density.shares()[..density.bins()]
                .iter()
                .all(|share| share.is_nan())
        );
        assert_eq!(density.shares().last(), Some(&1.0));
    }
}
