//! Plan files: a grid of captures.

use std::fs;
use std::path::Path;

use crate::support::{names, run, run_ok, snapshot};

/// The plan that README shows.
fn readme_plan() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(path).unwrap();
    let plan = readme.split("```toml\n").nth(1).unwrap();
    plan.split("```").next().unwrap().to_owned()
}

#[test]
fn the_plan_of_the_readme_runs_and_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plan.toml"), readme_plan()).unwrap();
    let ran = run_ok(folder.path(), &["capture", "--plan", "plan.toml"]);
    let sessions = names(&folder.path().join("runs"));
    assert_eq!(ran.stdout.lines().count(), sessions.len());
    assert!(sessions.len() >= 2, "{sessions:?}");
    for session in &sessions {
        assert!(ran.stdout.contains(session.as_str()), "{}", ran.stdout);
    }
    let again = run(folder.path(), &["capture", "--plan", "plan.toml"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("--resume"), "{}", again.stderr);
    // a grid that stopped in the middle: one session is not there yet
    fs::remove_dir_all(folder.path().join("runs").join(&sessions[1])).unwrap();
    let before = snapshot(&folder.path().join("runs"));
    let resumed = run_ok(
        folder.path(),
        &["capture", "--plan", "plan.toml", "--resume"],
    );
    assert!(
        resumed.stdout.contains("were there already"),
        "{}",
        resumed.stdout
    );
    assert_eq!(names(&folder.path().join("runs")), sessions);
    let after = snapshot(&folder.path().join("runs"));
    assert!(
        before.iter().all(|file| after.contains(file)),
        "what was finished stays"
    );
}

#[test]
fn a_capture_of_the_grid_that_fails_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("broken")).unwrap();
    let plan = "model = ['broken', 'demo']\ndata = ['demo:samples=1']\ndecode = 4\nout = 'runs'";
    fs::write(folder.path().join("plan.toml"), plan).unwrap();
    let ran = run(folder.path(), &["capture", "--plan", "plan.toml"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(
        ran.stderr.contains("1 of 2 captures failed"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("no config.json"), "{}", ran.stderr);
    assert_eq!(
        names(&folder.path().join("runs")),
        ["demo-demo-samples-1.kvlens"]
    );
}

#[test]
fn a_plan_with_a_key_that_is_not_known_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plan.toml"), "modle = ['demo']").unwrap();
    let ran = run(folder.path(), &["capture", "--plan", "plan.toml"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("'modle', the nearest is 'model'"),
        "{}",
        ran.stderr
    );
}
