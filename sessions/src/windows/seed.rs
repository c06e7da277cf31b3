//! Chance that is the same for the same seed and prompt, and another for every prompt.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// A generator for one prompt. Without the prompt's ids in it, all samples of a capture would share their
/// draws, and intervals over samples would be too narrow.
pub(super) fn generator(seed: u64, prompt_ids: &[u32]) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for id in prompt_ids {
        hash.update(id.to_le_bytes());
    }
    ChaCha8Rng::from_seed(hash.finalize().into())
}
