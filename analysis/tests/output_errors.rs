//! The output error of evictions against its definition in NumPy (`fixtures/make_output_errors.py`).

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at its first wrong number"
)]

use kvlens_analysis::output_error::{
    Eviction, HeadReads, Judged, OutputHeads, judge_outputs, mean_of_known, output_errors_by_step,
};
use kvlens_analysis::{
    AnalysisError, ComparisonInput, ForcedKeep, HeadKind, Importance, KeepRule, Metric, Rankings,
    compare,
};
use serde_json::Value;

/// Weights and products are float32 here, float64 there.
const TOLERANCE: f64 = 1e-5;

fn cases() -> Vec<Value> {
    let cases: Value = serde_json::from_str(include_str!("fixtures/output_errors.json")).unwrap();
    cases.as_array().unwrap().clone()
}

fn count(case: &Value, name: &str) -> usize {
    case[name].as_u64().unwrap() as usize
}

fn numbers(case: &Value, name: &str) -> Vec<f64> {
    let numbers = case[name].as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

fn single(case: &Value, name: &str) -> Vec<f32> {
    let numbers = numbers(case, name).into_iter();
    numbers.map(|number| number as f32).collect()
}

/// Both query heads, which share their values.
fn reads(case: &Value) -> Result<Vec<HeadReads>, AnalysisError> {
    let (tokens, steps, dim) = (
        count(case, "tokens"),
        count(case, "steps"),
        count(case, "dim"),
    );
    let (weights, mass) = (single(case, "weights"), numbers(case, "mass_behind"));
    let sum = numbers(case, "sum_behind");
    let heads = weights.chunks(steps * tokens).zip(mass.chunks(steps));
    heads
        .zip(sum.chunks(steps * dim))
        .map(|((weights, mass), sum)| {
            let values = single(case, "values").into();
            HeadReads::new(weights, values, dim, mass.to_vec(), sum.to_vec())
        })
        .collect()
}

/// The scores of the query heads, or of the first one for both, and what the case's rule keeps.
fn ranked(case: &Value, shared: bool) -> (Importance, Rankings, KeepRule) {
    let tokens = count(case, "tokens");
    let scores = single(case, "scores");
    let (heads, kind, scores) = match shared {
        false => (2, HeadKind::Query, scores),
        // the first head's scores for both
        true => (1, HeadKind::Kv, scores[..tokens].to_vec()),
    };
    let shares = vec![1.0; heads];
    let importance = Importance::new(1, heads, kind, tokens, scores, shares, vec![0]).unwrap();
    let rankings = Rankings::of(&importance, ForcedKeep::default()).unwrap();
    let keep_rule = KeepRule {
        fixed: ForcedKeep {
            sinks: count(case, "sinks"),
            recent: count(case, "recent"),
        },
        recent_percent: count(case, "recent_percent") as u8,
    };
    (importance, rankings, keep_rule)
}

/// Errors `[heads, budgets]`, in the mean over the steps.
fn judged(case: &Value, budgets: &[usize], shared: bool) -> Vec<f64> {
    let (importance, rankings, keep_rule) = ranked(case, shared);
    let mut comparison = compare(ComparisonInput {
        truth: &rankings,
        window: &rankings,
        decode_mass: &importance,
        keep_rule,
        evidence: &[],
        budgets,
    })
    .unwrap();
    let mut judged = [Judged {
        comparison: &mut comparison,
        eviction: Eviction {
            rankings: &rankings,
            keep_rule,
        },
    }];
    judge_outputs(&mut judged, 2, 1, |_, _| reads(case)).unwrap();
    let heads = comparison.by_head.iter();
    let curves = heads.map(|head| head.curves.of(Metric::OutputError).to_vec());
    curves.collect::<Vec<_>>().concat()
}

/// A projection `[hidden, dim]` of numbers that follow no pattern.
fn projection(hidden: usize, dim: usize) -> Vec<f64> {
    let number = |index: usize| ((index * 7 + 3) % 11) as f64 / 5.0 - 1.0;
    (0..hidden * dim).map(number).collect()
}

/// Errors behind an output projection are those of a head whose values were projected.
#[test]
fn errors_behind_a_projection_are_those_of_projected_values() {
    for case in &cases() {
        let (tokens, dim) = (count(case, "tokens"), count(case, "dim"));
        let hidden = dim + 2;
        let matrix = projection(hidden, dim);
        let projected = |vectors: &[f64]| -> Vec<f64> {
            let rows = vectors.chunks(dim).flat_map(|vector| {
                matrix.chunks(dim).map(move |row| {
                    let products = row.iter().zip(vector).map(|(a, b)| a * b);
                    products.sum::<f64>()
                })
            });
            rows.collect()
        };
        let column = |index: usize| matrix.iter().skip(index).step_by(dim);
        let gram: Vec<f32> = (0..dim * dim)
            .map(|index| {
                let products = column(index / dim).zip(column(index % dim));
                products.map(|(a, b)| a * b).sum::<f64>() as f32
            })
            .collect();
        let steps = count(case, "steps");
        let weights = single(case, "weights");
        let (mass, sum) = (numbers(case, "mass_behind"), numbers(case, "sum_behind"));
        let plain = reads(case).unwrap();
        for (head, reads) in plain.into_iter().enumerate() {
            let reads = reads.through(gram.clone().into()).unwrap();
            let values = projected(&numbers(case, "values"));
            let values: Vec<f32> = values.iter().map(|&number| number as f32).collect();
            let of_head = |all: &[f64], each: usize| all[head * each..][..each].to_vec();
            let direct = HeadReads::new(
                &weights[head * steps * tokens..][..steps * tokens],
                values.into(),
                hidden,
                of_head(&mass, steps),
                projected(&of_head(&sum, steps * dim)),
            )
            .unwrap();
            let order = || (0..tokens).rev();
            let budgets = || 1..=tokens;
            let found = reads.errors_along(order(), budgets());
            let expected = direct.errors_along(order(), budgets());
            assert_near(&found.concat(), &expected.concat());
            assert_eq!(found.last(), Some(&vec![0.0; steps]));
        }
    }
    let one = reads(&cases()[0]).unwrap().remove(0);
    assert!(one.through(vec![1.0; 3].into()).is_err());
}

fn budgets(case: &Value) -> Vec<usize> {
    let budgets = numbers(case, "budgets").into_iter();
    budgets.map(|budget| budget as usize).collect()
}

fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let near = (found - expected).abs() <= TOLERANCE * expected.max(1.0);
        assert!(near, "{found} where {expected} was expected");
    }
}

