//! `manifest.json`: what was captured, with what, and how far it is.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::SessionError;
use crate::error::Context;
use crate::files::write_file;
use crate::model::{ModelConfig, ModelIdentity, RopeConfig};
use crate::plan::CapturePlan;

/// Version of the folder's layout that this program writes. It reads this one and those before:
/// version 2 added ready-made scores in place of queries.
pub const FORMAT_VERSION: u32 = 2;

/// Name of the manifest in the session folder.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";

/// The sizes of the model that a reader of the session needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelShape {
    /// L.
    pub layers: usize,
    /// H.
    pub query_heads: usize,
    /// G.
    pub kv_heads: usize,
    /// D.
    pub head_dim: usize,
    /// L entries: keys that a query of the layer sees, itself included; null for all.
    pub sliding_windows: Vec<Option<usize>>,
    /// How positions become angles, so that a query can be turned back; null where layers differ in it or some do
    /// not rotate. Sessions of earlier programs do not say.
    #[serde(default)]
    pub rope: Option<RopeConfig>,
}

impl From<&ModelConfig> for ModelShape {
    fn from(config: &ModelConfig) -> Self {
        Self {
            layers: config.layers,
            query_heads: config.query_heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            sliding_windows: config.sliding_windows.clone(),
            rope: config.one_rope().cloned(),
        }
    }
}

/// How far a sample is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum SampleState {
    /// Not captured yet.
    Pending,
    /// Its file is there.
    Finished {
        /// Name of the file in the session folder.
        file: String,
        /// SHA-256 of the file.
        sha256: String,
        /// T.
        prompt_tokens: usize,
        /// S.
        decode_tokens: usize,
    },
    /// It could not be captured; the others go on.
    Failed {
        /// A sentence.
        reason: String,
    },
}

/// A sample of the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleEntry {
    /// Unique in the session.
    pub id: String,
    /// SHA-256 of the sample as it was given (prompt, answer, fields), so that resuming with other data is noticed.
    pub sample_sha256: String,
    /// How far it is.
    #[serde(flatten)]
    pub state: SampleState,
}

/// The whole of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Layout of the folder, see [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Version of the program that wrote it.
    pub kvlens_version: String,
    /// When it was begun, in seconds since 1970.
    pub created_unix_secs: u64,
    /// What was asked for.
    pub plan: CapturePlan,
    /// Name and hashes of the model.
    pub model: ModelIdentity,
    /// SHA-256 of weights that windows loaded besides the model's own (a drafting checkpoint, trained tokens), by
    /// the windows' labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub window_weights_sha256: BTreeMap<String, Vec<String>>,
    /// Sizes of the model.
    pub shape: ModelShape,
    /// Device that ran it.
    pub device: String,
    /// Number format that it ran in.
    pub dtype: String,
    /// The samples in the order of the data.
    pub samples: Vec<SampleEntry>,
}

impl Manifest {
    /// Reads and checks the manifest of a session folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, SessionError> {
        let path = folder.join(MANIFEST_FILE);
        let wrong = |reason: String| SessionError::Session {
            reason,
            path: path.clone(),
        };
        if !folder.is_dir() {
            return Err(wrong("there is no such session folder".to_owned()));
        }
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(wrong(
                    "the folder is no KVLens session: it has no manifest.json".to_owned(),
                ));
            }
            read => read.io("read the session's manifest", &path)?,
        };
        let value: Value = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("the session's manifest is damaged ({error})")))?;
        let version = value
            .get("format_version")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        if version > u64::from(FORMAT_VERSION) {
            return Err(wrong(format!(
                "the session has format version {version}, but this program reads up to {FORMAT_VERSION}; use a newer KVLens"
            )));
        }
        let manifest: Self = serde_json::from_value(value)
            .map_err(|error| wrong(format!("the session's manifest is damaged ({error})")))?;
        manifest.check_files().map_err(wrong)?;
        Ok(manifest)
    }

    /// A sample file must lie in the folder itself.
    fn check_files(&self) -> Result<(), String> {
        for entry in &self.samples {
            if let SampleState::Finished { file, .. } = &entry.state
                && Path::new(file)
                    .file_name()
                    .is_none_or(|name| name != file.as_str())
            {
                return Err(format!(
                    "the manifest points outside the session folder, to '{file}'"
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<(), SessionError> {
        let path = folder.join(MANIFEST_FILE);
        let text = serde_json::to_vec_pretty(self).map_err(|error| SessionError::Session {
            reason: format!("the manifest cannot be written as JSON ({error})"),
            path: path.clone(),
        })?;
        write_file(&path, &text)
    }

    /// Entries whose files are there.
    pub fn finished(&self) -> impl Iterator<Item = &SampleEntry> {
        self.samples
            .iter()
            .filter(|entry| matches!(entry.state, SampleState::Finished { .. }))
    }
}
