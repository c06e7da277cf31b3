//! Models by their names on the hub, without any network.

use std::fs;
use std::path::Path;

use crate::support::{Ran, kvlens, model_copy};

fn run_offline(folder: &Path, more: &[&str]) -> Ran {
    let output = kvlens(folder)
        .args([
            "capture",
            "--model",
            "org/tiny",
            "--data",
            "demo:samples=1",
            "--decode",
            "4",
        ])
        .args(more)
        .env("HF_HOME", folder.join("home"))
        .env("HF_HUB_OFFLINE", "1")
        .env_remove("HF_HUB_CACHE")
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_model_of_the_local_cache_is_used_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("home/hub/models--org--tiny");
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::create_dir_all(repository.join("snapshots")).unwrap();
    fs::write(repository.join("refs/main"), "abc123").unwrap();
    model_copy(&repository.join("snapshots/abc123"));
    let ran = run_offline(folder.path(), &["--out", "s.kvlens"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let manifest = fs::read(folder.path().join("s.kvlens/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["plan"]["model"], "org/tiny");
    assert_eq!(manifest["model"]["name"], "tiny");
}

#[test]
fn a_model_that_is_not_here_is_not_asked_for_where_that_is_forbidden() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run_offline(folder.path(), &["--out", "s.kvlens"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    for word in ["'org/tiny'", "no such folder is here", "HF_HUB_OFFLINE"] {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    assert!(!folder.path().join("s.kvlens").exists());
    let ran = run_offline(folder.path(), &["--estimate"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(
        ran.stderr.contains("without --estimate fetches it"),
        "{}",
        ran.stderr
    );
}
