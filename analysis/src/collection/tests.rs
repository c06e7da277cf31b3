use super::*;
use crate::comparison::{BudgetCurves, HeadComparison};
use crate::statistics::{Verdict, mean_interval};

const NAN: f64 = f64::NAN;

/// Ten prompt tokens, one layer; `recalls` of each head at a budget of one and of two tokens.
fn comparison(recalls: &[[f64; 2]]) -> Comparison {
    let head = |recall: &[f64; 2]| HeadComparison {
        curves: BudgetCurves {
            recall: recall.to_vec(),
            kept_recall: vec![0.0, 0.0],
            hit_rate: vec![0.5, 1.0],
            jaccard: vec![0.0, 0.0],
            mass: vec![0.0, 0.0],
            mass_of_oracle: vec![0.25, 0.75],
            evidence_kept: vec![NAN; 2],
            output_error: vec![NAN; 2],
        },
        recall_auc: 0.0,
    };
    Comparison {
        layers: 1,
        heads: recalls.len(),
        head_kind: HeadKind::Query,
        prompt_tokens: 10,
        rankable_tokens: vec![10],
        budgets: vec![1, 2],
        by_head: recalls.iter().map(head).collect(),
    }
}

fn group(task: &str) -> SampleGroup {
    SampleGroup {
        model: "demo".to_owned(),
        task: task.to_owned(),
        question_place: None,
    }
}

/// A label and the recalls of each head.
type Window<'a> = (&'a str, &'a [[f64; 2]]);

/// Adds a sample of a session, with the ceiling 0.75 in every head where `with_ceiling` says so.
fn add_to(
    collection: &mut Collection,
    group: &SampleGroup,
    (session, key): (&str, &SampleKey),
    windows: &[Window<'_>],
    with_ceiling: bool,
) {
    let comparisons: Vec<(&str, Comparison, Comparison)> = windows
        .iter()
        .map(|(label, recalls)| {
            let ceiling = vec![[0.75; 2]; recalls.len()];
            (*label, comparison(recalls), comparison(&ceiling))
        })
        .collect();
    let windows: Vec<CollectedWindow<'_>> = comparisons
        .iter()
        .map(|(label, comparison, ceiling)| CollectedWindow {
            label,
            score_kind: "attention",
            comparison,
            ceiling: with_ceiling.then_some(ceiling),
        })
        .collect();
    let sample = CollectedSample {
        key,
        session,
        sample: &key.content,
        prompt_tokens: 10,
    };
    collection.add(group, sample, &windows);
}

fn key(content: &str) -> SampleKey {
    SampleKey {
        content: content.to_owned(),
        document: None,
        prompt: content.to_owned(),
    }
}

fn add(collection: &mut Collection, task: &str, content: &str, windows: &[Window<'_>]) {
    let sample = ("session", &key(content));
    add_to(collection, &group(task), sample, windows, false);
}

fn windows_of(collection: &Collection, maps: bool) -> Vec<PairedMap<'_>> {
    let pairs = collection.differences(Contrast::Window, None, maps, 1);
    pairs.collect::<Collected<Vec<_>>>().unwrap()
}

#[test]
fn budgets_that_papers_give_hit_rates_at_are_summarised_of_those_alone() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[Budget::Tokens(2)], Metric::Recall);
    add(&mut all, "t", "a", &[("last", &[[0.5, 1.0]])]);
    let budgets = |metric| -> Vec<String> {
        let summaries = all.summaries(metric, 1).into_iter();
        summaries.map(|found| found.budget.to_string()).collect()
    };
    assert_eq!(budgets(Metric::Recall), ["1"]);
    assert_eq!(budgets(Metric::HitRate), ["1", "2"]);
    assert_eq!(budgets(Metric::KeptRecall), ["1", "2"]);
}

#[test]
fn what_is_one_by_definition_has_no_interval() {
    let of = |truth: bool| {
        let all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
        let mut all = if truth { all.of_the_truth() } else { all };
        for sample in ["a", "b", "c"] {
            add(&mut all, "t", sample, &[("decode", &[[1.0, 1.0]])]);
        }
        let recall = all.summaries(Metric::Recall, 1)[0].interval.is_some();
        // of what is measured of the truth, too, there is one
        let mass = all.summaries(Metric::MassOfOracle, 1)[0].interval.is_some();
        (recall, mass)
    };
    assert_eq!(of(true), (false, true));
    assert_eq!(of(false), (true, true));
}

