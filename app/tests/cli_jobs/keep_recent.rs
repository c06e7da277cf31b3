//! H2O's published split: half of every budget for the most recent tokens, worked out again from the ranks that
//! `kvlens measure --importance` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kvlens_analysis::tables::TableFile;

use crate::support::{numbers, read_table, run, run_ok, texts};

const HALF: &str = "h2o:recent=50%";
const BUDGETS: [usize; 3] = [2, 11, 33];

fn capture(folder: &Path) {
    let arguments = [
        "capture",
        "--model",
        "demo",
        "--data",
        "facts:length=128,samples=1,seed=5",
        "--windows",
        "h2o",
        HALF,
        "last:8",
        "--decode",
        "6",
        "--out",
        "s.kvlens",
    ];
    run_ok(folder, &arguments);
}

/// Of one window and head, the score and the rank of every prompt token.
type Head = Vec<(f64, usize)>;

fn heads(table: &TableFile) -> BTreeMap<(String, usize, usize), Head> {
    let windows = texts(table, "window");
    let [layers, heads, scores, ranks] =
        ["layer", "head", "score", "rank"].map(|name| numbers(table, name));
    let mut by_head: BTreeMap<_, Head> = BTreeMap::new();
    for (row, window) in windows.into_iter().enumerate() {
        let head = (window, layers[row] as usize, heads[row] as usize);
        let token = (scores[row], ranks[row] as usize);
        by_head.entry(head).or_default().push(token);
    }
    by_head
}

/// The last half of the budget, then the best of the others.
fn kept(head: &Head, budget: usize) -> BTreeSet<usize> {
    let recent = head.len() - budget / 2;
    let mut others: Vec<usize> = (0..recent).collect();
    others.sort_by_key(|&token| head[token].1);
    others.truncate(budget - budget / 2);
    others.extend(recent..head.len());
    others.into_iter().collect()
}

/// Values of a column by window, layer, head and budget, where the window is `wanted`.
fn column(table: &TableFile, wanted: &str, name: &str) -> BTreeMap<(usize, usize, usize), f64> {
    let windows = texts(table, "window");
    let [layers, heads, budgets, values] =
        ["layer", "head", "budget_tokens", name].map(|name| numbers(table, name));
    let rows = (0..table.rows()).filter(|&row| windows[row] == wanted);
    rows.map(|row| {
        let place = [layers[row], heads[row], budgets[row]].map(|number| number as usize);
        (place.into(), values[row])
    })
    .collect()
}

#[test]
fn hit_rate_counts_half_of_every_budget_as_recent_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    capture(path);
    let measure = |out: &str, more: &[&str]| {
        let arguments = ["measure", "s.kvlens", "--budgets", "2,11,33", "--out", out];
        run_ok(path, &[&arguments[..], more].concat());
        read_table(&path.join(out), "overlap.parquet")
    };
    let published = measure("t", &["--importance"]);
    let by_head = heads(&read_table(&path.join("t"), "importance.parquet"));
    let hit_rates = column(&published, HALF, "hit_rate");
    assert_eq!(hit_rates.len(), 16 * BUDGETS.len());
    for ((layer, head, budget), hit_rate) in &hit_rates {
        let of = |window: &str| kept(&by_head[&(window.to_owned(), *layer, *head)], *budget);
        let hits = of("decode").intersection(&of(HALF)).count() as f64;
        let expected = hits / *budget as f64;
        assert!(
            (hit_rate - expected).abs() < 1e-6,
            "{layer}.{head} at {budget}: {hit_rate}, {expected}"
        );
    }
    // Recall knows nothing of kept tokens, and a flag does for an older session what the option does.
    assert_eq!(
        column(&published, HALF, "recall"),
        column(&published, "h2o", "recall")
    );
    assert_ne!(hit_rates, column(&published, "h2o", "hit_rate"));
    let overridden = measure("u", &["--keep-recent", "50%"]);
    assert_eq!(column(&overridden, "h2o", "hit_rate"), hit_rates);
    assert_ne!(
        column(&overridden, "last:8", "hit_rate"),
        column(&published, "last:8", "hit_rate")
    );
    let provenance = overridden.metadata("provenance").unwrap().to_owned();
    assert!(
        provenance.contains(r#""keep_recent":"50%""#),
        "{provenance}"
    );
    assert!(
        provenance.contains(r#""recent_percent":50"#),
        "{provenance}"
    );
}

#[test]
fn an_eviction_keeps_half_of_every_budget_as_recent_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    capture(path);
    // evictions go by the methods as published, and what is kept is the raw attention of the decode stage
    let measure = ["measure", "s.kvlens", "--importance", "--out", "t"];
    run_ok(path, &[&measure[..], &["--compare", "methods"]].concat());
    let by_head = heads(&read_table(&path.join("t"), "importance.parquet"));
    let fidelity = |out: &str, more: &[&str]| {
        let arguments = ["fidelity", "s.kvlens", "--budgets", "2,11,33", "--out", out];
        run_ok(path, &[&arguments[..], more].concat());
        let table = read_table(&path.join(out), "fidelity.parquet");
        let windows = texts(&table, "window");
        let [budgets, kl] = ["budget_tokens", "kl"].map(|name| numbers(&table, name));
        let mass = table.numbers("kept_mass").unwrap();
        move |window: &str| -> Vec<(usize, f64, f64)> {
            let rows = (0..windows.len()).filter(|&row| windows[row] == window);
            rows.map(|row| (budgets[row] as usize, mass[row].unwrap(), kl[row]))
                .collect()
        }
    };
    let published = fidelity("f", &[]);
    assert_eq!(published(HALF).len(), BUDGETS.len());
    for (budget, mass, _) in published(HALF) {
        let of_heads: Vec<f64> = by_head
            .iter()
            .filter(|((window, ..), _)| window == HALF)
            .map(|((_, layer, head), ranked)| {
                let decode = &by_head[&("decode".to_owned(), *layer, *head)];
                kept(ranked, budget)
                    .into_iter()
                    .map(|token| decode[token].0)
                    .sum()
            })
            .collect();
        let expected = of_heads.iter().sum::<f64>() / of_heads.len() as f64;
        assert!(
            (mass - expected).abs() < 1e-5,
            "at {budget}: {mass}, {expected}"
        );
    }
    assert_ne!(published(HALF), published("h2o"));
    assert_eq!(
        fidelity("g", &["--keep-recent", "50%"])("h2o"),
        published(HALF)
    );
    let refused = run(
        path,
        &[
            "fidelity",
            "s.kvlens",
            "--out",
            "h",
            "--keep-recent",
            "120%",
        ],
    );
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains("such as 50%"), "{}", refused.stderr);
}
