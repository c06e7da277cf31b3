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
//! always kept (`recent=0`); heads are not grouped, `measure --group` does so.
//!
//! The weights lie in one file (`windows/trained_file.rs`) beside the model, `judge-q.safetensors` or
//! `lookahead-kv.safetensors`, or where `file=PATH` says. A file for other weights is refused.

use std::path::PathBuf;

use kvlens_analysis::{ForcedKeep, Pooling, Scoring};
use serde::{Deserialize, Serialize};

use super::trained_file::{TrainedFile, TrainedSize};
use super::{ObservationWindow, SoftTokens, WindowLabel};
use crate::SessionError;
use crate::error::Context;
use crate::footprint::{RunShape, WindowMemory};
use crate::model::{Companion, Model, ModelSource};
use crate::observation::Observation;
use crate::prefill::{Needs, Prefilled, RunControl};

/// As the pipelines pool that the windows were put into.
const PUBLISHED_POOLING: Pooling = Pooling::Max { kernel: 7 };

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

/// A window whose rows were trained.
#[derive(Debug)]
pub struct Trained {
    label: String,
    method: TrainedMethod,
    file: Option<PathBuf>,
    pool: Pooling,
    recent: usize,
    rows: Option<SoftTokens>,
    file_sha256: Option<String>,
}

impl Trained {
    /// From `judge-q[:file=PATH,pool=max:7,recent=0]`.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for any other option.
    pub fn judge_q(label: &WindowLabel) -> Result<Self, SessionError> {
        Self::from_label(label, TrainedMethod::JudgeQ)
    }

    /// From `lookahead-kv[:file=PATH,pool=max:7,recent=0]`.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for any other option.
    pub fn lookahead_kv(label: &WindowLabel) -> Result<Self, SessionError> {
        Self::from_label(label, TrainedMethod::LookaheadKv)
    }

    fn from_label(label: &WindowLabel, method: TrainedMethod) -> Result<Self, SessionError> {
        let mut options = label.options();
        let window = Self {
            label: label.text().to_owned(),
            method,
            file: options.text("file").map(PathBuf::from),
            pool: options.pooling(PUBLISHED_POOLING)?,
            recent: options.parsed("recent", 0)?,
            rows: None,
            file_sha256: None,
        };
        options.finish()?;
        Ok(window)
    }

    /// A window of rows in memory, with the defaults of its method.
    pub(crate) fn of_rows(method: TrainedMethod, rows: SoftTokens) -> Self {
        Self {
            label: method.name().to_owned(),
            method,
            file: None,
            pool: PUBLISHED_POOLING,
            recent: 0,
            rows: Some(rows),
            file_sha256: None,
        }
    }

    /// The bytes of the file that the label names, or of the one beside the model, and where it lies.
    fn read(&self, source: &ModelSource) -> Result<(Vec<u8>, PathBuf), SessionError> {
        if let Some(path) = &self.file {
            let bytes = std::fs::read(path).io("read the trained window", path)?;
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

    fn rows(&self) -> Result<&SoftTokens, SessionError> {
        self.rows.as_ref().ok_or_else(|| SessionError::Internal {
            reason: format!("window '{}' was not prepared", self.label),
        })
    }
}

impl ObservationWindow for Trained {
    fn label(&self) -> &str {
        &self.label
    }

    fn needs(&self) -> Needs {
        self.rows
            .as_ref()
            .map(SoftTokens::needs)
            .unwrap_or_default()
    }

    fn scoring(&self) -> Scoring {
        Scoring {
            pool: self.pool,
            ..Scoring::default()
        }
    }

    fn forced_keep(&self) -> ForcedKeep {
        ForcedKeep {
            sinks: 0,
            recent: self.recent,
        }
    }

    fn prepare(&mut self, model: &Model) -> Result<(), SessionError> {
        let (bytes, path) = self.read(model.source())?;
        let file = TrainedFile::from_bytes(&bytes, &path, self.method, model)?;
        let (embeddings, adapters) = file.for_model(model)?;
        let mut rows = SoftTokens::new(&self.label, embeddings)?.with_adapters(adapters);
        rows.prepare(model)?;
        self.rows = Some(rows);
        self.file_sha256 = Some(file.sha256);
        Ok(())
    }

    fn loaded_weights_sha256(&self) -> Vec<String> {
        self.file_sha256.iter().cloned().collect()
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let (bytes, path) = self.read(run.source)?;
        let size = TrainedSize::of(&bytes, &path)?;
        let loaded = (size.numbers * run.element_bytes) as f64;
        Ok(WindowMemory {
            loaded: run.beside_the_model(loaded),
            ..run.observed_by_rows(size.rows, size.rows)
        })
    }

    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        let (rows, cost) = self.rows()?.run(model, prefilled, control)?;
        Observation::by_queries(self.info(Vec::new(), cost), rows)
    }
}