/// Student's interval of four errors, one far from the others, begins below zero.
#[test]
fn no_interval_of_an_error_reaches_below_zero() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::OutputError);
    for (sample, error) in [("a", 0.1), ("b", 0.2), ("c", 0.1), ("d", 3.0)] {
        let mut compared = comparison(&[[0.5, 0.5]]);
        compared.by_head[0].curves.output_error = vec![error; 2];
        let window = CollectedWindow {
            label: "last",
            score_kind: "attention",
            comparison: &compared,
            ceiling: None,
        };
        let collected = CollectedSample {
            key: &key(sample),
            session: "session",
            sample,
            prompt_tokens: 10,
        };
        all.add(&group("t"), collected, &[window]);
    }
    let interval = all.summaries(Metric::OutputError, 1)[0].interval.unwrap();
    assert_eq!(interval.low, 0.0);
    assert!(interval.high > 3.0, "{interval:?}");
}

#[test]
fn each_summary_is_a_mean_over_samples_of_means_over_heads() {
    let mut all = Collection::new(
        &[Budget::Fraction(0.2), Budget::Tokens(1)],
        &[],
        Metric::Recall,
    );
    let first = ("last:32", &[[0.0, 0.5], [0.5, 1.0]][..]);
    add(&mut all, "end", "a", &[first, ("laq", &[[1.0, 1.0]])]);
    add(&mut all, "start", "a", &[("last:32", &[[0.25, 0.25]])]);
    add(
        &mut all,
        "end",
        "b",
        &[("last:32", &[[0.0, 0.0], [0.0, 0.5]])],
    );
    let told: Vec<(String, &str, String, usize, f64)> = all
        .summaries(Metric::Recall, 1)
        .iter()
        .map(|summary| {
            (
                summary.group.task.clone(),
                summary.window,
                summary.budget.to_string(),
                summary.samples,
                summary.mean,
            )
        })
        .collect();
    let line = |task: &str, window, budget: &str, samples, mean| {
        (task.to_owned(), window, budget.to_owned(), samples, mean)
    };
    assert_eq!(
        told,
        [
            line("end", "last:32", "20%", 2, 0.5),
            line("end", "last:32", "1", 2, 0.125),
            line("end", "laq", "20%", 1, 1.0),
            line("end", "laq", "1", 1, 1.0),
            line("start", "last:32", "20%", 1, 0.25),
            line("start", "last:32", "1", 1, 0.25),
        ]
    );
    let recall = all.summaries(Metric::Recall, 1);
    let interval = mean_interval(&[0.75, 0.25], Some((0.0, 1.0)), 1);
    assert!(interval.is_some());
    assert_eq!((recall[0].interval, recall[2].interval), (interval, None));
    let mass = all.summaries(Metric::MassOfOracle, 1);
    assert_eq!((mass[0].mean, mass[1].mean), (0.75, 0.25));
}

#[test]
fn undefined_heads_are_left_out_and_counted() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
    let whole = ("last", &[[0.25, 0.0], [0.75, 0.0], [0.5, 0.0]][..]);
    let part = ("last", &[[0.25, 0.0], [NAN, 0.0], [NAN, 0.0]][..]);
    let none = ("last", &[[NAN, 0.0], [NAN, 0.0], [NAN, 0.0]][..]);
    let laq = ("laq", &[[0.5, 0.0], [0.5, 0.0], [0.5, 0.0]][..]);
    add(&mut all, "t", "a", &[whole, laq]);
    add(&mut all, "t", "b", &[part, laq]);
    let last = all.summaries(Metric::Recall, 1)[0];
    assert_eq!((last.samples, last.mean), (2, 0.375));
    assert_eq!((last.heads, last.all_heads), (1, 3));

    // Held against laq over the heads that both have: 0.5 less 0.5 in a, 0.5 less 0.25 in b.
    let pair = &windows_of(&all, true)[0];
    assert_eq!((pair.first, pair.samples), ("laq", 2));
    assert_eq!(pair.overall.mean, 0.125);
    let defined: Vec<bool> = pair.by_head.iter().map(Option::is_some).collect();
    assert_eq!(defined, [true, false, false]);
    let winners = all.winners(1).next().unwrap().unwrap();
    assert!(winners.winners[0].is_some() && winners.winners[1].is_none());
    assert!(winners.stability[2].is_none());
    let (_, _, means) = all.head_means("last", 0).unwrap().remove(0);
    assert!(means[0] == 0.25 && means[1].is_nan());

    // A sample without any defined head is not among the samples.
    add(&mut all, "t", "c", &[none]);
    let last = all.summaries(Metric::Recall, 1)[0];
    assert_eq!((last.samples, last.mean, last.heads), (2, 0.375, 1));
}

