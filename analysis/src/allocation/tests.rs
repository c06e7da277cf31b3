//! Allocations by hand, their totals, and their agreement with the uniform comparison.

use super::*;
use crate::comparison::{ComparisonInput, Metric, compare};
use crate::importance::HeadKind;
use crate::keep_rule::KeepRule;
use crate::ranking::Rankings;

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
    let shares = vec![1.0; layers * heads];
    Importance::new(layers, heads, HeadKind::Query, tokens, scores, shares).unwrap()
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
    let importance = Importance::new(1, 2, HeadKind::Query, 4, scores, vec![1.0; 2]).unwrap();
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
fn the_uniform_allocation_gives_recall_and_hit_rate_of_the_comparison() {
    let (oracle, window) = (importance(2, 3, 40, 2), importance(2, 3, 40, 3));
    let keep_rule = KeepRule {
        fixed: ForcedKeep {
            sinks: 1,
            recent: 4,
        },
        recent_percent: 50,
    };
    let rank = |side: &Importance| Rankings::of(side, NONE).unwrap();
    let (oracle_rankings, window_rankings) = (rank(&oracle), rank(&window));
    for budget in [1, 9, 40] {
        let comparison = compare(ComparisonInput {
            oracle: &oracle_rankings,
            window: &window_rankings,
            oracle_mass: &oracle,
            keep_rule,
            budgets: &[budget],
        })
        .unwrap();
        let allocation = BudgetAllocation::uniform(&window, budget).unwrap();
        let heads = compare_allocation(AllocationInput {
            oracle: &oracle_rankings,
            window: &window_rankings,
            oracle_mass: &oracle,
            forced_keep: keep_rule.at(budget),
            allocation: &allocation,
        })
        .unwrap();
        let recall: Vec<f32> = heads.iter().map(|head| head.recall).collect();
        let hit_rate: Vec<f32> = heads.iter().map(|head| head.hit_rate).collect();
        assert_eq!(recall, comparison.metric_map(Metric::Recall, 0));
        assert_eq!(hit_rate, comparison.metric_map(Metric::HitRate, 0));
    }
}

/// With the oracle as window and no floor, pooling the heads' scores keeps the most mass that any allocation
/// of this total can.
#[test]
fn an_adaptive_oracle_keeps_more_mass_than_a_uniform_one() {
    let oracle = importance(3, 4, 200, 5);
    let rankings = Rankings::of(&oracle, NONE).unwrap();
    let mass = |allocation: &BudgetAllocation| -> f32 {
        let heads = compare_allocation(AllocationInput {
            oracle: &rankings,
            window: &rankings,
            oracle_mass: &oracle,
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
