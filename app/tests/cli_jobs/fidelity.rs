//! `kvlens fidelity`: evicting and decoding again, end to end, with what is refused and what is kept.

use std::fs;
use std::path::Path;

use kvlens_analysis::tables::TableFile;

use crate::support::{Ran, model_copy, names, numbers, read_table, run, run_ok, snapshot, texts};

const FILES: [&str; 5] = [
    "fidelity.parquet",
    "fidelity_needle.parquet",
    "fidelity_steps.parquet",
    "fidelity_summary.parquet",
    "recall_fidelity.parquet",
];

/// Three prompts of 128 tokens, seen through three windows.
fn capture(folder: &Path, model: &str, more: &[&str]) {
    let arguments = [
        "capture",
        "--model",
        model,
        "--data",
        "facts:length=128,samples=3,seed=5,count=words",
        "--windows",
        "last:8",
        "streaming",
        "random",
        "--decode",
        "6",
        "--out",
        "s.kvlens",
    ];
    run_ok(folder, &[&arguments[..], more].concat());
}

fn fidelity(folder: &Path, more: &[&str]) -> Ran {
    let arguments = ["fidelity", "s.kvlens", "--out", "t"];
    run(folder, &[&arguments[..], more].concat())
}

fn fidelity_ok(folder: &Path, more: &[&str]) -> Ran {
    let ran = fidelity(folder, more);
    assert_eq!(ran.code, 0, "{more:?}: {ran:#?}");
    ran
}

#[test]
fn evictions_are_measured_written_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    capture(path, "demo", &[]);
    let budgets = ["--budgets", "12,100%"];
    let ran = fidelity_ok(path, &budgets);
    for part in [
        "KL divergence",
        "Task score",
        "full",
        "decode",
        "streaming",
        "kept mass",
        "recall of the method",
        "kept recall",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(
        ran.stdout.lines().all(|line| line.chars().count() <= 80),
        "{}",
        ran.stdout
    );
    assert!(ran.stderr.contains("[3/3]"), "{}", ran.stderr);
    assert_eq!(names(&path.join("t")), FILES);

    let table = read_table(&path.join("t"), FILES[0]);
    // the full cache once, the oracle and three windows at two budgets
    assert_eq!(table.rows(), 3 * (1 + 4 * 2));
    assert!(
        table
            .metadata("provenance")
            .unwrap()
            .contains("\"pyramid_beta\"")
    );
    let (windows, generated) = (texts(&table, "window"), texts(&table, "generated"));
    let [shares, kl, agreement] =
        ["budget_fraction", "kl", "agreement"].map(|name| numbers(&table, name));
    let [recall, method_recall, kept_recall, mass] =
        ["recall", "method_recall", "kept_recall", "kept_mass"]
            .map(|name| table.numbers(name).unwrap());
    let full = |row: usize| (0..=row).rev().find(|&row| windows[row] == "full").unwrap();
    for row in 0..table.rows() {
        if shares[row] == 1.0 {
            assert_eq!((kl[row], agreement[row]), (0.0, 1.0), "{}", windows[row]);
            assert_eq!(generated[row], generated[full(row)]);
            // whoever keeps everything foresees nothing
            let foreseen = [recall[row], method_recall[row], kept_recall[row], mass[row]];
            assert_eq!(foreseen, [None; 4], "{}", windows[row]);
        } else {
            assert!(kl[row] > 0.0, "{}: {}", windows[row], kl[row]);
            assert!(mass[row].is_some_and(|mass| mass > 0.0 && mass < 1.0));
            let reached = [recall[row], method_recall[row], kept_recall[row]];
            let is_decode = windows[row] == "decode";
            assert_eq!(reached == [Some(1.0); 3], is_decode, "{}", windows[row]);
        }
    }
    the_summary_is_the_mean(&path.join("t"), &table);
    let steps = read_table(&path.join("t"), FILES[2]);
    let compared: f64 = (0..table.rows())
        .filter(|&row| windows[row] != "full")
        .map(|row| numbers(&table, "steps")[row])
        .sum();
    assert_eq!(steps.rows() as f64, compared);

    let first = snapshot(&path.join("t"));
    fidelity_ok(path, &budgets);
    assert!(
        snapshot(&path.join("t")) == first,
        "other figures the second time"
    );
}