#[test]
fn errors_are_those_of_a_softmax_over_what_is_kept() {
    for case in &cases() {
        let (asked, expected) = (budgets(case), numbers(case, "errors"));
        assert_near(&judged(case, &asked, false), &expected);
        // budgets in any order, twice, and such as keep everything, which ask nothing
        let mixed = [asked[3], count(case, "tokens"), asked[1], asked[3]];
        let found = judged(case, &mixed, false);
        assert_near(&[found[0], found[2]], &[expected[3], expected[1]]);
        assert_eq!(found[0].to_bits(), found[3].to_bits());
        assert!(found[1].is_nan());
    }
}

/// `[heads][S][budgets]`.
fn by_step(case: &Value, budgets: &[usize], shared: bool) -> Vec<Vec<Vec<f64>>> {
    let (_, rankings, keep_rule) = ranked(case, shared);
    let eviction = Eviction {
        rankings: &rankings,
        keep_rule,
    };
    let heads = OutputHeads {
        layers: 1,
        query_heads: 2,
        kv_heads: 1,
    };
    output_errors_by_step(eviction, budgets, heads, |_, _| reads(case)).unwrap()
}

#[test]
fn errors_of_single_steps_are_those_of_numpy() {
    for case in &cases() {
        let (asked, steps) = (budgets(case), count(case, "steps"));
        let found = by_step(case, &asked, false);
        assert_eq!((found.len(), found[0].len()), (2, steps));
        // NumPy's are [heads, budgets, S]
        let (expected, means) = (numbers(case, "step_errors"), numbers(case, "errors"));
        let curve = |head: usize, budget: usize| -> Vec<f64> {
            found[head].iter().map(|step| step[budget]).collect()
        };
        for (index, expected) in expected.chunks(steps).enumerate() {
            let found = curve(index / asked.len(), index % asked.len());
            assert_near(&found, expected);
            assert_near(&[mean_of_known(&found)], &[means[index]]);
        }
        let shared = by_step(case, &asked, true);
        assert_eq!((shared.len(), shared[0].len()), (1, steps));
        // a budget that keeps everything asks nothing
        let all = by_step(case, &[count(case, "tokens")], false).concat();
        assert!(all.concat().iter().all(|error| error.is_nan()));
    }
}

#[test]
fn heads_that_keep_the_same_have_the_mean_of_their_errors() {
    let case = &cases()[0];
    let mut alone = case.clone();
    let (scores, tokens) = (numbers(case, "scores"), count(case, "tokens"));
    alone["scores"] = [&scores[..tokens], &scores[..tokens]].concat().into();
    let budgets = budgets(case);
    let by_head = judged(&alone, &budgets, false);
    let (first, second) = by_head.split_at(budgets.len());
    let means: Vec<f64> = first
        .iter()
        .zip(second)
        .map(|(a, b)| (a + b) / 2.0)
        .collect();
    assert_near(&judged(case, &budgets, true), &means);
}

#[test]
fn nothing_is_wrong_where_everything_is_kept() {
    for case in &cases() {
        let tokens = count(case, "tokens");
        for reads in reads(case).unwrap() {
            let means = |budgets: &[usize]| -> Vec<f64> {
                let errors = reads.errors_along(0..tokens, budgets.iter().copied());
                errors.iter().map(|steps| mean_of_known(steps)).collect()
            };
            let errors = means(&[0, tokens / 2, tokens]);
            assert!(errors[0] > 0.01 && errors[1] > 0.01, "{errors:?}");
            assert_eq!(errors[2], 0.0, "{errors:?}");
            let backwards = reads.errors_along((0..tokens).rev(), [tokens].into_iter());
            assert!(backwards.concat().iter().all(|&error| error == 0.0));
        }
    }
}

#[test]
fn numbers_that_do_not_belong_together_are_refused() {
    let refused = |weights: &[f32], values: usize, mass: usize, sum: usize| {
        let values = vec![0.0; values].into();
        HeadReads::new(weights, values, 2, vec![0.0; mass], vec![0.0; sum]).is_err()
    };
    assert!(!refused(&[0.0; 6], 6, 2, 4));
    assert!(refused(&[0.0; 5], 6, 2, 4));
    assert!(refused(&[0.0; 6], 7, 2, 4));
    assert!(refused(&[0.0; 6], 6, 2, 3));
    assert!(refused(&[], 6, 0, 0));
    assert!(refused(&[], 0, 2, 4));
}
