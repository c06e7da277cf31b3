//! Truths that hold for any scores: each is checked against a plain, slow way to say the same.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at its first wrong number"
)]

mod common;

use common::{Side, naive_keys, naive_selection, naive_top, pairs, pooled};
use kvlens_analysis::agreement::{js, kendall, kl, rank_biased_overlap, spearman, total_variation};
use kvlens_analysis::comparison::{Comparison, ComparisonInput, compare};
use kvlens_analysis::fidelity::{negative_log_likelihood, step_fidelity, top_token};
use kvlens_analysis::importance::{Importance, ReducedHead};
use kvlens_analysis::ranking::Rankings;
use kvlens_analysis::scoring::{ForcedKeep, GroupOrder, GroupReduction, Pooling, Scoring};
use kvlens_analysis::{
    Compare, HeadKind, KeepRule, Metric, OracleTops, ScoringOverrides, SideScoring, selection,
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn one_pass_equals_the_naive_top_at_every_budget(
        sides in pairs(), keep in ends(), exempt in ends(), percent in prop_oneof![Just(0_u8), 0..=100_u8],
        evidence in (0..40_usize, 0..12_usize),
    ) {
        let tokens = sides.tokens();
        // A rule that shares out the budget forces other tokens at every budget; asked in falling order.
        let budgets: Vec<usize> = (1..=tokens).rev().collect();
        let rule = KeepRule { fixed: keep, recent_percent: percent };
        let needed = evidence.0.min(tokens)..(evidence.0 + evidence.1).min(tokens);
        let rank = |scores: &[f32]| Rankings::of(&sides.importance(scores), exempt).unwrap();
        let comparison = compare(ComparisonInput {
            truth: &rank(&sides.truth),
            window: &rank(&sides.window),
            decode_mass: &pooled(&sides.mass, 1, sides.first_visible),
            keep_rule: rule,
            evidence: &[needed.clone(), needed.clone()],
            budgets: &budgets,
        })
        .unwrap();
        let curves = &comparison.head(0, 0).curves;
        let rankable = sides.rankable(exempt);
        let (truth, window) = (sides.keys(&sides.truth), sides.keys(&sides.window));
        for (point, &budget) in budgets.iter().enumerate() {
            let value = |metric| curves.of(metric)[point];
            if budget >= rankable.len() {
                prop_assert!(Metric::ALL.iter().all(|&metric| value(metric).is_nan()));
                continue;
            }
            let of_truth = naive_top(&truth, &rankable, budget);
            let of_window = naive_top(&window, &rankable, budget);
            let shared = of_truth.intersection(&of_window).count() as f64;
            prop_assert_eq!(value(Metric::Recall), shared / budget as f64);
            let either = of_truth.union(&of_window).count() as f64;
            prop_assert_eq!(value(Metric::Jaccard), shared / either);

            let recent = budget * usize::from(percent) / 100;
            let forced = keep.union(exempt).union(ForcedKeep { sinks: 0, recent });
            let kept_by_truth = naive_selection(&truth, &rankable, forced, budget);
            let kept = naive_selection(&window, &rankable, forced, budget);
            let hits = kept_by_truth.intersection(&kept).count() as f64;
            prop_assert_eq!(value(Metric::HitRate), hits / budget as f64);
            let kept_of_top = of_truth.intersection(&kept).count() as f64;
            prop_assert_eq!(value(Metric::KeptRecall), kept_of_top / budget as f64);
            let seen: Vec<usize> = needed.clone().filter(|&token| token >= sides.first_visible).collect();
            let kept_evidence = seen.iter().filter(|&token| kept.contains(token)).count() as f64;
            prop_assert!(same(value(Metric::EvidenceKept), kept_evidence / seen.len() as f64));

            // Eighths add without rounding, so the order of summation does not matter.
            let mass_of = |tokens: &std::collections::BTreeSet<usize>| -> f64 {
                tokens.iter().map(|&token| f64::from(sides.mass[token])).sum()
            };
            prop_assert_eq!(value(Metric::Mass), mass_of(&of_window));
            let most = mass_of(&naive_top(&naive_keys(&sides.mass, 1), &rankable, budget));
            prop_assert!(same(value(Metric::MassOfOracle), mass_of(&of_window) / most));
        }
    }

    #[test]
    fn recall_without_a_ranking_is_that_of_the_rankings(sides in pairs(), exempt in ends()) {
        let budgets: Vec<usize> = (1..=sides.tokens()).rev().collect();
        let truth = OracleTops::of(&sides.importance(&sides.truth), exempt, &budgets).unwrap();
        let mut alone = truth.recall_by_head(&sides.importance(&sides.window)).unwrap();
        alone[0].reverse();
        let comparison = compare_sides(&sides, ForcedKeep::default(), exempt);
        prop_assert_eq!(bits(&alone[0]), bits(&comparison.head(0, 0).curves.recall));
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
        let rankings = Rankings::of(&sides.importance(&sides.window), exempt).unwrap();
        let kept = selection(&rankings, 0, 0, keep, budget);
        let (keys, ranked) = (sides.keys(&sides.window), sides.rankable(exempt));
        let naive = naive_selection(&keys, &ranked, keep.union(exempt), budget);
        let kept: Vec<usize> = (0..kept.len()).filter(|&token| kept[token]).collect();
        prop_assert_eq!(kept, naive.into_iter().collect::<Vec<_>>());
    }

    /// Under every scoring, with ties, on layers with a sliding window, with exempt tokens, for heads of their own and
    /// for heads that share their scores: if only the queries differ, the decode stage's own reach 1.
    #[test]
    fn the_decode_stage_has_recall_1_at_every_budget_under_every_scoring(
        layers in prop::collection::vec(heads_in_eighths(4), 3),
        overrides in overrides(),
        (keep, exempt) in (ends(), ends()),
        first_visible in prop::collection::vec(0..24_usize, 3),
    ) {
        let tokens = layers.iter().map(|heads| heads[0].len()).min().unwrap();
        let reduced: Vec<Vec<ReducedHead>> = layers
            .iter()
            .map(|heads| heads.iter().map(|scores| ReducedHead { scores: scores[..tokens].to_vec(), prompt_share: 1.0 }).collect())
            .collect();
        let published = Scoring { group: GroupReduction::Max, ..Scoring::default() };
        let window = Compare::Queries.window(overrides, published, ForcedKeep { sinks: 0, recent: 8 });
        let made = |side: SideScoring| {
            let SideScoring { scoring, boundary, .. } = side;
            let made = Importance::from_reduced(reduced.clone(), 2, scoring, boundary, first_visible.clone());
            side.heads(made.unwrap(), 4).unwrap()
        };
        let (truth, window) = (made(Compare::Queries.truth(overrides)), made(window));
        let budgets: Vec<usize> = (1..=tokens).collect();
        let comparison = compare(ComparisonInput {
            truth: &Rankings::of(&truth, exempt).unwrap(),
            window: &Rankings::of(&window, exempt).unwrap(),
            decode_mass: &made(Compare::Queries.decode_mass(overrides)),
            keep_rule: keep.into(),
            evidence: &[],
            budgets: &budgets,
        }).unwrap();
        let tops = OracleTops::of(&truth, exempt, &budgets).unwrap().recall_by_head(&window).unwrap();
        for (index, head) in comparison.by_head.iter().enumerate() {
            let rankable = comparison.rankable_tokens[index / comparison.heads];
            for (point, &budget) in budgets.iter().enumerate() {
                let expected = if budget < rankable { 1.0 } else { f64::NAN };
                for found in [head.curves.recall[point], head.curves.hit_rate[point], head.curves.jaccard[point], tops[index][point]] {
                    prop_assert!(same(found, expected), "{} at {}", found, budget);
                }
            }
            prop_assert!(head.recall_auc == 1.0 || head.recall_auc.is_nan());
        }
    }

    #[test]
    fn retained_mass_never_falls_as_the_budget_grows(sides in pairs(), exempt in ends()) {
        let comparison = compare_sides(&sides, ForcedKeep::default(), exempt);
        let mass = &comparison.head(0, 0).curves.mass;
        prop_assert!(mass.windows(2).all(|pair| pair[0] <= pair[1] || pair[1].is_nan()), "{:?}", mass);
    }

    #[test]
    fn no_pooling_keeps_more_than_the_largest_mass(sides in pairs(), exempt in ends()) {
        let own = Side { window: sides.mass.clone(), truth: sides.mass.clone(), ..sides };
        let comparison = compare_sides(&own, ForcedKeep::default(), exempt);
        let curves = &comparison.head(0, 0).curves;
        prop_assert!(curves.mass_of_oracle.iter().all(|&share| share <= 1.0 || share.is_nan()));
        // Ranked by the raw mass itself it is all that can be kept.
        let raw = Side { kernel: 1, ..own };
        let comparison = compare_sides(&raw, ForcedKeep::default(), exempt);
        let share = &comparison.head(0, 0).curves.mass_of_oracle;
        prop_assert!(share.iter().all(|&share| share == 1.0 || share.is_nan()), "{:?}", share);
    }

    #[test]
    fn only_the_order_of_scores_matters(sides in pairs(), keep in ends(), exempt in ends()) {
        // Strictly rising, and exact for eighths below 6.
        let cubed: Vec<f32> = sides.window.iter().map(|score| score * score * score + 3.0).collect();
        let transformed = Side { window: cubed.clone(), ..sides.clone() };
        let (before, after) = (compare_sides(&sides, keep, exempt), compare_sides(&transformed, keep, exempt));
        for metric in Metric::ALL {
            prop_assert_eq!(bits(before.head(0, 0).curves.of(metric)), bits(after.head(0, 0).curves.of(metric)));
        }
        for measure in [spearman, kendall] {
            let before = measure(&sides.truth, &sides.window).unwrap();
            let after = measure(&sides.truth, &cubed).unwrap();
            prop_assert_eq!(before.to_bits(), after.to_bits());
        }
        let (truth, window) = (sides.importance(&sides.truth), sides.importance(&sides.window));
        let cubed = sides.importance(&cubed);
        let all = |side| Importance::head_scores(side, 0, 0, exempt);
        let rbo = |window| rank_biased_overlap(all(&truth), all(window), 0.9).unwrap();
        prop_assert_eq!(rbo(&window).to_bits(), rbo(&cubed).to_bits());
    }

    #[test]
    fn the_new_measures_keep_their_bounds_and_symmetry(sides in pairs(), persistence in 0.01..0.999_f64) {
        let (truth, window) = (pooled(&sides.truth, sides.kernel, 0), pooled(&sides.window, sides.kernel, 0));
        let all = |side| Importance::head_scores(side, 0, 0, ForcedKeep::default());
        let rbo = rank_biased_overlap(all(&truth), all(&window), persistence).unwrap();
        let back = rank_biased_overlap(all(&window), all(&truth), persistence).unwrap();
        prop_assert_eq!(rbo, back);
        prop_assert!((0.0..=1.0).contains(&rbo));
        let with_itself = rank_biased_overlap(all(&truth), all(&truth), persistence).unwrap();
        prop_assert!((with_itself - 1.0).abs() < 1e-12);

        let distance = total_variation(&sides.truth, &sides.window).unwrap();
        let back = total_variation(&sides.window, &sides.truth).unwrap();
        prop_assert!(distance.to_bits() == back.to_bits() || distance.is_nan());
        prop_assert!(distance.is_nan() || (0.0..=1.0).contains(&distance));
        // Pinsker's inequality, and that js is at most ln 2 times the distance (Lin 1991, theorem 3).
        let (kl, js) = (kl(&sides.truth, &sides.window).unwrap(), js(&sides.truth, &sides.window).unwrap());
        prop_assert!(distance.is_nan() || distance <= (0.5 * kl).sqrt() + 1e-12);
        prop_assert!(distance.is_nan() || js <= std::f64::consts::LN_2 * distance + 1e-12);
    }

    #[test]
    fn kendall_counts_pairs_as_the_definition_does(sides in pairs()) {
        let found = kendall(&sides.truth, &sides.window).unwrap();
        let expected = naive_kendall(&sides.truth, &sides.window);
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

fn compare_sides(sides: &Side, forced_keep: ForcedKeep, exempt: ForcedKeep) -> Comparison {
    let budgets: Vec<usize> = (1..=sides.tokens()).collect();
    compare(ComparisonInput {
        truth: &Rankings::of(&sides.importance(&sides.truth), exempt).unwrap(),
        window: &Rankings::of(&sides.importance(&sides.window), exempt).unwrap(),
        decode_mass: &pooled(&sides.mass, 1, sides.first_visible),
        keep_rule: forced_keep.into(),
        evidence: &[],
        budgets: &budgets,
    })
    .unwrap()
}

/// Equal numbers, or both undefined.
fn same(found: f64, expected: f64) -> bool {
    found == expected || (found.is_nan() && expected.is_nan())
}

/// Equal values, undefined ones included.
fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Heads of one layer, of multiples of an eighth.
fn heads_in_eighths(count: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1..24_usize).prop_flat_map(move |tokens| {
        let eighths = (0..8_u8).prop_map(|eighths| f32::from(eighths) / 8.0);
        prop::collection::vec(prop::collection::vec(eighths, tokens), count)
    })
}

fn overrides() -> impl Strategy<Value = ScoringOverrides> {
    let pool = prop_oneof![
        Just(None),
        Just(Some(Pooling::None)),
        (0..5_usize).prop_map(|reach| Some(Pooling::Max {
            kernel: 2 * reach + 1
        })),
        (0..5_usize).prop_map(|reach| Some(Pooling::Average {
            kernel: 2 * reach + 1
        })),
    ];
    let group = prop_oneof![
        Just(None),
        Just(Some(GroupReduction::Mean)),
        Just(Some(GroupReduction::Max)),
        Just(Some(GroupReduction::Layer)),
    ];
    let order = prop_oneof![Just(GroupOrder::PoolFirst), Just(GroupOrder::GroupFirst)];
    (pool, group, order).prop_map(|(pool, group, order)| ScoringOverrides {
        pool,
        group,
        group_order: Some(order),
        ..ScoringOverrides::default()
    })
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
        let made = Importance::from_reduced(vec![reduced], 1, scoring, boundary, vec![0]);
        let importance = made.unwrap();
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
/// is B / N in expectation; the mean over independent heads must lie within five standard errors. On a layer that
/// sees some of the tokens, N is their number, and where B reaches it there is no recall of 1 but none.
#[test]
fn a_random_ranking_recalls_the_budget_share_of_what_the_layer_sees() {
    use rand::{RngExt, SeedableRng};
    const HEADS: usize = 2000;
    const TOKENS: usize = 200;
    const VISIBLE: [usize; 2] = [TOKENS, 60];
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(20_261_122);
    let mut draw = || {
        let scores = (0..2 * HEADS * TOKENS)
            .map(|_| random.random::<f32>())
            .collect();
        let seen = VISIBLE.map(|visible| TOKENS - visible).to_vec();
        let shares = vec![1.0; 2 * HEADS];
        Importance::new(2, HEADS, HeadKind::Query, TOKENS, scores, shares, seen).unwrap()
    };
    let (truth, window) = (draw(), draw());
    let rank = |importance| Rankings::of(importance, ForcedKeep::default()).unwrap();
    let budgets: Vec<usize> = (1..=TOKENS).collect();
    let comparison = compare(ComparisonInput {
        truth: &rank(&truth),
        window: &rank(&window),
        decode_mass: &truth,
        keep_rule: ForcedKeep::default().into(),
        evidence: &[],
        budgets: &budgets,
    })
    .unwrap();
    assert_eq!(comparison.rankable_tokens, VISIBLE);
    for (point, &budget) in budgets.iter().enumerate() {
        let map = comparison.metric_map(Metric::Recall, point);
        let mut means = Vec::new();
        for (heads, visible) in map.chunks(HEADS).zip(VISIBLE) {
            let recall = heads.iter().sum::<f64>() / HEADS as f64;
            if budget >= visible {
                assert!(recall.is_nan(), "{recall} at {budget} of {visible}");
                continue;
            }
            let share = budget as f64 / visible as f64;
            let without_replacement = (visible - budget) as f64 / (visible - 1) as f64;
            let variance = share * (1.0 - share) * without_replacement / budget as f64;
            let tolerance = 5.0 * (variance / HEADS as f64).sqrt();
            assert!((recall - share).abs() <= tolerance, "{recall} at {budget}");
            means.push(recall);
        }
        let defined = comparison.defined_heads(Metric::Recall, point);
        assert_eq!(defined, HEADS * means.len());
        let mean = comparison.mean(Metric::Recall, point);
        let expected = means.iter().sum::<f64>() / means.len() as f64;
        assert!(means.is_empty() && mean.is_nan() || (mean - expected).abs() < 1e-12);
    }
}
