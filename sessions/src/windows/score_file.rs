//! Scores that another program made, from a file: whatever ranks prompt tokens is a window like any other.
//!
//! One safetensors file. For each prompt I, counted from 0: `I.prompt_ids` [T] (i64 or u32), the ids that were scored,
//! and `I.scores` [L, heads, T] (f32, f16 or bf16), higher for what is kept, with one head for the whole layer, one for
//! each key/value head or one for each query head. Its metadata has one key, `kvlens`: JSON with `format_version` (1)
//! and `pooled`, whether the scores are smoothed along positions already; then `pool=` is refused.
//!
//! Or a Parquet table (a file of that ending) with one row for each score, see [`score_table`](super::score_table).
//!
//! A prompt is found by its ids, so a file for other prompts or another tokenizer is refused and not misread. What the
//! method always keeps is said by `recent=N` and `sinks=N` of the window.

use std::path::{Path, PathBuf};

use candle_core::safetensors::Load as _;
use candle_core::{DType, Device, Tensor};
use kvlens_analysis::Pooling;
use kvlens_datasets::read_at_most;
use safetensors::SafeTensors;
use serde::Deserialize;

use super::score_table;
use super::window::Unloaded;
use super::{Observe, Observed, Run, Window, WindowOptions, registered};
use crate::SessionError;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::hash::sha256_hex;
use crate::model::{Model, ModelConfig, ModelSource};
use crate::observation::{ScoreKind, TokenScores};
use crate::prefill::Needs;

/// The one metadata key of the file.
const METADATA: &str = "kvlens";

/// The newest form of the file that this program knows.
const FORMAT_VERSION: u32 = 1;

/// Far above what scores of many prompts take.
const MOST_BYTES: u64 = 16 << 30;

/// What the file says of itself.
#[derive(Deserialize)]
struct Header {
    format_version: u32,
    pooled: bool,
}

/// The window before its file is read.
struct ScoreFile {
    path: PathBuf,
    /// Whether pooling was typed.
    pools: bool,
}

/// The prompts of a file.
struct LoadedScores {
    path: PathBuf,
    prompts: Vec<ScoredPrompt>,
    sha256: String,
}

/// One prompt with its scores.
pub(super) struct ScoredPrompt {
    /// Ids of its T tokens.
    pub(super) ids: Vec<i64>,
    /// `[L, heads, T]`, in the file's format.
    pub(super) scores: Tensor,
}

/// From `file:PATH[,name=NAME]`.
pub(super) fn score_file(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    let path = options.text("path");
    let path =
        path.ok_or_else(|| options.wrong("it needs a file, as in file:scores.safetensors"))?;
    let file = ScoreFile {
        path: PathBuf::from(path),
        pools: options.given::<Pooling>("pool")?.unwrap_or_default() != Pooling::None,
    };
    let window = Window::new(false, file);
    let Some(name) = options.text("name") else {
        return Ok(window);
    };
    let plain = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    if !name.chars().all(plain) || registered().iter().any(|kind| kind.name == name) {
        return Err(options.wrong(
            "name has letters, digits, '-', '_' and '.' alone, and is not that of another window",
        ));
    }
    Ok(window.named(name))
}

impl ScoreFile {
    fn read(&self) -> Result<Vec<u8>, SessionError> {
        let bytes = read_at_most(&self.path, MOST_BYTES);
        bytes.map_err(|error| refused(&self.path, &format!("cannot be read ({error})")))
    }
}

impl Unloaded for ScoreFile {
    fn needs_with(&self, _source: &ModelSource) -> Result<Needs, SessionError> {
        Ok(Needs::default())
    }

    fn footprint(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let metadata = std::fs::metadata(&self.path);
        let metadata =
            metadata.map_err(|error| refused(&self.path, &format!("cannot be read ({error})")))?;
        let heads = run.config.query_heads;
        Ok(WindowMemory {
            loaded: Memory::on_host(metadata.len() as f64),
            ..run.observed_by_scores(heads, Memory::on_host(run.scores(heads)))
        })
    }

