//! Laws of the further questions, each against a plain, slow way to say the same.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at its first wrong number"
)]

mod common;

use std::collections::BTreeSet;

use common::{naive_selection, naive_top, pairs};
use kvlens_analysis::allocation::{AllocationInput, BudgetAllocation, compare_allocation};
use kvlens_analysis::complementarity::complementarity;
use kvlens_analysis::drift::{
    DriftInput, HeadRows, PlaceInput, recall_by_horizon, recall_by_place, recall_by_step,
};
use kvlens_analysis::queries::{QueryVectors, query_cosine};
use kvlens_analysis::statistics::{benjamini_hochberg, holm, paired_difference};
use kvlens_analysis::{
    AttentionRows, ComparisonInput, ForcedKeep, Importance, OracleTops, Pooling, Rankings,
    ReducedHead, Scoring, compare, reduce_rows,
};
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

/// Rows of weights in eighths, `[rows, tokens]`, and another head's scores.
fn decoding() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    (1..8_usize, 1..20_usize).prop_flat_map(|(rows, tokens)| {
        let eighths =
            |count| prop::collection::vec((0..8_u8).prop_map(|e| f32::from(e) / 8.0), count);
        (eighths(rows * tokens), eighths(tokens))
    })
}

/// A pooling kernel, the first visible token and a pooling boundary.
fn layer() -> impl Strategy<Value = (usize, usize, ForcedKeep)> {
    let kernel = prop_oneof![Just(1_usize), Just(3), Just(7)];
    (kernel, 0..12_usize, 0..9_usize).prop_map(|(kernel, first, recent)| {
        let boundary = ForcedKeep { sinks: 0, recent };
        (kernel, first, boundary)
    })
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn complementary_shares_are_those_of_plain_sets(sides in pairs(), exempt in ends()) {
        let budgets: Vec<usize> = (1..=sides.tokens()).collect();
        let rank = |side: &[f32]| Rankings::of(&sides.importance(side), exempt).unwrap();
        let (truth, first, second) = (rank(&sides.truth), rank(&sides.window), rank(&sides.mass));
        let split = complementarity(&truth, &first, &second, &budgets).unwrap();
        let rankable = sides.rankable(exempt);
        for (point, &budget) in budgets.iter().enumerate() {
            let found = split[0][point];
            let top = |side: &[f32]| naive_top(&sides.keys(side), &rankable, budget);
            let (o, a, b) = (top(&sides.truth), top(&sides.window), top(&sides.mass));
            let either: BTreeSet<usize> = a.union(&b).copied().collect();
            prop_assert_eq!(found.union_tokens, either.len());
            let shares = [found.both, found.first_only, found.second_only, found.neither];
            if budget >= rankable.len() {
                prop_assert!(shares.iter().all(|share| share.is_nan()));
                continue;
            }
            let share = |kept: &dyn Fn(&usize) -> bool| {
                o.iter().filter(|token| kept(token)).count() as f64 / budget as f64
            };
            prop_assert_eq!(found.both, share(&|t| a.contains(t) && b.contains(t)));
            prop_assert_eq!(found.first_only, share(&|t| a.contains(t) && !b.contains(t)));
            prop_assert_eq!(found.second_only, share(&|t| !a.contains(t) && b.contains(t)));
            prop_assert_eq!(found.neither, share(&|t| !either.contains(t)));
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    /// On any layer, however far it sees, with any pooling: the decode stage up to its last step, and a window at its
    /// own place, have the recall of the comparison and of the tops, bit for bit.
    #[test]
    fn steps_horizons_and_places_are_the_comparison_of_their_rows(
        (rows, other) in decoding(), exempt in ends(), width in 1..5_usize, (kernel, first_visible, boundary) in layer(),
    ) {
        let tokens = other.len();
        let count = rows.len() / tokens;
        let budgets: Vec<usize> = (1..=tokens).rev().collect();
        let scoring = Scoring { pool: Pooling::Max { kernel }, ..Scoring::default() };
        let importance = |weights: &[f32]| {
            let block = AttentionRows { weights, rows: weights.len() / tokens, prompt_tokens: tokens };
            let head = reduce_rows(block, scoring.keys, scoring.reduce).unwrap();
            Importance::from_reduced(vec![vec![head]], 1, scoring, boundary, vec![first_visible]).unwrap()
        };
        let of_rows = |range: std::ops::Range<usize>| importance(&rows[range.start * tokens..range.end * tokens]);
        let known = importance(&other);
        let rank = |side: &Importance| Rankings::of(side, exempt).unwrap();
        let expected = |truth: &Importance, window: &Importance| -> Vec<u64> {
            let compared = compare(ComparisonInput {
                truth: &rank(truth), window: &rank(window), decode_mass: truth, keep_rule: NONE.into(), evidence: &[],
                budgets: &budgets,
            }).unwrap();
            bits(&compared.head(0, 0).curves.recall)
        };

        let blocks = [AttentionRows { weights: &rows, rows: count, prompt_tokens: tokens }];
        let decode = HeadRows { query_heads: &blocks, scoring, boundary };
        let known_scores = known.head_scores(0, 0, exempt);
        let input = DriftInput { decode, window: known_scores, budgets: &budgets };
        let by_step = recall_by_step(input).unwrap();
        let horizons: Vec<usize> = (1..=count).collect();
        let by_horizon = recall_by_horizon(input, &horizons).unwrap();
        for step in 0..count {
            prop_assert_eq!(bits(&by_step[step]), expected(&of_rows(step..step + 1), &known));
            prop_assert_eq!(bits(&by_horizon[step]), expected(&of_rows(0..step + 1), &known));
        }
        let tops = OracleTops::of(&of_rows(0..count), exempt, &budgets).unwrap();
        let full = tops.recall_by_head(&known).unwrap();
        prop_assert_eq!(bits(&by_horizon[count - 1]), bits(&full[0]));

        let width = width.min(count);
        let places = recall_by_place(PlaceInput {
            rows: decode, first_position: 3, width, stride: 1, truth: known_scores, budgets: &budgets,
        }).unwrap();
        prop_assert_eq!(places.len(), count - width + 1);
        let rankable = known_scores.rankable();
        for (start, place) in places.iter().enumerate() {
            prop_assert_eq!(place.last_position, 3 + start + width - 1);
            prop_assert_eq!(bits(&place.recall), expected(&known, &of_rows(start..start + width)));
            for (&budget, &visible) in budgets.iter().zip(&place.visible) {
                prop_assert_eq!(visible.is_nan(), budget >= rankable.len());
                prop_assert!(visible.is_nan() || (0.0..=1.0).contains(&visible));
            }
        }
    }

    /// Two heads in one layer, the second with the first one's scores reversed and halved.
    #[test]
    fn an_allocation_keeps_what_plain_selections_keep(sides in pairs(), keep in ends(), floor in 0.0..=1.0_f64, part in 0.0..=1.0_f64) {
        let tokens = sides.tokens();
        let two = |side: &[f32]| -> [Vec<f32>; 2] {
            [side.to_vec(), side.iter().rev().map(|score| score / 2.0).collect()]
        };
        let importance = |heads: &[Vec<f32>; 2], kernel: usize| {
            let scoring = Scoring { pool: Pooling::Max { kernel }, ..Scoring::default() };
            let reduced = heads.iter().map(|scores| ReducedHead { scores: scores.clone(), prompt_share: 1.0 });
            let layers = vec![reduced.collect()];
            Importance::from_reduced(layers, 2, scoring, NONE, vec![sides.first_visible]).unwrap()
        };
        let (truth, window, mass) = (two(&sides.truth), two(&sides.window), two(&sides.mass));
        let by_window = importance(&window, sides.kernel);
        let budget = ((part * tokens as f64) as usize).max(1);
        let allocation = BudgetAllocation::head_adaptive(&by_window, keep, budget, floor).unwrap();
        prop_assert_eq!(allocation.tokens().iter().sum::<usize>(), 2 * budget);
        prop_assert!(allocation.tokens().iter().all(|&given| given <= tokens));
        let heads = compare_allocation(AllocationInput {
            truth: &Rankings::of(&importance(&truth, sides.kernel), NONE).unwrap(),
            window: &Rankings::of(&by_window, NONE).unwrap(),
            decode_mass: &importance(&mass, 1),
            forced_keep: keep,
            allocation: &allocation,
        }).unwrap();
        let ranked = sides.rankable(NONE);
        for (head, found) in heads.iter().enumerate() {
            if budget >= ranked.len() {
                let shares = [found.recall, found.kept_recall, found.hit_rate, found.selected_mass];
                prop_assert!(shares.iter().all(|share| share.is_nan()));
                continue;
            }
            let (o, w) = (sides.keys(&truth[head]), sides.keys(&window[head]));
            let wanted = naive_selection(&o, &ranked, keep, budget);
            let kept = naive_selection(&w, &ranked, keep, found.tokens);
            let share = |count: usize| count as f64 / budget as f64;
            prop_assert_eq!(found.hit_rate, share(wanted.intersection(&kept).count()));
            let top = naive_top(&o, &ranked, budget);
            prop_assert_eq!(found.kept_recall, share(top.intersection(&kept).count()));
            let of_window = naive_top(&w, &ranked, found.tokens);
            prop_assert_eq!(found.recall, share(top.intersection(&of_window).count()));
            // Sixteenths add without rounding.
            let mass: f64 = kept.iter().map(|&token| f64::from(mass[head][token])).sum();
            prop_assert_eq!(found.selected_mass, mass);
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
