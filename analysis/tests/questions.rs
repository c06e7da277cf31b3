//! Laws of the further questions, each against a plain, slow way to say the same.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at its first wrong number"
)]

mod common;

use std::collections::BTreeSet;

use common::{Side, compare_sides, naive_selection, naive_top, one_head, pairs};
use kvlens_analysis::allocation::{AllocationInput, BudgetAllocation, compare_allocation};
use kvlens_analysis::complementarity::{complementarity, union_recall};
use kvlens_analysis::drift::{
    DriftInput, HeadRows, PlaceInput, recall_by_horizon, recall_by_place, recall_by_step,
};
use kvlens_analysis::queries::{QueryVectors, query_cosine};
use kvlens_analysis::statistics::{benjamini_hochberg, holm, paired_difference};
use kvlens_analysis::{AttentionRows, ForcedKeep, HeadKind, Importance, Rankings, Scoring};
use proptest::prelude::*;

const NONE: ForcedKeep = ForcedKeep {
    sinks: 0,
    recent: 0,
};

/// A failure prints its smallest input, which becomes a test of its own; no file is kept beside.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn ends() -> impl Strategy<Value = ForcedKeep> {
    (0..6_usize, 0..12_usize).prop_map(|(sinks, recent)| ForcedKeep { sinks, recent })
}

/// Rows of weights in eighths, `[rows, tokens]`, and a window's scores.
fn decoding() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    (1..8_usize, 1..20_usize).prop_flat_map(|(rows, tokens)| {
        let eighths =
            |count| prop::collection::vec((0..8_u8).prop_map(|e| f32::from(e) / 8.0), count);
        (eighths(rows * tokens), eighths(tokens))
    })
}