/// Of KL and recall, and of nothing where a figure is undefined.
fn the_summary_is_the_mean(folder: &Path, table: &TableFile) {
    let summary = read_table(folder, FILES[3]);
    let (windows, budgets, metrics) = (
        texts(&summary, "window"),
        texts(&summary, "budget"),
        texts(&summary, "metric"),
    );
    let (means, samples) = (numbers(&summary, "mean"), numbers(&summary, "samples"));
    let (of_rows, at) = (texts(table, "window"), texts(table, "budget"));
    let mut met = 0;
    for row in 0..summary.rows() {
        // the full cache stands there once, and counts at every budget
        let is_full = windows[row] == "full";
        let values: Vec<f64> = table
            .numbers(&metrics[row])
            .unwrap()
            .into_iter()
            .enumerate()
            .filter(|(place, _)| of_rows[*place] == windows[row])
            .filter(|(place, _)| is_full || at[*place] == budgets[row])
            .filter_map(|(_, value)| value)
            .collect();
        assert_eq!(
            (values.len() as f64, samples[row]),
            (3.0, 3.0),
            "{}",
            metrics[row]
        );
        let mean = values.iter().sum::<f64>() / 3.0;
        assert!((mean - means[row]).abs() < 1e-12, "{} {mean}", means[row]);
        met += usize::from(metrics[row] == "kl");
        let undefined = metrics[row] == "recall" && budgets[row] == "100%";
        assert!(!undefined, "{}", windows[row]);
    }
    assert_eq!(met, 5 * 2, "full, decode and three windows at two budgets");
}

#[test]
fn a_lone_window_has_no_correlation_and_places_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let arguments = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo:samples=4,length=512",
        "--windows",
        "random",
        "--decode",
        "4",
        "--out",
        "s.kvlens",
    ];
    run_ok(path, &arguments);
    let ran = fidelity_ok(path, &["--budgets", "16,64"]);
    assert!(!ran.stdout.contains("Spearman"), "{}", ran.stdout);
    let relations = read_table(&path.join("t"), "recall_fidelity.parquet");
    let over = texts(&relations, "over");
    assert!(over.iter().all(|over| over == "samples"), "{over:?}");
    let mut places = texts(&relations, "question_place");
    places.sort();
    places.dedup();
    assert_eq!(places, ["end", "start"]);
    let foreseen = texts(&relations, "foreseen");
    for column in [
        "recall",
        "method_recall",
        "kept_recall",
        "hit_rate",
        "kept_mass",
        "output_error",
    ] {
        assert!(foreseen.iter().any(|known| known == column), "{column}");
    }
}

#[test]
fn heads_may_share_and_budgets_may_move_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    capture(path, "demo", &[]);
    let kl_with = |more: &[&str], kind: &str| {
        let ran = fidelity_ok(
            path,
            &[&["--budgets", "12", "--limit", "1", "--decode", "4"], more].concat(),
        );
        assert!(ran.stderr.contains("[1/1]"), "{}", ran.stderr);
        let table = read_table(&path.join("t"), FILES[0]);
        assert_eq!(table.rows(), 5);
        assert!(numbers(&table, "steps").iter().all(|&steps| steps == 4.0));
        assert_eq!(texts(&table, "head_kind")[2], kind, "{more:?}");
        numbers(&table, "kl")
    };
    let own = kl_with(&["--per", "query-head"], "query");
    let shared = kl_with(&["--per", "kv-head"], "kv");
    let largest = kl_with(&["--per", "kv-head", "--group", "max"], "kv");
    let adaptive = kl_with(&["--allocation", "adaptive"], "query");
    let pyramid = kl_with(&["--allocation", "pyramid"], "query");
    let of_layers = kl_with(&["--group", "layer"], "layer");
    for (index, one) in [&own, &shared, &largest, &adaptive, &pyramid, &of_layers]
        .into_iter()
        .enumerate()
    {
        for other in [&own, &shared, &largest, &adaptive, &pyramid, &of_layers]
            .into_iter()
            .skip(index + 1)
        {
            // row 2 is last:8, the first window whose heads keep different tokens
            assert_ne!(one[2], other[2]);
        }
    }
}

