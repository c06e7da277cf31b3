//! `kvlens capture` and `kvlens measure` on good input: figures, determinism, warnings.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kvlens_analysis::tables::TableFile;

use crate::support::{names, numbers, read_table, run, run_ok, texts};

const RAW: [&str; 8] = [
    "--reduce", "mean", "--pool", "none", "--group", "none", "--keys", "causal",
];

/// Of the demo's first sample.
const FIRST_PROMPT_TOKENS: usize = 517;

fn capture(folder: &Path, data: &str, more: &[&str]) -> crate::support::Ran {
    let mut arguments = vec![
        "capture", "--model", "demo", "--data", data, "--out", "s.kvlens",
    ];
    arguments.extend(more);
    run_ok(folder, &arguments)
}

fn measure(folder: &Path, more: &[&str]) -> crate::support::Ran {
    let mut arguments = vec!["measure", "s.kvlens", "--out", "tables"];
    arguments.extend(more);
    run_ok(folder, &arguments)
}

#[test]
fn two_captures_give_the_same_bytes() {
    let tables = ["overlap.parquet", "agreement.parquet", "importance.parquet"];
    let written: Vec<Vec<Vec<u8>>> = (0..2)
        .map(|_| {
            let folder = tempfile::tempdir().unwrap();
            capture(folder.path(), "demo:samples=2", &[]);
            measure(folder.path(), &["--importance"]);
            let read = |name: &&str| fs::read(folder.path().join("tables").join(name)).unwrap();
            tables.iter().map(read).collect()
        })
        .collect();
    for (index, name) in tables.iter().enumerate() {
        assert!(written[0][index] == written[1][index], "{name} differs");
    }
}

/// Rows of importance.parquet by window, layer and head: (score, rank) by position.
fn importance(table: &TableFile) -> BTreeMap<(String, u64, u64), Vec<(f64, f64)>> {
    let windows = texts(table, "window");
    let (layers, heads) = (
        table.counts("layer").unwrap(),
        table.counts("head").unwrap(),
    );
    let (scores, ranks) = (numbers(table, "score"), numbers(table, "rank"));
    let positions = numbers(table, "position");
    let mut by_head: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
    for row in 0..table.rows() {
        let head = (
            windows[row].clone(),
            layers[row].unwrap(),
            heads[row].unwrap(),
        );
        let tokens = by_head.entry(head).or_default();
        assert_eq!(positions[row], tokens.len() as f64, "positions count up");
        tokens.push((scores[row], ranks[row]));
    }
    by_head
}

#[test]
fn raw_importance_is_attention_and_its_ranks_follow_the_scores() {
    let folder = tempfile::tempdir().unwrap();
    capture(folder.path(), "demo:samples=1", &[]);
    measure(folder.path(), &[&RAW[..], &["--importance"]].concat());
    let tables = folder.path().join("tables");
    let importance = importance(&read_table(&tables, "importance.parquet"));
    assert_eq!(
        importance.len(),
        2 * 16,
        "decode and last:32, 4 layers of 4 heads"
    );

    let agreement = read_table(&tables, "agreement.parquet");
    let shares = numbers(&agreement, "prompt_share");
    let (layers, heads) = (
        agreement.counts("layer").unwrap(),
        agreement.counts("head").unwrap(),
    );
    for row in 0..agreement.rows() {
        let head = (
            "last:32".to_owned(),
            layers[row].unwrap(),
            heads[row].unwrap(),
        );
        let sum: f64 = importance[&head].iter().map(|(score, _)| score).sum();
        assert!(
            (sum - shares[row]).abs() < 1e-4,
            "{head:?}: {sum} {}",
            shares[row]
        );
        assert!(
            (sum - 1.0).abs() < 1e-4,
            "prompt rows see nothing but the prompt: {head:?} {sum}"
        );
    }
    for (head, tokens) in &importance {
        assert_eq!(tokens.len(), FIRST_PROMPT_TOKENS);
        let sum: f64 = tokens.iter().map(|(score, _)| score).sum();
        assert!(sum > 0.0 && sum < 1.0 + 1e-4, "{head:?}: {sum}");
        let mut by_rank: Vec<(f64, usize, f64)> = tokens
            .iter()
            .enumerate()
            .map(|(position, (score, rank))| (*rank, position, *score))
            .collect();
        by_rank.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (place, pair) in by_rank.windows(2).enumerate() {
            assert_eq!(pair[0].0, place as f64, "{head:?}: each rank once");
            let falls = pair[0].2 > pair[1].2;
            let tied_in_order = pair[0].2 == pair[1].2 && pair[0].1 < pair[1].1;
            assert!(falls || tied_in_order, "{head:?}: {pair:?}");
        }
    }
}

