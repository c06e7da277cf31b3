//! Sorting scores once, in a way that is the same everywhere.

/// Indices of the scores from the largest to the smallest, ties by the lower index.
///
/// Scores are finite and their count fits in `u32`; both are held by the callers. Score and index are
/// packed into one integer, so the sort compares integers and no two keys are equal.
pub(crate) fn descending(scores: &[f32]) -> Vec<u32> {
    let mut keys: Vec<u64> = scores
        .iter()
        .enumerate()
        .map(|(index, &score)| (u64::from(!ascending_bits(score)) << 32) | index as u64)
        .collect();
    keys.sort_unstable();
    keys.into_iter().map(|key| key as u32).collect()
}

/// Bits that order as the numbers do, with both zeros equal.
fn ascending_bits(score: f32) -> u32 {
    const SIGN: u32 = 1 << 31;
    // Adding zero turns -0.0 into 0.0, which must tie with it.
    let bits = (score + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
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
}
