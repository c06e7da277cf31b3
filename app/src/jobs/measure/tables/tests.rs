//! What is left when the work is stopped.

use std::cell::Cell;

use kvlens_analysis::collection::{CollectedSample, CollectedWindow};
use kvlens_analysis::comparison::{BudgetCurves, HeadComparison};
use kvlens_analysis::{Comparison, HeadKind, SampleGroup};

use kvlens_analysis::needle::NeedleGrids;

use super::*;
use crate::jobs::failure::Failure;

/// Two samples of three windows with two heads each, at two budgets.
fn collection() -> Collection {
    let budgets = [Budget::Tokens(1), Budget::Tokens(2)];
    let mut collection = Collection::new(&budgets, &[], Metric::Recall);
    let group = SampleGroup {
        model: "demo".to_owned(),
        task: "facts".to_owned(),
        question_place: None,
    };
    for sample in ["a", "b"] {
        let key = SampleKey {
            content: sample.to_owned(),
            document: None,
            prompt: sample.to_owned(),
        };
        let comparisons = [0.25, 0.5, 0.75].map(comparison);
        let windows: Vec<CollectedWindow<'_>> = ["last", "laq", "dapq"]
            .into_iter()
            .zip(&comparisons)
            .map(|(label, comparison)| CollectedWindow {
                label,
                score_kind: "attention",
                comparison,
                ceiling: None,
            })
            .collect();
        let sample = CollectedSample {
            key: &key,
            session: "s",
            sample,
            prompt_tokens: 10,
        };
        collection.add(&group, sample, &windows);
    }
    collection
}

fn comparison(value: f64) -> Comparison {
    let curve = vec![value; 2];
    let head = HeadComparison {
        curves: BudgetCurves {
            recall: curve.clone(),
            hit_rate: curve.clone(),
            jaccard: curve.clone(),
            mass: curve.clone(),
            mass_of_oracle: curve.clone(),
            kept_recall: curve.clone(),
            evidence_kept: curve.clone(),
            output_error: curve,
        },
        recall_auc: value,
    };
    Comparison {
        layers: 1,
        heads: 2,
        head_kind: HeadKind::Query,
        prompt_tokens: 10,
        rankable_tokens: vec![10],
        budgets: vec![1, 2],
        by_head: vec![head; 2],
    }
}

/// Adds the collection until `go_on` has been asked `allowed` times; says how often it was and what came out.
fn add_until(out: &Path, allowed: usize) -> (usize, Result<()>) {
    let choice = TableChoice {
        csv: true,
        importance: false,
    };
    let nothing_else = Questions {
        asked: Vec::new(),
        ..Questions::none()
    };
    let mut tables = Tables::begin(out, "{}", choice, &nothing_else).unwrap();
    let asked = Cell::new(0);
    let go_on = || {
        asked.set(asked.get() + 1);
        match asked.get() > allowed {
            true => Err(Failure::Interrupted("stopped".to_owned()).into()),
            false => Ok(()),
        }
    };
    let windows = collection();
    let collected = CollectedSamples {
        compare: Compare::Queries,
        decode: &Collection::new(&[], &[], Metric::Recall),
        windows: &windows,
        needles: &NeedleGrids::default(),
        pairs: &Pairs::First,
        head_tests: true,
        margin: None,
    };
    let added = tables.add_collection(&collected, 1, go_on);
    (asked.get(), added)
}

#[test]
fn a_stop_is_heeded_before_every_metric_and_map_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Every metric, two pairs and the winners at two budgets each.
    let steps = Metric::ALL.len() + 2 * 2 + 2;
    let out = folder.path().join("tables");
    for allowed in 0..steps {
        let (asked, added) = add_until(&out, allowed);
        assert_eq!(asked, allowed + 1);
        let stopped = added.unwrap_err();
        assert!(matches!(
            stopped.downcast_ref(),
            Some(Failure::Interrupted(_))
        ));
        assert!(!out.exists());
    }
    let (asked, added) = add_until(&out, steps);
    assert_eq!(asked, steps);
    assert!(added.is_ok());
}
