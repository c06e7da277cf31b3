//! Figures of one sample and of one head, against what `kvlens measure` writes of it.

use std::path::Path;

use kvlens_sessions::Session;

use crate::support::{numbers, read_table, run, run_ok, texts};

/// Three facts in three tenths of the prompt.
const SAMPLE: &str = "facts-512-end-seed77-1";
const BUDGET: usize = 40;

fn capture(folder: &Path) {
    let capture = [
        "capture",
        "--model",
        "demo",
        "--data",
        "facts:length=512,samples=2,seed=77,question=end",
        "--decode",
        "8",
        "--out",
        "s.kvlens",
        "--windows",
        "dapq",
        "knorm",
    ];
    run_ok(folder, &capture);
    let budget = BUDGET.to_string();
    run_ok(
        folder,
        &["measure", "s.kvlens", "--budgets", &budget, "--out", "t"],
    );
}

fn figure(folder: &Path, kind: &str, more: &[&str]) {
    let out = format!("{kind}.png");
    let budget = BUDGET.to_string();
    let words = [
        "figure", "s.kvlens", "--kind", kind, "--out", &out, "--budget", &budget, "--sample",
        SAMPLE,
    ];
    run_ok(folder, &[&words[..], more].concat());
}

/// A column of `dapq` on the sample, by layer, then head.
fn measured(folder: &Path, column: &str) -> Vec<f64> {
    let table = read_table(&folder.join("t"), "overlap.parquet");
    let (windows, samples) = (texts(&table, "window"), texts(&table, "sample"));
    let values = numbers(&table, column);
    let rows = (0..table.rows()).filter(|&row| windows[row] == "dapq" && samples[row] == SAMPLE);
    rows.map(|row| values[row]).collect()
}

#[test]
fn found_tokens_are_the_recall_of_the_head() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    capture(path);
    figure(
        path,
        "tokens",
        &["--layer", "2", "--head", "3", "--window", "dapq"],
    );
    let table = read_table(path, "tokens.parquet");
    let series = texts(&table, "series");
    let count = |name: &str| series.iter().filter(|series| *series == name).count();
    let found = count("kept, in the decode stage's top");
    let recall = measured(path, "recall")[2 * 4 + 3];
    assert!(
        (found as f64 / BUDGET as f64 - recall).abs() < 1e-12,
        "{found}, {recall}"
    );
    assert_eq!(count("missed, in its top") + found, BUDGET);
    assert_eq!(count("kept, not in its top") + found, BUDGET);
}

#[test]
fn depths_weighed_by_their_tokens_are_the_evidence_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    capture(path);
    figure(path, "depth", &["--window", "dapq"]);
    let table = read_table(path, "depth.parquet");
    let (depths, kept) = (numbers(&table, "x"), numbers(&table, "value"));
    let session = Session::open(&path.join("s.kvlens")).unwrap();
    let record = session.load_sample(1).unwrap().record;
    assert_eq!(record.id, SAMPLE);
    let tokens = record.prompt_ids.len();
    let (mut sum, mut all) = (0.0, 0.0);
    assert_eq!(depths.len(), record.evidence_tokens.len());
    for (depth, run) in depths.iter().zip(&record.evidence_tokens) {
        let middle = (run.start + run.end) as f64 / 2.0 / tokens as f64;
        assert!(
            (depth - middle).abs() <= 0.05 + 1.0 / tokens as f64,
            "{depth}, {middle}"
        );
    }
    for (kept, run) in kept.iter().zip(&record.evidence_tokens) {
        sum += kept * run.len() as f64;
        all += run.len() as f64;
    }
    let heads = measured(path, "evidence_kept");
    let mean = heads.iter().sum::<f64>() / heads.len() as f64;
    assert!((sum / all - mean).abs() < 1e-9, "{} {mean}", sum / all);
}

#[test]
fn attention_is_of_one_head_and_of_windows_that_have_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    capture(path);
    figure(path, "attention", &["--layer", "1", "--head", "0"]);
    let table = read_table(path, "attention.parquet");
    let mut panels = texts(&table, "panel");
    panels.dedup();
    assert_eq!(panels, ["decode", "dapq"], "knorm looks at no query");
    assert!(numbers(&table, "value").iter().all(|power| *power <= 0.0));
    let wrong = |more: &[&str]| {
        let words = [
            "figure",
            "s.kvlens",
            "--kind",
            "attention",
            "--out",
            "a.svg",
        ];
        let ran = run(path, &[&words[..], more].concat());
        assert_ne!(ran.code, 0);
        ran.stderr
    };
    assert!(wrong(&[]).contains("one --layer and one --head"));
    assert!(wrong(&["--layer", "9", "--head", "0"]).contains("no session has a layer 9"));
    let missing = wrong(&["--layer", "1", "--head", "0", "--sample", "nobody"]);
    assert!(
        missing.contains("no session has a finished sample 'nobody'"),
        "{missing}"
    );
}

#[test]
fn letters_that_the_font_lacks_are_named_in_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let prompts = r#"{"prompt": "Ann lives in Rome. Where does Ann live?", "task": "问答"}
{"prompt": "Ann lives in Oslo. Where does Ann live?", "task": "qa"}
"#;
    std::fs::write(path.join("p.jsonl"), prompts).unwrap();
    let capture = [
        "capture",
        "--model",
        "demo",
        "--data",
        "p.jsonl",
        "--decode",
        "4",
        "--ignore-eos",
        "--out",
        "s.kvlens",
        "--windows",
        "last:4",
    ];
    run_ok(path, &capture);
    let warning = "no 答 (U+7B54), 问 (U+95EE)";
    for (out, warns) in [("a.pdf", true), ("a.png", true), ("a.svg", false)] {
        let words = ["figure", "s.kvlens", "--kind", "recall", "--out", out];
        let said = run(path, &words);
        assert_eq!(said.code, 0, "{said:#?}");
        let is_told = said.stderr.contains(warning);
        assert_eq!(is_told, warns, "{out}: {}", said.stderr);
    }
}
