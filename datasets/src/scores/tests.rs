//! Every metric against the figures of `tests/fixtures/make_scores.py`.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Case {
    metric: Metric,
    text: String,
    answers: Vec<String>,
    classes: Vec<String>,
    score: f64,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../tests/fixtures/scores.json")).unwrap()
}

#[test]
fn scores_equal_those_of_python() {
    let mut metrics = BTreeSet::new();
    for case in cases() {
        let scoring = Scoring {
            classes: case.classes,
            ..Scoring::new(case.metric, case.answers)
        };
        let score = scoring.score(&case.text);
        assert!(
            (score - case.score).abs() < 1e-12,
            "{scoring:?} of {:?}: {score}, not {}",
            case.text,
            case.score
        );
        metrics.insert(format!("{:?}", scoring.metric));
    }
    assert_eq!(metrics.len(), 22);
}

#[test]
fn only_the_first_line_counts_where_the_benchmark_says_so() {
    let mut scoring = Scoring::new(Metric::TokenF1, vec!["Bo".to_owned()]);
    let text = "\nBo\nQuestion: who?";
    assert!(scoring.score(text) < 1.0);
    scoring.first_line = true;
    assert_eq!(scoring.score(text), 1.0);
}

#[test]
fn exact_answers_and_first_letters() {
    let exact = Scoring::new(Metric::Exact, vec!["Yes it is".to_owned()]);
    assert_eq!(exact.score(" yes  it is\n"), 1.0);
    assert_eq!(exact.score("yes it is not"), 0.0);
    let letter = Scoring::new(Metric::FirstLetter, vec!["C".to_owned()]);
    assert_eq!(letter.score("the option (C) or A"), 1.0);
    assert_eq!(letter.score("A, not C"), 0.0);
    assert_eq!(letter.score("none"), 0.0);
}

#[test]
fn without_answers_nothing_is_right() {
    for case in cases() {
        let scoring = Scoring::new(case.metric, Vec::new());
        assert_eq!(scoring.score(&case.text), 0.0, "{:?}", case.metric);
    }
}

#[test]
fn a_sample_is_scored_by_its_own_metric() {
    let sample = Sample {
        values: vec!["cat".to_owned(), "dog".to_owned()],
        scoring: Some(Scoring::new(Metric::MatchPart, vec!["cat".to_owned()])),
        ..Sample::default()
    };
    assert_eq!(score(&sample, "a cat"), Some(1.0));
    let sample = Sample {
        scoring: None,
        ..sample
    };
    assert_eq!(score(&sample, "a cat"), Some(0.5));
}

/// Any text gets a score in range from every metric, and no metric panics on it.
#[test]
fn scores_stay_in_range_on_texts_of_other_cases() {
    let all = cases();
    for case in &all {
        for other in &all {
            let scoring = Scoring {
                classes: other.classes.clone(),
                ..Scoring::new(case.metric, case.answers.clone())
            };
            let score = scoring.score(&other.text);
            assert!((0.0..=1.0).contains(&score), "{scoring:?} {:?}", other.text);
        }
    }
}
