//! Prompts, outputs, sessions and flags that are wrong: exit code 2, one sentence, nothing written.

use std::fs;
use std::path::Path;

use crate::support::{names, run, run_ok, snapshot};

/// Runs what must be refused, and holds the folder to be as it was.
fn refused(folder: &Path, arguments: &[&str], words: &[&str]) -> String {
    let before = snapshot(folder);
    let entries = names(folder);
    let ran = run(folder, arguments);
    assert_eq!(ran.code, 2, "{arguments:?}: {ran:#?}");
    assert_eq!(ran.stdout, "", "{arguments:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert_eq!(names(folder), entries, "{arguments:?}");
    assert!(
        snapshot(folder) == before,
        "{arguments:?} changed something"
    );
    ran.stderr
}

fn capture_refused(folder: &Path, data: &str, more: &[&str], words: &[&str]) {
    let mut arguments = vec![
        "capture",
        "--model",
        "demo",
        "--data",
        data,
        "--out",
        "out/s.kvlens",
    ];
    arguments.extend(more);
    let stderr = refused(folder, &arguments, words);
    assert_eq!(stderr.lines().count(), 1, "one sentence: {stderr}");
}

#[test]
fn prompts_that_cannot_be_read_or_run() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("empty.txt", "");
    write("empty.jsonl", "\n");
    write("blank.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": \"  \"}\n");
    write("broken.jsonl", "{\"prompt\": \"a\"\n");
    write("prompts.csv", "a,b");
    write("long.txt", &" The bells rang at noon.".repeat(800));
    for (data, words) in [
        ("empty.txt", &["no prompt", "empty.txt"][..]),
        ("empty.jsonl", &["no prompt", "empty.jsonl"]),
        ("blank.jsonl", &["line 2", "empty prompt", "blank.jsonl"]),
        ("broken.jsonl", &["line 1", "JSON", "broken.jsonl"]),
        ("prompts.csv", &[".txt", ".jsonl", "prompts.csv"]),
        ("missing.txt", &["missing.txt"]),
        ("nonsense", &["demo", "nonsense"]),
        ("demo:length=2048", &["length=512|1024"]),
        ("demo:depth=1", &["depth", "question=start|end"]),
        ("long.txt", &["4096", "long"]),
    ] {
        capture_refused(folder.path(), data, &[], words);
    }
    capture_refused(folder.path(), "demo", &["--decode", "4000"], &["4096"]);
    capture_refused(
        folder.path(),
        "demo",
        &["--windows", "lst:8"],
        &["lst", "last, snapkv"],
    );
    capture_refused(folder.path(), "demo", &["--windows", "last:0"], &["last:0"]);
    capture_refused(
        folder.path(),
        "demo",
        &["--temperature", "0"],
        &["temperature"],
    );
    capture_refused(
        folder.path(),
        "demo",
        &["--device", "cuda:99"],
        &["cuda:99"],
    );
    write("unanswered.txt", "Say something.");
    let forced = &["--teacher-forced"];
    capture_refused(
        folder.path(),
        "unanswered.txt",
        forced,
        &["answer", "unanswered"],
    );
}

#[test]
fn usage_that_cannot_be_meant() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, word) in [
        (&["capture", "--data", "demo", "--out", "s"][..], "--model"),
        (&["capture", "--model", "demo", "--data", "demo"], "--out"),
        (
            &[
                "capture", "--model", "demo", "--data", "demo", "--out", "s", "--decode", "0",
            ],
            "--decode",
        ),
        (&["measure", "--out", "t"], "SESSION"),
        (&["measure", "s", "--out", "t", "--budgets", "0%"], "budget"),
        // what the option takes, and no word of options beginning with a dash
        (
            &["measure", "s", "--out", "t", "--budgets", "-5"],
            "invalid value '-5' for '--budgets",
        ),
        (&["measure", "s", "--out", "t", "--pool", "max:4"], "odd"),
        (&["check-device", "--skip", "sped"], "speed"),
        (&["nonsense"], "nonsense"),
        (&["completions", "nonsense"], "bash"),
    ] {
        refused(folder.path(), arguments, &[word]);
    }
    capture_refused(
        folder.path(),
        "demo",
        &["--windows", "last:32,last:8"],
        &["separated by blanks"],
    );
    let completions = run_ok(folder.path(), &["completions", "bash"]).stdout;
    assert!(completions.contains("--compare"), "no flag is completed");
}

#[test]
fn outputs_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "x").unwrap();
    run_ok(
        folder.path(),
        &[
            "capture",
            "--model",
            "demo",
            "--data",
            "demo:samples=1",
            "--out",
            "s.kvlens",
        ],
    );
    let capture = ["capture", "--model", "demo", "--data", "demo", "--out"];
    for (out, word) in [
        ("file/s.kvlens", "file/s.kvlens"),
        ("s.kvlens", "--resume"),
        ("file", "file"),
    ] {
        refused(folder.path(), &[&capture[..], &[out]].concat(), &[word]);
    }
    for out in ["file", "file/tables"] {
        refused(
            folder.path(),
            &["measure", "s.kvlens", "--out", out],
            &[out],
        );
        refused(
            folder.path(),
            &["demo", "--no-window", "--out", out],
            &[out],
        );
    }
}

#[test]
fn sessions_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(
        folder.path(),
        &[
            "capture",
            "--model",
            "demo",
            "--data",
            "demo:samples=2",
            "--out",
            "s.kvlens",
        ],
    );
    let manifest = folder.path().join("s.kvlens/manifest.json");
    let good = fs::read_to_string(&manifest).unwrap();
    let measure = ["measure", "s.kvlens", "--out", "new/tables"];
    let too_large = [&measure[..], &["--budgets", "99999"]].concat();
    refused(folder.path(), &too_large, &["--budgets", "longest prompt"]);

    fs::write(
        &manifest,
        good.replace("\"format_version\": 4", "\"format_version\": 5"),
    )
    .unwrap();
    refused(
        folder.path(),
        &measure,
        &["format version 5", "newer KVLens", "s.kvlens"],
    );
    refused(folder.path(), &["open", "s.kvlens"], &["format version 5"]);
    let resume = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo:samples=2",
        "--resume",
        "--out",
        "s.kvlens",
    ];
    refused(folder.path(), &resume, &["format version 5"]);

    fs::write(&manifest, &good[..good.len() / 2]).unwrap();
    refused(folder.path(), &measure, &["damaged", "manifest.json"]);

    fs::write(
        &manifest,
        good.replace("sample-00001.safetensors", "../outside.safetensors"),
    )
    .unwrap();
    refused(folder.path(), &measure, &["outside"]);

    // no sample that can be read: no tables
    fs::write(&manifest, &good).unwrap();
    let sample = |index| {
        folder
            .path()
            .join(format!("s.kvlens/sample-0000{index}.safetensors"))
    };
    let bytes = fs::read(sample(0)).unwrap();
    fs::write(sample(0), &bytes[..bytes.len() - 1]).unwrap();
    fs::remove_file(sample(1)).unwrap();
    refused(folder.path(), &measure, &["sample-00001"]);

    refused(
        folder.path(),
        &["measure", "missing.kvlens", "--out", "t"],
        &["missing.kvlens"],
    );
    fs::create_dir(folder.path().join("empty.kvlens")).unwrap();
    refused(
        folder.path(),
        &["measure", "empty.kvlens", "--out", "t"],
        &["no KVLens session"],
    );
}
