//! Draws that are the same on every machine.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream of draws is for, so that none is used twice.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    InitialWeights = 1,
    Rows = 2,
    PromptOrder = 3,
}

/// The draws of one purpose and one number.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64, purpose: Purpose, number: u64) -> Self {
        let mut key = [0u8; 32];
        let words = [seed, purpose as u64, number];
        for (place, word) in key.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// Uniform in `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    /// `count` values of mean 0 and the given standard deviation, uniformly distributed: exactly the same on
    /// every machine, which a normal distribution's logarithms are not.
    pub(crate) fn spread(&mut self, count: usize, deviation: f64) -> Vec<f32> {
        let half_width = deviation * 3.0f64.sqrt();
        (0..count)
            .map(|_| ((2.0 * self.unit() - 1.0) * half_width) as f32)
            .collect()
    }

    /// The numbers `0..count` in a random order (Fisher-Yates).
    pub(crate) fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}
