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

/// Sorts scores from the largest to the smallest; equal scores keep the order that they came in. `label`
/// names the score at an index.
///
/// Scores are finite and their count fits in `u32`; both are held by the callers.
pub(crate) fn in_descending_order(scores: &[f32], label: impl Fn(usize) -> u32) -> SortedLabels {
    let mut buffers = BUFFERS.take();
    buffers.sort(scores, label);
    SortedLabels(buffers)
}

/// Indices of the scores from the largest to the smallest, ties by the lower index. Conditions as above.
pub(crate) fn descending(scores: &[f32]) -> Vec<u32> {
    in_descending_order(scores, |index| index as u32)
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
    use super::*;

    #[test]
    fn larger_scores_come_first_and_ties_by_position() {
        let scores = [0.5, -1.0, 2.0, 0.5, -3.0, 2.0, 0.0];
        assert_eq!(descending(&scores), [2, 5, 0, 3, 6, 1, 4]);
    }

    #[test]
    fn both_zeros_tie() {
        assert_eq!(
            descending(&[-0.0, 0.0, -0.0, 1e-45, -1e-45]),
            [3, 0, 1, 2, 4]
        );
    }

    #[test]
    fn extremes_and_emptiness() {
        assert_eq!(
            descending(&[f32::MIN, f32::MAX, f32::MIN_POSITIVE]),
            [1, 2, 0]
        );
        assert!(descending(&[]).is_empty());
    }

    #[test]
    fn labels_follow_their_scores_and_do_not_decide_ties() {
        let scores = [0.5, 2.0, 0.5, 1.0];
        let labels = [7, 3, 1, 9];
        let sorted = in_descending_order(&scores, |index| labels[index]);
        // A second sort at the same time takes buffers of its own.
        assert_eq!(descending(&scores), [1, 3, 0, 2]);
        assert_eq!(sorted.iter().collect::<Vec<u32>>(), [3, 9, 7, 1]);
    }

    /// Finite numbers of all magnitudes.
    fn any_numbers() -> impl Iterator<Item = f32> {
        std::iter::successors(Some(1_u32), |x| Some(x.wrapping_mul(747_796_405) ^ 77))
            .map(|bits| f32::from_bits(bits.rotate_left(9)))
            .filter(|score| score.is_finite())
    }

    fn assert_sorted(scores: &[f32]) {
        let mut expected: Vec<u32> = (0..scores.len() as u32).collect();
        expected.sort_by(|&a, &b| {
            let (x, y) = (scores[a as usize], scores[b as usize]);
            y.partial_cmp(&x).unwrap()
        });
        assert_eq!(descending(scores), expected);
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
