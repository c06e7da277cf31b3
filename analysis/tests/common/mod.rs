//! One-head inputs and slow, plain answers for the property tests.

use std::collections::BTreeSet;

use kvlens_analysis::importance::{Importance, ReducedHead};
use kvlens_analysis::scoring::{ForcedKeep, Pooling, Scoring};
use proptest::prelude::*;

/// Unpooled scores of one head; multiples of an eighth below 2, so that ties abound and sums are exact.
#[derive(Debug, Clone)]
pub struct Side {
    pub truth: Vec<f32>,
    pub window: Vec<f32>,
    pub mass: Vec<f32>,
    /// Of the max pooling of truth and window.
    pub kernel: usize,
    pub first_visible: usize,
}

pub fn pairs() -> impl Strategy<Value = Side> {
    let scores = |tokens| {
        let eighths = (0..16_u8).prop_map(|eighths| f32::from(eighths) / 8.0);
        prop::collection::vec(eighths, tokens)
    };
    let kernel = prop_oneof![Just(1_usize), Just(3), Just(7)];
    let first_visible = prop_oneof![2 => Just(0_usize), 1 => 0..45_usize];
    (1..40_usize, kernel, first_visible)
        .prop_flat_map(move |(tokens, kernel, first)| {
            let side = (scores(tokens), scores(tokens), scores(tokens));
            (side, Just(kernel), Just(first))
        })
        .prop_map(|((truth, window, mass), kernel, first_visible)| Side {
            truth,
            window,
            mass,
            kernel,
            first_visible,
        })
}

impl Side {
    pub fn tokens(&self) -> usize {
        self.truth.len()
    }

    pub fn importance(&self, scores: &[f32]) -> Importance {
        pooled(scores, self.kernel, self.first_visible)
    }

    /// Positions that are ranked.
    pub fn rankable(&self, exempt: ForcedKeep) -> Vec<usize> {
        let tokens = self.tokens();
        let seen = self.first_visible.min(tokens)..tokens;
        seen.filter(|&token| !exempt.contains(token, tokens))
            .collect()
    }

    pub fn keys(&self, scores: &[f32]) -> Vec<(f32, f32)> {
        naive_keys(scores, self.kernel)
    }
}

/// One head, max-pooled over `kernel` tokens.
pub fn pooled(scores: &[f32], kernel: usize, first_visible: usize) -> Importance {
    let head = ReducedHead {
        scores: scores.to_vec(),
        prompt_share: 1.0,
    };
    let scoring = Scoring {
        pool: Pooling::Max { kernel },
        ..Scoring::default()
    };
    let boundary = ForcedKeep::default();
    Importance::from_reduced(vec![vec![head]], 1, scoring, boundary, vec![first_visible]).unwrap()
}

/// What tokens are ranked by: the largest score within reach, then the token's own.
pub fn naive_keys(scores: &[f32], kernel: usize) -> Vec<(f32, f32)> {
    let near = |token: usize| {
        let reach = token.saturating_sub(kernel / 2)..(token + kernel / 2 + 1).min(scores.len());
        scores[reach]
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max)
    };
    (0..scores.len())
        .map(|token| (near(token), scores[token]))
        .collect()
}

/// The best tokens among some, found one after the other; the earlier of equals wins.
pub fn naive_top(keys: &[(f32, f32)], among: &[usize], count: usize) -> BTreeSet<usize> {
    let mut top = BTreeSet::new();
    while top.len() < count.min(among.len()) {
        let mut best: Option<usize> = None;
        for &token in among {
            if !top.contains(&token) && best.is_none_or(|best| keys[token] > keys[best]) {
                best = Some(token);
            }
        }
        top.extend(best);
    }
    top
}

/// Forced tokens from the end, then from the start, then the best of the others among `ranked`, then what is left.
pub fn naive_selection(
    keys: &[(f32, f32)],
    ranked: &[usize],
    forced: ForcedKeep,
    budget: usize,
) -> BTreeSet<usize> {
    let tokens = keys.len();
    let mut kept = BTreeSet::new();
    let recent = (0..tokens).rev().take(forced.recent);
    let sinks = (0..tokens).take(forced.sinks);
    for token in recent.chain(sinks) {
        if kept.len() < budget {
            kept.insert(token);
        }
    }
    let others: Vec<usize> = ranked
        .iter()
        .copied()
        .filter(|&token| !forced.contains(token, tokens))
        .collect();
    let left = budget - kept.len();
    kept.extend(naive_top(keys, &others, left));
    for token in 0..tokens {
        if kept.len() < budget {
            kept.insert(token);
        }
    }
    kept
}