fn refused(folder: &Path, more: &[&str], words: &[&str]) {
    let before = snapshot(folder);
    let ran = fidelity(folder, more);
    assert_eq!(ran.code, 2, "{more:?}: {ran:#?}");
    assert_eq!(ran.stdout, "", "{more:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert!(snapshot(folder) == before, "{more:?} changed something");
}

#[test]
fn another_model_and_contradictions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    model_copy(&path.join("model"));
    capture(path, "model", &[]);
    refused(path, &["--budgets", "0"], &["budget"]);
    refused(
        path,
        &["--budgets", "9999"],
        &["larger than the longest prompt"],
    );
    refused(
        path,
        &["--per", "query-head", "--group", "mean"],
        &["--per query-head", "--group mean"],
    );
    refused(
        path,
        &["--per", "kv-head", "--group", "none"],
        &["--per kv-head"],
    );
    refused(path, &["--decode", "4090"], &["positions"]);
    refused(path, &["--model", "missing"], &["missing"]);

    let micro =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../sessions/tests/fixtures/llama-gqa-untied");
    refused(
        path,
        &["--model", &micro.display().to_string()],
        &["other weights", "'s'"],
    );

    fs::rename(path.join("model"), path.join("moved")).unwrap();
    refused(path, &[], &["--model", "model"]);
    fidelity_ok(
        path,
        &["--limit", "1", "--budgets", "12", "--model", "moved"],
    );
}

#[cfg(unix)]
#[test]
fn samples_that_are_finished_when_it_is_stopped_are_kept() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // generations long enough that an interrupt in the second sample comes before the third
    capture(path, "demo", &["--ignore-eos"]);
    let mut child = crate::support::kvlens(path)
        .args(["fidelity", "s.kvlens", "--out", "t", "--decode", "300"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("[2/3]") {
        assert!(
            stderr.read_line(&mut said).unwrap() > 0,
            "ended early: {said}"
        );
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("1 of 3 samples"), "{said}");
    assert_eq!(names(&path.join("t")), FILES);
    let table = read_table(&path.join("t"), FILES[0]);
    let mut samples = texts(&table, "sample");
    samples.dedup();
    assert_eq!((samples.len(), table.rows()), (1, 1 + 4 * 3));
    assert!(said.contains("--resume"), "{said}");
    assert!(path.join("t.fidelity-state").exists());
}

/// Every table's bytes.
fn tables(folder: &Path) -> Vec<Vec<u8>> {
    let bytes = FILES.map(|name| fs::read(folder.join("t").join(name)).unwrap());
    bytes.into()
}

#[test]
fn a_run_that_was_killed_goes_on_from_any_line_to_the_same_bytes() {
    use std::process::Stdio;
    use std::time::Duration;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    capture(path, "demo", &["--ignore-eos"]);
    let state = path.join("t.fidelity-state");
    let words = ["--budgets", "12,25%", "--decode", "40"];
    let again = [&words[..], &["--resume"]].concat();

    // killed once it has written something
    let mut child = crate::support::kvlens(path)
        .args(["fidelity", "s.kvlens", "--out", "t"])
        .args(words)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let lines = || fs::read_to_string(&state).map_or(0, |text| text.lines().count());
    while lines() < 4 {
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "ended before it was killed"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let at_the_kill = fs::read(&state).unwrap();
    // its unfinished tables and its lock, which the next run clears away
    fs::remove_dir_all(path.join("t")).unwrap();
    fs::remove_file(path.join("t.lock")).unwrap();

    // not without a word, and not with other settings
    refused(path, &words, &["--resume", "--replace", "t.fidelity-state"]);
    refused(
        path,
        &["--budgets", "12", "--decode", "40", "--resume"],
        &["other sessions, budgets", "--replace"],
    );

    fidelity_ok(path, &again);
    assert!(!state.exists() && !path.join("t.lock").exists());
    let resumed = tables(path);
    let done = fidelity_ok(path, &again);
    assert!(
        done.stdout.contains("Nothing is left to go on with"),
        "{}",
        done.stdout
    );
    assert!(tables(path) == resumed);

    // an unbroken run, by the same words
    fidelity_ok(path, &words);
    assert!(
        tables(path) == resumed,
        "other tables than of an unbroken run"
    );

    // a line that was cut in half, and one that was changed, are made again
    let ends: Vec<usize> = (0..at_the_kill.len())
        .filter(|&place| at_the_kill[place] == b'\n')
        .collect();
    let cut = at_the_kill[..ends[2] - 7].to_vec();
    let mut changed = at_the_kill.clone();
    changed[ends[1] + 80] ^= 1;
    for damaged in [cut, changed, at_the_kill[..9].to_vec()] {
        fs::write(&state, damaged).unwrap();
        fidelity_ok(path, &again);
        assert!(tables(path) == resumed, "other tables from a damaged state");
    }
    // what is left on purpose
    fs::write(&state, &at_the_kill).unwrap();
    fidelity_ok(path, &[&words[..], &["--replace"]].concat());
    assert!(tables(path) == resumed && !state.exists());
}
