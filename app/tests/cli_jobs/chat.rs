//! Prompts through a chat template.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{model_copy, run, run_ok};

/// A turn, and thinking that is switched off if the variable says so.
const TEMPLATE: &str = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}\
    {% if enable_thinking is defined and not enable_thinking %} (no thinking){% endif %}";

fn capture_arguments<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "capture", "--model", "model", "--data", "p.txt", "--decode", "2", "--out", out,
    ];
    arguments.extend(more);
    arguments
}

fn manifest(folder: &Path, session: &str) -> Value {
    let bytes = fs::read(folder.join(session).join("manifest.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn variables_reach_the_template_and_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    model_copy(&folder.path().join("model"));
    fs::write(folder.path().join("model/chat_template.jinja"), TEMPLATE).unwrap();
    fs::write(folder.path().join("p.txt"), "Nobody was in a hurry.").unwrap();
    let tokens = |out: &str, more: &[&str]| {
        run_ok(folder.path(), &capture_arguments(out, more));
        let manifest = manifest(folder.path(), out);
        let tokens = manifest["samples"][0]["prompt_tokens"].as_u64().unwrap();
        (tokens, manifest["plan"]["chat_variables"].clone())
    };
    let off = ["--chat", "--chat-variable", "enable_thinking=false"];
    let (plain, none) = tokens("plain.kvlens", &["--chat"]);
    let (quiet, variables) = tokens("quiet.kvlens", &off);
    assert!(quiet > plain, "{quiet} tokens, and {plain} without");
    assert_eq!(
        (none, variables),
        (Value::Null, json!({"enable_thinking": false}))
    );

    // a session with other variables is another session
    let resumed = |more: &[&str]| {
        let more = [more, &["--resume"][..]].concat();
        run(folder.path(), &capture_arguments("quiet.kvlens", &more))
    };
    assert_eq!(resumed(&off).code, 0);
    let other = resumed(&["--chat"]);
    assert_eq!(other.code, 2, "{other:#?}");
    assert!(other.stderr.contains("another plan"), "{}", other.stderr);
}

#[test]
fn variables_that_cannot_be_meant_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("p.txt"), "Nobody was in a hurry.").unwrap();
    for (more, word) in [
        (&["--chat", "--chat-variable", "thinking"][..], "has no '='"),
        (
            &["--chat", "--chat-variable", "messages=[]"],
            "would replace",
        ),
        (&["--chat-variable", "a=1"], "add --chat"),
    ] {
        let ran = run(folder.path(), &capture_arguments("s.kvlens", more));
        assert_eq!(ran.code, 2, "{ran:#?}");
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
    assert!(!folder.path().join("s.kvlens").exists());
}
