//! A first stage with the budget of the final eviction: one lookahead for each budget, which `laq:budget=N` gives one by
//! one.

use std::path::Path;

use kvlens_analysis::tables::TableFile;

use crate::support::{read_table, run, run_ok, texts};

const FINAL: &str = "laq++:n=4,budget=final";
const CAPTURED: &str = "laq++:n=4,budget=final@9+10%+20%";
/// The same one by one, with the budgets that they are for.
const ALONE: [(&str, &str); 3] = [
    ("laq++:n=4,budget=9", "9"),
    ("laq++:n=4,budget=10%", "10%"),
    ("laq++:n=4,budget=20%", "20%"),
];

fn capture(folder: &Path, windows: &[&str], out: &str) {
    let arguments = [
        "capture",
        "--model",
        "demo",
        "--data",
        "facts:length=128,samples=2,seed=5,count=words",
        "--decode",
        "6",
        "--out",
        out,
        "--windows",
    ];
    run_ok(folder, &[&arguments[..], windows].concat());
}

/// Cells of a window at a budget, row by row.
fn cells(table: &TableFile, window: &str, budget: &str, column: &str) -> Vec<Option<u64>> {
    let (windows, budgets) = (texts(table, "window"), texts(table, "budget"));
    let values = table.numbers(column).unwrap();
    let rows = (0..table.rows()).filter(|&row| windows[row] == window && budgets[row] == budget);
    rows.map(|row| values[row].map(f64::to_bits)).collect()
}

#[test]
fn at_every_budget_it_is_the_lookahead_of_that_budget_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();

    let alone = ALONE.map(|(window, _)| window);
    capture(path, &[&alone[..], &[CAPTURED]].concat(), "s.kvlens");
    let metrics = [
        "recall",
        "kept_recall",
        "hit_rate",
        "jaccard",
        "mass",
        "mass_of_oracle",
        "evidence_kept",
    ];
    for compare in ["queries", "methods"] {
        let arguments = [
            "measure",
            "s.kvlens",
            "--budgets",
            "9,10%,20%,50%",
            "--compare",
            compare,
            "--out",
            compare,
        ];
        let told = run_ok(path, &arguments);
        assert!(
            told.stderr.contains("has no numbers at 67"),
            "{}",
            told.stderr
        );
        let table = read_table(&path.join(compare), "overlap.parquet");
        for (window, budget) in ALONE {
            for metric in metrics {
                let joined = cells(&table, FINAL, budget, metric);
                assert_eq!(joined.len(), 2 * 16, "{metric} at {budget}");
                assert_eq!(joined, cells(&table, window, budget, metric), "{metric}");
                assert!(joined.iter().all(Option::is_some), "{metric} at {budget}");
            }
        }
        let elsewhere = cells(&table, FINAL, "50%", "recall");
        assert_eq!(elsewhere, vec![None; 2 * 16], "nothing in between");
    }
    let labels = texts(
        &read_table(&path.join("queries"), "overlap.parquet"),
        "window",
    );
    assert!(labels.iter().all(|label| !label.contains('@')));
}

#[test]
fn the_lookaheads_of_all_budgets_are_its_cost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let alone = ALONE.map(|(window, _)| window);

    capture(path, &[&alone[..], &[CAPTURED]].concat(), "s.kvlens");
    run_ok(
        path,
        &["measure", "s.kvlens", "--budgets", "9", "--out", "t"],
    );
    let table = read_table(&path.join("t"), "cost.parquet");
    let windows = texts(&table, "window");
    let of = |wanted: &str, column: &str| -> Vec<f64> {
        let values = table.numbers(column).unwrap();
        let rows = (0..table.rows()).filter(|&row| windows[row] == wanted);
        rows.map(|row| values[row].unwrap()).collect()
    };
    for column in ["observations", "rows", "flops", "extra_tokens"] {
        let sum =
            |sample: usize| -> f64 { alone.map(|window| of(window, column)[sample]).iter().sum() };
        assert_eq!(of(FINAL, column), [sum(0), sum(1)], "{column}");
    }
    assert_eq!(of(FINAL, "observations"), [3.0, 3.0]);
    let slowest = alone.map(|window| of(window, "peak_bytes")[0]);
    assert_eq!(
        of(FINAL, "peak_bytes")[0],
        slowest.into_iter().fold(0.0, f64::max)
    );
}

#[test]
fn a_measurement_that_names_no_budgets_finds_all_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    capture(path, &["laq:n=2,budget=final"], "s.kvlens");
    let told = run_ok(path, &["measure", "s.kvlens", "--out", "t"]);
    assert!(!told.stderr.contains("no numbers"), "{}", told.stderr);
    let table = read_table(&path.join("t"), "overlap.parquet");
    let recall = table.numbers("recall").unwrap();
    assert!(recall.iter().all(Option::is_some));
    let inside = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo",
        "--out",
        "u.kvlens",
        "--windows",
    ];
    let refused = run(
        path,
        &[&inside[..], &["union:of=last:8+laq:budget=final"]].concat(),
    );
    assert!(refused.code != 0 && refused.stderr.contains("a window by itself"));
}