fn recall_of(oracle: &[f32], window: &[f32], exempt: ForcedKeep, budget: usize) -> f32 {
    let rankable: Vec<usize> = (0..oracle.len())
        .filter(|&token| !exempt.contains(token, oracle.len()))
        .collect();
    let top = |side: &[f32]| naive_top(side, &rankable, budget);
    match budget.min(rankable.len()) {
        0 => 1.0,
        count => (top(oracle).intersection(&top(window)).count() as f64 / count as f64) as f32,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn complementary_shares_are_those_of_plain_sets(sides in pairs(), exempt in ends()) {
        let tokens = sides.oracle.len();
        let budgets: Vec<usize> = (1..=tokens).collect();
        let rank = |side: &[f32]| Rankings::of(&one_head(side), exempt).unwrap();
        let (oracle, first, second) = (rank(&sides.oracle), rank(&sides.window), rank(&sides.mass));
        let split = complementarity(&oracle, &first, &second, &budgets).unwrap();
        let union = union_recall(&oracle, &[&first, &second], &budgets).unwrap();
        let rankable: Vec<usize> = (0..tokens).filter(|&t| !exempt.contains(t, tokens)).collect();
        for (point, &budget) in budgets.iter().enumerate() {
            let found = split[0][point];
            let top = |side: &[f32]| naive_top(side, &rankable, budget);
            let (o, a, b) = (top(&sides.oracle), top(&sides.window), top(&sides.mass));
            let either: BTreeSet<usize> = a.union(&b).copied().collect();
            prop_assert_eq!(found.union_tokens, either.len());
            if !rankable.is_empty() {
                let share = |kept: &dyn Fn(&usize) -> bool| {
                    (o.iter().filter(|token| kept(token)).count() as f64 / o.len() as f64) as f32
                };
                prop_assert_eq!(found.both, share(&|t| a.contains(t) && b.contains(t)));
                prop_assert_eq!(found.first_only, share(&|t| a.contains(t) && !b.contains(t)));
                prop_assert_eq!(found.second_only, share(&|t| !a.contains(t) && b.contains(t)));
                prop_assert_eq!(found.neither, share(&|t| !either.contains(t)));
                prop_assert_eq!(union[0][point], share(&|t| either.contains(t)));
            }
            let sum = found.both + found.first_only + found.second_only + found.neither;
            prop_assert!((sum - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn steps_horizons_and_places_are_recalls_of_plain_sums((rows, window) in decoding(), exempt in ends(), width in 1..5_usize) {
        let tokens = window.len();
        let count = rows.len() / tokens;
        let budgets: Vec<usize> = (1..=tokens).collect();
        let blocks = [AttentionRows { weights: &rows, rows: count, prompt_tokens: tokens }];
        let decode = HeadRows { query_heads: &blocks, scoring: Scoring::default(), boundary: NONE };
        // Eighths add without rounding and a mean keeps their order.
        let sums = |range: std::ops::Range<usize>| -> Vec<f32> {
            (0..tokens).map(|t| range.clone().map(|row| rows[row * tokens + t]).sum()).collect()
        };
        let expected = |oracle: &[f32], window: &[f32]| -> Vec<f32> {
            budgets.iter().map(|&budget| recall_of(oracle, window, exempt, budget)).collect()
        };
        let input = DriftInput { decode, window: &window, exempt, budgets: &budgets };
        let by_step = recall_by_step(input).unwrap();
        let horizons: Vec<usize> = (1..=count).collect();
        let by_horizon = recall_by_horizon(input, &horizons).unwrap();
        for step in 0..count {
            prop_assert_eq!(&by_step[step], &expected(&sums(step..step + 1), &window));
            prop_assert_eq!(&by_horizon[step], &expected(&sums(0..step + 1), &window));
        }
        prop_assert_eq!(&by_step[0], &by_horizon[0]);
        // The whole horizon is the comparison of the whole oracle.
        let sides = Side { oracle: sums(0..count), window: window.clone(), mass: window.clone() };
        let comparison = compare_sides(&sides, NONE, exempt);
        prop_assert_eq!(&by_horizon[count - 1], &comparison.head(0, 0).curves.recall);

        let width = width.min(count);
        let places = recall_by_place(PlaceInput {
            rows: decode, first_position: 3, width, stride: 1, oracle: &window, exempt, budgets: &budgets,
        }).unwrap();
        prop_assert_eq!(places.len(), count - width + 1);
        for (start, place) in places.iter().enumerate() {
            prop_assert_eq!(place.last_position, 3 + start + width - 1);
            prop_assert_eq!(&place.recall, &expected(&window, &sums(start..start + width)));
            prop_assert!(place.visible.iter().all(|share| (0.0..=1.0).contains(share)));
        }
    }

    /// Two heads in one layer, the second with the first one's scores reversed and halved.
    #[test]
    fn an_allocation_keeps_what_plain_selections_keep(sides in pairs(), keep in ends(), floor in 0.0..=1.0_f64, part in 0.0..=1.0_f64) {
        let tokens = sides.oracle.len();
        let two = |side: &[f32]| -> Vec<f32> {
            side.iter().copied().chain(side.iter().rev().map(|score| score / 2.0)).collect()
        };
        let importance = |scores: Vec<f32>| Importance::new(1, 2, HeadKind::Query, tokens, scores, vec![1.0; 2]).unwrap();
        let (oracle, window, mass) = (two(&sides.oracle), two(&sides.window), two(&sides.mass));
        let (by_oracle, by_window) = (importance(oracle.clone()), importance(window.clone()));
        let budget = ((part * tokens as f64) as usize).max(1);
        let allocation = BudgetAllocation::head_adaptive(&by_window, keep, budget, floor).unwrap();
        prop_assert_eq!(allocation.tokens().iter().sum::<usize>(), 2 * budget);
        let heads = compare_allocation(AllocationInput {
            oracle: &Rankings::of(&by_oracle, NONE).unwrap(),
            window: &Rankings::of(&by_window, NONE).unwrap(),
            oracle_mass: &importance(mass.clone()),
            forced_keep: keep,
            allocation: &allocation,
        }).unwrap();
        let all: Vec<usize> = (0..tokens).collect();
        for (head, found) in heads.iter().enumerate() {
            let of_head = |side: &[f32]| side[head * tokens..(head + 1) * tokens].to_vec();
            let (o, w, m) = (of_head(&oracle), of_head(&window), of_head(&mass));
            let wanted = naive_selection(&o, keep, budget);
            let kept = naive_selection(&w, keep, found.tokens);
            let hits = wanted.intersection(&kept).count();
            prop_assert_eq!(found.hit_rate, (hits as f64 / budget as f64) as f32);
            // Sixteenths add without rounding.
            let mass: f64 = kept.iter().map(|&token| f64::from(m[token])).sum();
            prop_assert_eq!(found.selected_mass, mass as f32);
            let shared = naive_top(&o, &all, budget).intersection(&naive_top(&w, &all, found.tokens)).count();
            prop_assert_eq!(found.recall, (shared as f64 / budget as f64) as f32);
        }
    }

    #[test]
    fn a_cosine_ignores_length_and_order_of_the_sides(values in prop::collection::vec(0.1_f32..2.0, 24), scale in 0.5_f32..4.0) {
        let (left, right) = values.split_at(12);
        let scaled: Vec<f32> = right.iter().map(|value| -scale * value).collect();
        let vectors = |values| QueryVectors { values, layers: 1, heads: 2, rows: 2, head_dim: 3 };
        let cosine = query_cosine(vectors(left), vectors(right)).unwrap();
        prop_assert_eq!(&query_cosine(vectors(right), vectors(left)).unwrap(), &cosine);
        let turned = query_cosine(vectors(left), vectors(&scaled)).unwrap();
        for (a, b) in cosine.by_row().iter().zip(turned.by_row()) {
            prop_assert!((-1.0..=1.0).contains(a));
            // Scaling rounds each of the three numbers to f32.
            prop_assert!((a + b).abs() < 4.0 * f64::from(f32::EPSILON));
        }
    }

    #[test]
    fn corrected_p_values_are_no_smaller_and_keep_their_order(p in prop::collection::vec(0.0..=1.0_f64, 0..30)) {
        let (holm, bh) = (holm(&p).unwrap(), benjamini_hochberg(&p).unwrap());
        for i in 0..p.len() {
            prop_assert!(p[i] <= bh[i] + 1e-12 && bh[i] <= holm[i] + 1e-12 && holm[i] <= 1.0);
            for j in 0..p.len() {
                prop_assert!(p[i] > p[j] || (holm[i] <= holm[j] && bh[i] <= bh[j]));
            }
        }
    }

    #[test]
    fn swapping_the_sides_turns_a_difference_around(pairs in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 2..20)) {
        let (first, second): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let forth = paired_difference(&first, &second, None, 1).unwrap();
        let back = paired_difference(&second, &first, None, 1).unwrap();
        prop_assert_eq!(forth.mean, -back.mean);
        prop_assert_eq!(forth.p, back.p);
        let interval = forth.interval.unwrap();
        prop_assert!(interval.low <= interval.high && interval.contains(forth.mean));
    }
}
