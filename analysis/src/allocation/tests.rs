//! Allocations by hand, their totals, and their agreement with the uniform comparison.

use super::*;
use crate::comparison::{ComparisonInput, Metric, compare};
use crate::importance::{HeadKind, ReducedHead};
use crate::keep_rule::KeepRule;
use crate::pooling::Pooling;
use crate::ranking::Rankings;
use crate::scoring::{GroupReduction, Scoring};
use crate::selection::selection;

const NONE: ForcedKeep = ForcedKeep {
    sinks: 0,
    recent: 0,
};

/// Scores that differ everywhere, spread unevenly over heads.
fn importance(layers: usize, heads: usize, tokens: usize, salt: usize) -> Importance {
    let scores = (0..layers * heads * tokens)
        .map(|index| {
            let head = index / tokens % heads + 1;
            ((index * 7919 + salt * 104_729) % 9973) as f32 / (9973 * head) as f32
        })
        .collect();
    let (kind, shares, seen) = (HeadKind::Query, vec![1.0; layers * heads], vec![0; layers]);
    Importance::new(layers, heads, kind, tokens, scores, shares, seen).unwrap()
}

/// Two layers, of which the second sees the tokens from `first` on alone.
fn sliding(heads: usize, tokens: usize, first: usize, salt: usize) -> Importance {
    let all = importance(2, heads, tokens, salt);
    let by_head = (0..2).flat_map(|layer| (0..heads).map(move |head| (layer, head)));
    let scores = by_head.flat_map(|(layer, head)| all.head(layer, head).to_vec());
    let (kind, shares, seen) = (HeadKind::Query, vec![1.0; 2 * heads], vec![0, first]);
    Importance::new(2, heads, kind, tokens, scores.collect(), shares, seen).unwrap()
}

#[test]
fn a_pyramid_falls_linearly_and_keeps_the_total() {
    let importance = importance(5, 2, 4000, 0);
    let forced = ForcedKeep {
        sinks: 0,
        recent: 32,
    };
    let pyramid = BudgetAllocation::pyramid(&importance, forced, 232, PYRAMID_BETA).unwrap();
    // 200 free tokens: 390 in the first layer, 10 in the last, a step of 95; 32 forced in each.
    let by_layer: Vec<usize> = pyramid.tokens().iter().step_by(2).copied().collect();
    assert_eq!(by_layer, [422, 327, 232, 137, 42]);
    assert_eq!(pyramid.tokens().iter().sum::<usize>(), 10 * 232);
}

#[test]
fn a_pyramid_that_would_exceed_the_prompt_is_cut_as_released() {
    let importance = importance(3, 1, 100, 0);
    let pyramid = BudgetAllocation::pyramid(&importance, NONE, 60, PYRAMID_BETA).unwrap();
    assert_eq!(pyramid.tokens(), [100, 60, 20]);
    let whole = BudgetAllocation::pyramid(&importance, NONE, 100, PYRAMID_BETA).unwrap();
    assert_eq!(whole.tokens(), [100, 100, 100]);
    let flat = BudgetAllocation::pyramid(&importance, NONE, 60, 1.0).unwrap();
    assert_eq!(flat.tokens(), [60, 60, 60]);
}

#[test]
fn a_head_gets_what_its_scores_ask_for_above_the_floor() {
    // Of the eight scores the four highest lie three in head 0 and one in head 1.
    let scores = vec![0.9, 0.8, 0.7, 0.1, 0.2, 0.6, 0.3, 0.1];
    let importance =
        Importance::new(1, 2, HeadKind::Query, 4, scores, vec![1.0; 2], vec![0]).unwrap();
    let with = |floor| {
        let shared = BudgetAllocation::head_adaptive(&importance, NONE, 2, floor);
        shared.unwrap().tokens().to_vec()
    };
    assert_eq!(with(0.0), [3, 1]);
    assert_eq!(with(1.0), [2, 2]);
    // 0.8 * 3 + 0.4 = 2.8 and 0.8 + 0.4 = 1.2.
    assert_eq!(with(0.2), [3, 1]);
    // 2.5 and 1.5: the part goes to the lower head.
    assert_eq!(with(0.5), [3, 1]);
    let forced = ForcedKeep {
        sinks: 0,
        recent: 1,
    };
    let shared = BudgetAllocation::head_adaptive(&importance, forced, 2, 0.0).unwrap();
    assert_eq!(shared.tokens(), [3, 1]);
    let all_forced = BudgetAllocation::head_adaptive(&importance, forced, 1, 0.0).unwrap();
    assert_eq!(all_forced.tokens(), [1, 1]);
}

