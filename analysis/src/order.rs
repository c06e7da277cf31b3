//! Sorting scores once, in a way that is the same everywhere.

mod digits;
mod levels;

use std::cell::Cell;
use std::mem::take;

use digits::DigitSort;
pub(crate) use levels::{MOST_TOPS, levels};

thread_local! {
    /// The buffers of this thread's last sort. They are taken out while they are in use.
    static BUFFERS: Cell<DigitSort> = Cell::default();
}

/// What tokens are sorted by: their scores and, where two are equal, another score.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SortKeys<'a> {
    pub(crate) scores: &'a [f32],
    /// As many as the scores.
    pub(crate) tie_break: Option<&'a [f32]>,
}

/// Sorts from the largest score to the smallest, equal scores by the tie-break from the largest down, what is equal
/// in both in the order that it came in. `label` names the score at an index.
///
/// Scores are finite and their count fits in `u32`; both are held by the callers.
pub(crate) fn in_descending_order(
    keys: SortKeys<'_>,
    label: impl Fn(usize) -> u32,
) -> SortedLabels {
    let mut buffers = BUFFERS.take();
    buffers.sort(keys, label);
    SortedLabels(buffers)
}

/// Indices in the same order. Conditions as above.
pub(crate) fn descending(keys: SortKeys<'_>) -> Vec<u32> {
    in_descending_order(keys, |index| index as u32)
        .iter()
        .collect()
}

/// The labels of sorted scores. They lie in the buffers of this thread, which are given back in the end.
pub(crate) struct SortedLabels(DigitSort);

impl SortedLabels {
    /// Best first.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = u32> {
        self.0.labels()
    }
}

impl Drop for SortedLabels {
    fn drop(&mut self) {
        BUFFERS.set(take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The order by a plain comparison of both keys.
    pub(super) fn plain_order(keys: SortKeys<'_>) -> Vec<u32> {
        let larger_first =
            |keys: &[f32], a: u32, b: u32| keys[b as usize].partial_cmp(&keys[a as usize]).unwrap();
        let mut order: Vec<u32> = (0..keys.scores.len() as u32).collect();
        order.sort_by(|&a, &b| {
            let by_second = |second: &[f32]| larger_first(second, a, b);
            larger_first(keys.scores, a, b)
                .then(keys.tie_break.map_or(std::cmp::Ordering::Equal, by_second))
        });
        order
    }

    fn alone(scores: &[f32]) -> SortKeys<'_> {
        SortKeys {
            scores,
            tie_break: None,
        }
    }

    fn sorted(scores: &[f32]) -> Vec<u32> {
        descending(alone(scores))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// As max pooling makes them: plateaus, wide and narrow, with peaks below, some of them equal too.
        #[test]
        fn ties_go_by_the_second_key_then_by_position(
            count in prop_oneof![1..60_usize, 1020..1030_usize, 2000..4000_usize],
            (plateau, kinds, seconds) in (1..40_usize, 1..300_u64, 1..9_u64),
            seed in any::<u64>(),
        ) {
            let random = |index: usize, below: u64| {
                let mixed = (seed ^ index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) % below
            };
            let scores: Vec<f32> = (0..count)
                .map(|index| random(index / plateau, kinds) as f32 / 64.0 - 1.0)
                .collect();
            let second: Vec<f32> = (0..count)
                .map(|index| if random(index, 7) == 0 { -0.0 } else { random(index + count, seconds) as f32 })
                .collect();
            let keys = SortKeys { scores: &scores, tie_break: Some(&second) };
            let expected = plain_order(keys);
            prop_assert_eq!(descending(keys), expected.clone());
            let labelled = in_descending_order(keys, |index| 3 * index as u32 + 1);
            let expected: Vec<u32> = expected.into_iter().map(|index| 3 * index + 1).collect();
            prop_assert_eq!(labelled.iter().collect::<Vec<u32>>(), expected);
        }
    }

    #[test]
    fn larger_scores_come_first_and_ties_by_position() {
        let scores = [0.5, -1.0, 2.0, 0.5, -3.0, 2.0, 0.0];
        assert_eq!(sorted(&scores), [2, 5, 0, 3, 6, 1, 4]);
    }

    #[test]
    fn both_zeros_tie() {
        assert_eq!(sorted(&[-0.0, 0.0, -0.0, 1e-45, -1e-45]), [3, 0, 1, 2, 4]);
    }

    #[test]
    fn extremes_and_emptiness() {
        assert_eq!(sorted(&[f32::MIN, f32::MAX, f32::MIN_POSITIVE]), [1, 2, 0]);
        assert!(sorted(&[]).is_empty());
    }

    #[test]
    fn labels_follow_their_scores_and_do_not_decide_ties() {
        let scores = [0.5, 2.0, 0.5, 1.0];
        let labels = [7, 3, 1, 9];
        let labelled = in_descending_order(alone(&scores), |index| labels[index]);
        // A second sort at the same time takes buffers of its own.
        assert_eq!(sorted(&scores), [1, 3, 0, 2]);
        assert_eq!(labelled.iter().collect::<Vec<u32>>(), [3, 9, 7, 1]);
    }

    /// Finite numbers of all magnitudes.
    fn any_numbers() -> impl Iterator<Item = f32> {
        std::iter::successors(Some(1_u32), |x| Some(x.wrapping_mul(747_796_405) ^ 77))
            .map(|bits| f32::from_bits(bits.rotate_left(9)))
            .filter(|score| score.is_finite())
    }

    fn assert_sorted(scores: &[f32]) {
        assert_eq!(sorted(scores), plain_order(alone(scores)));
    }

    #[test]
    fn many_scores_are_sorted_as_few_are() {
        let scores: Vec<f32> = any_numbers().take(5000).collect();
        let rounded: Vec<f32> = scores.iter().map(|score| score.signum() * 0.25).collect();
        for scores in [scores, rounded, vec![0.5; 2000]] {
            assert_sorted(&scores);
        }
    }

    #[test]
    fn scores_that_lie_too_close_for_their_digits_are_sorted_as_well() {
        // One score far away leaves the others a single value of the digits that are looked at.
        let close: Vec<f32> = any_numbers()
            .take(5000)
            .map(|score| f32::from_bits(1.0_f32.to_bits() + (score.to_bits() & 0x3ff)))
            .chain([f32::MIN])
            .collect();
        assert_sorted(&close);
        // Pairs that differ in their last bit alone, in an order that is wrong for half of them.
        let pairs: Vec<f32> = any_numbers()
            .take(3000)
            .flat_map(|score| [score, f32::from_bits(score.to_bits() ^ 1)])
            .collect();
        assert_sorted(&pairs);
    }
}
