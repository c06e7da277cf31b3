//! Which of some ascending tops is the first to hold each score, without sorting all of them.
//!
//! Scores are counted in bins by the highest bits in which they differ. Where no top ends inside a bin, all of
//! its scores have one level, which a table tells; only those of the few other bins are sorted.

use super::digits::{ascending, entry, key_of, label_of, order_ties};
use super::{SortKeys, in_descending_order};

/// Most tops that there are levels for.
pub(crate) const MOST_TOPS: usize = 254;

/// The level, while it is unknown, of a score whose bin a top ends in.
const CUT: u8 = u8::MAX;

/// Scores below which sorting all of them is as fast.
const FEWEST_TO_COUNT: usize = 1024;

/// Bits that choose a bin. With more of them fewer scores are to be sorted, but the counts of all bins no longer
/// fit in the nearest cache.
const BIN_BITS: u32 = 13;
const BINS: usize = 1 << BIN_BITS;

/// The level of each score: the index of the first top (a number of best scores, ascending, at most
/// [`MOST_TOPS`] of them) that holds it, or their number when none does. Of equal keys the first is better.
///
/// Scores are finite and their count fits in `u32`; both are held by the callers.
pub(crate) fn levels(keys: SortKeys<'_>, tops: &[usize]) -> Vec<u8> {
    let scores = keys.scores;
    if scores.len() < FEWEST_TO_COUNT {
        return levels_by_sorting(keys, tops);
    }
    let bins = Bins::of(scores);
    let table = LevelTable::of(&bins.counts(), tops);
    // Scores that lie close together beside one that is far away fall into a single bin.
    if table.cut_scores > scores.len() / 4 {
        return levels_by_sorting(keys, tops);
    }
    let mut levels = table.look_up(&bins);
    let cut = table.best_first_of_cut(&levels, keys, &bins);
    let (mut starts, mut rank) = (table.cut_starts.iter(), 0);
    let (mut bin_before, mut level) = (None, 0);
    for entry in cut {
        let bin = bins.of_key(key_of(entry));
        if bin_before.replace(bin) != Some(bin) {
            rank = starts.next().map_or(rank, |&start| start);
        }
        level = level_from(level, rank, tops);
        levels[label_of(entry) as usize] = level as u8;
        rank += 1;
    }
    levels
}

fn levels_by_sorting(keys: SortKeys<'_>, tops: &[usize]) -> Vec<u8> {
    let mut levels = vec![0; keys.scores.len()];
    let best_first = in_descending_order(keys, |index| index as u32);
    let mut level = 0;
    for (index, rank) in best_first.iter().zip(0..) {
        level = level_from(level, rank, tops);
        levels[index as usize] = level as u8;
    }
    levels
}

/// The level of a rank, which is not below a level that is known.
fn level_from(mut level: usize, rank: usize, tops: &[usize]) -> usize {
    while tops.get(level).is_some_and(|&top| top <= rank) {
        level += 1;
    }
    level
}

/// The bin of each score, the largest scores in bin 0.
struct Bins {
    highest: i32,
    shift: u32,
    of_scores: Vec<u16>,
}

impl Bins {
    fn of(scores: &[f32]) -> Self {
        let ends = (i32::MAX, i32::MIN);
        let (lowest, highest) = scores.iter().fold(ends, |(low, high), &score| {
            let key = ascending(score);
            (low.min(key), high.max(key))
        });
        let width = u32::BITS - highest.abs_diff(lowest).leading_zeros();
        let shift = width.saturating_sub(BIN_BITS);
        let bin = |&score: &f32| (below(highest, score) >> shift) as u16;
        Self {
            highest,
            shift,
            of_scores: scores.iter().map(bin).collect(),
        }
    }

    /// Number of scores in each bin.
    fn counts(&self) -> [u32; BINS] {
        let mut counts = [0; BINS];
        for &bin in &self.of_scores {
            counts[usize::from(bin) % BINS] += 1;
        }
        counts
    }

    fn of_key(&self, key: u32) -> u32 {
        key >> self.shift
    }
}

/// How far a score lies below the highest, 0 for that one.
fn below(highest: i32, score: f32) -> u32 {
    highest.wrapping_sub(ascending(score)) as u32
}

/// The level of each bin.
struct LevelTable {
    /// [`CUT`] for a bin that a top ends in.
    levels: [u8; BINS],
    /// Rank of the best score of each bin that a top ends in.
    cut_starts: Vec<usize>,
    /// Number of scores in such bins.
    cut_scores: usize,
}

impl LevelTable {
    fn of(counts: &[u32; BINS], tops: &[usize]) -> Self {
        let (mut levels, mut cut_starts) = ([0; BINS], Vec::new());
        let (mut start, mut level, mut cut_scores) = (0, 0, 0);
        for (slot, &count) in levels.iter_mut().zip(counts) {
            level = level_from(level, start, tops);
            let end = start + count as usize;
            *slot = level as u8;
            if tops.get(level).is_some_and(|&top| top < end) {
                *slot = CUT;
                cut_starts.push(start);
                cut_scores += count as usize;
            }
            start = end;
        }
        Self {
            levels,
            cut_starts,
            cut_scores,
        }
    }

