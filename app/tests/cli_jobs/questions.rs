//! `kvlens measure --also`: further questions agree with the tables that every measurement has.

use std::collections::BTreeMap;
use std::path::Path;

use kvlens_analysis::tables::TableFile;

use crate::support::{numbers, read_table, run_ok, texts};

/// A number by window, layer and head, of the rows that pass.
fn by_head(
    table: &TableFile,
    column: &str,
    window: Option<&str>,
    passes: impl Fn(usize) -> bool,
) -> BTreeMap<(String, u64, u64), f64> {
    let windows = window.map_or_else(
        || texts(table, "window"),
        |window| vec![window.to_owned(); table.rows()],
    );
    let (layers, heads) = (numbers(table, "layer"), numbers(table, "head"));
    let values = numbers(table, column);
    (0..table.rows())
        .filter(|&row| passes(row))
        .map(|row| {
            let head = (windows[row].clone(), layers[row] as u64, heads[row] as u64);
            (head, values[row])
        })
        .collect()
}

fn same(
    found: &BTreeMap<(String, u64, u64), f64>,
    expected: &BTreeMap<(String, u64, u64), f64>,
    within: f64,
) {
    assert!(!found.is_empty());
    for (head, value) in found {
        let expected = expected[head];
        assert!(
            (value - expected).abs() <= within,
            "{head:?}: {value} {expected}"
        );
    }
}

fn measured(folder: &Path) -> std::path::PathBuf {
    let capture = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo:samples=1,length=512,question=end",
        "--out",
        "s.kvlens",
        "--windows",
        "last:48",
        "dapq:n=8,content=decode",
        "dapq:n=8,content=decode,shift=-40",
        "h2o",
    ];
    run_ok(folder, &capture);
    let measure = [
        "measure",
        "s.kvlens",
        "--out",
        "t",
        "--budgets",
        "24",
        "--pool",
        "none",
        "--also",
        "drift",
        "places",
        "queries",
        "allocation",
        "--place-width",
        "48",
        "--place-stride",
        "8",
    ];
    run_ok(folder, &measure);
    folder.join("t")
}

#[test]
fn every_answer_agrees_with_recall_where_they_meet() {
    let folder = tempfile::tempdir().unwrap();
    let tables = measured(folder.path());
    let overlap = read_table(&tables, "overlap.parquet");
    let recall = by_head(&overlap, "recall", None, |_| true);

    // the last horizon is the whole decode stage
    let drift = read_table(&tables, "drift.parquet");
    let (parts, steps) = (texts(&drift, "part"), numbers(&drift, "step"));
    let all = numbers(&drift, "decode_tokens")[0];
    let last = |row: usize| parts[row] == "horizon" && steps[row] == all;
    same(&by_head(&drift, "recall", None, last), &recall, 1e-6);
    let first = |part: &'static str| {
        let (parts, steps) = (&parts, &steps);
        by_head(&drift, "recall", None, move |row| {
            parts[row] == part && steps[row] == 1.0
        })
    };
    same(&first("step"), &first("horizon"), 0.0);
    // in the mean over all steps an eviction does to the output what stands beside the recall
    let errors = by_head(&overlap, "output_error", None, |_| true);
    assert!(!errors.is_empty());
    same(&by_head(&drift, "output_error", None, last), &errors, 1e-9);

    // the window whose last query is the prompt's last token is the last prompt window
    let place = read_table(&tables, "place.parquet");
    let tokens = numbers(&place, "prompt_tokens")[0];
    let positions = numbers(&place, "last_position");
    let at_end = by_head(&place, "recall", Some("last:48"), |row| {
        positions[row] == tokens - 1.0
    });
    assert_eq!(at_end.len(), 16);
    same(&at_end, &recall, 1e-6);
    assert!(
        positions.iter().any(|position| *position > tokens),
        "into the generation"
    );
    for (visible, position) in numbers(&place, "visible").iter().zip(&positions) {
        assert!(*position < tokens - 1.0 || *visible == 1.0);
    }

    // a uniform allocation is the budget itself, and all of them spend alike
    let allocation = read_table(&tables, "allocation.parquet");
    let kinds = texts(&allocation, "allocation");
    let uniform = by_head(&allocation, "recall", None, |row| kinds[row] == "uniform");
    same(&uniform, &recall, 1e-6);
    let spent = |kind: &str| -> f64 {
        let given = numbers(&allocation, "tokens").into_iter().zip(&kinds);
        given
            .filter(|(_, known)| *known == kind)
            .map(|(tokens, _)| tokens)
            .sum()
    };
    assert_eq!(spent("pyramid"), spent("uniform"));
    assert_eq!(spent("head-adaptive"), spent("uniform"));
}

#[test]
fn turning_queries_back_takes_the_position_out() {
    let folder = tempfile::tempdir().unwrap();
    let query = read_table(&measured(folder.path()), "query.parquet");
    let windows = texts(&query, "window");
    assert!(
        windows.iter().all(|window| window != "h2o"),
        "no queries, no row"
    );
    let (layers, gaps) = (numbers(&query, "layer"), numbers(&query, "position_gap"));
    let (before, after) = (
        numbers(&query, "cosine_before_rotation"),
        numbers(&query, "cosine_after_rotation"),
    );
    let mut met = [false; 2];
    for row in 0..query.rows() {
        match windows[row].as_str() {
            // the same tokens at the same places are the decode stage itself
            "dapq:n=8,content=decode" => {
                assert!(before[row] > 0.9999 && after[row] > 0.9999, "{row}");
                assert_eq!(gaps[row], 0.0);
                met[0] = true;
            }
            // the first layer's queries know nothing but their token and, once rotated, their place
            "dapq:n=8,content=decode,shift=-40" if layers[row] == 0.0 => {
                assert!(before[row] > 0.9999, "{row}: {}", before[row]);
                assert!(after[row] < before[row], "{row}: {}", after[row]);
                assert_eq!(gaps[row], -40.0);
                met[1] = true;
            }
            _ => {}
        }
    }
    assert_eq!(met, [true; 2]);
}
