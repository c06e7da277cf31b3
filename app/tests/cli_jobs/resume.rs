//! Ctrl-C in the middle of a capture, and going on afterwards.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{kvlens, names, run, run_ok};

/// Long enough decode stages that an interrupt after the first sample comes before the last.
const CAPTURE: [&str; 11] = [
    "capture",
    "--model",
    "demo",
    "--data",
    "demo:length=1024",
    "--decode",
    "256",
    "--ignore-eos",
    "--out",
    "s.kvlens",
    "--windows=last:32",
];

/// Runs the capture and interrupts it when its second sample begins; gives code and stderr.
fn interrupted(folder: &Path) -> (Option<i32>, String) {
    let mut child = kvlens(folder)
        .args(CAPTURE)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("[2/4]") {
        assert!(
            stderr.read_line(&mut said).unwrap() > 0,
            "ended too early: {said}"
        );
    }
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    stderr.read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[test]
fn an_interrupted_capture_goes_on_and_gives_the_same_figures() {
    let broken = tempfile::tempdir().unwrap();
    let (code, said) = interrupted(broken.path());
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("kvlens capture --resume s.kvlens"), "{said}");
    let session = broken.path().join("s.kvlens");
    let files = names(&session);
    assert!(
        files.contains(&"sample-00000.safetensors".to_owned()),
        "{files:?}"
    );
    assert!(
        !files.contains(&"sample-00003.safetensors".to_owned()),
        "{files:?}"
    );
    assert!(
        files.iter().all(|file| !file.ends_with(".partial")),
        "{files:?}"
    );
    let first = fs::read(session.join("sample-00000.safetensors")).unwrap();

    let other_plan = run(
        broken.path(),
        &[&CAPTURE[..], &["--seed", "1", "--resume"]].concat(),
    );
    assert_eq!(other_plan.code, 2, "{other_plan:#?}");
    assert!(
        other_plan.stderr.contains("another plan (decode)"),
        "{other_plan:#?}"
    );
    let not_resumed = run(broken.path(), &CAPTURE);
    assert_eq!(not_resumed.code, 2, "{not_resumed:#?}");

    let resumed = run_ok(broken.path(), &[&CAPTURE[..], &["--resume"]].concat());
    assert!(
        resumed.stdout.contains("there already"),
        "{}",
        resumed.stdout
    );
    assert!(
        fs::read(session.join("sample-00000.safetensors")).unwrap() == first,
        "a finished sample is not captured again"
    );

    let whole = tempfile::tempdir().unwrap();
    run_ok(whole.path(), &CAPTURE);
    let measured = |folder: &Path| {
        run_ok(
            folder,
            &["measure", "s.kvlens", "--out", "t", "--importance"],
        );
        ["overlap.parquet", "agreement.parquet", "importance.parquet"]
            .map(|name| fs::read(folder.join("t").join(name)).unwrap())
    };
    assert!(
        measured(broken.path()) == measured(whole.path()),
        "the figures differ"
    );
}
