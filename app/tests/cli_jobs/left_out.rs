//! Samples whose files are missing or damaged: every command that reads a session does the rest, names them, and ends with
//! code 2 behind its outputs.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::{Ran, flip_last_bit, names, read_table, run, run_ok, texts};

/// A session of so many samples, `s.kvlens`.
fn captured(samples: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("facts:length=512,samples={samples},seed=1,question=end");
    let what = ["capture", "--model", "demo", "--data", &data];
    let how = ["--windows", "last:8", "knorm", "--decode", "4"];
    let out = ["--ignore-eos", "--out", "s.kvlens"];
    run_ok(folder.path(), &[&what[..], &how, &out].concat());
    folder
}

fn damage(folder: &Path, index: usize) {
    flip_last_bit(&folder.join(format!("s.kvlens/sample-{index:05}.safetensors")));
}

/// Ids of the samples in a table, each once.
fn ids(folder: &Path, table: &str) -> Vec<String> {
    let mut ids = texts(&read_table(folder, table), "sample");
    ids.dedup();
    ids
}

/// What a command says that did the rest.
fn assert_named(ran: &Ran, id: &str) {
    assert_eq!(ran.code, 2, "{ran:#?}");
    let told = format!("sample '{id}' is left out: ");
    assert!(ran.stderr.contains(&told), "{ran:#?}");
    let last = ran.stderr.lines().last().unwrap();
    assert!(
        last.contains(&format!("1 sample left out: {id}; ")),
        "{last}"
    );
}

#[test]
fn a_measurement() {
    let folder = captured(2);
    let at = folder.path();
    let measure = |out: &str| run(at, &["measure", "s.kvlens", "--out", out]);
    assert_eq!(measure("whole").code, 0);
    damage(at, 0);
    let ran = measure("rest");
    let whole = ids(&at.join("whole"), "overlap.parquet");
    let rest = ids(&at.join("rest"), "overlap.parquet");
    assert_eq!((whole.len(), rest), (2, whole[1..].to_vec()));
    assert_named(&ran, &whole[0]);
    assert!(ran.stderr.contains("SHA-256 differs"), "{ran:#?}");
    assert!(ran.stdout.contains("Tables written: rest"), "{ran:#?}");
}

/// The first file is gone as a whole, so that the windows are told by another.
#[test]
fn a_figure_says_it_in_its_caption() {
    let folder = captured(2);
    let at = folder.path();
    let draw = |out: &str| run(at, &["figure", "s.kvlens", "--kind", "layer", "--out", out]);
    assert_eq!(draw("whole.svg").code, 0);
    fs::remove_file(at.join("s.kvlens/sample-00000.safetensors")).unwrap();
    let ran = draw("rest.svg");
    let about = fs::read_to_string(at.join("rest.json")).unwrap();
    let about: serde_json::Value = serde_json::from_str(&about).unwrap();
    let left_out = &about["left_out"];
    assert_eq!(left_out.as_array().unwrap().len(), 1);
    let id = left_out[0]["sample"].as_str().unwrap();
    assert_named(&ran, id);
    assert!(ran.stdout.contains("rest.svg"), "{ran:#?}");
    let said = |name: &str| fs::read_to_string(at.join(name)).unwrap();
    let missing = format!("Missing or damaged: 1 sample left out: {id}.");
    assert!(said("rest.txt").contains(&missing), "{}", said("rest.txt"));
    assert!(
        said("rest.txt").contains("n=1 sample,"),
        "{}",
        said("rest.txt")
    );
    assert!(
        said("whole.txt").contains("n=2 samples"),
        "{}",
        said("whole.txt")
    );
    assert!(
        !said("whole.txt").contains("left out"),
        "{}",
        said("whole.txt")
    );
}

#[test]
fn evictions_also_where_nothing_is_left_to_go_on_with() {
    let folder = captured(2);
    let at = folder.path();
    damage(at, 1);
    let evict = |more: &[&str]| {
        let words = ["fidelity", "s.kvlens", "--budgets", "64", "--out", "f"];
        run(at, &[&words[..], more].concat())
    };
    let ran = evict(&[]);
    run(at, &["measure", "s.kvlens", "--out", "rest"]);
    let rest = ids(&at.join("rest"), "overlap.parquet");
    assert_eq!(ids(&at.join("f"), "fidelity.parquet"), rest);
    let check = run(at, &["session", "check", "s.kvlens"]);
    let (damaged, _) = check.stdout.split_once(": ").unwrap();
    assert_named(&ran, damaged);
    let again = evict(&["--resume"]);
    assert!(again.stdout.starts_with("Nothing is left"), "{again:#?}");
    assert_eq!(again.code, 2, "{again:#?}");
    let last = again.stderr.lines().last().unwrap();
    assert!(last.contains(&format!("left out: {damaged}; ")), "{last}");
}

#[test]
fn the_first_few_are_told_and_the_others_counted() {
    let folder = captured(6);
    let at = folder.path();
    (0..5).for_each(|index| damage(at, index));
    let ran = run(at, &["measure", "s.kvlens", "--out", "rest"]);
    let told = |what: &str| {
        ran.stderr
            .lines()
            .filter(|line| line.contains(what))
            .count()
    };
    assert_eq!(told(" is left out: "), 3, "{ran:#?}");
    assert_eq!(told("more samples are left out"), 1, "{ran:#?}");
    let last = ran.stderr.lines().last().unwrap();
    assert!(last.contains("5 samples left out: "), "{last}");
    assert!(last.contains(" and 2 more; "), "{last}");
}

#[test]
fn a_session_of_which_nothing_can_be_read_is_one_error_and_leaves_no_file() {
    let folder = captured(2);
    let at = folder.path();
    (0..2).for_each(|index| damage(at, index));
    let commands: [&[&str]; 3] = [
        &["measure", "s.kvlens", "--out", "tables"],
        &["figure", "s.kvlens", "--kind", "recall", "--out", "f.svg"],
        &["fidelity", "s.kvlens", "--budgets", "64", "--out", "f"],
    ];
    for command in commands {
        let ran = run(at, command);
        assert_eq!(ran.code, 2, "{ran:#?}");
        let last = ran.stderr.lines().last().unwrap();
        assert!(last.contains("no sample can be read: "), "{last}");
        assert_eq!(names(at), ["s.kvlens"], "{command:?}");
    }
}
