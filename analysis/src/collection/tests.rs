use super::*;
use crate::comparison::{BudgetCurves, HeadComparison};
use crate::statistics::{Interval, Verdict};

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
            evidence_kept: vec![f64::NAN; 2],
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

fn add(collection: &mut Collection, task: &str, key: &str, windows: &[(&str, &[[f64; 2]])]) {
    let comparisons: Vec<(&str, Comparison)> = windows
        .iter()
        .map(|(label, recalls)| (*label, comparison(recalls)))
        .collect();
    let windows: Vec<CollectedWindow<'_>> = comparisons
        .iter()
        .map(|(label, comparison)| CollectedWindow {
            label,
            score_kind: "attention",
            comparison,
        })
        .collect();
    collection.add(&group(task), key, 10, &windows);
}

#[test]
fn each_summary_is_a_mean_over_samples_of_means_over_heads() {
    let mut all = Collection::new(
        &[Budget::Fraction(0.2)],
        &[Budget::Tokens(1)],
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
    // Two samples half apart say nothing: Student's interval reaches 3.2 to each side.
    let whole = Interval {
        low: 0.0,
        high: 1.0,
    };
    let recall = all.summaries(Metric::Recall, 1);
    assert_eq!(
        (recall[0].interval, recall[2].interval),
        (Some(whole), None)
    );
    let mass = all.summaries(Metric::MassOfOracle, 1);
    assert_eq!((mass[0].mean, mass[1].mean), (0.75, 0.25));
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
fn windows_are_paired_by_key_across_sessions() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
    for (sample, recall) in [("a", 0.1), ("b", 0.2), ("c", 0.3)] {
        add(&mut all, "t", sample, &[("last", &[[recall, 0.0]])]);
    }
    // another session, in another order, without c
    for (sample, recall) in [("b", 0.4), ("a", 0.3), ("d", 0.9)] {
        add(&mut all, "t", sample, &[("laq", &[[recall, 0.0]])]);
    }
    let pairs = all
        .differences(Some("last"), true, 1)
        .collect::<Collected<Vec<_>>>()
        .unwrap();
    assert_eq!(pairs.len(), 1);
    assert_eq!((pairs[0].first, pairs[0].second), ("laq", "last"));
    assert_eq!((pairs[0].samples, pairs[0].by_head.len()), (2, 1));
    assert!((pairs[0].overall.mean - 0.2).abs() < 1e-7);
    let winners = all.winners(1).collect::<Collected<Vec<_>>>().unwrap();
    assert_eq!((winners[0].samples, winners[0].winners[0].winner), (2, 1));
    assert_eq!(all.differences(Some("dapq"), true, 1).count(), 0);
}

#[test]
fn the_same_capture_twice_is_two_samples() {
    let mut all = Collection::new(&[Budget::Tokens(1)], &[], Metric::Recall);
    for recall in [0.25, 0.75] {
        let windows = [("last", &[[recall, 0.0]][..]), ("laq", &[[0.5, 0.0]])];
        add(&mut all, "t", "a", &windows);
    }
    let pair = all.differences(None, false, 1).next().unwrap().unwrap();
    assert_eq!((pair.samples, pair.overall.mean), (2, 0.0));
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
    let pair = all.differences(None, true, 1).next().unwrap().unwrap();
    assert_eq!((pair.shape, pair.by_head.len()), (None, 0));
    assert_eq!(pair.overall.mean, 0.125);
    assert!(all.winners(1).next().is_none());
}
