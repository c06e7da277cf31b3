//! `kvlens sweep` on this computer, and sessions in parts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::{kvlens, names, read_table, run, run_ok, snapshot, texts};

/// Two data, two runs, two samples of each, a task for each sample.
const PLAN: &str = "model = ['demo']\ndata = ['demo:length=512,samples=2', 'demo:question=start,length=512,samples=2']\n\
    windows = [['last:8'], ['last:8', 'knorm']]\ndecode = 4\nignore-eos = true\nsamples-per-task = 1\n\
    budgets = ['10%']\nout = 'runs'\n";

fn begin(folder: &Path, plan: &str) {
    fs::write(folder.join("plan.toml"), plan).unwrap();
    run_ok(folder, &["sweep", "plan.toml"]);
}

/// The files of one table, by their places in the data set.
fn table_files(folder: &Path, table: &str) -> Vec<PathBuf> {
    let files = snapshot(&folder.join("runs/tables").join(table));
    files.into_iter().map(|(path, _)| path).collect()
}

/// What no clock has a part in.
fn without_clocks(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let tables = folder.join("runs/tables");
    ["overlap", "agreement", "complementarity"]
        .iter()
        .flat_map(|table| snapshot(&tables.join(table)))
        .map(|(path, bytes)| (path.strip_prefix(&tables).unwrap().to_owned(), bytes))
        .collect()
}

#[test]
fn a_sweep_is_done_once_and_reads_as_sessions_and_as_one_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    begin(at, PLAN);
    let sessions = names(&at.join("runs/sessions"));
    assert_eq!(sessions.len(), 4, "{sessions:?}");
    let files = table_files(at, "overlap");
    assert_eq!(files.len(), 8);
    let place = "runs/tables/overlap/swept_model=demo/swept_data=demo-length-512-samples-2/\
        swept_windows=last-8+knorm/swept_decode=4-on/swept_seed=0/part-00001.parquet";
    assert!(files.contains(&at.join(place)), "{files:?}");
    // of its part alone, under the session's name
    let part = read_table(at, place);
    let mut named = texts(&part, "session");
    named.dedup();
    assert_eq!(named, ["demo-demo-length-512-samples-2-last-8+knorm"]);

    let before = snapshot(&at.join("runs"));
    run_ok(at, &["sweep", "plan.toml"]);
    let changed = |(path, _): &&(PathBuf, Vec<u8>)| !path.ends_with("sweep.json");
    let after = snapshot(&at.join("runs"));
    assert!(
        before
            .iter()
            .filter(changed)
            .eq(after.iter().filter(changed)),
        "what is done is done"
    );

    // parts are read as the session that one capture makes
    let cell = "runs/sessions/demo-demo-length-512-samples-2-last-8.kvlens";
    run_ok(
        at,
        &[
            "capture",
            "--model",
            "demo",
            "--data",
            "demo:length=512,samples=2",
            "--windows",
            "last:8",
            "--decode",
            "4",
            "--ignore-eos",
            "--out",
            "demo-demo-length-512-samples-2-last-8.kvlens",
        ],
    );
    let measured = |session: &str, out: &str| {
        run_ok(
            at,
            &[
                "measure",
                session,
                "--out",
                out,
                "--budgets",
                "10%",
                "--csv",
            ],
        );
        ["overlap.csv", "agreement.csv", "summary.csv"]
            .map(|name| fs::read_to_string(at.join(out).join(name)).unwrap())
    };
    let whole = measured("demo-demo-length-512-samples-2-last-8.kvlens", "t1");
    assert_eq!(measured(cell, "t2"), whole);
    run_ok(at, &["session", "check", cell]);
    let refused = run(at, &["capture", "--resume", cell]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains("in parts"), "{}", refused.stderr);
    let merged = "merged/demo-demo-length-512-samples-2-last-8.kvlens";
    run_ok(at, &["session", "merge", cell, "--out", merged]);
    assert_eq!(measured(merged, "t3"), whole);
    run_ok(at, &["capture", "--resume", merged]);
    let smaller = "smaller/demo-demo-length-512-samples-2-last-8.kvlens";
    run_ok(
        at,
        &[
            "session", "shrink", cell, "--keep", "keys", "--out", smaller,
        ],
    );
    run_ok(at, &["session", "check", smaller]);

    let collected = run_ok(at, &["sweep", "collect", "runs"]);
    assert!(
        !collected.stderr.contains("not done"),
        "{}",
        collected.stderr
    );
    let table = read_table(&at.join("runs/collected"), "overlap.parquet");
    let mut sessions = texts(&table, "session");
    sessions.dedup();
    assert_eq!(sessions.len(), 4);
    // against the plan's first window, whichever session is read first
    let table = read_table(&at.join("runs/collected"), "difference.parquet");
    let pairs = texts(&table, "contrast")
        .into_iter()
        .zip(texts(&table, "second"));
    let mut seconds: Vec<String> = pairs
        .filter(|(contrast, _)| contrast == "window")
        .map(|(_, second)| second)
        .collect();
    seconds.dedup();
    assert_eq!(seconds, ["last:8"]);
}

