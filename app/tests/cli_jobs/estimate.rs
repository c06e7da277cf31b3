//! What a capture would take, before it runs.

use std::fs;
use std::path::Path;

use crate::support::{model_copy, names, run, run_ok};

fn edit_config(model: &Path, field: &str, value: u64) {
    let path = model.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[field] = value.into();
    fs::write(path, config.to_string()).unwrap();
}

#[test]
fn an_estimate_runs_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo:samples=2",
        "--windows",
        "last:32",
        "laq",
        "--estimate",
    ];
    let ran = run_ok(folder.path(), &arguments);
    for word in [
        "2 samples",
        "weights",
        "key/value cache",
        "prefill",
        "decode",
        "laq",
        "write",
        "that can be had",
        "session on disk",
    ] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    assert_eq!(ran.stderr, "");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_capture_begins_with_what_it_will_take() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo:samples=1",
        "--decode",
        "4",
        "--out",
        "s.kvlens",
    ];
    let ran = run_ok(folder.path(), &arguments);
    assert!(ran.stderr.starts_with("memory: "), "{}", ran.stderr);
}

/// A model that says it can take any prompt, asked for a decode stage that no memory holds.
#[test]
fn what_cannot_fit_is_refused_before_it_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    model_copy(&model);
    edit_config(&model, "max_position_embeddings", u64::from(u32::MAX));
    let arguments = [
        "capture",
        "--model",
        "model",
        "--data",
        "demo:samples=1",
        "--decode",
        "4000000000",
        "--windows",
        "last:8",
        "--out",
        "s.kvlens",
    ];
    let ran = run(folder.path(), &arguments);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    for word in ["TiB of memory", "can be had", "it would fit with --decode "] {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    assert!(!folder.path().join("s.kvlens").exists());
    // what was said to fit does
    let fitting = ran.stderr.split("--decode ").nth(1).unwrap();
    let fitting: String = fitting.chars().take_while(char::is_ascii_digit).collect();
    assert!(fitting.parse::<u64>().unwrap() > 1000, "{fitting}");
}

#[test]
fn prompts_behind_the_positions_are_refused_without_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo:samples=1",
        "--decode",
        "1000000000",
        "--estimate",
    ];
    let ran = run(folder.path(), &arguments);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("positions"), "{}", ran.stderr);
}