#[test]
fn a_ceiling_is_the_mean_over_the_same_samples_and_heads() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
    let windows = [("last", &[[0.5, 0.0], [NAN, 0.0]][..])];
    let (a, b) = (key("a"), key("b"));
    add_to(&mut all, &group("t"), ("s", &a), &windows, true);
    assert_eq!(all.summaries(Metric::Recall, 1)[0].ceiling, Some(0.75));
    add_to(&mut all, &group("t"), ("s", &b), &windows, false);
    assert_eq!(all.summaries(Metric::Recall, 1)[0].ceiling, None);
}

#[test]
fn a_budget_that_does_not_apply_leaves_no_line() {
    let mut all = Collection::new(
        &[Budget::Tokens(1), Budget::Tokens(11)],
        &[],
        Metric::Recall,
    );
    add(&mut all, "end", "a", &[("last:32", &[[0.0, 0.0]])]);
    assert_eq!(all.summaries(Metric::Recall, 1).len(), 1);
    assert_eq!(all.winners(1).count(), 0);
}

#[test]
fn windows_are_paired_by_content_across_sessions() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
    for (sample, recall) in [("a", 0.1), ("b", 0.2), ("c", 0.3)] {
        add(&mut all, "t", sample, &[("last", &[[recall, 0.0]])]);
    }
    // another session, in another order, without c
    for (sample, recall) in [("b", 0.4), ("a", 0.3), ("d", 0.9)] {
        add(&mut all, "t", sample, &[("laq", &[[recall, 0.0]])]);
    }
    assert!(all.duplicates().is_empty());
    let pairs = all
        .differences(Contrast::Window, Some("last"), true, 1)
        .collect::<Collected<Vec<_>>>()
        .unwrap();
    assert_eq!(pairs.len(), 1);
    assert_eq!((pairs[0].first, pairs[0].second), ("laq", "last"));
    assert_eq!((pairs[0].model, pairs[0].window), (Some("demo"), None));
    assert_eq!((pairs[0].samples, pairs[0].by_head.len()), (2, 1));
    assert!((pairs[0].overall.mean - 0.2).abs() < 1e-7);
    let winners = all.winners(1).collect::<Collected<Vec<_>>>().unwrap();
    assert_eq!(winners[0].samples, 2);
    assert_eq!(winners[0].winners[0].unwrap().winner, 1);
    let other = all.differences(Contrast::Window, Some("dapq"), true, 1);
    assert_eq!(other.count(), 0);
}

/// Six samples, then all of them again from a copy of the session: nothing that is said of them changes.
#[test]
fn a_copy_of_a_session_changes_no_number() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
    let fill = |all: &mut Collection, session: &str| {
        for (index, sample) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
            let last = [[0.25 + index as f64 / 32.0, 0.0]];
            let windows = [("last", &last[..]), ("laq", &[[0.5, 0.0]][..])];
            add_to(all, &group("t"), (session, &key(sample)), &windows, false);
        }
    };
    let told = |all: &Collection| {
        let pair = windows_of(all, true).remove(0);
        let means = all.summaries(Metric::Recall, 1);
        let means: Vec<_> = means
            .iter()
            .map(|summary| (summary.samples, summary.mean, summary.interval))
            .collect();
        (means, pair.samples, pair.overall, pair.by_head)
    };
    fill(&mut all, "a.kvlens");
    let once = told(&all);
    assert_eq!((once.1, once.2.p), (6, 0.03125));
    fill(&mut all, "b.kvlens");
    assert_eq!(told(&all), once);
    assert_eq!(all.groups()[0].prompt_tokens, [10; 6]);
    assert_eq!(all.duplicates().len(), 6);
    assert_eq!(
        all.duplicates()[1].to_string(),
        "b of b.kvlens is b of a.kvlens again and counts once for last, laq"
    );
}

/// Two sessions of the same prompts, both with one window: it is not counted twice beside the others.
#[test]
fn two_sessions_of_one_prompt_have_the_same_number_of_samples_for_every_window() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
    let (last, other) = (("last", &[[0.5, 0.0]][..]), ("last", &[[0.25, 0.0]][..]));
    let laq = ("laq", &[[0.5, 0.0]][..]);
    let dapq = ("dapq", &[[0.75, 0.0]][..]);
    for sample in ["a", "b"] {
        add_to(
            &mut all,
            &group("t"),
            ("one", &key(sample)),
            &[last, laq],
            false,
        );
    }
    for sample in ["a", "b"] {
        add_to(
            &mut all,
            &group("t"),
            ("two", &key(sample)),
            &[other, dapq],
            false,
        );
    }
    let summaries = all.summaries(Metric::Recall, 1);
    let samples: Vec<(&str, usize, f64)> = summaries
        .iter()
        .map(|summary| (summary.window, summary.samples, summary.mean))
        .collect();
    assert_eq!(
        samples,
        [("last", 2, 0.5), ("laq", 2, 0.5), ("dapq", 2, 0.75)]
    );
    let again = &all.duplicates()[0];
    assert_eq!(
        (&again.windows[..], &again.differing[..]),
        (&["last".to_owned()][..], &["last".to_owned()][..])
    );
    assert!(
        again
            .to_string()
            .ends_with("; its values for last differ from the first one's, which stand")
    );
}