    /// The level of each score as far as its bin tells it.
    fn look_up(&self, bins: &Bins) -> Vec<u8> {
        let of_scores = bins.of_scores.iter();
        of_scores
            .map(|&bin| self.levels[usize::from(bin) % BINS])
            .collect()
    }

    /// Key and index of the scores whose level the bins do not tell, best first.
    fn best_first_of_cut(&self, levels: &[u8], keys: SortKeys<'_>, bins: &Bins) -> Vec<u64> {
        let mut indices = vec![0; self.cut_scores + 1];
        let mut found = 0;
        for (run, start) in levels.chunks(RUN).zip((0..).step_by(RUN)) {
            // Most runs have no such score. In the others each index is written, and the next one over it unless
            // it is to stay, since a branch for each could not be predicted.
            if run.iter().fold(false, |any, &level| any | (level == CUT)) {
                for (&level, index) in run.iter().zip(start..) {
                    indices[found] = index;
                    found += usize::from(level == CUT);
                }
            }
        }
        let keyed = |&index: &u32| entry(below(bins.highest, keys.scores[index as usize]), index);
        let mut cut: Vec<u64> = indices[..found].iter().map(keyed).collect();
        // The index below the key makes all entries different, and ties go by it.
        cut.sort_unstable();
        if let Some(tie_break) = keys.tie_break {
            order_ties(&mut cut, tie_break);
        }
        cut
    }
}

/// Levels that are looked at together.
const RUN: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::plain_order;
    use super::*;

    /// The definition: ranks by a plain sort, and for each the first top above it.
    fn by_definition(keys: SortKeys<'_>, tops: &[usize]) -> Vec<u8> {
        let mut levels = vec![0; keys.scores.len()];
        for (rank, index) in plain_order(keys).into_iter().enumerate() {
            let first = tops.iter().position(|&top| rank < top);
            levels[index as usize] = first.unwrap_or(tops.len()) as u8;
        }
        levels
    }

    fn alone(scores: &[f32]) -> SortKeys<'_> {
        SortKeys {
            scores,
            tie_break: None,
        }
    }

    /// Scores as they come: spread out, tied, of both signs, constant, in two clusters, with one far away.
    fn scores() -> impl Strategy<Value = Vec<f32>> {
        let count = prop_oneof![1..40_usize, 1000..1050_usize, 3000..6000_usize];
        (count, 0..8_u32, any::<u64>()).prop_map(|(count, kind, seed)| {
            let random = |index: usize| {
                let mixed = (seed ^ index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
            };
            let score = |index: usize| {
                let drawn = random(index) as f32;
                match kind {
                    0 => drawn,
                    1 => (drawn / 1e6).floor() - 8.0,
                    2 => (drawn - 8e6) * 1e-30,
                    3 => 0.25,
                    4 => [0.0, -0.0, f32::MIN_POSITIVE, -1e-45][random(index) as usize % 4],
                    5 => [1e-8, 1e8][random(index) as usize % 2] * (1.0 + drawn * 1e-9),
                    6 if index == 0 => f32::MIN,
                    6 => 1.0 + drawn * 1e-9,
                    _ => f32::exp2(drawn / 1e5 - 140.0),
                }
            };
            (0..count).map(score).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn levels_are_those_of_a_plain_sort(
            (scores, second) in scores().prop_flat_map(|scores| {
                let count = scores.len();
                (Just(scores), prop::collection::vec((0..4_u8).prop_map(f32::from), count))
            }),
            shares in prop::collection::vec(0.0..=1.0_f64, 0..30),
        ) {
            let top = |share: f64| (share.powi(3) * scores.len() as f64).round() as usize;
            let mut tops: Vec<usize> = shares.into_iter().map(top).collect();
            tops.sort_unstable();
            for keys in [alone(&scores), SortKeys { scores: &scores, tie_break: Some(&second) }] {
                prop_assert_eq!(levels(keys, &tops), by_definition(keys, &tops));
            }
        }
    }

    #[test]
    fn the_first_and_the_last_top_and_the_most_of_them() {
        let scores: Vec<f32> = (0..5000_u32)
            .map(|index| (index * 7919 % 4999) as f32)
            .collect();
        for tops in [
            vec![],
            vec![1],
            vec![5000],
            vec![1, 1, 5000, 5000],
            (1..=MOST_TOPS).collect(),
            (5000 - MOST_TOPS..5000).collect(),
        ] {
            assert_eq!(
                levels(alone(&scores), &tops),
                by_definition(alone(&scores), &tops),
                "{tops:?}"
            );
        }
        assert!(levels(alone(&[]), &[0]).is_empty());
    }

    #[test]
    fn most_levels_are_told_by_the_bins() {
        let scores: Vec<f32> = (0..32_768_u32)
            .map(|index| (index * 7919 % 32_771) as f32)
            .collect();
        let table = LevelTable::of(&Bins::of(&scores).counts(), &[16, 256, 4096]);
        assert!(table.cut_scores > 0, "no top ends in a bin");
        assert!(table.cut_scores < scores.len() / 10, "{}", table.cut_scores);
    }
}
