//! Files that windows read: ready scores, and trained weights.

use std::fs;
use std::path::PathBuf;

use kvlens_sessions::windows::parse_window;
use kvlens_sessions::{CancelFlag, Needs, Prefilled, RunControl};

use crate::models::{of_repository, whole};

fn written(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = crate::folder();
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Reads the bytes as scores of the prompt that the score files of the tests are of.
///
/// # Panics
/// Where the reader does.
pub fn read_scores(bytes: &[u8]) {
    let path = written("scores.safetensors", bytes);
    let model = whole();
    let label = format!("file:{},name=fuzzed", path.display());
    let scores = || {
        let window = parse_window(&label.parse()?)?.ready(model)?;
        let text = fs::read_to_string(of_repository("../sessions/tests/fixtures/prompt.txt"));
        let ids = model.encode_prompt(&text.unwrap(), None)?.ids;
        let cancel = CancelFlag::default();
        let mut control = RunControl {
            cancel: &cancel,
            on_tokens: &mut |_, _| {},
        };
        let needs = Needs::default().and(&window.needs());
        let mut prefilled = Prefilled::run(model, &ids, &needs, &mut control)?;
        window.observe(model, &mut prefilled, &mut control)
    };
    if let Err(error) = scores() {
        assert!(!error.to_string().is_empty());
    }
}

/// Reads the bytes as the weights of each trained window.
///
/// # Panics
/// Where the reader does.
pub fn read_trained(bytes: &[u8]) {
    let path = written("trained.safetensors", bytes);
    for kind in ["judge-q", "lookahead-kv"] {
        let label = format!("{kind}:file={}", path.display());
        let ready = || parse_window(&label.parse()?)?.ready(whole());
        if let Err(error) = ready() {
            assert!(!error.to_string().is_empty());
        }
    }
}
