//! Finding the files of a checkpoint: the built-in one, a folder in the Hugging Face layout, or one GGUF file.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use kvlens_datasets::{open_regular, read_at_most};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::gguf;
use crate::SessionError;
use crate::error::Context;
use crate::hub;

/// Where a model comes from. Written as `demo` or as a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum ModelSource {
    /// The model that is built into the program.
    Demo,
    /// A folder with `config.json`, `tokenizer.json` and `*.safetensors`, or a hub id: see [`Self::hub_id`].
    Folder(PathBuf),
    /// One `.gguf` file with weights, configuration and tokenizer.
    Gguf(PathBuf),
}

impl From<String> for ModelSource {
    fn from(text: String) -> Self {
        if text == "demo" {
            Self::Demo
        } else {
            Self::from(PathBuf::from(text))
        }
    }
}

impl From<PathBuf> for ModelSource {
    fn from(path: PathBuf) -> Self {
        match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("gguf") => Self::Gguf(path),
            _ => Self::Folder(path),
        }
    }
}

impl From<ModelSource> for String {
    fn from(source: ModelSource) -> Self {
        source.to_string()
    }
}

impl FromStr for ModelSource {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(text.to_owned()))
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Demo => f.write_str("demo"),
            Self::Folder(path) | Self::Gguf(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Far above any file of a checkpoint but the weights; the largest tokenizers have 40 MB.
const MOST_BYTES: u64 = 256 << 20;

/// The weight files of a checkpoint.
#[derive(Debug, Clone)]
pub(crate) enum WeightFiles {
    /// Built into the program.
    Embedded(&'static [u8]),
    /// One file, or the shards that the index names, sorted by name.
    Files(Vec<PathBuf>),
    /// One GGUF file, by its header.
    Gguf(Arc<gguf::Header>),
}

/// The parts of a checkpoint, small ones read, weights only located.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    /// Short name for tables: that of the folder, or of the file without its ending.
    pub(crate) name: String,
    pub(crate) config: Vec<u8>,
    pub(crate) tokenizer: Vec<u8>,
    pub(crate) tokenizer_config: Option<Vec<u8>>,
    pub(crate) added_tokens: Option<Vec<u8>>,
    pub(crate) special_tokens_map: Option<Vec<u8>>,
    pub(crate) chat_template: Option<Vec<u8>>,
    pub(crate) generation_config: Option<Vec<u8>>,
    pub(crate) weights: WeightFiles,
    /// What is worth a warning, a sentence each.
    pub(crate) warnings: Vec<String>,
}

impl Checkpoint {
    pub(crate) fn find(source: &ModelSource) -> Result<Self, SessionError> {
        match source {
            ModelSource::Demo => Ok(Self::demo()),
            ModelSource::Folder(folder) => {
                let (folder, name) = hub::located(folder);
                let found = Self::in_folder(&folder)?;
                Ok(Self {
                    name: name.unwrap_or(found.name),
                    ..found
                })
            }
            ModelSource::Gguf(path) => gguf::checkpoint(&hub::located(path).0),
        }
    }

    fn demo() -> Self {
        Self {
            name: "demo".to_owned(),
            config: include_bytes!("../../builtin/demo/config.json").to_vec(),
            tokenizer: include_bytes!("../../builtin/demo/tokenizer.json").to_vec(),
            tokenizer_config: Some(
                include_bytes!("../../builtin/demo/tokenizer_config.json").to_vec(),
            ),
            added_tokens: None,
            special_tokens_map: None,
            chat_template: None,
            generation_config: Some(
                include_bytes!("../../builtin/demo/generation_config.json").to_vec(),
            ),
            weights: WeightFiles::Embedded(include_bytes!("../../builtin/demo/model.safetensors")),
            warnings: Vec::new(),
        }
    }

    fn in_folder(folder: &Path) -> Result<Self, SessionError> {
        if !folder.is_dir() {
            return Err(SessionError::Checkpoint {
                reason: "there is no such model folder, nor a model of that name in the local hub cache; give 'demo', a folder with config.json, tokenizer.json and *.safetensors, or a .gguf file"
                    .to_owned(),
                path: folder.to_owned(),
            });
        }
        let config = required(folder, "config.json")?;
        let weights = WeightFiles::Files(weight_files(folder)?);
        let tokenizer = tokenizer(folder)?;
        Ok(Self {
            name: folder_name(folder),
            config,
            tokenizer,
            tokenizer_config: optional(folder, "tokenizer_config.json")?,
            added_tokens: optional(folder, "added_tokens.json")?,
            special_tokens_map: optional(folder, "special_tokens_map.json")?,
            chat_template: optional(folder, "chat_template.jinja")?,
            generation_config: optional(folder, "generation_config.json")?,
            weights,
            warnings: Vec::new(),
        })
    }
}

/// The folder's own name, or the model's where it is a snapshot of the hub cache
/// (`models--ORG--NAME/snapshots/COMMIT`).
fn folder_name(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let resolved = folder.canonicalize().unwrap_or_else(|_| absolute.clone());
    let of_snapshot = [&absolute, &resolved]
        .into_iter()
        .find_map(|path| hub::name_of_snapshot(path));
    of_snapshot.unwrap_or_else(|| {
        resolved.file_name().map_or_else(
            || folder.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        )
    })
}

fn tokenizer(folder: &Path) -> Result<Vec<u8>, SessionError> {
    if let Some(found) = optional(folder, "tokenizer.json")? {
        return Ok(found);
    }
    let advice = match folder.join("tokenizer.model").is_file() {
        true => {
            "; tokenizer.model alone is not read, but transformers converts it: in Python, \
            AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        }
        false => "",
    };
    Err(SessionError::Checkpoint {
        reason: format!("the model folder has no tokenizer.json{advice}"),
        path: folder.to_owned(),
    })
}

fn required(folder: &Path, name: &str) -> Result<Vec<u8>, SessionError> {
    optional(folder, name)?.ok_or_else(|| SessionError::Checkpoint {
        reason: format!("the model folder has no {name}"),
        path: folder.to_owned(),
    })
}

pub(super) fn optional(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, SessionError> {
    let path = folder.join(name);
    match read_at_most(&path, MOST_BYTES) {
        Ok(bytes) => {
            refuse_pointer(&bytes, &path)?;
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).io("read a part of the checkpoint", &path),
    }
}

/// What git leaves in the place of a large file that was not fetched (<https://git-lfs.com>).
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Refuses contents that only say where the real ones can be had.
pub(super) fn refuse_pointer(contents: &[u8], path: &Path) -> Result<(), SessionError> {
    if !contents.starts_with(POINTER) {
        return Ok(());
    }
    Err(SessionError::Checkpoint {
        reason: "this is a Git LFS pointer and not the file itself; run `git lfs pull` in its folder, or fetch the file from the hub"
            .to_owned(),
        path: path.to_owned(),
    })
}

/// As [`refuse_pointer`], of a file that is not read here.
fn refuse_pointer_file(path: &Path) -> Result<(), SessionError> {
    let action = "read the weights";
    let mut front = Vec::new();
    open_regular(path)
        .io(action, path)?
        .take(POINTER.len() as u64)
        .read_to_end(&mut front)
        .io(action, path)?;
    refuse_pointer(&front, path)
}

fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, SessionError> {
    let single = folder.join("model.safetensors");
    let files = match single.is_file() {
        true => Some(vec![single]),
        false => optional(folder, "model.safetensors.index.json")?
            .map(|index| shards(folder, &index))
            .transpose()?,
    };
    if let Some(files) = files {
        for file in &files {
            refuse_pointer_file(file)?;
        }
        return Ok(files);
    }
    Err(SessionError::Checkpoint {
        reason: no_weights(folder),
        path: folder.to_owned(),
    })
}

fn no_weights(folder: &Path) -> String {
    let pickle = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            let path = entry.path();
            path.extension()
                .is_some_and(|e| e == "bin" || e == "pt" || e == "pth")
        });
    let advice = if pickle {
        "; Python pickles (.bin, .pt) are not read because they can run code: load them in transformers and call save_pretrained(folder, safe_serialization=True)"
    } else {
        ""
    };
    format!(
        "the model folder has neither model.safetensors nor model.safetensors.index.json{advice}"
    )
}

/// The distinct files that an index names, each of which must lie in the folder itself.
fn shards(folder: &Path, index: &[u8]) -> Result<Vec<PathBuf>, SessionError> {
    let path = folder.join("model.safetensors.index.json");
    let wrong = |reason: String| SessionError::Checkpoint {
        reason,
        path: path.clone(),
    };
    let value: Value = serde_json::from_slice(index)
        .map_err(|error| wrong(format!("the index is not JSON ({error})")))?;
    let map = value
        .get("weight_map")
        .and_then(Value::as_object)
        .ok_or_else(|| wrong("the index has no 'weight_map'".to_owned()))?;
    let mut files = Vec::new();
    for name in map.values() {
        let name = name
            .as_str()
            .ok_or_else(|| wrong(format!("the index names {name} as a file")))?;
        if Path::new(name).file_name().is_none_or(|file| file != name) {
            return Err(wrong(format!(
                "the index points outside the model folder, to '{name}'"
            )));
        }
        let file = folder.join(name);
        if !file.is_file() {
            return Err(wrong(format!(
                "the shard '{name}' that the index names is missing"
            )));
        }
        files.push(file);
    }
    files.sort();
    files.dedup();
    if files.is_empty() {
        return Err(wrong("the index names no files".to_owned()));
    }
    Ok(files)
}