#[test]
fn recall_in_the_tables_is_the_overlap_of_the_ranks() {
    let folder = tempfile::tempdir().unwrap();
    capture(folder.path(), "demo:samples=1,question=start", &[]);
    measure(folder.path(), &["--importance", "--budgets", "16,100%"]);
    let tables = folder.path().join("tables");
    let importance = importance(&read_table(&tables, "importance.parquet"));
    let overlap = read_table(&tables, "overlap.parquet");
    let (layers, heads) = (
        overlap.counts("layer").unwrap(),
        overlap.counts("head").unwrap(),
    );
    let (budgets, recalls) = (
        numbers(&overlap, "budget_tokens"),
        overlap.numbers("recall").unwrap(),
    );
    assert_eq!(overlap.rows(), 2 * 16 * 2);
    let windows = texts(&overlap, "window");
    for row in 0..overlap.rows() {
        if budgets[row] == FIRST_PROMPT_TOKENS as f64 {
            assert_eq!(
                recalls[row], None,
                "whoever keeps everything foresees nothing"
            );
            continue;
        }
        let ranks = |window: &str| {
            &importance[&(window.to_owned(), layers[row].unwrap(), heads[row].unwrap())]
        };
        let both = ranks("decode")
            .iter()
            .zip(ranks(&windows[row]))
            .filter(|(oracle, window)| oracle.1 < budgets[row] && window.1 < budgets[row])
            .count();
        let recall = both as f64 / budgets[row];
        let found = recalls[row].unwrap();
        assert!((found - recall).abs() < 1e-12, "{found} {recall}");
    }
}

#[test]
fn a_text_file_is_one_sample_and_a_short_prompt_is_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.txt"), " The bells rang at noon.").unwrap();
    let captured = capture(
        folder.path(),
        "tiny.txt",
        &["--decode", "3", "--ignore-eos"],
    );
    assert!(
        captured.stdout.contains("captured 1 sample: s.kvlens"),
        "{captured:#?}"
    );
    for words in ["window last:32 has rows", "decoded only 3 tokens"] {
        assert!(
            captured.stderr.contains(words),
            "{words}: {}",
            captured.stderr
        );
    }
    let measured = measure(folder.path(), &["--budgets", "2,64"]);
    for words in [
        "window last:32 has rows",
        "decoded only 3 tokens",
        "left out the budgets 64",
    ] {
        assert!(
            measured.stderr.contains(words),
            "{words}: {}",
            measured.stderr
        );
    }
    let overlap = read_table(&folder.path().join("tables"), "overlap.parquet");
    assert_eq!(
        overlap.rows(),
        2 * 16,
        "only the budget that the prompt can hold, for the decode stage and a window"
    );
    assert!(texts(&overlap, "task").iter().all(|task| task == "text"));
    assert!(
        texts(&overlap, "session")
            .iter()
            .all(|session| session == "s")
    );
}

#[test]
fn a_teacher_forced_decode_stage_reads_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"prompt": " Ann Bell lives in Rome. Question: Report the city of Ann Bell. Answer:", "answer": " Ann Bell lives in Oslo."}"#;
    fs::write(folder.path().join("forced.jsonl"), line).unwrap();
    let teacher_forced = ["--teacher-forced", "--windows", "last:4"];
    capture(folder.path(), "forced.jsonl", &teacher_forced);
    let measured = measure(folder.path(), &["--budgets", "4"]);
    assert!(
        measured.stderr.contains("teacher-forced"),
        "{}",
        measured.stderr
    );
    let samples = read_table(&folder.path().join("tables"), "samples.parquet");
    assert_eq!(texts(&samples, "generated"), [" Ann Bell lives in Oslo."]);
    assert_eq!(samples.numbers("score").unwrap(), [None]);
}

#[test]
fn exempt_tokens_have_no_rank() {
    let folder = tempfile::tempdir().unwrap();
    capture(folder.path(), "demo:samples=1", &["--windows", "last:8"]);
    let exempt = [
        "--exempt-recent",
        "8",
        "--exempt-sinks",
        "4",
        "--importance",
    ];
    measure(folder.path(), &exempt);
    let table = read_table(&folder.path().join("tables"), "importance.parquet");
    let ranks = table.counts("rank").unwrap();
    let positions = table.counts("position").unwrap();
    for (rank, position) in ranks.iter().zip(positions) {
        let position = position.unwrap();
        assert_eq!(
            rank.is_none(),
            !(4..FIRST_PROMPT_TOKENS as u64 - 8).contains(&position),
            "{position}"
        );
    }
}

#[test]
fn the_same_session_twice_and_tables_of_an_earlier_run_are_spoken_of() {
    let folder = tempfile::tempdir().unwrap();
    capture(folder.path(), "demo:samples=1", &[]);
    let twice = run(
        folder.path(),
        &["measure", "s.kvlens", "./s.kvlens", "--out", "t"],
    );
    assert_eq!(twice.code, 2, "{twice:#?}");
    assert!(!folder.path().join("t").exists());
    let first = measure(folder.path(), &["--importance", "--also", "drift", "--csv"]);
    assert!(!first.stderr.contains("earlier run"), "{}", first.stderr);
    let before = names(&folder.path().join("tables"));
    let again = measure(folder.path(), &[]);
    let said = again
        .stderr
        .lines()
        .find(|line| line.contains("earlier run"));
    for left in [
        "importance.parquet",
        "drift.parquet",
        "overlap.csv,",
        "overlap.csv.json",
    ] {
        assert!(said.unwrap().contains(left), "{left}: {}", again.stderr);
    }
    assert!(
        !said.unwrap().contains("overlap.parquet"),
        "{}",
        again.stderr
    );
    assert_eq!(names(&folder.path().join("tables")), before);
}
