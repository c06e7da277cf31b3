//! Curves by hand and refusals; the properties are in the crate's tests folder.

use super::*;
use crate::ForcedKeep;

const NONE: ForcedKeep = ForcedKeep {
    sinks: 0,
    recent: 0,
};

fn importance(heads: &[&[f32]]) -> Importance {
    let scores = heads.concat();
    let tokens = scores.len() / heads.len();
    Importance::new(
        1,
        heads.len(),
        HeadKind::Query,
        tokens,
        scores,
        vec![1.0; heads.len()],
    )
    .unwrap()
}

fn compare_at(
    oracle: &Importance,
    window: &Importance,
    forced_keep: ForcedKeep,
    exempt: ForcedKeep,
    budgets: &[usize],
) -> Result<Comparison, AnalysisError> {
    compare(ComparisonInput {
        oracle: &Rankings::of(oracle, exempt).unwrap(),
        window: &Rankings::of(window, exempt).unwrap(),
        oracle_mass: oracle,
        keep_rule: forced_keep.into(),
        budgets,
    })
}

#[test]
fn curves_of_one_head_by_hand() {
    // The oracle ranks 0 1 2 3, the window 3 0 1 2.
    let oracle = importance(&[&[0.5, 0.25, 0.125, 0.0625]]);
    let window = importance(&[&[0.3, 0.2, 0.1, 0.4]]);
    let comparison = compare_at(&oracle, &window, NONE, NONE, &[1, 2, 3, 4]).unwrap();
    let head = comparison.head(0, 0);
    assert_eq!(head.curves.recall, [0.0, 0.5, 2.0 / 3.0, 1.0]);
    assert_eq!(head.curves.hit_rate, head.curves.recall);
    assert_eq!(head.curves.jaccard, [0.0, 1.0 / 3.0, 0.5, 1.0]);
    assert_eq!(head.curves.mass, [0.0625, 0.5625, 0.8125, 0.9375]);
    assert_eq!(
        head.curves.mass_of_oracle,
        [0.125, 0.75, 0.8125 / 0.875, 1.0]
    );
    let area =
        0.25 * 2.0_f64.ln() + (7.0 / 12.0) * 1.5_f64.ln() + (5.0 / 6.0) * (4.0_f64 / 3.0).ln();
    assert!((head.recall_auc - area / 4.0_f64.ln()).abs() < 1e-12);
}

#[test]
fn forced_tokens_count_in_the_hit_rate_only() {
    let oracle = importance(&[&[0.5, 0.25, 0.125, 0.0625]]);
    let window = importance(&[&[0.3, 0.2, 0.1, 0.4]]);
    let forced = ForcedKeep {
        sinks: 0,
        recent: 1,
    };
    let comparison = compare_at(&oracle, &window, forced, NONE, &[1, 2, 3, 4]).unwrap();
    let curves = &comparison.head(0, 0).curves;
    assert_eq!(curves.recall, [0.0, 0.5, 2.0 / 3.0, 1.0]);
    // Without token 3 both sides rank 0 1 2.
    assert_eq!(curves.hit_rate, [1.0; 4]);
}

#[test]
fn exempt_tokens_leave_recall_and_mass() {
    let oracle = importance(&[&[0.5, 0.25, 0.125, 0.0625]]);
    let window = importance(&[&[0.3, 0.1, 0.2, 0.4]]);
    let exempt = ForcedKeep {
        sinks: 1,
        recent: 1,
    };
    let comparison = compare_at(&oracle, &window, NONE, exempt, &[1, 2, 3, 4]).unwrap();
    let curves = &comparison.head(0, 0).curves;
    assert_eq!(curves.recall, [0.0, 1.0, 1.0, 1.0]);
    assert_eq!(curves.mass, [0.125, 0.375, 0.375, 0.375]);
    assert_eq!(curves.hit_rate, [1.0, 1.0, 2.0 / 3.0, 1.0]);
}

#[test]
fn nothing_to_rank_is_nothing_to_miss() {
    let scores = importance(&[&[0.5, 0.25]]);
    let exempt = ForcedKeep {
        sinks: 2,
        recent: 0,
    };
    let comparison = compare_at(&scores, &scores, NONE, exempt, &[1, 2]).unwrap();
    let head = comparison.head(0, 0);
    assert_eq!(head.curves.recall, [1.0, 1.0]);
    assert_eq!(head.curves.hit_rate, [1.0, 1.0]);
    assert_eq!(head.curves.mass, [0.0, 0.0]);
    assert_eq!(head.curves.mass_of_oracle, [1.0, 1.0]);
    assert_eq!(head.recall_auc, 1.0);
}