#[test]
fn what_was_lost_is_made_again_and_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    begin(at, PLAN);
    let whole = without_clocks(at);
    let status = |word: &str| {
        let ran = run_ok(at, &["sweep", "status", "plan.toml", "--json"]);
        let tasks: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let tasks = tasks.as_array().unwrap().iter();
        tasks.filter(|task| task["state"] == word).count()
    };
    assert_eq!(status("finished"), 8);
    let sessions = at.join("runs/sessions");
    let cells = names(&sessions);
    // a table, a sample, a record, and all of a part
    fs::remove_file(&table_files(at, "overlap")[0]).unwrap();
    fs::remove_dir_all(sessions.join(&cells[2]).join("part-00000")).unwrap();
    let record = format!("{}.part-00001.json", cells[3].trim_end_matches(".kvlens"));
    fs::write(at.join("runs/tasks").join(record), "{").unwrap();
    assert_eq!(status("finished"), 5);
    let missing = run_ok(at, &["sweep", "collect", "runs"]);
    assert!(
        missing.stderr.contains("3 of 8 tasks are not done"),
        "{}",
        missing.stderr
    );
    run_ok(at, &["sweep", "plan.toml", "--gpus", "0,1"]);
    assert_eq!(status("finished"), 8);
    assert!(without_clocks(at) == whole);
}

#[test]
fn a_sweep_grows_but_is_not_changed_and_tells_what_failed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plan = |data: &str, more: &str| {
        format!(
            "model = ['demo']\ndata = [{data}]\ndecode = 4\nbudgets = ['10%']\nout = 'runs'\n{more}"
        )
    };
    begin(at, &plan("'demo:samples=1'", ""));
    let before = snapshot(&at.join("runs/sessions"));
    begin(
        at,
        &plan("'demo:samples=1', 'demo:length=512,samples=1'", ""),
    );
    let after = snapshot(&at.join("runs/sessions"));
    assert!(before.iter().all(|file| after.contains(file)));
    assert_eq!(names(&at.join("runs/sessions")).len(), 2);
    for (data, more, word) in [
        ("'demo:samples=1'", "", "samples-1"),
        (
            "'demo:samples=1', 'demo:length=512,samples=1'",
            "seed = 3",
            "otherwise",
        ),
    ] {
        fs::write(at.join("plan.toml"), plan(data, more)).unwrap();
        let ran = run(at, &["sweep", "plan.toml"]);
        assert_eq!(ran.code, 2, "{ran:#?}");
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    }
    // a prompt that the model has no room for: the task says so, and the others go on
    fs::write(at.join("long.txt"), "word ".repeat(20_000)).unwrap();
    let grown = plan(
        "'demo:samples=1', 'demo:length=512,samples=1', 'long.txt'",
        "",
    );
    fs::write(at.join("plan.toml"), grown).unwrap();
    let ran = run(at, &["sweep", "plan.toml"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stdout.contains("positions"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("1 of 3 tasks are not done"),
        "{}",
        ran.stderr
    );
}

#[cfg(unix)]
#[test]
fn workers_stop_with_whoever_started_them_and_share_the_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(
        at.join("plan.toml"),
        PLAN.replace("decode = 4", "decode = 64"),
    )
    .unwrap();
    let mut sweep = kvlens(at)
        .args(["sweep", "plan.toml", "--gpus", "0,1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first = || {
        let tasks = at.join("runs/tasks");
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        tasks
            .filter(|task| task.path().extension().is_some_and(|end| end == "json"))
            .count()
    };
    while first() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    sweep.kill().unwrap();
    sweep.wait().unwrap();
    // its workers see their stdin close; whoever comes next waits for nobody
    let is_locked = || {
        names(&at.join("runs/tasks"))
            .iter()
            .any(|name| name.ends_with(".lock"))
    };
    for _ in 0..600 {
        if !is_locked() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(!is_locked(), "a worker goes on without its parent");
    run_ok(at, &["sweep", "plan.toml"]);
    let broken = without_clocks(at);
    let unbroken = tempfile::tempdir().unwrap();
    begin(unbroken.path(), &PLAN.replace("decode = 4", "decode = 64"));
    assert!(without_clocks(unbroken.path()) == broken);
}
