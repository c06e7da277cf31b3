//! Files that windows read: ready scores, and trained weights.

use std::fs;
use std::path::PathBuf;

use kvlens_sessions::windows::parse_window;
use kvlens_sessions::{CancelFlag, Needs, Prefilled, RunControl, SessionError};

use super::models::{builtin, whole};
use super::{folder, is_read, of_package};

fn written(name: &str, bytes: &[u8]) -> PathBuf {
    fs::create_dir_all(folder()).unwrap();
    let path = folder().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Reads the bytes as scores of the prompt that the score files of the tests are of.
///
/// # Panics
/// Where the reader does.
pub fn read_scores(bytes: &[u8]) -> bool {
    let path = written("scores.safetensors", bytes);
    let model = whole();
    let label = format!("file:{},name=fuzzed", path.display());
    let scores = || {
        let window = parse_window(&label.parse()?)?.ready(model)?;
        let text = fs::read_to_string(of_package("tests/fixtures/prompt.txt"));
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
    is_read(scores().map_err(|error: SessionError| error.to_string()))
}

/// Reads the bytes as the weights of each window that is trained for the built-in model.
///
/// # Panics
/// Where the reader does.
pub fn read_trained(bytes: &[u8]) -> bool {
    let path = written("trained.safetensors", bytes);
    let kinds = ["judge-q", "lookahead-kv"].map(|kind| {
        let label = format!("{kind}:file={}", path.display());
        let ready = || parse_window(&label.parse()?)?.ready(builtin());
        is_read(ready().map_err(|error: SessionError| error.to_string()))
    });
    kinds.contains(&true)
}
