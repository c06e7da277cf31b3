//! What is printed, by made-up samples.

use kvlens_analysis::HeadKind;
use kvlens_analysis::SampleKey;
use kvlens_analysis::collection::{CollectedSample, CollectedWindow};
use kvlens_analysis::comparison::{BudgetCurves, Comparison, HeadComparison};

use super::*;
use crate::jobs::left_out::LeftOut;
use crate::jobs::measure::CostSummary;
use crate::measurement::MeasureOptions;

const BUDGETS: [Budget; 2] = [Budget::Tokens(64), Budget::Tokens(4096)];

/// Two heads of 470 prompt tokens, compared at 64 and 128; the second one's layer sees 100 tokens.
fn comparison(recall: f64) -> Comparison {
    let head = |curve: &[f64]| {
        let curve = || curve.to_vec();
        HeadComparison {
            curves: BudgetCurves {
                recall: curve(),
                kept_recall: curve(),
                hit_rate: curve(),
                jaccard: curve(),
                mass: curve(),
                mass_of_oracle: curve(),
                evidence_kept: curve(),
                output_error: curve(),
            },
            recall_auc: 0.0,
        }
    };
    Comparison {
        layers: 2,
        heads: 1,
        head_kind: HeadKind::Query,
        prompt_tokens: 470,
        rankable_tokens: vec![470, 100],
        budgets: vec![64, 128],
        by_head: vec![head(&[recall; 2]), head(&[recall, f64::NAN])],
    }
}

fn key(content: String, document: &str) -> SampleKey {
    SampleKey {
        prompt: content.clone(),
        content,
        document: Some(document.to_owned()),
    }
}

/// Samples of recalls of two windows, the second of which is no attention, with the question at a place.
fn add(measured: &mut Measured, samples: &[(f64, f64)], label: &str, place: &str) {
    let group = SampleGroup {
        model: "demo".to_owned(),
        task: "facts".to_owned(),
        question_place: Some(place.to_owned()),
    };
    for (index, &(first, second)) in samples.iter().enumerate() {
        let [first, second, perfect, ceiling] = [first, second, 1.0, 0.75].map(comparison);
        let methods = measured.options.compare == Compare::Methods;
        let window = |label, score_kind, comparison, ceiling| CollectedWindow {
            label,
            score_kind,
            comparison,
            ceiling,
        };
        let ceiling = methods.then_some(&ceiling);
        let windows = [
            window(label, "attention", &first, ceiling),
            window("knorm", "key-norm", &second, ceiling),
        ];
        let decode = [window(DECODE_LABEL, "attention", &perfect, None)];
        let (sample, key) = (
            index.to_string(),
            key(format!("{place}{index}"), &index.to_string()),
        );
        let sample = CollectedSample {
            key: &key,
            session: "s",
            sample: &sample,
            prompt_tokens: 470,
        };
        measured.collection.add(&group, sample, &windows);
        measured.decode.add(&group, sample, &decode);
    }
}

fn nothing(compare: Compare) -> Measured {
    let collection = || Collection::new(&BUDGETS, &[Budget::Tokens(128)], Metric::Recall);
    Measured {
        options: MeasureOptions {
            compare,
            ..MeasureOptions::default()
        },
        collection: collection(),
        decode: collection(),
        costs: CostSummary::default(),
        while_decoding: Vec::new(),
        left_out: LeftOut::default(),
    }
}

fn collected(samples: &[(f64, f64)], label: &str) -> Measured {
    let mut measured = nothing(Compare::Queries);
    add(&mut measured, samples, label, "end");
    measured
}

fn lines_of(measured: &Measured) -> Vec<String> {
    let text = text(measured, &BUDGETS, &Pairs::First, None).unwrap();
    let lines = text.lines().map(|line| line.trim_end().to_owned());
    lines.collect()
}

/// Whether a line has these words, whatever lies between them.
fn has(lines: &[String], wanted: &str) {
    let is_it = |line: &String| line.split_whitespace().eq(wanted.split_whitespace());
    assert!(lines.iter().any(is_it), "{wanted}\n{lines:#?}");
}

