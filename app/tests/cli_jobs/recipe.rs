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

/// A recipe's own prompts would take minutes without optimisation; what is asked here holds for any.
#[test]
fn every_recipe_runs_on_the_built_in_model_and_says_what_cannot_be_concluded() {
    let folder = tempfile::tempdir().unwrap();
    let listed = run_ok(folder.path(), &["recipe", "list"]);
    let names = listed
        .stdout
        .lines()
        .filter_map(|line| line.split_once(": "));
    let names: Vec<&str> = names.map(|(name, _)| name).collect();
    assert_eq!(names.len(), 6, "{}", listed.stdout);
    let data = "facts:length=512,samples=2,seed=3";
    for name in names {
        run_ok(
            folder.path(),
            &["recipe", name, "--data", data, "--out", name],
        );
        let page = fs::read_to_string(folder.path().join(name).join("page.md")).unwrap();
        for part in [
            "**What can be concluded**",
            "say nothing of a real model",
            "tell nothing of others",
        ] {
            assert!(page.contains(part), "{name}: {part}\n{page}");
        }
        assert!(!page.contains("{{"), "{name}");
    }
}

#[test]
fn orders_are_the_paired_differences_of_the_table_and_a_recipe_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = "facts:length=512,samples=4,seed=3";
    let recipe = ["recipe", "paper-orders", "--data", data, "--out", "r"];
    run_ok(folder.path(), &recipe);
    let out = folder.path().join("r");
    let page = fs::read_to_string(out.join("page.md")).unwrap();
    let table = TableFile::read(&out.join("tables/difference.parquet")).unwrap();
    let (first, second) = (texts(&table, "first"), texts(&table, "second"));
    let (budgets, means) = (texts(&table, "budget"), numbers(&table, "difference"));
    let (lows, highs) = (numbers(&table, "low"), numbers(&table, "high"));
    for pair in [["dapq", "snapkv"], ["lookahead-kv", "laq:budget=final"]] {
        let is_pair = |row: &usize| {
            let sides = [first[*row].as_str(), second[*row].as_str()];
            budgets[*row] == "128" && (sides == pair || sides == [pair[1], pair[0]])
        };
        let row = (0..table.rows()).find(is_pair).unwrap();
        let sign = if first[row] == pair[0] { 1.0 } else { -1.0 };
        let ends = match sign > 0.0 {
            true => (lows[row], highs[row]),
            false => (-highs[row], -lows[row]),
        };
        let order = match ends {
            (low, _) if low > 0.0 => "holds",
            (_, high) if high < 0.0 => "reversed",
            _ => "not resolved",
        };
        let line = format!(
            "| facts | end | 128 | {} | {} | {:.4} | {:.4} to {:.4} | {order} | 4 |",
            pair[0],
            pair[1],
            sign * means[row],
            ends.0,
            ends.1
        );
        assert!(page.contains(&line), "{line}\n{page}");
    }
    fs::remove_file(out.join("page.md")).unwrap();
    let again = run_ok(folder.path(), &[&recipe[..], &["--resume"]].concat());
    assert!(!again.stderr.contains("prefill"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(out.join("page.md")).unwrap(), page);
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
