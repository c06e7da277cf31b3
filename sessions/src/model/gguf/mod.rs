//! One GGUF file as a checkpoint: what its header says is written down as the files of a Hugging Face folder,
//! so that everything behind reads one kind of checkpoint. Only the tensors stay what they are.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod config;
mod header;
mod merges;
mod pre_tokenizer;
mod tensors;
mod tokenizer;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

pub(crate) use header::{Header, TensorSize};
pub(super) use tensors::GgufTensors;

use super::checkpoint::{Checkpoint, WeightFiles, optional};
use crate::SessionError;

/// The checkpoint in a GGUF file. `tokenizer.json` and `tokenizer_config.json` beside it go before what the file
/// itself says.
pub(super) fn checkpoint(path: &Path) -> Result<Checkpoint, SessionError> {
    let header = Header::read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut warnings = Vec::new();
    let tokenizer = match optional(folder, "tokenizer.json")? {
        Some(beside) => beside,
        None => {
            warnings.extend(tokenizer::assumption(&header)?);
            tokenizer::tokenizer_json(&header)?.to_string().into_bytes()
        }
    };
    let tokenizer_config = match optional(folder, "tokenizer_config.json")? {
        Some(beside) => beside,
        None => tokenizer_config(&header)?.to_string().into_bytes(),
    };
    Ok(Checkpoint {
        name: path.file_stem().map_or_else(
            || path.display().to_string(),
            |stem| stem.to_string_lossy().into_owned(),
        ),
        config: config::config_json(&header)?.to_string().into_bytes(),
        tokenizer,
        tokenizer_config: Some(tokenizer_config),
        added_tokens: None,
        special_tokens_map: None,
        chat_template: None,
        generation_config: None,
        weights: WeightFiles::Gguf(Arc::new(header)),
        warnings,
    })
}

/// Chat template and special tokens, as `tokenizer_config.json` has them.
fn tokenizer_config(header: &Header) -> Result<Value, SessionError> {
    let tokens = header.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
    let mut config = Map::new();
    for (key, name) in [
        ("tokenizer.ggml.bos_token_id", "bos_token"),
        ("tokenizer.ggml.eos_token_id", "eos_token"),
        ("tokenizer.ggml.unknown_token_id", "unk_token"),
        ("tokenizer.ggml.padding_token_id", "pad_token"),
    ] {
        if let Some(token) = header.count(key)?.and_then(|id| tokens.get(id)) {
            config.insert(name.to_owned(), Value::from(*token));
        }
    }
    if let Some(template) = header.text("tokenizer.chat_template")? {
        config.insert("chat_template".to_owned(), Value::from(template));
    }
    Ok(Value::Object(config))
}

#[cfg(test)]
mod tests;