#[test]
fn recall_differences_and_what_is_kept_stand_under_their_group() {
    let samples = [(0.7, 0.1), (0.72, 0.14), (0.69, 0.1), (0.71, 0.13)];
    let lines = lines_of(&collected(&samples, "last:32"));
    assert!(lines[0].starts_with("Queries compared: "), "{lines:#?}");
    has(
        &lines,
        "facts, question at the end, 4 samples of 470 tokens",
    );
    has(&lines, " decode        1.00    -");
    has(&lines, " last:32       0.70    -");
    has(&lines, "          0.68-0.73");
    has(&lines, " recall minus last:32     64 4096");
    has(&lines, " knorm               -0.59≈     -");
    has(&lines, " kept recall (hit rate)         128");
    has(&lines, " last:32                0.70 (0.70)");
    has(&lines, " needed tokens kept   64 4096");
    assert_eq!(
        lines[lines.len() - 2..],
        [
            "Scored otherwise than by their queries' attention:",
            " knorm: key-norm"
        ]
    );
}

#[test]
fn ceilings_heads_and_places_of_the_question_are_told() {
    let mut measured = nothing(Compare::Methods);
    add(&mut measured, &[(0.7, 0.1), (0.6, 0.2)], "last:32", "end");
    add(&mut measured, &[(0.5, 0.1), (0.4, 0.2)], "last:32", "start");
    let budgets = [Budget::Tokens(64), Budget::Tokens(128)];
    let text = text(&measured, &budgets, &Pairs::First, None).unwrap();
    assert!(text.starts_with("Methods compared: "), "{text}");
    assert!(text.contains("of 0.75"), "{text}");
    let lines = lines_of(&measured);
    has(
        &lines,
        "facts: recall with the question at the start minus at the end",
    );
    has(&lines, " last:32 -0.20≈     -");
    let sliding = "heads in the means, of 2: 1 at 128;";
    let mut wide = nothing(Compare::Queries);
    wide.collection = Collection::new(&budgets, &[], Metric::Recall);
    add(&mut wide, &[(0.7, 0.1)], "last:32", "end");
    let text = super::text(&wide, &budgets, &Pairs::First, None).unwrap();
    assert!(text.contains(sliding), "{text}");
}

#[test]
fn copies_are_named() {
    let mut measured = collected(&[(0.7, 0.6)], "last:32");
    add(&mut measured, &[(0.7, 0.6)], "last:32", "end");
    let text = text(&measured, &BUDGETS, &Pairs::First, None).unwrap();
    assert!(
        text.ends_with("0 of s is 0 of s again and counts once for last:32, knorm.\n"),
        "{text}"
    );
    assert!(text.contains("1 sample of 470 tokens"), "{text}");
}

#[test]
fn what_is_not_resolved_is_marked() {
    let measured = collected(&[(0.7, 0.6), (0.5, 0.7)], "last:32");
    let text = text(&measured, &BUDGETS, &Pairs::First, None).unwrap();
    assert!(text.contains("+0.05≈"), "{text}");
    let one = collected(&[(0.7, 0.6)], "last:32");
    let alone = super::text(&one, &BUDGETS, &Pairs::First, None).unwrap();
    assert!(alone.contains("-0.10≈"), "{alone}");
    assert!(alone.contains("1 sample of 470 tokens"), "{alone}");
}

#[test]
fn what_is_shown_to_be_equal_is_marked_where_a_margin_was_set() {
    let near = [(0.7, 0.701), (0.5, 0.5), (0.6, 0.601), (0.4, 0.4)];
    let measured = collected(&near, "last:32");
    let text_with = |margin| text(&measured, &BUDGETS, &Pairs::First, margin).unwrap();
    assert!(
        text_with(Some(0.1)).contains("0.00="),
        "{}",
        text_with(Some(0.1))
    );
    assert!(text_with(Some(0.1)).contains("within ±0.1"));
    assert!(!text_with(Some(1e-6)).contains("0.00="));
    assert!(!text_with(None).contains("as good as"));
}

#[test]
fn six_budgets_and_a_long_label_stay_within_eighty_columns() {
    let mut measured = nothing(Compare::Methods);
    let label = "dapq:n=32,content=prefix-suffix";
    add(&mut measured, &[(0.1, 0.9), (0.2, 1.0)], label, "end");
    add(&mut measured, &[(0.1, 0.9), (0.2, 1.0)], label, "start");
    let budgets = [Budget::Tokens(64); BUDGETS_ACROSS];
    let text = text(&measured, &budgets, &Pairs::First, None).unwrap();
    for line in text.lines() {
        assert!(
            line.chars().count() <= 80,
            "{}: {line}",
            line.chars().count()
        );
    }
}