#[test]
fn equal_scores_at_the_split_of_key_value_heads_go_by_the_rule_of_rankings() {
    // Two query heads to each key/value head, pooled over three tokens: six pooled scores of 0.5, three in each head,
    // whose unpooled scores are 0.1, 0.5, 0.2 in the first and 0.3, 0.5, 0.4 in the second.
    let of_group = [vec![0.1, 0.5, 0.2, 0.0, 0.0], vec![0.0, 0.0, 0.3, 0.5, 0.4]];
    let heads = of_group
        .iter()
        .flat_map(|scores| [scores.clone(), scores.clone()]);
    let heads: Vec<ReducedHead> = heads
        .map(|scores| ReducedHead {
            scores,
            prompt_share: 1.0,
        })
        .collect();
    let scoring = Scoring {
        pool: Pooling::Max { kernel: 3 },
        group: GroupReduction::Mean,
        ..Scoring::default()
    };
    let importance = Importance::from_reduced(vec![heads], 2, scoring, NONE, vec![0]).unwrap();
    assert_eq!(importance.head(0, 0), [0.5, 0.5, 0.5, 0.2, 0.0]);
    assert_eq!(importance.head(0, 1), [0.0, 0.3, 0.5, 0.5, 0.5]);
    let shared = |budget| {
        let shared = BudgetAllocation::head_adaptive(&importance, NONE, budget, 0.0);
        shared.unwrap().tokens().to_vec()
    };
    // of the best first: 0.5 of the lower head, 0.5, 0.4 and 0.3 of the other, 0.2, 0.1
    assert_eq!(shared(1), [1, 1]);
    assert_eq!(shared(2), [1, 3]);
    assert_eq!(shared(3), [3, 3]);
    let rankings = Rankings::of(&importance, NONE).unwrap();
    let kept = |head: usize| selection(&rankings, 0, head, NONE, shared(2)[head]);
    assert_eq!(kept(0), [false, true, false, false, false]);
    assert_eq!(kept(1), [false, false, true, true, true]);
}

#[test]
fn every_allocation_gives_out_the_same_and_no_head_more_than_the_prompt() {
    for tokens in [1, 7, 50] {
        let importance = importance(4, 3, tokens, 1);
        for budget in [1, tokens.div_ceil(3), tokens] {
            for recent in [0, 3, 60] {
                let forced = ForcedKeep { sinks: 0, recent };
                for allocation in [
                    BudgetAllocation::uniform(&importance, budget),
                    BudgetAllocation::pyramid(&importance, forced, budget, PYRAMID_BETA),
                    BudgetAllocation::head_adaptive(&importance, forced, budget, ADAPTIVE_FLOOR),
                ] {
                    let given = allocation.unwrap();
                    assert_eq!(given.tokens().iter().sum::<usize>(), 12 * budget);
                    assert!(given.tokens().iter().all(|&given| given <= tokens));
                }
            }
        }
    }
}

#[test]
fn marks_fall_on_visible_tokens_alone_and_the_rest_is_shared_evenly() {
    // Token 0 is out of sight, though the highest in head 0: of tokens 1 to 3 the three highest lie in head 1.
    let scores = vec![9.0, 0.1, 0.2, 0.3, 0.0, 0.6, 0.5, 0.4];
    let (kind, shares) = (HeadKind::Query, vec![1.0; 2]);
    let seen = Importance::new(1, 2, kind, 4, scores, shares, vec![1]).unwrap();
    let with = |budget| {
        let shared = BudgetAllocation::head_adaptive(&seen, NONE, budget, 0.0);
        shared.unwrap().tokens().to_vec()
    };
    assert_eq!(with(1), [0, 2]);
    assert_eq!(with(2), [1, 3]);
    // Six tokens are visible of the eight that are given out.
    assert_eq!(with(4), [4, 4]);
}

