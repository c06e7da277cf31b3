//! Steps, horizons and places by hand and against the comparison of whole windows.

use super::*;
use crate::importance::{Importance, reduce_rows};
use crate::scoring::{KeySet, RowReduction};

const NONE: ForcedKeep = ForcedKeep {
    sinks: 0,
    recent: 0,
};

/// Three steps over four tokens.
const DECODE: [f32; 12] = [
    0.5, 0.25, 0.125, 0.0, // attends to 0, 1
    0.0, 0.25, 0.125, 0.5, // to 3, 1
    0.0, 0.125, 0.25, 0.5, // to 3, 2
];

fn block(weights: &[f32], tokens: usize) -> AttentionRows<'_> {
    AttentionRows {
        weights,
        rows: weights.len() / tokens,
        prompt_tokens: tokens,
    }
}

fn ranked(scores: &[f32], rankable: Range<usize>) -> HeadScores<'_> {
    HeadScores::new(scores, None, rankable)
}

/// Whether two lists of recalls are the same, NaN for NaN.
fn same(found: &[f64], expected: &[f64]) -> bool {
    let bits = |values: &[f64]| -> Vec<u64> { values.iter().map(|x| x.to_bits()).collect() };
    bits(found) == bits(expected)
}

fn alone<'a>(rows: &'a [AttentionRows<'a>]) -> HeadRows<'a> {
    HeadRows {
        query_heads: rows,
        scoring: Scoring::default(),
        boundary: NONE,
    }
}

#[test]
fn steps_and_horizons_by_hand() {
    let rows = [block(&DECODE, 4)];
    let input = DriftInput {
        decode: alone(&rows),
        window: ranked(&[0.9, 0.8, 0.0, 0.1], 0..4),
        budgets: &[2, 1, 4],
    };
    let by_step = recall_by_step(input).unwrap();
    for (step, expected) in [[1.0, 1.0], [0.5, 0.0], [0.0, 0.0]].iter().enumerate() {
        assert!(same(&by_step[step], &[expected[0], expected[1], f64::NAN]));
    }
    // Sums: 0.5 0.5 0.25 0.5 after two steps, 0.5 0.625 0.5 1.0 after three.
    let by_horizon = recall_by_horizon(input, &[3, 1, 2, 3]).unwrap();
    assert!(same(&by_horizon[0], &[0.5, 0.0, f64::NAN]));
    assert!(same(&by_horizon[1], &by_step[0]));
    assert!(same(&by_horizon[2], &[1.0, 1.0, f64::NAN]));
    assert!(same(&by_horizon[3], &by_horizon[0]));
}

#[test]
fn tokens_that_are_not_ranked_take_no_part() {
    let rows = [block(&DECODE, 4)];
    let input = DriftInput {
        decode: alone(&rows),
        window: ranked(&[0.9, 0.0, 0.8, 0.1], 1..3),
        budgets: &[1, 4],
    };
    let by_step = recall_by_step(input).unwrap();
    for (step, expected) in [0.0, 0.0, 1.0].into_iter().enumerate() {
        assert!(same(&by_step[step], &[expected, f64::NAN]), "{by_step:?}");
    }
}

#[test]
fn groups_are_reduced_as_an_importance_is() {
    let other: Vec<f32> = DECODE.iter().rev().copied().collect();
    let rows = [block(&DECODE, 4), block(&other, 4)];
    let scoring = Scoring {
        keys: KeySet::Prompt,
        reduce: RowReduction::Max,
        group: GroupReduction::Mean,
        ..Scoring::default()
    };
    let decode = HeadRows {
        query_heads: &rows,
        scoring,
        boundary: NONE,
    };
    let reduced = rows
        .iter()
        .map(|rows| reduce_rows(*rows, scoring.keys, scoring.reduce).unwrap())
        .collect();
    let whole = Importance::from_reduced(vec![reduced], 1, scoring, NONE, vec![0]).unwrap();
    assert_eq!(decode.scores_of(0..3).unwrap().scores, whole.head(0, 0));
    let ungrouped = HeadRows {
        scoring: Scoring::default(),
        ..decode
    };
    assert_eq!(
        ungrouped.check().unwrap_err().to_string(),
        "the number of query heads without a group reduction must lie at 1, not at 2"
    );
    let uneven = [rows[0], block(&other[..8], 4)];
    let uneven = HeadRows {
        query_heads: &uneven,
        ..decode
    };
    assert!(uneven.check().is_err());
}

#[test]
fn a_window_is_swept_through_prompt_and_generation() {
    // Causal rows of positions 0 to 3 of a prompt of four tokens, then one decode step.
    let rows = [
        1.0, 0.0, 0.0, 0.0, //
        0.25, 0.75, 0.0, 0.0, //
        0.5, 0.125, 0.25, 0.0, //
        0.0, 0.25, 0.125, 0.5, //
        0.0, 0.125, 0.25, 0.5,
    ];
    let rows = [block(&rows, 4)];
    let input = PlaceInput {
        rows: alone(&rows),
        first_position: 0,
        width: 1,
        stride: 1,
        truth: ranked(&[0.0, 0.125, 0.25, 0.5], 0..4),
        budgets: &[2],
    };
    let told = |input| -> Vec<(usize, f64, f64)> {
        recall_by_place(input)
            .unwrap()
            .into_iter()
            .map(|place| (place.last_position, place.recall[0], place.visible[0]))
            .collect()
    };
    assert_eq!(
        told(input),
        [
            (0, 0.0, 0.0),
            (1, 0.0, 0.0),
            (2, 0.5, 0.5),
            (3, 0.5, 1.0),
            (4, 1.0, 1.0)
        ]
    );
    // Two rows wide and every second place: anchored at the last prompt token, whose sums are
    // 0.5 0.375 0.375 0.5.
    let wide = PlaceInput {
        width: 2,
        stride: 2,
        ..input
    };
    assert_eq!(told(wide), [(1, 0.0, 0.0), (3, 0.5, 1.0)]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut wrong = DECODE;
    wrong[6] = f32::NAN;
    let (good, bad) = ([block(&DECODE, 4)], [block(&wrong, 4)]);
    let input = DriftInput {
        decode: alone(&good),
        window: ranked(&[0.25; 4], 0..4),
        budgets: &[1],
    };
    let refused = recall_by_step(DriftInput {
        decode: alone(&bad),
        ..input
    });
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the attention weight of query head 0, row 1, token 2 is NaN, not a finite number"
    );
    assert!(recall_by_horizon(input, &[0]).is_err());
    assert!(recall_by_horizon(input, &[4]).is_err());
    let short = DriftInput {
        window: ranked(&[0.25; 3], 0..3),
        ..input
    };
    assert!(recall_by_step(short).is_err());
    let place = PlaceInput {
        rows: alone(&good),
        first_position: 4,
        width: 4,
        stride: 1,
        truth: ranked(&[0.25; 4], 0..4),
        budgets: &[1],
    };
    assert!(recall_by_place(place).is_err());
    let still = PlaceInput {
        width: 1,
        stride: 0,
        ..place
    };
    assert!(recall_by_place(still).is_err());
}
