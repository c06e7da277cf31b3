//! `kvlens train`: a run that is stopped and resumed, its card, and what is refused.

use std::fs;
use std::path::Path;

use crate::support::{names, run, run_ok, snapshot};

/// A plan for two steps of a tiny model.
const PLAN: &str = r#"{
  "seed": 3, "planted": false, "step_tokens": 320, "warmup_steps": 1, "clip_norm": 1.0,
  "matrix_learning_rate": 0.01, "vector_learning_rate": 0.003,
  "mixture": [["facts", 1]],
  "shape": {"vocabulary": 3072, "hidden_size": 16, "intermediate_size": 24, "layers": 2, "query_heads": 2,
            "kv_heads": 1, "head_dim": 8, "rope_theta": 10000.0, "max_positions": 256},
  "loss_weights": {"text": 0.1, "wording": 0.3, "values": 1.0, "text_share": 0.5},
  "stages": [{"sequence_tokens": 160, "steps": 2, "first_rate": 1.0, "last_rate": 0.5, "repeated_share": 0.0,
              "opening_percent": 50, "most_questions": 2}]
}"#;

fn train(folder: &Path, more: &[&str]) -> crate::support::Ran {
    let mut arguments = vec![
        "train",
        "demo-model",
        "--plan",
        "plan.json",
        "--out",
        "model",
    ];
    arguments.extend(more);
    run(folder, &arguments)
}

#[test]
fn a_model_is_trained_in_two_runs_captured_with_and_described() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plan.json"), PLAN).unwrap();
    let first = train(folder.path(), &["--stop-after-steps", "1"]);
    assert_eq!(first.code, 0, "{first:#?}");
    assert!(
        first.stdout.starts_with("stopped early"),
        "{}",
        first.stdout
    );
    let again = train(folder.path(), &[]);
    assert_eq!(again.code, 2, "{again:#?}");
    assert!(again.stderr.contains("--resume"), "{}", again.stderr);
    let second = train(folder.path(), &["--resume"]);
    assert_eq!(second.code, 0, "{second:#?}");
    assert!(
        second.stdout.starts_with("trained: 2 of 2 steps"),
        "{}",
        second.stdout
    );
    // where everything is done nothing is trained, and all stays as it is
    let before = snapshot(folder.path());
    let done = train(folder.path(), &["--resume"]);
    assert_eq!(done.code, 0, "{done:#?}");
    assert!(
        done.stdout.starts_with("trained: 2 of 2 steps"),
        "{}",
        done.stdout
    );
    assert!(snapshot(folder.path()) == before);

    let capture = |model: &str, out: &str| {
        let data = "facts:length=128,samples=1";
        let arguments = [
            "capture",
            "--model",
            model,
            "--data",
            data,
            "--decode",
            "4",
            "--windows",
            "last:8",
            "--out",
            out,
        ];
        run_ok(folder.path(), &arguments);
    };
    capture("model", "own.kvlens");
    run_ok(
        folder.path(),
        &["train", "card", "own.kvlens", "--model", "model"],
    );
    let card = fs::read_to_string(folder.path().join("model/README.md")).unwrap();
    for part in [
        "## Recipe",
        "seed 3",
        "| 1 to 2 | 160 |",
        "| facts | 128 | end | 1 |",
        "`last:8`, question at the end (1 prompt)",
    ] {
        assert!(card.contains(part), "'{part}' is not in:\n{card}");
    }

    capture("demo", "other.kvlens");
    let mixed = run(
        folder.path(),
        &[
            "train",
            "card",
            "own.kvlens",
            "other.kvlens",
            "--model",
            "model",
        ],
    );
    assert_eq!(mixed.code, 2, "{mixed:#?}");
    assert!(mixed.stderr.contains("other weights"), "{}", mixed.stderr);
}

#[test]
fn what_is_no_plan_and_what_cannot_be_trained_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (plan, word) in [
        ("{}".to_owned(), "no training plan"),
        (PLAN.replace("\"facts\"", "\"riddle\""), "riddle"),
        (
            PLAN.replace("\"sequence_tokens\": 160", "\"sequence_tokens\": 20"),
            "20 tokens",
        ),
        (
            PLAN.replace("\"step_tokens\": 320", "\"step_tokens\": 100"),
            "100 tokens",
        ),
        (
            PLAN.replace("\"steps\": 2", "\"steps\": 0"),
            "at least one step",
        ),
        (
            PLAN.replace("\"hidden_size\": 16", "\"hidden_size\": 160000000"),
            "too large",
        ),
        (
            PLAN.replace("[\"facts\", 1]", "[\"facts\", 4000000000]"),
            "mixture",
        ),
        (
            PLAN.replace("\"max_positions\": 256", "\"max_positions\": 128"),
            "128 positions",
        ),
    ] {
        fs::write(folder.path().join("plan.json"), plan).unwrap();
        let ran = train(folder.path(), &["--replace"]);
        assert_eq!(ran.code, 2, "{word}: {ran:#?}");
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
    let nothing = run(
        folder.path(),
        &[
            "train",
            "demo-model",
            "--plan",
            "missing.json",
            "--out",
            "model",
        ],
    );
    assert_eq!(nothing.code, 2, "{nothing:#?}");
    assert!(!names(folder.path()).contains(&"model.safetensors".to_owned()));
}
