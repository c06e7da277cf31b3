//! `kvlens session`, and going on with a session by its own plan.

use std::fs;
use std::path::Path;

use kvlens::jobs::found_sessions::window_labels;
use kvlens_sessions::Session;

use crate::support::{flip_last_bit, kvlens, run, run_ok};

const CAPTURE: [&str; 13] = [
    "capture",
    "--model",
    "demo",
    "--data",
    "demo:length=512,samples=2",
    "--windows",
    "last:8",
    "knorm",
    "--decode",
    "4",
    "--ignore-eos",
    "--out",
    "s.kvlens",
];

fn json(folder: &Path, arguments: &[&str], code: i32) -> serde_json::Value {
    let ran = run(folder, arguments);
    assert_eq!(ran.code, code, "{ran:#?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_session_says_what_is_in_it_is_checked_and_goes_on_by_its_own_plan() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    run_ok(at, &CAPTURE);
    let info = json(at, &["session", "info", "s.kvlens", "--json"], 0);
    assert_eq!(
        (&info["finished"], &info["pending"]),
        (&2.into(), &0.into())
    );
    assert_eq!(
        info["manifest"]["plan"]["windows"],
        serde_json::json!(["last:8", "knorm"])
    );
    assert_eq!(info["decode_tokens"], serde_json::json!([4, 4]));
    let session = at.join("s.kvlens");
    let sizes = fs::read_dir(&session).unwrap();
    let bytes: u64 = sizes
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(info["bytes"], bytes);
    // what is kept, by what it is: all of the samples' files, and 2 x [L, G, S, D] numbers of 4 bytes
    assert_eq!(info["keep"], "keys,values");
    let shape = &info["manifest"]["shape"];
    let size = |name: &str| shape[name].as_u64().unwrap();
    let of_token = size("layers") * size("kv_heads") * size("head_dim") * 4;
    let kept = &info["kept_bytes"];
    assert_eq!(kept["decode_keys"], 2 * 4 * of_token);
    let prompts = info["manifest"]["samples"].as_array().unwrap().iter();
    let tokens: u64 = prompts
        .map(|sample| sample["prompt_tokens"].as_u64().unwrap())
        .sum();
    assert_eq!(kept["prompt_keys"], tokens * of_token);
    assert_eq!(kept["prompt_values"], kept["prompt_keys"]);
    let kept: u64 = kept
        .as_object()
        .unwrap()
        .values()
        .map(|bytes| bytes.as_u64().unwrap())
        .sum();
    let files = ["sample-00000.safetensors", "sample-00001.safetensors"];
    let files: u64 = files
        .map(|file| fs::metadata(session.join(file)).unwrap().len())
        .iter()
        .sum();
    assert_eq!((kept, &info["unreadable"]), (files, &0.into()));
    let said = run_ok(at, &["session", "info", "s.kvlens"]).stdout;
    for word in [
        "keys,values (prompt keys ",
        "2 finished, 0 failed",
        "last:8 knorm",
        "demo:length=512,samples=2",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let check = ["session", "check", "s.kvlens", "--json"];
    assert_eq!(json(at, &check, 0)["whole"], 2);

    let sample = session.join("sample-00001.safetensors");
    flip_last_bit(&sample);
    let checked = json(at, &check, 2);
    assert_eq!(checked["whole"], 1);
    let reason = checked["damaged"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("SHA-256 differs"), "{reason}");

    let other = run(at, &["capture", "--resume", "s.kvlens", "--decode", "5"]);
    assert_eq!(other.code, 2, "{other:#?}");
    assert!(
        other.stderr.contains("leave out the other flags"),
        "{}",
        other.stderr
    );
    let bare = run(at, &["capture", "--resume"]);
    assert_eq!(bare.code, 2, "{bare:#?}");
    assert!(bare.stderr.contains("--resume SESSION"), "{}", bare.stderr);
    let resumed = run_ok(at, &["capture", "--resume", "s.kvlens"]);
    assert!(
        resumed.stdout.contains("1 were there already"),
        "{}",
        resumed.stdout
    );
    assert_eq!(json(at, &check, 0)["whole"], 2);
    run_ok(at, &[&CAPTURE[..], &["--resume"]].concat());
}

/// A damage in the tensors of a session shows that nobody read them.
#[test]
fn windows_are_told_by_what_stands_before_the_tensors() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(folder.path(), &CAPTURE);
    let path = folder.path().join("s.kvlens");
    flip_last_bit(&path.join("sample-00000.safetensors"));
    let session = Session::open(&path).unwrap();
    assert!(session.load_sample(0).is_err());
    let labels = window_labels(&[session]).unwrap();
    assert_eq!(labels, ["last:8", "knorm"]);
}

#[test]
fn no_more_threads_are_started_than_any_computer_has_use_for() {
    let folder = tempfile::tempdir().unwrap();
    let told = |count: &str| {
        let mut program = kvlens(folder.path());
        let output = program
            .arg("doctor")
            .env("RAYON_NUM_THREADS", count)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(told("3").contains("3 share the work"));
    assert!(told("100000").contains("1024 share the work"));
}

#[test]
fn a_plan_that_is_no_text_is_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plan.toml"), b"model = ['\xff']").unwrap();
    let ran = run(
        folder.path(),
        &["capture", "--plan", "plan.toml", "--out", "o"],
    );
    assert_eq!(ran.code, 2, "{ran:#?}");
}

#[test]
fn a_repair_takes_out_what_is_not_whole_and_says_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    run_ok(at, &CAPTURE);
    let session = at.join("s.kvlens");
    let sample = session.join("sample-00001.safetensors");
    let good = fs::read(&sample).unwrap();
    fs::write(&sample, &good[..good.len() - 1]).unwrap();
    fs::write(session.join("sample-00002.safetensors.partial"), "half").unwrap();
    fs::write(session.join("notes.txt"), "mine").unwrap();
    let repaired = run_ok(at, &["session", "repair", "s.kvlens"]);
    for word in [
        "SHA-256 differs",
        "no sample names it",
        "1 whole, 1 to be captured again",
    ] {
        assert!(
            repaired.stdout.contains(word),
            "{word}: {}",
            repaired.stdout
        );
    }
    let quarantine = at.join("s.kvlens.quarantine");
    let moved = fs::read(quarantine.join("sample-00001.safetensors")).unwrap();
    assert!(moved == good[..good.len() - 1], "nothing is thrown away");
    assert!(quarantine.join("sample-00002.safetensors.partial").exists());
    assert!(session.join("notes.txt").exists(), "not ours to move");
    let checked = json(at, &["session", "check", "s.kvlens", "--json"], 0);
    assert_eq!(
        (&checked["whole"], &checked["pending"]),
        (&1.into(), &1.into())
    );
    // again there is nothing to do, and what was taken out stays
    let again = run_ok(at, &["session", "repair", "s.kvlens"]);
    assert!(
        again.stdout.contains("1 whole, 0 to be"),
        "{}",
        again.stdout
    );
    run_ok(at, &["capture", "--resume", "s.kvlens"]);
    let checked = json(at, &["session", "check", "s.kvlens", "--json"], 0);
    assert_eq!(
        (&checked["whole"], &checked["pending"]),
        (&2.into(), &0.into())
    );

    let manifest = session.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text.replacen("\"max_tokens\": 4", "\"max_tokens\": 5", 1),
    )
    .unwrap();
    let refused = run(at, &["session", "repair", "s.kvlens"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains("was changed"), "{}", refused.stderr);
}