#[test]
fn places_of_the_question_are_paired_by_document_and_models_by_prompt() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
    let of = |model: &str, place: &str| SampleGroup {
        model: model.to_owned(),
        task: "niah".to_owned(),
        question_place: Some(place.to_owned()),
    };
    let mut fill = |model: &str, place: &str, gain: f64| {
        for (index, document) in ["x", "y", "z"].into_iter().enumerate() {
            let key = SampleKey {
                content: format!("{model} {place} {document}"),
                // the last one's document is nowhere else
                document: Some(format!("{document}{}", if index == 2 { place } else { "" })),
                prompt: format!("{place} {document}"),
            };
            let recall = [[gain + index as f64 / 4.0, 0.0], [gain, 0.0]];
            let windows = [("last", &recall[..]), ("laq", &recall[..1])];
            add_to(&mut all, &of(model, place), ("s", &key), &windows, false);
        }
    };
    fill("small", "end", 0.25);
    fill("small", "start", 0.125);
    fill("large", "end", 0.5);
    let told = |contrast| {
        let pairs = all.differences(contrast, Some("last"), true, 1);
        let told = pairs.map(|pair| {
            let pair = pair.unwrap();
            let sides = (pair.first, pair.second, pair.window.unwrap_or_default());
            let heads = pair.by_head.len();
            assert!(pair.by_head.iter().all(Option::is_some));
            (sides, pair.samples, pair.overall.mean, heads)
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(
        told(Contrast::QuestionPlace),
        [
            (("start", "end", "last"), 2, -0.125, 2),
            (("start", "end", "laq"), 2, -0.125, 1),
        ]
    );
    // heads of other models are not the same heads
    assert_eq!(
        told(Contrast::Model),
        [
            (("large", "small", "last"), 3, 0.25, 0),
            (("large", "small", "laq"), 3, 0.25, 0),
        ]
    );
    let place = all.differences(Contrast::QuestionPlace, None, false, 1);
    let place = place.collect::<Collected<Vec<_>>>().unwrap();
    assert_eq!(
        (place[0].model, place[0].question_place),
        (Some("small"), None)
    );
    let model = all.differences(Contrast::Model, None, false, 1);
    let model = model.collect::<Collected<Vec<_>>>().unwrap();
    assert_eq!(
        (model[0].model, model[0].question_place),
        (None, Some("end"))
    );
}

#[test]
fn one_document_twice_on_a_side_is_paired_once() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
    for (place, decode_stages) in [("end", 2), ("start", 2)] {
        for stage in 0..decode_stages {
            let key = SampleKey {
                content: format!("{place} {stage}"),
                document: Some("x".to_owned()),
                prompt: place.to_owned(),
            };
            let group = SampleGroup {
                question_place: Some(place.to_owned()),
                ..group("t")
            };
            add_to(
                &mut all,
                &group,
                ("s", &key),
                &[("last", &[[0.5, 0.0]])],
                false,
            );
        }
    }
    let pairs = all.differences(Contrast::QuestionPlace, None, true, 1);
    assert_eq!(
        pairs.map(|pair| pair.unwrap().samples).collect::<Vec<_>>(),
        [1]
    );
}

#[test]
fn a_difference_without_maps_has_no_heads_and_few_samples_resolve_nothing() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
    for sample in ["a", "b", "c", "d", "e"] {
        let windows = [("last", &[[0.25, 0.0]][..]), ("laq", &[[0.5, 0.0]])];
        add(&mut all, "t", sample, &windows);
    }
    let pair = windows_of(&all, false).remove(0);
    assert_eq!((pair.samples, pair.overall.mean), (5, 0.25));
    assert_eq!(pair.overall.verdict, Verdict::NotResolved);
    assert!(pair.by_head.is_empty());
}

#[test]
fn other_heads_are_compared_by_their_means_alone() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
    let two = [[0.5, 0.0], [0.25, 0.0]];
    add(
        &mut all,
        "t",
        "a",
        &[("last", &two), ("h2o", &[[0.5, 0.0]])],
    );
    let pair = windows_of(&all, true).remove(0);
    assert_eq!((pair.shape, pair.by_head.len()), (None, 0));
    assert_eq!(pair.overall.mean, 0.125);
    assert!(all.winners(1).next().is_none());
}
