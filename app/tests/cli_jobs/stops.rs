//! How a run ends that is asked to end.

#![cfg(unix)]

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{kvlens, run, run_ok};

const PATIENCE: Duration = Duration::from_secs(60);

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.unwrap().success());
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_second_interrupt_ends_what_does_not_get_to_look_at_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let capture = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo:length=512,samples=1",
        "--windows",
    ];
    run_ok(
        at,
        &[
            &capture[..],
            &["last:8", "--decode", "4", "--out", "s.kvlens"],
        ]
        .concat(),
    );
    // nobody reads this pipe, which is full: what is printed at the end is never printed
    let (_reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'x'; 1 << 16]).unwrap();
    let mut child = kvlens(at)
        .args(["measure", "s.kvlens", "--out", "t"])
        .stdout(Stdio::from(writer))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the tables", || at.join("t/tables.json").exists());
    std::thread::sleep(Duration::from_millis(200));
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(child.try_wait().unwrap(), None, "it was not held up");
    interrupt(&child);
    let mut code = None;
    until("the end", || {
        code = child.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(130));
}

#[test]
fn doctor_and_readme_promise_the_same_of_the_built_in_model() {
    let folder = tempfile::tempdir().unwrap();
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/templates/README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let said = run(folder.path(), &["doctor"]).stdout;
    let promised = "2,048 tokens";
    assert!(
        said.contains(&format!("prompts of up to {promised}")),
        "{said}"
    );
    assert!(readme.contains(&format!("a prompt up to {promised}")));
}
