//! Windows that were trained for one model: Judge Q and LookaheadKV.
//!
//! **Judge Q** (arXiv 2509.10798): n soft tokens behind the prompt, of which only the embeddings were trained,
//! so that the mean of their attention over the prompt is that of the model's own response (MSE).
//! **LookaheadKV** (published 2026; see METHODS.md, section 3): n learned tokens and low-rank additions to the
//! linear layers, active on their rows alone, trained by the KL divergence between the decode stage's
//! importance and theirs.
//!
//! Both observe with the rows' queries `[L, H, n, D]` at positions T..T+n-1; score of prompt token j: the mean
//! over the rows of their attention on j. Left open by what is known of the papers, so options with a default:
//! pooling (`pool=max:7`, as the SnapKV pipelines run that they were put into) and whether recent tokens are
//! always kept (`recent=0`), and whether the query heads of a key/value head are scored as one. The eviction class of
//! LookaheadKV's repository has a reduction that a wrapper of it sets to `mean` (malmong/RESCUE): likely this one, so
//! `group=mean` is the likelier rule of that method. Here no heads are grouped unless it is asked for.
//!
//! The weights lie in one file (`windows/trained_file.rs`) beside the model, `judge-q.safetensors` or
//! `lookahead-kv.safetensors`, or where `file=PATH` says. A file for other weights is refused, unless `weights=any`
//! says that it is to be taken all the same: the same model in another format (a GGUF file, bf16) has other bits.
//! The word stays in the window's label, and so in every manifest and table; shapes must fit as ever.

use std::path::PathBuf;

use kvlens_analysis::{Pooling, Scoring};
use kvlens_datasets::read_at_most;
use serde::{Deserialize, Serialize};

use super::trained_file::{TakenWeights, TrainedFile, TrainedSize};
use super::window::Unloaded;
use super::{Observe, Observed, ReadyWindow, Run, SoftTokens, Window, WindowOptions};
use crate::SessionError;
use crate::error::Context;
use crate::footprint::{RunShape, WindowMemory};
use crate::model::{Companion, MOST_WINDOW_BYTES, Model, ModelSource};
use crate::prefill::Needs;

/// Mean over the rows, pooled as the pipelines pool that the windows were put into.
fn published_scoring() -> Scoring {
    Scoring {
        pool: Pooling::Max { kernel: 7 },
        ..Scoring::default()
    }
}

/// Which training made a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainedMethod {
    /// Soft tokens by MSE.
    JudgeQ,
    /// Lookahead tokens with adapters by KL.
    LookaheadKv,
}

impl TrainedMethod {
    /// The window's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::JudgeQ => "judge-q",
            Self::LookaheadKv => "lookahead-kv",
        }
    }

    /// The file's name beside a model.
    pub fn file_name(self) -> String {
        format!("{}.safetensors", self.name())
    }
}

/// A window whose rows were trained, before they are read.
struct Trained {
    label: String,
    method: TrainedMethod,
    file: Option<PathBuf>,
    takes: TakenWeights,
}

/// A trained window with its rows.
struct LoadedRows {
    rows: SoftTokens,
    file_sha256: String,
}

/// From `judge-q[:file=PATH,weights=same]`.
pub(super) fn judge_q(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    trained(options, TrainedMethod::JudgeQ)
}

/// From `lookahead-kv[:file=PATH,weights=same]`.
pub(super) fn lookahead_kv(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    trained(options, TrainedMethod::LookaheadKv)
}

fn trained(options: &mut WindowOptions<'_>, method: TrainedMethod) -> Result<Window, SessionError> {
    let window = Trained {
        label: options.label().to_owned(),
        method,
        file: options.text("file").map(PathBuf::from),
        takes: taken_weights(options)?,
    };
    Ok(Window::new(true, window).scored(published_scoring()))
}

fn taken_weights(options: &mut WindowOptions<'_>) -> Result<TakenWeights, SessionError> {
    let label = options.label().to_owned();
    match options.text("weights") {
        None | Some("same") => Ok(TakenWeights::Same),
        Some("any") => Ok(TakenWeights::Any),
        Some(other) => Err(SessionError::Plan {
            reason: format!(
                "window '{label}': weights={other} is not known; it is `same` (the file must have been trained on the very weights that run) or `any`"
            ),
        }),
    }
}

impl TrainedMethod {
    /// A window of rows in memory, with the defaults of its method.
    pub(crate) fn window_of(self, rows: SoftTokens) -> ReadyWindow {
        ReadyWindow::new(self.name(), rows).scored(published_scoring())
    }
}

impl Trained {
    /// The bytes of the file that the label names, or of the one beside the model, and where it lies.
    fn read(&self, source: &ModelSource) -> Result<(Vec<u8>, PathBuf), SessionError> {
        if let Some(path) = &self.file {
            let bytes =
                read_at_most(path, MOST_WINDOW_BYTES).io("read the trained window", path)?;
            return Ok((bytes, path.clone()));
        }
        let name = self.method.file_name();
        match Companion::find(source, &name) {
            Some(found) => Ok((found.read()?, found.path)),
            None => Err(SessionError::Plan {
                reason: format!(
                    "window '{}' needs weights that were trained for the model '{source}': make them with `kvlens train {}` and put them beside it as {name}, or name them with file=PATH",
                    self.label,
                    self.method.name()
                ),
            }),
        }
    }

    fn size(&self, source: &ModelSource) -> Result<TrainedSize, SessionError> {
        let (bytes, path) = self.read(source)?;
        TrainedSize::of(&bytes, &path)
    }
}

impl Unloaded for Trained {
    fn needs_with(&self, source: &ModelSource) -> Result<Needs, SessionError> {
        let rows = self.size(source)?.rows;
        Ok(Needs {
            extra_tokens: rows,
            extra_positions: rows,
            ..Needs::default()
        })
    }

    fn footprint(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let size = self.size(run.source)?;
        let loaded = (size.numbers * run.element_bytes) as f64;
        Ok(WindowMemory {
            loaded: run.beside_the_model(loaded),
            ..run.observed_by_rows(size.rows, size.rows)
        })
    }

    fn load(self: Box<Self>, model: &Model) -> Result<Box<dyn Observe>, SessionError> {
        let (bytes, path) = self.read(model.source())?;
        let file = TrainedFile::from_bytes(&bytes, &path, self.method, self.takes, model)?;
        let (embeddings, adapters) = file.for_model(model)?;
        Ok(Box::new(LoadedRows {
            rows: SoftTokens::new(model, &embeddings, adapters)?,
            file_sha256: file.sha256,
        }))
    }
}

impl Observe for LoadedRows {
    fn needs(&self) -> Needs {
        self.rows.needs()
    }

    fn loaded_weights_sha256(&self) -> Vec<String> {
        vec![self.file_sha256.clone()]
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        self.rows.observe(run)
    }
}
