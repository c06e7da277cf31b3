//! Checkpoints: a micro checkpoint of the repository with one of its files replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kvlens_sessions::model::{ChatVariables, DeviceChoice, DtypeChoice, Model, ModelSource};

/// The smallest micro checkpoint that has a chat template.
const WHOLE: &str = "../sessions/tests/fixtures/llama-gqa-untied";

/// A file of the repository, from this package's folder.
pub(crate) fn of_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The checkpoint as it is.
pub(crate) fn whole() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| load(ModelSource::Folder(of_repository(WHOLE))).unwrap())
}

fn load(source: ModelSource) -> Result<Model, String> {
    let model = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32);
    model.map_err(|error| error.to_string())
}

/// Loads the checkpoint with a file replaced, and encodes a question with what came out.
fn load_with(name: &str, bytes: &[u8]) {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    let copy = COPY.get_or_init(|| {
        let to = crate::folder().join("model");
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(of_repository(WHOLE)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        to
    });
    fs::write(copy.join(name), bytes).unwrap();
    encode(load(ModelSource::Folder(copy.clone())));
}

fn encode(model: Result<Model, String>) {
    let encoded = model.and_then(|model| {
        let encoded = model.encode_prompt("What was the number?", Some(&ChatVariables::default()));
        encoded.map_err(|error| error.to_string())
    });
    if let Err(sentence) = encoded {
        assert!(!sentence.is_empty());
    }
}

/// Reads the bytes as a GGUF file.
///
/// # Panics
/// Where the reader does.
pub fn read_gguf(bytes: &[u8]) {
    let folder = crate::folder();
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("model.gguf");
    fs::write(&path, bytes).unwrap();
    encode(load(ModelSource::Gguf(path)));
}

/// Reads the bytes as a checkpoint's `config.json`.
///
/// # Panics
/// Where the reader does.
pub fn read_config(bytes: &[u8]) {
    load_with("config.json", bytes);
}

/// Reads the bytes as a checkpoint's `tokenizer.json`.
///
/// # Panics
/// Where the reader does.
pub fn read_tokenizer(bytes: &[u8]) {
    load_with("tokenizer.json", bytes);
}

/// Reads the bytes as a checkpoint's chat template, and fills it in.
///
/// # Panics
/// Where the reader or the template does.
pub fn read_template(bytes: &[u8]) {
    load_with("chat_template.jinja", bytes);
}
