//! One-head inputs and slow, plain answers for the property tests.

use std::collections::BTreeSet;

use kvlens_analysis::comparison::{Comparison, ComparisonInput, compare};
use kvlens_analysis::importance::{HeadKind, Importance};
use kvlens_analysis::ranking::Rankings;
use kvlens_analysis::scoring::ForcedKeep;
use proptest::prelude::*;

/// Scores of one head; multiples of an eighth below 2, so that ties abound and sums are exact.
#[derive(Debug, Clone)]
pub struct Side {
    pub oracle: Vec<f32>,
    pub window: Vec<f32>,
    pub mass: Vec<f32>,
}

pub fn pairs() -> impl Strategy<Value = Side> {
    let scores = |tokens| {
        let eighths = (0..16_u8).prop_map(|eighths| f32::from(eighths) / 8.0);
        prop::collection::vec(eighths, tokens)
    };
    (1..40_usize)
        .prop_flat_map(move |tokens| (scores(tokens), scores(tokens), scores(tokens)))
        .prop_map(|(oracle, window, mass)| Side {
            oracle,
            window,
            mass,
        })
}

pub fn one_head(scores: &[f32]) -> Importance {
    Importance::new(
        1,
        1,
        HeadKind::Query,
        scores.len(),
        scores.to_vec(),
        vec![1.0],
    )
    .unwrap()
}

pub fn compare_sides(sides: &Side, forced_keep: ForcedKeep, exempt: ForcedKeep) -> Comparison {
    let budgets: Vec<usize> = (1..=sides.oracle.len()).collect();
    compare(ComparisonInput {
        oracle: &Rankings::of(&one_head(&sides.oracle), exempt).unwrap(),
        window: &Rankings::of(&one_head(&sides.window), exempt).unwrap(),
        oracle_mass: &one_head(&sides.mass),
        keep_rule: forced_keep.into(),
        budgets: &budgets,
    })
    .unwrap()
}

/// The best tokens among some, found one after the other; the earlier of equals wins.
pub fn naive_top(scores: &[f32], among: &[usize], count: usize) -> BTreeSet<usize> {
    let mut top = BTreeSet::new();
    while top.len() < count.min(among.len()) {
        let mut best: Option<usize> = None;
        for &token in among {
            if !top.contains(&token) && best.is_none_or(|best| scores[token] > scores[best]) {
                best = Some(token);
            }
        }
        top.extend(best);
    }
    top
}

/// Forced tokens from the end, then from the start, then the best of the others.
pub fn naive_selection(scores: &[f32], forced: ForcedKeep, budget: usize) -> BTreeSet<usize> {
    let tokens = scores.len();
    let mut kept = BTreeSet::new();
    let recent = (0..tokens).rev().take(forced.recent);
    let sinks = (0..tokens).take(forced.sinks);
    for token in recent.chain(sinks) {
        if kept.len() < budget {
            kept.insert(token);
        }
    }
    let others: Vec<usize> = (0..tokens)
        .filter(|&t| !forced.contains(t, tokens))
        .collect();
    let left = budget - kept.len();
    kept.extend(naive_top(scores, &others, left));
    kept
}
