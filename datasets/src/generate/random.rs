//! Seeded randomness whose numbers never change.
//!
//! ChaCha with 8 rounds has a published key stream. How a number below a bound is made of it is
//! written here and not left to a library, whose next version may do it in another way.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The random numbers of one sample.
#[derive(Clone)]
pub(super) struct Random(ChaCha8Rng);

impl Random {
    /// The stream of one sample: four numbers that name it make up the 32 bytes of the key, so
    /// that no two samples share a stream and none needs those before it.
    pub(super) fn new(seed: u64, index: u64, task: u64, length: u64) -> Self {
        let mut key = [0_u8; 32];
        let words = [seed, index, task, length];
        for (chunk, word) in key.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number in `0..bound`; 0 when the bound is 0. The high half of a 128-bit product, whose
    /// bias is below `bound / 2^64`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.0.next_u64()) * (bound as u128);
        (product >> 64) as usize
    }

    /// A stream of its own, which goes on without changing this one.
    pub(super) fn fork(&mut self) -> Self {
        Self::new(self.0.next_u64(), self.0.next_u64(), 0, 0)
    }

    /// A number from 0 to less than 1, in steps of 2^-53.
    pub(super) fn share(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A small letter of the English alphabet.
    pub(super) fn letter(&mut self) -> char {
        char::from(b'a' + self.below(26) as u8)
    }

    /// True once in `odds` times.
    pub(super) fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }

    /// One word of a list; the empty text of an empty one.
    pub(super) fn word(&mut self, words: &[&'static str]) -> &'static str {
        words
            .get(self.below(words.len()))
            .copied()
            .unwrap_or_default()
    }

    /// Puts the items in a random order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// `count` of the items in a random order; all of them when there are not so many.
    pub(super) fn choose<T: Copy>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let mut chosen = items.to_vec();
        self.shuffle(&mut chosen);
        chosen.truncate(count);
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_numbers_and_another_key_others() {
        let draw = |seed, index, task, length| {
            let mut random = Random::new(seed, index, task, length);
            [(); 4].map(|()| random.below(1_000_000))
        };
        assert_eq!(draw(7, 0, 1, 512), draw(7, 0, 1, 512));
        let others = [
            draw(8, 0, 1, 512),
            draw(7, 1, 1, 512),
            draw(7, 0, 2, 512),
            draw(7, 0, 1, 513),
        ];
        for other in others {
            assert_ne!(draw(7, 0, 1, 512), other);
        }
    }

    /// The first block of ChaCha8 under the zero key, as published with the eSTREAM test vectors:
    /// it begins with the bytes 3e 00 ef 2f 89 5f 40 d6.
    #[test]
    fn the_stream_is_chacha8() {
        let mut random = Random::new(0, 0, 0, 0);
        assert_eq!(random.0.next_u64(), 0xd640_5f89_2fef_003e);
    }

    #[test]
    fn numbers_cover_their_range_evenly() {
        let mut random = Random::new(1, 2, 3, 4);
        let mut counts = [0_usize; 8];
        for _ in 0..8_000 {
            counts[random.below(8)] += 1;
        }
        // 1,000 expected each; five standard deviations are 148
        assert!(
            counts.iter().all(|count| count.abs_diff(1_000) < 148),
            "{counts:?}"
        );
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut random = Random::new(1, 2, 3, 4);
        let mut items: Vec<usize> = (0..50).collect();
        random.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
