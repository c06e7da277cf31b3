//! The sign-flip test of paired differences.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Random sign flips of a test that has too many samples to try all of them.
pub const SIGN_FLIPS: usize = 9999;

/// Samples below which the p-value cannot fall to 0.05, whatever they are: the smallest possible one is `2^(1-n)`.
pub const FEWEST_TO_RESOLVE: usize = 6;

/// Two-sided p-value of "the mean difference is zero": the share of sign flips of the differences whose
/// absolute mean reaches the observed one (Fisher 1935; the paired permutation test, SciPy's
/// `permutation_test` with `permutation_type="samples"`).
///
/// It supposes that without an effect a difference is as likely to be negative as positive, and nothing
/// else of the distribution. All `2^n` flips are tried when they are at most [`SIGN_FLIPS`] + 1 (13
/// samples); otherwise that many are drawn by the seed, the observed one counted with them, so the
/// value is never 0 (Phipson and Smyth 2010). 1 for no samples.
pub fn sign_flip_p(differences: &[f64], seed: u64) -> f64 {
    let scale: f64 = differences.iter().map(|difference| difference.abs()).sum();
    let observed = differences.iter().sum::<f64>().abs();
    // Flips that are equal on paper differ by rounding; they must count as reaching the observed sum.
    let reached = observed - 1e-12 * scale;
    let count = differences.len();
    let all = u32::try_from(count)
        .ok()
        .and_then(|count| 1_usize.checked_shl(count))
        .filter(|&all| all <= SIGN_FLIPS + 1);
    match all {
        Some(all) => {
            let extreme = (0..all as u64)
                .filter(|&signs| flipped_sum(differences, &[signs]).abs() >= reached)
                .count();
            extreme as f64 / all as f64
        }
        None => {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut signs = vec![0_u64; count.div_ceil(64)];
            let extreme = (0..SIGN_FLIPS)
                .filter(|_| {
                    signs.fill_with(|| random.random());
                    flipped_sum(differences, &signs).abs() >= reached
                })
                .count();
            (extreme + 1) as f64 / (SIGN_FLIPS + 1) as f64
        }
    }
}

/// The sum with the sign of every difference turned whose bit is set.
fn flipped_sum(differences: &[f64], signs: &[u64]) -> f64 {
    differences
        .chunks(64)
        .zip(signs)
        .map(|(block, &bits)| {
            block
                .iter()
                .enumerate()
                .map(|(place, &difference)| {
                    // The lowest bit moved to where a number keeps its sign.
                    f64::from_bits(difference.to_bits() ^ ((bits >> place) << 63))
                })
                .sum::<f64>()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::super::LEVEL;
    use super::*;

    #[test]
    fn few_samples_are_tested_exactly() {
        // Only all plus and all minus reach the sum of equal differences.
        assert_eq!(sign_flip_p(&[0.5; 4], 1), 2.0 / 16.0);
        assert_eq!(sign_flip_p(&[1.0, -1.0], 1), 1.0);
        // Sums of 3, 1 and 1: the flips give 5, 3, 3, 1 and their negatives; three is reached by six.
        assert_eq!(sign_flip_p(&[3.0, 1.0, -1.0], 1), 6.0 / 8.0);
        assert_eq!(sign_flip_p(&[0.5], 1), 1.0);
        assert_eq!(sign_flip_p(&[], 1), 1.0);
    }

    #[test]
    fn fewer_samples_than_six_cannot_reach_the_level() {
        let smallest = |samples| sign_flip_p(&vec![1.0; samples], 1);
        assert!(smallest(FEWEST_TO_RESOLVE) <= 1.0 - LEVEL);
        assert!(smallest(FEWEST_TO_RESOLVE - 1) > 1.0 - LEVEL);
    }

    #[test]
    fn rounding_does_not_hide_a_flip_that_ties() {
        // 0.1 + 0.2 - 0.3 is not 0 in binary.
        assert_eq!(sign_flip_p(&[0.1, 0.2, -0.3], 1), 1.0);
        assert_eq!(sign_flip_p(&[0.0; 20], 1), 1.0);
    }

    #[test]
    fn many_samples_are_tested_by_chance_and_the_seed_fixes_it() {
        let strong = [0.3; 40];
        assert_eq!(sign_flip_p(&strong, 1), 1.0 / (SIGN_FLIPS + 1) as f64);
        let weak: Vec<f64> = (0..70).map(|i| f64::from(i % 7) - 2.8).collect();
        assert_eq!(sign_flip_p(&weak, 5), sign_flip_p(&weak, 5));
        assert_ne!(sign_flip_p(&weak, 5), sign_flip_p(&weak, 6));
    }
}