#[test]
fn sessions_that_are_no_parts_of_one_are_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    run_ok(at, &CAPTURE);
    let refused = run(at, &["session", "merge", "s.kvlens", "--out", "m.kvlens"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    let said = &refused.stderr;
    assert!(said.contains("no part of one"), "{said}");
    // it is the session that is named, and what else there is to do
    assert!(
        said.contains("s.kvlens") && said.contains("measure"),
        "{said}"
    );
    assert!(!at.join("m.kvlens").exists());
}

#[test]
fn a_file_in_the_place_of_a_session_and_a_shrink_of_nothing_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    run_ok(at, &CAPTURE);
    fs::write(at.join("p.jsonl"), "{}").unwrap();
    for (arguments, word) in [
        (&["session", "info", "p.jsonl"][..], "it is a file"),
        (&["measure", "p.jsonl", "--out", "t"], "it is a file"),
        (
            &["session", "check", "none.kvlens"],
            "no such session folder: none.kvlens",
        ),
        (
            &["session", "shrink", "s.kvlens", "--out", "n.kvlens"],
            "--keep",
        ),
    ] {
        let refused = run(at, arguments);
        assert_eq!(refused.code, 2, "{refused:#?}");
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    assert!(!at.join("n.kvlens").exists());
}

#[test]
fn a_session_is_packed_shared_and_read_as_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    run_ok(at, &CAPTURE);
    let pack = ["session", "pack", "s.kvlens", "--keep", "keys,values"];
    let said = run_ok(at, &pack).stdout;
    assert!(
        said.contains("2 samples") && said.contains("s.kvlens.zip"),
        "{said}"
    );
    run_ok(at, &["measure", "s.kvlens", "--out", "before"]);
    let there = at.join("there");
    fs::create_dir(&there).unwrap();
    fs::rename(at.join("s.kvlens.zip"), there.join("s.kvlens.zip")).unwrap();
    run_ok(&there, &["measure", "s.kvlens.zip", "--out", "t"]);
    assert!(there.join("s.kvlens").is_dir());
    for of in ["info", "check"] {
        run_ok(&there, &["session", of, "s.kvlens.zip"]);
    }
    // again, where it is unpacked
    run_ok(&there, &["measure", "s.kvlens.zip", "--out", "t"]);
    for table in ["overlap.parquet", "summary.parquet"] {
        let [before, after] = [&at.join("before"), &there.join("t")].map(|tables| {
            let table = kvlens_analysis::tables::TableFile::read(&tables.join(table)).unwrap();
            (
                table.rows(),
                format!("{:?}", table.columns()),
                crate::support::texts(&table, "window"),
            )
        });
        assert_eq!(before, after);
    }
    let picture = run(&there, &["open", "s.kvlens.zip", "--screenshot", "p.png"]);
    assert_eq!(picture.code, 0, "{picture:#?}");
    run_ok(
        &there,
        &["session", "unpack", "s.kvlens.zip", "--out", "other.kvlens"],
    );
    run_ok(&there, &["session", "check", "other.kvlens"]);

    // what lies in its place is another one, and then also in the place beside that
    let mut other = CAPTURE;
    other[4] = "demo:length=512,samples=1";
    fs::remove_dir_all(there.join("s.kvlens")).unwrap();
    run_ok(&there, &other);
    run_ok(&there, &["session", "check", "s.kvlens.zip"]);
    let beside = there.join("s-packed.kvlens");
    fs::remove_dir_all(&beside).unwrap();
    fs::rename(there.join("s.kvlens"), &beside).unwrap();
    run_ok(&there, &other);
    let refused = run(&there, &["measure", "s.kvlens.zip", "--out", "t"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains("session unpack"), "{refused:#?}");
    // without a word keys stay at home, and recall goes along
    run_ok(
        at,
        &["session", "pack", "s.kvlens", "--out", "small.kvlens.zip"],
    );
    // beside the session that it was packed from, which has the keys
    run_ok(at, &["session", "pack", "s.kvlens"]);
    let checked = run_ok(at, &["session", "check", "s.kvlens.zip"]);
    assert!(
        checked.stderr.contains("s-packed.kvlens"),
        "{}",
        checked.stderr
    );
    run_ok(at, &["measure", "small.kvlens.zip", "--out", "small"]);
    let info = json(at, &["session", "info", "small.kvlens", "--json"], 0);
    assert_eq!(info["manifest"]["plan"]["keep"], "scores");
    let recall = |tables: &str| {
        let path = at.join(tables).join("overlap.parquet");
        let table = kvlens_analysis::tables::TableFile::read(&path).unwrap();
        let recall = table.numbers("recall").unwrap();
        assert!(recall.iter().flatten().count() > 0);
        recall
    };
    assert_eq!(recall("small"), recall("before"));
    // a file that is none
    fs::write(there.join("x.zip"), "PK\u{3}\u{4}").unwrap();
    for words in [
        &["session", "unpack", "x.zip"][..],
        &["measure", "x.zip", "--out", "t"],
    ] {
        let refused = run(&there, words);
        assert_eq!(refused.code, 2, "{refused:#?}");
        assert!(refused.stderr.contains("x.zip"), "{refused:#?}");
    }
}
