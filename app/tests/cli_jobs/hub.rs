//! Models by their names on the hub, without any network.

use std::fs;
use std::path::Path;

use crate::support::{Ran, kvlens, model_copy};

fn run_offline(folder: &Path, more: &[&str]) -> Ran {
    let data = ["--data", "demo:samples=1"];
    run_offline_with(folder, "org/tiny", &[&data, more].concat())
}

fn run_offline_with(folder: &Path, model: &str, more: &[&str]) -> Ran {
    let output = kvlens(folder)
        .args(["capture", "--model", model, "--decode", "4"])
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
fn a_gguf_file_of_the_local_cache_is_used_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("home/hub/models--org--tiny");
    let snapshot = repository.join("snapshots/abc123");
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(repository.join("refs/main"), "abc123").unwrap();
    let fixture = "../sessions/tests/fixtures/gguf/qwen2-bias-tied.gguf";
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
    fs::copy(fixture, snapshot.join("tiny-BF16.gguf")).unwrap();
    fs::write(folder.path().join("p.txt"), "Nobody was in a hurry.").unwrap();
    let model = "org/tiny:tiny-BF16.gguf";
    let capture = |model: &str, out: &str| {
        run_offline_with(folder.path(), model, &["--data", "p.txt", "--out", out])
    };
    let ran = capture(model, "s.kvlens");
    assert_eq!(ran.code, 0, "{ran:#?}");
    let manifest = fs::read(folder.path().join("s.kvlens/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["plan"]["model"], model);
    assert_eq!(manifest["model"]["name"], "tiny-BF16");
    let other = capture("org/tiny:tiny-Q8_0.gguf", "t.kvlens");
    assert_eq!(other.code, 2, "{other:#?}");
    assert!(other.stderr.contains("HF_HUB_OFFLINE"), "{}", other.stderr);
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
