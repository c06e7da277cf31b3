//! Truths that hold for any scores: each is checked against a plain, slow way to say the same.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at its first wrong number"
)]

mod common;

use common::{Side, compare_sides, naive_selection, naive_top, one_head, pairs};
use kvlens_analysis::agreement::{js, kendall, kl, rank_biased_overlap, spearman, total_variation};
use kvlens_analysis::comparison::{ComparisonInput, compare};
use kvlens_analysis::fidelity::{negative_log_likelihood, step_fidelity, top_token};
use kvlens_analysis::importance::{Importance, ReducedHead};
use kvlens_analysis::ranking::Rankings;
use kvlens_analysis::scoring::{ForcedKeep, GroupOrder, GroupReduction, Pooling, Scoring};
use kvlens_analysis::{HeadKind, KeepRule, OracleTops, selection};
use proptest::prelude::*;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn one_pass_equals_the_naive_top_at_every_budget(sides in pairs(), keep in ends(), exempt in ends()) {
        let tokens = sides.oracle.len();
        let comparison = compare_sides(&sides, keep, exempt);
        let curves = &comparison.head(0, 0).curves;
        let rankable: Vec<usize> = (0..tokens).filter(|&t| !exempt.contains(t, tokens)).collect();
        let forced = keep.union(exempt);
        for (point, budget) in (1..=tokens).enumerate() {
            let oracle = naive_top(&sides.oracle, &rankable, budget);
            let window = naive_top(&sides.window, &rankable, budget);
            let shared = oracle.intersection(&window).count();
            let top = budget.min(rankable.len());
            let (recall, jaccard) = match top {
                0 => (1.0, 1.0),
                _ => (shared as f64 / top as f64, shared as f64 / oracle.union(&window).count() as f64),
            };
            prop_assert_eq!(curves.recall[point], recall as f32);
            prop_assert_eq!(curves.jaccard[point], jaccard as f32);

            let oracle_kept = naive_selection(&sides.oracle, forced, budget);
            let window_kept = naive_selection(&sides.window, forced, budget);
            let hits = oracle_kept.intersection(&window_kept).count();
            prop_assert_eq!(curves.hit_rate[point], (hits as f64 / budget as f64) as f32);

            let mass = |kept: &std::collections::BTreeSet<usize>| -> f64 {
                kept.iter().map(|&token| f64::from(sides.mass[token])).sum()
            };
            // Eighths add without rounding, so the order of summation does not matter.
            prop_assert_eq!(curves.mass[point], mass(&window) as f32);
            let best = mass(&oracle);
            let of_best = if best == 0.0 { 1.0 } else { mass(&window) / best };
            prop_assert_eq!(curves.mass_of_oracle[point], of_best as f32);
        }
    }

    #[test]
    fn a_share_of_the_budget_is_forced_anew_at_every_budget(
        sides in pairs(), keep in ends(), exempt in ends(), percent in 0..=100_u8,
    ) {
        let tokens = sides.oracle.len();
        let budgets: Vec<usize> = (1..=tokens).rev().collect();
        let rule = KeepRule { fixed: keep, recent_percent: percent };
        let rank = |scores: &[f32]| Rankings::of(&one_head(scores), exempt).unwrap();
        let comparison = compare(ComparisonInput {
            oracle: &rank(&sides.oracle),
            window: &rank(&sides.window),
            oracle_mass: &one_head(&sides.mass),
            keep_rule: rule,
            budgets: &budgets,
        })
        .unwrap();
        for (&budget, &hit_rate) in budgets.iter().zip(&comparison.head(0, 0).curves.hit_rate) {
            let recent = budget * usize::from(percent) / 100;
            let forced = keep.union(exempt).union(ForcedKeep { sinks: 0, recent });
            let oracle = naive_selection(&sides.oracle, forced, budget);
            let window = naive_selection(&sides.window, forced, budget);
            let hits = oracle.intersection(&window).count();
            prop_assert_eq!(hit_rate, (hits as f64 / budget as f64) as f32, "budget {}", budget);
        }
    }

    #[test]
    fn recall_without_a_ranking_is_that_of_the_rankings(sides in pairs(), exempt in ends()) {
        let budgets: Vec<usize> = (1..=sides.oracle.len()).rev().collect();
        let oracle = OracleTops::of(&one_head(&sides.oracle), exempt, &budgets).unwrap();
        let mut alone = oracle.recall_by_head(&one_head(&sides.window)).unwrap();
        alone[0].reverse();
        let comparison = compare_sides(&sides, ForcedKeep::default(), exempt);
        prop_assert_eq!(&alone[0], &comparison.head(0, 0).curves.recall);
    }

    #[test]
    fn next_token_distributions_keep_their_laws(
        (full, evicted) in (1..40_usize).prop_flat_map(|tokens| (logits(tokens), logits(tokens))),
        shift in -50.0_f32..50.0,
    ) {
        let step = step_fidelity(&full, &evicted).unwrap();
        let probability = |logits: &[f32], token: usize| (-negative_log_likelihood(logits, token as u32).unwrap()).exp();
        let (mut sum, mut distance) = (0.0, 0.0);
        for token in 0..full.len() {
            sum += probability(&full, token);
            distance += (probability(&full, token) - probability(&evicted, token)).abs();
        }
        prop_assert!((sum - 1.0).abs() < 1e-12);
        // Pinsker's inequality
        prop_assert!(step.kl + 1e-12 >= 0.5 * distance * distance, "{} {}", step.kl, distance);
        prop_assert_eq!(step_fidelity(&full, &full).unwrap().kl, 0.0);
        let back = step_fidelity(&evicted, &full).unwrap();
        prop_assert_eq!(step.agrees, back.agrees);
        let top = top_token(&full).unwrap() as usize;
        prop_assert!(full.iter().all(|&logit| logit <= full[top]));
        prop_assert!(full[..top].iter().all(|&logit| logit < full[top]));
        let shifted: Vec<f32> = full.iter().map(|logit| logit + shift).collect();
        prop_assert!(step_fidelity(&full, &shifted).unwrap().kl < 1e-6);
    }

    #[test]
    fn a_selection_is_the_naive_one(sides in pairs(), keep in ends(), exempt in ends(), budget in 0..50_usize) {
        let rankings = Rankings::of(&one_head(&sides.window), exempt).unwrap();
        let kept = selection(&rankings, 0, 0, keep, budget);
        let naive = naive_selection(&sides.window, keep.union(exempt), budget);
        let kept: Vec<usize> = (0..kept.len()).filter(|&token| kept[token]).collect();
        prop_assert_eq!(kept, naive.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_oracle_against_itself_is_one_at_every_budget(sides in pairs(), keep in ends(), exempt in ends()) {
        let same = Side { window: sides.oracle.clone(), ..sides };
        let comparison = compare_sides(&same, keep, exempt);
        let head = comparison.head(0, 0);
        for curve in [&head.curves.recall, &head.curves.hit_rate, &head.curves.jaccard, &head.curves.mass_of_oracle] {
            prop_assert!(curve.iter().all(|&value| value == 1.0), "{:?}", curve);
        }
        prop_assert_eq!(head.recall_auc, 1.0);
    }

    #[test]
    fn the_whole_prompt_foresees_everything(sides in pairs(), keep in ends(), exempt in ends()) {
        let comparison = compare_sides(&sides, keep, exempt);
        let curves = &comparison.head(0, 0).curves;
        for curve in [&curves.recall, &curves.hit_rate, &curves.jaccard, &curves.mass_of_oracle] {
            prop_assert_eq!(curve.last(), Some(&1.0));
        }
    }

    #[test]
    fn retained_mass_never_falls_as_the_budget_grows(sides in pairs(), exempt in ends()) {
        let comparison = compare_sides(&sides, ForcedKeep::default(), exempt);
        let mass = &comparison.head(0, 0).curves.mass;
        prop_assert!(mass.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", mass);
    }

    #[test]
    fn the_best_ranking_by_mass_keeps_the_most(sides in pairs(), exempt in ends()) {
        let by_mass = Side { oracle: sides.mass.clone(), ..sides };
        let comparison = compare_sides(&by_mass, ForcedKeep::default(), exempt);
        let share = &comparison.head(0, 0).curves.mass_of_oracle;
        prop_assert!(share.iter().all(|&value| value <= 1.0), "{:?}", share);
    }

    #[test]
    fn only_the_order_of_scores_matters(sides in pairs(), keep in ends(), exempt in ends()) {
        // Strictly rising, and exact for eighths below 6.
        let cubed: Vec<f32> = sides.window.iter().map(|score| score * score * score + 3.0).collect();
        let transformed = Side { window: cubed.clone(), ..sides.clone() };
        prop_assert_eq!(compare_sides(&sides, keep, exempt), compare_sides(&transformed, keep, exempt));
        let rbo = |left: &[f32], right: &[f32]| rank_biased_overlap(left, right, 0.9);
        for measure in [spearman, kendall, rbo] {
            let before = measure(&sides.oracle, &sides.window).unwrap();
            let after = measure(&sides.oracle, &cubed).unwrap();
            prop_assert_eq!(before.to_bits(), after.to_bits());
        }
    }

    #[test]
    fn the_new_measures_keep_their_bounds_and_symmetry(sides in pairs(), persistence in 0.01..0.999_f64) {
        let rbo = rank_biased_overlap(&sides.oracle, &sides.window, persistence).unwrap();
        let back = rank_biased_overlap(&sides.window, &sides.oracle, persistence).unwrap();
        prop_assert_eq!(rbo, back);
        prop_assert!((0.0..=1.0).contains(&rbo));
        let with_itself = rank_biased_overlap(&sides.oracle, &sides.oracle, persistence).unwrap();
        prop_assert!((with_itself - 1.0).abs() < 1e-12);

        let distance = total_variation(&sides.oracle, &sides.window).unwrap();
        let back = total_variation(&sides.window, &sides.oracle).unwrap();
        prop_assert!(distance.to_bits() == back.to_bits() || distance.is_nan());
        prop_assert!(distance.is_nan() || (0.0..=1.0).contains(&distance));
        // Pinsker's inequality, and that js is at most ln 2 times the distance (Lin 1991, theorem 3).
        let (kl, js) = (kl(&sides.oracle, &sides.window).unwrap(), js(&sides.oracle, &sides.window).unwrap());
        prop_assert!(distance.is_nan() || distance <= (0.5 * kl).sqrt() + 1e-12);
        prop_assert!(distance.is_nan() || js <= std::f64::consts::LN_2 * distance + 1e-12);
    }

    #[test]
    fn kendall_counts_pairs_as_the_definition_does(sides in pairs()) {
        let found = kendall(&sides.oracle, &sides.window).unwrap();
        let expected = naive_kendall(&sides.oracle, &sides.window);
        let same = found.is_nan() && expected.is_nan();
        prop_assert!(same || (found - expected).abs() < 1e-12, "{found} and {expected}");
    }

    #[test]
    fn group_mean_and_average_pooling_commute(heads in heads(4), reach in 0..5_usize, recent in 0..8_usize) {
        let pool = Pooling::Average { kernel: 2 * reach + 1 };
        let (first, second) = both_orders(&heads, pool, GroupReduction::Mean, recent);
        for (a, b) in first.iter().zip(&second) {
            // Scores are at most 1; each order rounds to f32 twice.
            prop_assert!((a - b).abs() <= 2.0 * f32::EPSILON, "{a} and {b}");
        }
    }

    #[test]
    fn group_max_and_max_pooling_commute(heads in heads(4), reach in 0..5_usize, recent in 0..8_usize) {
        let pool = Pooling::Max { kernel: 2 * reach + 1 };
        let (first, second) = both_orders(&heads, pool, GroupReduction::Max, recent);
        prop_assert_eq!(first, second);
    }

    #[test]
    fn pooling_never_crosses_the_boundary(
        scores in prop::collection::vec(0.0_f32..1.0, 1..30),
        reach in 0..6_usize,
        recent in 0..30_usize,
        replacement in 0.0_f32..1.0,
    ) {
        let cut = scores.len().saturating_sub(recent);
        let mut changed = scores.clone();
        changed[cut..].fill(replacement);
        for pool in [Pooling::Average { kernel: 2 * reach + 1 }, Pooling::Max { kernel: 2 * reach + 1 }] {
            let before = pool.pool(&scores, cut).unwrap();
            let after = pool.pool(&changed, cut).unwrap();
            prop_assert_eq!(&before[..cut], &after[..cut]);
        }
    }
}

/// A failure prints its smallest input, which becomes a test of its own; no file is kept beside.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Logits with ties among them.
fn logits(tokens: usize) -> impl Strategy<Value = Vec<f32>> {
    let logit = prop_oneof![-30.0_f32..30.0, Just(0.0_f32)];
    prop::collection::vec(logit, tokens)
}

fn ends() -> impl Strategy<Value = ForcedKeep> {
    (0..6_usize, 0..12_usize).prop_map(|(sinks, recent)| ForcedKeep { sinks, recent })
}

fn heads(count: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1..30_usize).prop_flat_map(move |tokens| {
        prop::collection::vec(prop::collection::vec(0.0_f32..1.0, tokens), count)
    })
}

fn both_orders(
    heads: &[Vec<f32>],
    pool: Pooling,
    group: GroupReduction,
    recent: usize,
) -> (Vec<f32>, Vec<f32>) {
    let grouped = |group_order| {
        let reduced = heads
            .iter()
            .map(|scores| ReducedHead {
                scores: scores.clone(),
                prompt_share: 1.0,
            })
            .collect();
        let scoring = Scoring {
            pool,
            group,
            group_order,
            ..Scoring::default()
        };
        let boundary = ForcedKeep { sinks: 0, recent };
        let importance = Importance::from_reduced(vec![reduced], 1, scoring, boundary).unwrap();
        assert_eq!(importance.head_kind(), HeadKind::Kv);
        importance.head(0, 0).to_vec()
    };
    (
        grouped(GroupOrder::PoolFirst),
        grouped(GroupOrder::GroupFirst),
    )
}

fn naive_kendall(left: &[f32], right: &[f32]) -> f64 {
    let (mut agreeing, mut left_untied, mut right_untied) = (0.0, 0.0, 0.0);
    for i in 0..left.len() {
        for j in 0..i {
            let sign = |side: &[f32]| {
                f64::from(u8::from(side[i] > side[j])) - f64::from(u8::from(side[i] < side[j]))
            };
            agreeing += sign(left) * sign(right);
            left_untied += sign(left).abs();
            right_untied += sign(right).abs();
        }
    }
    if left_untied == 0.0 || right_untied == 0.0 {
        return f64::NAN;
    }
    agreeing / f64::sqrt(left_untied * right_untied)
}

#[test]
fn group_mean_and_max_pooling_do_not_commute() {
    let heads = [vec![4.0, 0.0, 0.0], vec![0.0, 0.0, 4.0]];
    let pool = Pooling::Max { kernel: 3 };
    let (pool_first, group_first) = both_orders(&heads, pool, GroupReduction::Mean, 0);
    assert_eq!(pool_first, [2.0, 4.0, 2.0]);
    assert_eq!(group_first, [2.0, 2.0, 2.0]);
}

/// The overlap of two random top-B sets of N tokens is hypergeometric with mean B * B / N, so recall
/// is B / N in expectation; the mean over independent heads must lie within five standard errors.
#[test]
fn a_random_ranking_recalls_the_budget_share() {
    use rand::{RngExt, SeedableRng};
    const HEADS: usize = 2000;
    const TOKENS: usize = 200;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(20_261_122);
    let mut draw = || {
        let scores = (0..HEADS * TOKENS)
            .map(|_| random.random::<f32>())
            .collect();
        Importance::new(1, HEADS, HeadKind::Query, TOKENS, scores, vec![1.0; HEADS]).unwrap()
    };
    let (oracle, window) = (draw(), draw());
    let rank = |importance| Rankings::of(importance, ForcedKeep::default()).unwrap();
    let budgets: Vec<usize> = (1..=TOKENS).collect();
    let comparison = compare(ComparisonInput {
        oracle: &rank(&oracle),
        window: &rank(&window),
        oracle_mass: &oracle,
        keep_rule: ForcedKeep::default().into(),
        budgets: &budgets,
    })
    .unwrap();
    for (point, &budget) in budgets.iter().enumerate() {
        let share = budget as f64 / TOKENS as f64;
        let without_replacement = (TOKENS - budget) as f64 / (TOKENS - 1) as f64;
        let variance = share * (1.0 - share) * without_replacement / budget as f64;
        let standard_error = (variance / HEADS as f64).sqrt();
        let recall = comparison.mean(kvlens_analysis::Metric::Recall, point);
        // Each head's recall is an f32.
        let tolerance = 5.0 * standard_error + f64::from(f32::EPSILON);
        assert!(
            (recall - share).abs() <= tolerance,
            "recall {recall} at a budget of {budget}"
        );
    }
}
