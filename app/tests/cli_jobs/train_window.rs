//! `kvlens train judge-q` and `lookahead-kv`: stopped, resumed, used, and refused for another model.

use std::fs;

use crate::support::{model_copy, names, read_table, run, run_ok, snapshot, texts};

const DATA: &str = "facts:length=160,samples=4,seed=3";
const HELD_OUT: &str = "facts:length=160,samples=1,seed=4";

fn training<'a>(method: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["train", method, "--model", "demo", "--data", DATA];
    arguments.extend(["--held-out", HELD_OUT, "--baselines", "last:8"]);
    arguments.extend(["--steps", "2", "--step-prompts", "2", "--soft-tokens", "3"]);
    arguments.extend(["--decode", "8", "--look-every", "1", "--out", out]);
    arguments.extend(more);
    arguments
}

#[test]
fn a_window_is_trained_in_two_runs_and_captured_with() {
    let folder = tempfile::tempdir().unwrap();
    let out = "mine.safetensors";
    let first = training("lookahead-kv", out, &["--stop-after-steps", "1"]);
    let first = run_ok(folder.path(), &first);
    assert!(first.stdout.contains("stopped early"), "{}", first.stdout);
    assert!(
        first.stderr.contains("after 0 steps, held out"),
        "{}",
        first.stderr
    );
    let again = run(folder.path(), &training("lookahead-kv", out, &[]));
    assert_eq!(again.code, 2, "{again:#?}");
    assert!(again.stderr.contains("--resume"), "{}", again.stderr);
    let second = run_ok(folder.path(), &training("lookahead-kv", out, &["--resume"]));
    assert!(
        second.stdout.contains("trained: 2 of 2 steps"),
        "{}",
        second.stdout
    );
    assert!(second.stdout.contains("\n  last:8 "), "{}", second.stdout);
    assert_eq!(names(folder.path()), ["mine.md", out]);
    let card = fs::read_to_string(folder.path().join("mine.md")).unwrap();
    assert!(
        card.contains("| `lookahead-kv` |") && card.contains(DATA),
        "{card}"
    );

    let window = format!("lookahead-kv:file={out}");
    let capture = |model: &str, session: &str, windows: &[&str]| {
        let mut arguments = vec!["capture", "--model", model, "--data", HELD_OUT, "--windows"];
        arguments.extend(windows);
        arguments.extend(["--decode", "4", "--out", session]);
        run(folder.path(), &arguments)
    };
    let captured = capture("demo", "own.kvlens", &[&window, "last:8"]);
    assert_eq!(captured.code, 0, "{captured:#?}");
    let manifest = fs::read_to_string(folder.path().join("own.kvlens/manifest.json")).unwrap();
    assert!(manifest.contains("window_weights_sha256"), "{manifest}");
    run_ok(folder.path(), &["measure", "own.kvlens", "--out", "tables"]);
    let overlap = read_table(&folder.path().join("tables"), "overlap.parquet");
    assert!(texts(&overlap, "window").contains(&window));

    // the same weights in another file are another model
    model_copy(&folder.path().join("other"));
    let weights = folder.path().join("other/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    let refused = capture("other", "other.kvlens", &[&window]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(
        refused.stderr.contains("trained for another model"),
        "{}",
        refused.stderr
    );
    assert!(!folder.path().join("other.kvlens").exists());
}

#[test]
fn all_leaves_out_what_was_not_trained_for_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    model_copy(&model);
    for name in ["judge-q.safetensors", "lookahead-kv.safetensors"] {
        let _ = fs::remove_file(model.join(name));
    }
    run_ok(
        folder.path(),
        &training("judge-q", "model/judge-q.safetensors", &[]),
    );
    let arguments = [
        "capture",
        "--model",
        "model",
        "--data",
        HELD_OUT,
        "--windows",
        "all",
    ];
    let arguments = [&arguments[..], &["--decode", "2", "--out", "all.kvlens"]].concat();
    run_ok(folder.path(), &arguments);
    run_ok(folder.path(), &["measure", "all.kvlens", "--out", "tables"]);
    let cost = read_table(&folder.path().join("tables"), "cost.parquet");
    let windows = texts(&cost, "window");
    assert!(
        windows.iter().any(|window| window == "judge-q"),
        "{windows:?}"
    );
    assert!(
        !windows.iter().any(|window| window == "lookahead-kv"),
        "{windows:?}"
    );
}

#[test]
fn what_cannot_be_trained_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("taken")).unwrap();
    for (more, out, word) in [
        (&["--token-rate", "0"][..], "a", "learning rate"),
        (&["--data", "riddle"][..], "a", "riddle"),
        (&[][..], "taken", "folder"),
        (
            &["--data", "facts:length=8000,samples=1"][..],
            "a",
            "positions",
        ),
    ] {
        let refused = run(folder.path(), &training("judge-q", out, more));
        assert_eq!(refused.code, 2, "{refused:#?}");
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
        assert_eq!(refused.stderr.matches("panicked").count(), 0);
    }
}

#[test]
fn resuming_begins_where_there_is_nothing_and_says_where_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let resumed = || run(folder.path(), &training("judge-q", "a", &["--resume"]));
    let begun = resumed();
    assert_eq!(begun.code, 0, "{begun:#?}");
    let before = snapshot(folder.path());
    let done = resumed();
    assert_eq!(done.code, 0, "{done:#?}");
    let sentence = "nothing was left to go on with: 2 of 2 steps";
    assert!(done.stdout.contains(sentence), "{}", done.stdout);
    assert!(snapshot(folder.path()) == before);
    // of other settings, or other prompts, nothing is taken for it
    for other in [
        &["--seed", "9"][..],
        &["--data", "facts:length=160,samples=4,seed=8"],
    ] {
        let refused = run(
            folder.path(),
            &training("judge-q", "a", &[&["--resume"][..], other].concat()),
        );
        assert_eq!(refused.code, 2, "{refused:#?}");
        assert!(
            refused.stderr.contains("another training"),
            "{}",
            refused.stderr
        );
    }
    assert!(snapshot(folder.path()) == before);
}

#[test]
fn a_refused_training_leaves_nothing_in_the_way_of_the_corrected_one() {
    let folder = tempfile::tempdir().unwrap();
    let long = ["--data", "facts:length=8000,samples=1"];
    let refused = run(folder.path(), &training("judge-q", "a", &long));
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert_eq!(names(folder.path()), [""; 0]);
    run_ok(folder.path(), &training("judge-q", "a", &[]));
}
