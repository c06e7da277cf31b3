//! Checkpoints: a micro checkpoint of the repository with one of its files replaced.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use kvlens_sessions::model::{ChatVariables, DeviceChoice, DtypeChoice, Model, ModelSource};

use super::{folder, is_read, of_package};

/// The smallest micro checkpoint that has a chat template.
const WHOLE: &str = "tests/fixtures/llama-gqa-untied";

/// The checkpoint as it is.
pub(super) fn whole() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| load(ModelSource::Folder(of_package(WHOLE))).unwrap())
}

/// The built-in model, which windows were trained for.
pub(super) fn builtin() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| load(ModelSource::Demo).unwrap())
}

fn load(source: ModelSource) -> Result<Model, String> {
    let model = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32);
    model.map_err(|error| error.to_string())
}

/// Loads the checkpoint with a file replaced, and encodes a question with what came out.
fn load_with(name: &str, bytes: &[u8]) -> bool {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    let copy = COPY.get_or_init(|| {
        let to = folder().join("model");
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(of_package(WHOLE)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        to
    });
    fs::write(copy.join(name), bytes).unwrap();
    let is_read = encode(load(ModelSource::Folder(copy.clone())), true);
    match of_package(WHOLE).join(name) {
        whole if whole.exists() => drop(fs::copy(whole, copy.join(name)).unwrap()),
        _ => fs::remove_file(copy.join(name)).unwrap(),
    }
    is_read
}

/// Whether a model was read and encodes a question, as a message too where it has to.
fn encode(model: Result<Model, String>, has_template: bool) -> bool {
    is_read(model.and_then(|model| {
        let encode = |chat: Option<&ChatVariables>| {
            let encoded = model.encode_prompt("What was the number?", chat);
            encoded.map_err(|error| error.to_string())
        };
        let message = encode(Some(&ChatVariables::default()));
        match has_template {
            true => message,
            false => encode(None),
        }
    }))
}

/// Reads the bytes as a GGUF file.
///
/// # Panics
/// Where the reader does.
pub fn read_gguf(bytes: &[u8]) -> bool {
    fs::create_dir_all(folder()).unwrap();
    let path = folder().join("model.gguf");
    fs::write(&path, bytes).unwrap();
    encode(load(ModelSource::Gguf(path)), false)
}

/// Reads the bytes as a checkpoint's `config.json`.
///
/// # Panics
/// Where the reader does.
pub fn read_config(bytes: &[u8]) -> bool {
    load_with("config.json", bytes)
}

/// Reads the bytes as a checkpoint's `tokenizer.json`.
///
/// # Panics
/// Where the reader does.
pub fn read_tokenizer(bytes: &[u8]) -> bool {
    load_with("tokenizer.json", bytes)
}

/// Reads the bytes as a checkpoint's chat template, and fills it in.
///
/// # Panics
/// Where the reader or the template does.
pub fn read_template(bytes: &[u8]) -> bool {
    load_with("chat_template.jinja", bytes)
}

/// Reads the bytes as a checkpoint's `model.safetensors`.
///
/// # Panics
/// Where the reader does.
pub fn read_weights(bytes: &[u8]) -> bool {
    load_with("model.safetensors", bytes)
}

/// Reads the bytes as a checkpoint's `generation_config.json`.
///
/// # Panics
/// Where the reader does.
pub fn read_generation_config(bytes: &[u8]) -> bool {
    load_with("generation_config.json", bytes)
}

/// Reads the bytes as a checkpoint's `tokenizer_config.json`.
///
/// # Panics
/// Where the reader does.
pub fn read_tokenizer_config(bytes: &[u8]) -> bool {
    load_with("tokenizer_config.json", bytes)
}