    fn load(self: Box<Self>, model: &Model) -> Result<Box<dyn Observe>, SessionError> {
        let bytes = self.read()?;
        let is_table = self
            .path
            .extension()
            .is_some_and(|ending| ending == "parquet");
        let prompts = match is_table {
            true => score_table::read(&self.path)?,
            false => {
                let header = header(&bytes, &self.path)?;
                if header.pooled && self.pools {
                    return Err(refused(
                        &self.path,
                        "holds scores that are pooled already; leave out pool=",
                    ));
                }
                prompts(&bytes, &self.path)?
            }
        };
        let loaded = LoadedScores {
            sha256: sha256_hex(&bytes),
            path: self.path,
            prompts,
        };
        loaded.check(model.config())?;
        Ok(Box::new(loaded))
    }
}

fn header(bytes: &[u8], path: &Path) -> Result<Header, SessionError> {
    let (_, table) = SafeTensors::read_metadata(bytes)
        .map_err(|error| refused(path, &format!("is no safetensors file ({error})")))?;
    let text = table.metadata().as_ref().and_then(|all| all.get(METADATA));
    let text = text.ok_or_else(|| {
        refused(
            path,
            "does not say of itself what it holds: its metadata needs the key 'kvlens'",
        )
    })?;
    let header: Header = serde_json::from_str(text)
        .map_err(|error| refused(path, &format!("has unreadable metadata 'kvlens' ({error})")))?;
    if header.format_version > FORMAT_VERSION {
        return Err(refused(
            path,
            &format!(
                "has format {}, and this program knows up to {FORMAT_VERSION}; use a newer kvlens",
                header.format_version
            ),
        ));
    }
    Ok(header)
}

/// The prompts of a safetensors file in their order.
fn prompts(bytes: &[u8], path: &Path) -> Result<Vec<ScoredPrompt>, SessionError> {
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|error| refused(path, &format!("is damaged ({error})")))?;
    let mut prompts = Vec::new();
    for index in 0.. {
        let Ok(ids) = tensors.tensor(&format!("{index}.prompt_ids")) else {
            break;
        };
        let name = format!("{index}.scores");
        let scores = tensors
            .tensor(&name)
            .map_err(|_| refused(path, &format!("has no tensor '{name}'")))?;
        let ids = ids.load(&Device::Cpu)?.to_dtype(DType::I64)?;
        prompts.push(ScoredPrompt {
            ids: ids.flatten_all()?.to_vec1()?,
            scores: scores.load(&Device::Cpu)?,
        });
    }
    match prompts.is_empty() {
        true => Err(refused(
            path,
            "holds no prompt: there is no tensor '0.prompt_ids'",
        )),
        false => Ok(prompts),
    }
}

impl LoadedScores {
    /// Refuses scores that are of another model.
    fn check(&self, config: &ModelConfig) -> Result<(), SessionError> {
        for (index, prompt) in self.prompts.iter().enumerate() {
            let tokens = prompt.ids.len();
            let heads = [1, config.kv_heads, config.query_heads];
            let fits = |heads: &usize| prompt.scores.dims() == [config.layers, *heads, tokens];
            if !heads.iter().any(fits) {
                return Err(refused(
                    &self.path,
                    &format!(
                        "has scores {:?} of its prompt {index}, where the model and the prompt ask for [{}, {} or {} or 1, {tokens}]",
                        prompt.scores.dims(),
                        config.layers,
                        config.kv_heads,
                        config.query_heads
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The scores of the prompt with these ids.
    fn of(&self, prompt_ids: &[u32]) -> Result<Tensor, SessionError> {
        let ids = || prompt_ids.iter().map(|&id| i64::from(id));
        let mut prompts = self.prompts.iter();
        match prompts.find(|prompt| prompt.ids.iter().copied().eq(ids())) {
            Some(prompt) => Ok(prompt.scores.to_dtype(DType::F32)?),
            None => Err(SessionError::Plan {
                reason: format!(
                    "no prompt of the file has the ids of this one of {} tokens; score the same prompts with the same tokenizer: {}",
                    prompt_ids.len(),
                    self.path.display()
                ),
            }),
        }
    }
}

impl Observe for LoadedScores {
    fn loaded_weights_sha256(&self) -> Vec<String> {
        vec![self.sha256.clone()]
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let scores = self.of(run.prefilled.prompt_ids())?;
        Ok(TokenScores::new(ScoreKind::FromFile, &scores)?.into())
    }
}

pub(super) fn refused(path: &Path, what: &str) -> SessionError {
    SessionError::Plan {
        reason: format!("the file of scores {what}: {}", path.display()),
    }
}
