//! `kvlens demo`, and what needs no session: doctor, help, a pipe that closes.

use std::fs;
use std::process::Stdio;

use kvlens_analysis::tables::{SCHEMA_VERSION, declared};

use crate::support::{
    column_names, kvlens, names, numbers, read_table, run, run_ok, snapshot, texts,
};

/// The columns that the table of this file is declared with, as README has them.
fn declared_columns(file: &str) -> Vec<String> {
    let tables = declared();
    let table = tables.iter().find(|table| table.file == file).unwrap();
    let names = table.columns.iter().map(|column| column.name.to_owned());
    names.collect()
}

#[test]
fn the_demo_writes_a_session_and_tables_and_prints_recall() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run_ok(folder.path(), &["demo", "--no-window"]);
    for heading in [
        "facts, question at the end, 4 samples of 513 to 1032 tokens",
        "facts, question at the start, 4 samples of 513 to 1032 tokens",
    ] {
        assert!(ran.stdout.contains(heading), "{}", ran.stdout);
    }
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert_eq!(
        ran.stdout.matches("\n last:32 ").count(),
        2 * 3 + 2,
        "recall, kept recall and needed tokens of two groups, their difference, cost: {}",
        ran.stdout
    );
    assert_eq!(ran.stdout.matches("recall less last:32").count(), 2);

    let tables = folder.path().join("kvlens-demo/tables");
    let files = [
        "agreement.parquet",
        "complementarity.parquet",
        "cost.parquet",
        "difference.parquet",
        "overlap.parquet",
        "samples.parquet",
        "summary.parquet",
        "tables.json",
        "winner.parquet",
    ];
    assert_eq!(names(&tables), files);
    // 8 prompts, 6 windows and the decode stage, 4 layers of 4 heads, 6 budgets
    for (file, rows) in [
        ("overlap.parquet", 8 * 7 * 16 * 6),
        ("agreement.parquet", 8 * 6 * 16),
        ("cost.parquet", 8 * 7),
        ("samples.parquet", 8),
        ("complementarity.parquet", 8 * 5 * 16 * 6),
    ] {
        let table = read_table(&tables, file);
        assert_eq!(column_names(&table), declared_columns(file), "{file}");
        assert_eq!(table.rows(), rows, "{file}");
        let version = table.metadata("schema_version");
        assert_eq!(version, Some(SCHEMA_VERSION), "{file}");
    }

    let samples = read_table(&tables, "samples.parquet");
    assert_eq!(
        numbers(&samples, "score"),
        [1.0; 8],
        "the model answers all of these right"
    );
    let generated = texts(&samples, "generated");
    assert!(generated[0].contains("cyan sofa"), "{generated:?}");
    assert_eq!(
        generated[0], generated[1],
        "the question's place changes no answer"
    );
}

/// A folder in place of a model that is fetched: what runs is the same.
#[test]
fn the_demo_takes_a_model_and_runs_it_on_the_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../sessions/builtin/demo");
    let ran = run_ok(folder.path(), &["demo", "--no-window", "--model", model]);
    let told = "the 8 prompts will take about ";
    let before = ran.stderr.split("[1/8]").next().unwrap();
    assert!(
        before.contains(told),
        "before the first prompt: {}",
        ran.stderr
    );
    let manifest = folder.path().join("kvlens-demo/demo.kvlens/manifest.json");
    let manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(manifest).unwrap()).unwrap();
    assert_eq!(manifest["plan"]["data"][0], "pieces", "what --resume loads");
    let tables = folder.path().join("kvlens-demo/tables");
    let samples = read_table(&tables, "samples.parquet");
    let ids = texts(&samples, "sample");
    let expected = ["manual", "travel", "minutes", "story"];
    let expected = expected
        .iter()
        .flat_map(|name| [format!("{name}-end"), format!("{name}-start")]);
    assert_eq!(ids, expected.collect::<Vec<_>>());
    // 8 prompts, 5 untrained windows
    assert_eq!(read_table(&tables, "cost.parquet").rows(), 8 * 6);
    let ran = run(folder.path(), &["demo", "--no-window", "--chat"]);
    assert_eq!(ran.code, 2, "--chat is for a model of one's own: {ran:#?}");
}

#[test]
fn the_tables_say_where_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(folder.path(), &["demo", "--no-window"]);
    let table = read_table(&folder.path().join("kvlens-demo/tables"), "overlap.parquet");
    let provenance: serde_json::Value =
        serde_json::from_str(table.metadata("provenance").unwrap()).unwrap();
    assert_eq!(provenance["kvlens_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(provenance["command_line"][1], "demo");
    let session = &provenance["sessions"][0];
    assert_eq!(session["name"], "demo");
    assert_eq!(
        session["model"]["weights_sha256"].as_str().unwrap().len(),
        64
    );
    assert_eq!(session["plan"]["decode"]["max_tokens"], 64);
    assert_eq!(session["windows"][1]["window"], "last:8");
    assert_eq!(session["windows"][1]["forced_keep"]["recent"], 8);
    assert_eq!(provenance["compare"], "queries");
    assert_eq!(
        provenance["truth"]["scoring"],
        session["windows"][0]["scoring"]
    );
    assert_eq!(provenance["truth"]["scoring"]["pool"], "max:7");
    assert!(session["windows"][0]["ceiling"].is_null());
}

#[test]
fn a_second_demo_replaces_the_first_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let demo = ["demo", "--no-window", "--out", "here"];
    run_ok(folder.path(), &demo);
    run_ok(folder.path(), &demo);
    let out = folder.path().join("here");
    assert_eq!(names(&out), ["demo.kvlens", "tables"]);

    fs::write(out.join("thesis.txt"), "mine").unwrap();
    let before = snapshot(&out);
    let ran = run(folder.path(), &demo);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("did not write"), "{}", ran.stderr);
    assert!(
        ran.stderr.trim_end().ends_with("thesis.txt"),
        "{}",
        ran.stderr
    );
    assert_eq!(snapshot(&out), before);
}

#[test]
fn without_a_display_the_demo_says_so_and_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run_ok(folder.path(), &["demo"]);
    assert!(ran.stderr.contains("there is no display"), "{}", ran.stderr);
    let ran = run(folder.path(), &[]);
    assert_eq!(ran.code, 1, "the workbench alone cannot succeed: {ran:#?}");
    assert!(ran.stderr.contains("there is no display"), "{}", ran.stderr);
}

#[test]
fn doctor_reports_and_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run_ok(folder.path(), &["doctor"]);
    for word in [
        "device cpu",
        "memory",
        "display",
        "model demo",
        "window last",
        "last[:w=32]",
        "window laq++",
        "sessions",
    ] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    assert_eq!(ran.stderr, "");
}

/// candle counts the cores anew before every product of matrices where nothing says how many threads there are.
#[test]
fn the_number_of_threads_is_settled_at_the_start() {
    const VARIABLE: &str = "RAYON_NUM_THREADS";
    let folder = tempfile::tempdir().unwrap();
    let threads = |told: Option<&str>| {
        let mut command = kvlens(folder.path());
        command.arg("doctor").env_remove(VARIABLE);
        command.envs(told.map(|count| (VARIABLE, count)));
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let line = output.lines().find(|line| line.starts_with("threads"));
        let count = line.unwrap().split_whitespace().nth(1);
        count.unwrap().to_owned()
    };
    assert!(threads(None).parse::<usize>().unwrap() >= 1);
    assert_eq!(threads(Some("1")), "1");
}

#[test]
fn a_closed_pipe_is_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = kvlens(folder.path())
        .args(["demo", "--no-window"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}