#[test]
fn maps_means_and_bands_are_over_heads() {
    let oracle = importance(&[&[3.0, 2.0, 1.0], &[3.0, 2.0, 1.0], &[3.0, 2.0, 1.0]]);
    let window = importance(&[&[3.0, 2.0, 1.0], &[2.0, 3.0, 1.0], &[1.0, 2.0, 3.0]]);
    let comparison = compare_at(&oracle, &window, NONE, NONE, &[2, 1]).unwrap();
    assert_eq!(comparison.metric_map(Metric::Recall, 0), [1.0, 1.0, 0.5]);
    assert_eq!(comparison.metric_map(Metric::Recall, 1), [1.0, 0.0, 0.0]);
    assert_eq!(comparison.mean(Metric::Recall, 0), 2.5 / 3.0);
    assert!(
        comparison
            .metric_map(Metric::Recall, 2)
            .iter()
            .all(|value| value.is_nan())
    );
    assert_eq!(comparison.budget_index(1), Ok(1));
    assert_eq!(
        comparison.budget_index(3),
        Err(AnalysisError::BudgetNotCompared { budget: 3 })
    );

    let band = comparison.band(Metric::Recall, &[(0, 0), (0, 2), (0, 9), (4, 0)]);
    assert_eq!(band.mean, [0.75, 0.5]);
    assert_eq!((band.low[0], band.high[0]), (0.55, 0.95));
    assert_eq!((band.low[1], band.high[1]), (0.1, 0.9));
    let empty = comparison.band(Metric::Recall, &[]);
    assert!(
        empty
            .mean
            .iter()
            .chain(&empty.low)
            .chain(&empty.high)
            .all(|value| value.is_nan())
    );
}

#[test]
fn sides_that_do_not_match_are_refused() {
    let one = importance(&[&[0.5, 0.25, 0.125]]);
    let two = importance(&[&[0.5, 0.25, 0.125], &[0.5, 0.25, 0.125]]);
    let short = importance(&[&[0.5, 0.25]]);
    let refused = compare_at(&one, &two, NONE, NONE, &[1]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the heads of the two sides differ: 1 for the oracle, 2 for the window"
    );
    let refused = compare_at(&one, &short, NONE, NONE, &[1]).unwrap_err();
    assert!(matches!(
        refused,
        AnalysisError::Mismatch {
            what: "prompt tokens",
            ..
        }
    ));

    let exempt = ForcedKeep {
        sinks: 1,
        recent: 0,
    };
    let refused = compare(ComparisonInput {
        oracle: &Rankings::of(&one, NONE).unwrap(),
        window: &Rankings::of(&one, exempt).unwrap(),
        oracle_mass: &one,
        keep_rule: NONE.into(),
        budgets: &[1],
    });
    assert!(matches!(
        refused,
        Err(AnalysisError::Mismatch {
            what: "exempt sinks",
            ..
        })
    ));
    let refused = compare(ComparisonInput {
        oracle: &Rankings::of(&one, NONE).unwrap(),
        window: &Rankings::of(&one, NONE).unwrap(),
        oracle_mass: &two,
        keep_rule: NONE.into(),
        budgets: &[1],
    });
    assert!(matches!(refused, Err(AnalysisError::Mismatch { .. })));
}

#[test]
fn budgets_outside_the_prompt_are_refused() {
    let scores = importance(&[&[0.5, 0.25]]);
    for budget in [0, 3] {
        let refused = compare_at(&scores, &scores, NONE, NONE, &[1, budget]);
        assert_eq!(
            refused,
            Err(AnalysisError::BudgetOutOfRange {
                budget,
                prompt_tokens: 2
            })
        );
    }
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let heads: Vec<Vec<f32>> = (0..64_u32)
        .map(|h| {
            (0..50_u32)
                .map(|t| ((h * 37 + t * 101) % 53) as f32)
                .collect()
        })
        .collect();
    let heads: Vec<&[f32]> = heads.iter().map(Vec::as_slice).collect();
    let oracle = importance(&heads);
    let reversed: Vec<&[f32]> = heads.iter().rev().copied().collect();
    let window = importance(&reversed);
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| compare_at(&oracle, &window, NONE, NONE, &[1, 7, 50]).unwrap())
    };
    assert_eq!(with_threads(1), with_threads(5));
}

#[test]
fn layers_compared_apart_and_stacked_are_the_comparison_of_all() {
    let rows: Vec<Vec<f32>> = (0..4_u32)
        .map(|h| {
            (0..9_u32)
                .map(|t| ((h * 37 + t * 101) % 53) as f32)
                .collect()
        })
        .collect();
    let of_layers = |layers: &[Vec<f32>]| {
        let shares = vec![1.0; layers.len()];
        Importance::new(
            layers.len() / 2,
            2,
            HeadKind::Query,
            9,
            layers.concat(),
            shares,
        )
        .unwrap()
    };
    let reversed: Vec<Vec<f32>> = rows.iter().rev().cloned().collect();
    let compared = |range: std::ops::Range<usize>, budgets: &[usize]| {
        let (oracle, window) = (of_layers(&rows[range.clone()]), of_layers(&reversed[range]));
        compare_at(&oracle, &window, NONE, NONE, budgets).unwrap()
    };
    let stacked = Comparison::stack(vec![compared(0..2, &[1, 5]), compared(2..4, &[1, 5])]);
    assert_eq!(stacked.unwrap(), compared(0..4, &[1, 5]));
    let other_budgets = Comparison::stack(vec![compared(0..2, &[1]), compared(2..4, &[5])]);
    assert!(matches!(
        other_budgets,
        Err(AnalysisError::Mismatch {
            what: "budgets",
            ..
        })
    ));
    assert!(Comparison::stack(Vec::new()).is_err());
}
