//! Agreement, pooling and quantiles against SciPy and NumPy (`fixtures/make_references.py`).

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at its first wrong number"
)]

use kvlens_analysis::agreement::{Agreement, RBO_PERSISTENCE, rank_biased_overlap};
use kvlens_analysis::allocation::{ADAPTIVE_FLOOR, BudgetAllocation, PYRAMID_BETA};
use kvlens_analysis::pooling::Pooling;
use kvlens_analysis::statistics::quantile_of_sorted;
use kvlens_analysis::{
    ComparisonInput, ForcedKeep, HeadKind, HeadScores, Importance, Rankings, compare,
};
use serde_json::Value;

/// Both sides compute in f64; what differs is the order of at most 257 additions.
const TOLERANCE: f64 = 1e-12;

fn cases(section: &str) -> Vec<Value> {
    let references: Value = serde_json::from_str(include_str!("fixtures/references.json")).unwrap();
    references[section].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Null => f64::NAN,
        Value::String(text) => text.parse().unwrap(),
        number => number.as_f64().unwrap(),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn scores(value: &Value) -> Vec<f32> {
    numbers(value)
        .into_iter()
        .map(|score| score as f32)
        .collect()
}

fn one_head(value: &Value) -> Importance {
    let (kind, scores) = (HeadKind::Query, scores(value));
    Importance::new(1, 1, kind, scores.len(), scores, vec![1.0], vec![0]).unwrap()
}

/// The only head, with all of its tokens ranked.
fn all(importance: &Importance) -> HeadScores<'_> {
    importance.head_scores(0, 0, ForcedKeep::default())
}

fn assert_near(what: &str, found: f64, expected: f64) {
    let same = found == expected || (found.is_nan() && expected.is_nan());
    let near = (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0);
    assert!(
        same || near,
        "{what}: {found} where {expected} was expected"
    );
}

#[test]
fn agreement_is_that_of_scipy() {
    let cases = cases("agreement");
    assert_eq!(cases.len(), 14);
    for case in cases {
        let (truth, window) = (one_head(&case["oracle"]), one_head(&case["window"]));
        let agreement = Agreement::of(all(&truth), all(&window)).unwrap();
        let found = [
            ("spearman", agreement.spearman),
            ("kendall", agreement.kendall),
            ("kl", agreement.kl),
            ("js", agreement.js),
            ("cosine", agreement.cosine),
            ("total_variation", agreement.total_variation),
        ];
        for (measure, value) in found {
            assert_near(
                &format!("{measure} of {}", case["name"]),
                value,
                number(&case[measure]),
            );
        }
    }
}

#[test]
fn rank_biased_overlap_is_that_of_the_rbo_package() {
    for case in cases("agreement") {
        let (truth, window) = (one_head(&case["oracle"]), one_head(&case["window"]));
        for (persistence, expected) in case["rbo"].as_object().unwrap() {
            let found =
                rank_biased_overlap(all(&truth), all(&window), persistence.parse().unwrap());
            let what = format!("rbo at {persistence} of {}", case["name"]);
            assert_near(&what, found.unwrap(), number(expected));
        }
        let expected = number(&case["rbo"][RBO_PERSISTENCE.to_string()]);
        let agreement = Agreement::of(all(&truth), all(&window)).unwrap();
        assert_near("rbo of the tables", agreement.rbo, expected);
    }
}

#[test]
fn the_area_under_recall_is_that_of_numpy() {
    for case in cases("agreement") {
        let (truth, window) = (one_head(&case["oracle"]), one_head(&case["window"]));
        let rank = |side| Rankings::of(side, ForcedKeep::default()).unwrap();
        let comparison = compare(ComparisonInput {
            truth: &rank(&truth),
            window: &rank(&window),
            decode_mass: &truth,
            keep_rule: ForcedKeep::default().into(),
            evidence: &[],
            budgets: &[1],
        })
        .unwrap();
        let what = format!("area under recall of {}", case["name"]);
        assert_near(
            &what,
            comparison.head(0, 0).recall_auc,
            number(&case["recall_auc"]),
        );
    }
}

#[test]
fn pooling_is_that_of_numpy() {
    let cases = cases("pooling");
    assert!(cases.len() > 80);
    for case in cases {
        let pooling: Pooling = case["pooling"].as_str().unwrap().parse().unwrap();
        let boundary = case["boundary"].as_u64().unwrap() as usize;
        let pooled = pooling.pool(&scores(&case["scores"]), boundary).unwrap();
        let expected = scores(&case["pooled"]);
        assert_eq!(pooled.len(), expected.len());
        for (found, expected) in pooled.iter().zip(expected) {
            // The sums are f64 in another order, so the nearest f32 may be the next one.
            let tolerance = f32::EPSILON * expected.abs();
            assert!((found - expected).abs() <= tolerance, "{case}: {found}");
        }
    }
}

#[test]
fn quantiles_are_those_of_numpy() {
    for case in cases("quantiles") {
        let found = quantile_of_sorted(&numbers(&case["values"]), number(&case["q"])).unwrap();
        assert_near("quantile", found, number(&case["quantile"]));
    }
}

/// The released codes round down: the pyramid's step by less than a token a layer, its last layer's share by
/// less than one, the adaptive floor by less than one and its sum to the nearest.
#[test]
fn allocations_are_those_of_the_released_codes_but_for_rounding() {
    for case in cases("allocations") {
        let size = |name: &str| case[name].as_u64().unwrap() as usize;
        let (layers, heads) = (size("layers"), size("heads"));
        let shares = vec![1.0; layers * heads];
        let scores = scores(&case["scores"]);
        let importance = Importance::new(
            layers,
            heads,
            HeadKind::Query,
            size("tokens"),
            scores,
            shares,
            vec![0; layers],
        )
        .unwrap();
        let forced_keep = ForcedKeep {
            sinks: 0,
            recent: size("forced"),
        };
        let budget = size("budget");
        let pyramid = BudgetAllocation::pyramid(&importance, forced_keep, budget, PYRAMID_BETA);
        let adaptive =
            BudgetAllocation::head_adaptive(&importance, forced_keep, budget, ADAPTIVE_FLOOR);
        for (name, found, apart) in [
            ("pyramid", pyramid.unwrap(), layers),
            ("adaptive", adaptive.unwrap(), 1),
        ] {
            let released = numbers(&case[name]);
            assert_eq!(found.tokens().len(), released.len());
            for (&found, released) in found.tokens().iter().zip(released) {
                let difference = (found as f64 - released).abs();
                assert!(difference <= apart as f64, "{name}: {found} and {released}");
            }
        }
    }
}
