//! Sorting scores once, in a way that is the same everywhere.

/// Keys below which sorting by comparison is faster than counting digits.
const FEWEST_TO_COUNT: usize = 1024;

/// Bits of one digit, and the digits that the 32 bits of a score have.
const DIGIT_BITS: usize = 11;
const DIGITS: usize = 3;
const VALUES: usize = 1 << DIGIT_BITS;

/// Indices of the scores from the largest to the smallest, ties by the lower index.
///
/// Scores are finite and their count fits in `u32`; both are held by the callers. Score and index are
/// packed into one integer, so the sort handles integers and no two keys are equal.
pub(crate) fn descending(scores: &[f32]) -> Vec<u32> {
    let mut keys: Vec<u64> = scores
        .iter()
        .enumerate()
        .map(|(index, &score)| (u64::from(!ascending_bits(score)) << 32) | index as u64)
        .collect();
    if keys.len() < FEWEST_TO_COUNT {
        keys.sort_unstable();
    } else {
        sort_by_digits(&mut keys);
    }
    keys.into_iter().map(|key| key as u32).collect()
}

/// Radix sort by the upper half of the keys, least digit first. It is stable, and the keys come by
/// ascending index, so ties stay in that order.
fn sort_by_digits(keys: &mut Vec<u64>) {
    let digit = |key: u64, place: usize| (key >> (32 + place * DIGIT_BITS)) as usize % VALUES;
    let mut counts = vec![[0_usize; VALUES]; DIGITS];
    for &key in keys.iter() {
        for (place, counts) in counts.iter_mut().enumerate() {
            counts[digit(key, place)] += 1;
        }
    }
    let mut sorted = vec![0; keys.len()];
    for (place, counts) in counts.iter_mut().enumerate() {
        if counts.contains(&keys.len()) {
            continue;
        }
        let mut start = 0;
        for count in counts.iter_mut() {
            start += std::mem::replace(count, start);
        }
        for &key in keys.iter() {
            let slot = &mut counts[digit(key, place)];
            sorted[*slot] = key;
            *slot += 1;
        }
        std::mem::swap(keys, &mut sorted);
    }
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

    #[test]
    fn many_scores_are_sorted_as_few_are() {
        let state = std::iter::successors(Some(1_u32), |x| Some(x.wrapping_mul(747_796_405) ^ 77));
        let scores: Vec<f32> = state
            .map(|bits| f32::from_bits(bits.rotate_left(9)))
            .filter(|score| score.is_finite())
            .take(5000)
            .collect();
        let rounded: Vec<f32> = scores.iter().map(|score| score.signum() * 0.25).collect();
        for scores in [scores, rounded, vec![0.5; 2000]] {
            let mut expected: Vec<u32> = (0..scores.len() as u32).collect();
            expected.sort_by(|&a, &b| {
                let (x, y) = (scores[a as usize], scores[b as usize]);
                y.partial_cmp(&x).unwrap()
            });
            assert_eq!(descending(&scores), expected);
        }
    }
}
