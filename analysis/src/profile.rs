//! What a head is like, by where the decode stage's attention falls: a sink, a streaming head, a retrieval head.
//!
//! Everything is made of the mean attention of the decode steps on the prompt (causal keys, unpooled), the numbers that
//! retained mass is summed from. A retrieval head spends its attention on what the answer needs (Wu et al. 2024, arXiv
//! 2404.15574); a streaming head spends it on the first and the last tokens (DuoAttention, arXiv 2410.10819).

mod neighbours;
mod number;
mod stability;

use std::ops::Range;

use rayon::prelude::*;

use crate::importance::Importance;
use crate::tokens::ForcedKeep;
pub use neighbours::{HeadOverlaps, Neighbours};
pub use number::ProfileNumber;
pub use stability::{HeadNumberStability, NumberStability, ProfileSamples, SampleProfile};

/// First and last tokens whose share is told: as StreamingLLM keeps them, with a window of SnapKV's width.
pub const STREAMING: ForcedKeep = ForcedKeep {
    sinks: 4,
    recent: 32,
};

/// Shares of a head's mass on the prompt whose fewest tokens are counted.
pub const MASS_SHARES: [f64; 3] = [0.5, 0.9, 0.99];

/// One head. Shares are of its mass on the prompt; NaN where it has none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadProfile {
    /// Attention that falls on the prompt at all; the rest is on generated tokens.
    pub prompt_share: f64,
    /// Shannon entropy of the shares, in nats.
    pub entropy: f64,
    /// Its exponential: as many equal tokens have this entropy.
    pub effective_tokens: f64,
    /// The fewest tokens that hold each of [`MASS_SHARES`].
    pub tokens_for: [usize; 3],
    /// Share of the first [`STREAMING`] tokens.
    pub sink_share: f64,
    /// Share of the last [`STREAMING`] tokens.
    pub recent_share: f64,
    /// Share of the tokens that the answer needs; NaN where these are not known.
    pub evidence_share: f64,
}

/// Every head of the decode stage's mean attention, `[L, heads]`.
pub fn head_profiles(decode_mass: &Importance, evidence: &[Range<usize>]) -> Vec<HeadProfile> {
    let heads = decode_mass.heads();
    (0..decode_mass.layers() * heads)
        .into_par_iter()
        .map(|index| {
            let (layer, head) = (index / heads, index % heads);
            let profile = profile_of(decode_mass.head(layer, head), evidence);
            HeadProfile {
                prompt_share: f64::from(decode_mass.prompt_share(layer, head)),
                ..profile
            }
        })
        .collect()
}

fn profile_of(mass: &[f32], evidence: &[Range<usize>]) -> HeadProfile {
    let mut sorted: Vec<f64> = mass.iter().map(|&mass| f64::from(mass)).collect();
    let total: f64 = sorted.iter().sum();
    let share_of = |tokens: &mut dyn Iterator<Item = usize>| -> f64 {
        let masses = tokens.filter_map(|token| mass.get(token));
        masses.map(|&mass| f64::from(mass)).sum::<f64>() / total
    };
    let tokens = mass.len();
    let sinks = STREAMING.sinks.min(tokens);
    let mut needed: Vec<usize> = evidence.iter().cloned().flatten().collect();
    needed.sort_unstable();
    needed.dedup();
    let entropy = sorted
        .iter()
        .filter(|&&mass| mass > 0.0)
        .map(|mass| -(mass / total) * (mass / total).ln())
        .sum::<f64>();
    let entropy = if total > 0.0 { entropy } else { f64::NAN };
    sorted.sort_by(|a, b| b.total_cmp(a));
    HeadProfile {
        prompt_share: f64::NAN,
        entropy,
        effective_tokens: entropy.exp(),
        tokens_for: MASS_SHARES.map(|share| fewest(&sorted, share * total)),
        sink_share: share_of(&mut (0..sinks)),
        recent_share: share_of(&mut (tokens.saturating_sub(STREAMING.recent).max(sinks)..tokens)),
        evidence_share: match needed.is_empty() {
            true => f64::NAN,
            false => share_of(&mut needed.into_iter()),
        },
    }
}

/// How many of the largest masses reach a sum; the sum of all may be rounded below it.
fn fewest(descending: &[f64], wanted: f64) -> usize {
    let mut sum = 0.0;
    for (place, mass) in descending.iter().enumerate() {
        sum += mass;
        if sum >= wanted {
            return place + 1;
        }
    }
    descending.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::HeadKind;

    fn profile(mass: Vec<f32>, evidence: &[Range<usize>]) -> HeadProfile {
        let tokens = mass.len();
        let kind = HeadKind::Query;
        let importance = Importance::new(1, 1, kind, tokens, mass, vec![0.8], vec![0]).unwrap();
        head_profiles(&importance, evidence)[0]
    }

    #[test]
    fn equal_tokens_have_the_entropy_of_their_number() {
        let found = profile(vec![0.01; 80], &[]);
        assert!((found.entropy - 80.0_f64.ln()).abs() < 1e-9);
        assert!((found.effective_tokens - 80.0).abs() < 1e-6);
        assert_eq!(found.tokens_for, [40, 72, 80]);
        assert!((found.sink_share - 4.0 / 80.0).abs() < 1e-9);
        assert!((found.recent_share - 32.0 / 80.0).abs() < 1e-9);
        assert!(found.evidence_share.is_nan());
        assert_eq!(found.prompt_share as f32, 0.8);
    }

    /// Half on the first token, a quarter on a needed one, an eighth on the last, the rest on another.
    #[test]
    fn shares_say_where_the_attention_falls() {
        let mut mass = vec![0.0; 100];
        (mass[0], mass[50], mass[60], mass[99]) = (0.4, 0.2, 0.1, 0.1);
        let found = profile(mass, &[50..52, 51..53]);
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found}");
        near(found.sink_share, 0.5);
        near(found.evidence_share, 0.25);
        near(found.recent_share, 0.125);
        assert_eq!(found.tokens_for, [1, 4, 4]);
        // 1.75 bits
        near(found.entropy, 1.75 * 2.0_f64.ln());
    }

    #[test]
    fn a_head_without_mass_has_no_shares() {
        let found = profile(vec![0.0; 10], std::slice::from_ref(&(2..3)));
        assert!(found.entropy.is_nan() && found.sink_share.is_nan());
        assert!(found.evidence_share.is_nan());
    }
}