#[test]
fn the_uniform_allocation_gives_the_shares_of_the_comparison() {
    let keep_rule = KeepRule {
        fixed: ForcedKeep {
            sinks: 1,
            recent: 4,
        },
        recent_percent: 50,
    };
    let exempt = ForcedKeep {
        sinks: 2,
        recent: 0,
    };
    let (truth, window) = (sliding(3, 40, 12, 2), sliding(3, 40, 12, 3));
    for exempt in [NONE, exempt] {
        let rank = |side: &Importance| Rankings::of(side, exempt).unwrap();
        let (truth_rankings, window_rankings) = (rank(&truth), rank(&window));
        for budget in [1, 9, 28, 39, 40] {
            let comparison = compare(ComparisonInput {
                truth: &truth_rankings,
                window: &window_rankings,
                decode_mass: &truth,
                keep_rule,
                evidence: &[],
                budgets: &[budget],
            })
            .unwrap();
            let allocation = BudgetAllocation::uniform(&window, budget).unwrap();
            let heads = compare_allocation(AllocationInput {
                truth: &truth_rankings,
                window: &window_rankings,
                decode_mass: &truth,
                forced_keep: keep_rule.at(budget),
                allocation: &allocation,
            })
            .unwrap();
            let of = |value: fn(&AllocatedHead) -> f64| -> Vec<u64> {
                heads.iter().map(|head| value(head).to_bits()).collect()
            };
            let expected = |metric| -> Vec<u64> {
                let map = comparison.metric_map(metric, 0);
                map.into_iter().map(f64::to_bits).collect()
            };
            assert_eq!(of(|head| head.recall), expected(Metric::Recall));
            assert_eq!(of(|head| head.kept_recall), expected(Metric::KeptRecall));
            assert_eq!(of(|head| head.hit_rate), expected(Metric::HitRate));
            let means = AllocatedMeans::of(&heads);
            let defined = comparison.defined_heads(Metric::Recall, 0);
            assert_eq!(means.defined_heads, defined);
            assert_eq!(means.recall.is_nan(), defined == 0);
        }
    }
}

/// With the oracle as window and no floor, pooling the heads' scores keeps the most mass that any allocation
/// of this total can.
#[test]
fn an_adaptive_oracle_keeps_more_mass_than_a_uniform_one() {
    let oracle = importance(3, 4, 200, 5);
    let rankings = Rankings::of(&oracle, NONE).unwrap();
    let mass = |allocation: &BudgetAllocation| -> f64 {
        let heads = compare_allocation(AllocationInput {
            truth: &rankings,
            window: &rankings,
            decode_mass: &oracle,
            forced_keep: NONE,
            allocation,
        });
        heads.unwrap().iter().map(|head| head.selected_mass).sum()
    };
    let uniform = BudgetAllocation::uniform(&oracle, 20).unwrap();
    let adaptive = BudgetAllocation::head_adaptive(&oracle, NONE, 20, 0.0).unwrap();
    assert!(mass(&adaptive) > 1.2 * mass(&uniform));
    assert!(adaptive.tokens().contains(&0));
}

#[test]
fn settings_without_sense_are_refused() {
    let importance = importance(2, 2, 10, 0);
    for budget in [0, 11] {
        assert!(BudgetAllocation::uniform(&importance, budget).is_err());
    }
    for beta in [0.5, f64::NAN, f64::INFINITY] {
        assert!(BudgetAllocation::pyramid(&importance, NONE, 5, beta).is_err());
    }
    for floor in [-0.1, 1.1, f64::NAN] {
        assert!(BudgetAllocation::head_adaptive(&importance, NONE, 5, floor).is_err());
    }
}
