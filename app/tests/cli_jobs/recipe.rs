//! `kvlens recipe`: pages that hold published numbers beside measured ones.

use std::fs;

use kvlens_analysis::tables::TableFile;

use crate::support::{numbers, run, run_ok, texts};

#[test]
fn a_page_has_the_published_numbers_and_those_of_its_figure() {
    let folder = tempfile::tempdir().unwrap();
    let data = "facts:length=256,samples=2,seed=3";
    run_ok(
        folder.path(),
        &["recipe", "judge-q-hit-rate", "--data", data, "--out", "r"],
    );
    let out = folder.path().join("r");
    let page = fs::read_to_string(out.join("page.md")).unwrap();
    let table = TableFile::read(&out.join("hit-rate.parquet")).unwrap();
    let found = texts(&table, "series")
        .into_iter()
        .zip(numbers(&table, "value"));
    // 256 tokens have room for a budget of 128 alone
    let measured: Vec<(String, f64)> = found.collect();
    assert_eq!(measured.len(), 4);
    for (series, published) in [("snapkv", "0.5344"), ("judge-q", "0.6137")] {
        let value = measured.iter().find(|(name, _)| name == series).unwrap().1;
        let line = format!("| {series} | 128 | {published} | {value:.4} |");
        assert!(page.contains(&line), "{line}\n{page}");
    }
    assert!(
        page.contains("| snapkv | 512 | 0.5846 | not measured |"),
        "{page}"
    );
    assert!(page.contains("say nothing of a real model"));
    for file in ["hit-rate.svg", "tables/summary.parquet", "session.kvlens"] {
        assert!(out.join(file).exists(), "{file}");
    }
    let again = run(folder.path(), &["recipe", "judge-q-hit-rate", "--out", "r"]);
    assert_eq!(again.code, 2);
}

#[test]
fn a_recipe_of_ones_own_is_two_files() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = r#"
        title = "Mine"
        summary = "the last rows by layer"
        windows = ["last:8"]
        data = ["facts:length=128,samples=2,seed=3"]
        decode_tokens = 6
        budgets = ["16"]

        [[figures]]
        name = "by-layer"
        kind = "layer"

        [[published]]
        figure = "by-layer"
        series = "last:8"
        at = "0"
        number = 0.25
    "#;
    fs::write(folder.path().join("mine.toml"), recipe).unwrap();
    fs::write(
        folder.path().join("mine.md"),
        "# {{ title }}\n{{ run }}\n{{ tables[\"by-layer\"] }}\n",
    )
    .unwrap();
    run_ok(folder.path(), &["recipe", "mine.toml", "--out", "r"]);
    let page = fs::read_to_string(folder.path().join("r/page.md")).unwrap();
    assert!(page.starts_with("# Mine"), "{page}");
    assert!(page.contains("| last:8 | 0 | 0.2500 |"), "{page}");
    let listed = run_ok(folder.path(), &["recipe", "list"]);
    assert!(listed.stdout.contains("dapq-cosine: "));
    let unknown = run(folder.path(), &["recipe", "mine"]);
    assert_eq!(unknown.code, 2);
}
