//! `manifest.json`: what was captured, with what, and how far it is.

use std::collections::BTreeMap;
use std::path::Path;

use kvlens_datasets::read_at_most;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::journal;
use super::pack::is_packed;
use crate::SessionError;
use crate::error::Context;
use crate::files::{UNSEALED, is_sealed, seal, write_file};
use crate::model::{ModelConfig, ModelIdentity, RopeConfig, TextRules};
use crate::plan::CapturePlan;

/// Version of the folder's layout that this program writes. It reads this one and those before:
/// version 2 added ready-made scores in place of queries, version 3 the journal and the manifest's own hash, version 4
/// samples without keys.
pub const FORMAT_VERSION: u32 = 4;

/// Far above what a million samples take.
pub(super) const MOST_BYTES: u64 = 1 << 30;

/// Manifests before this version had no hash of their own.
const FIRST_SEALED_VERSION: u64 = 3;

/// Name of the manifest in the session folder.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";

/// Name of the file that whoever writes the session locks.
pub(crate) const LOCK_FILE: &str = "session.lock";

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
    /// What else of the model shaped the samples; sessions of earlier programs do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_rules: Option<TextRules>,
    /// Sizes of the model.
    pub shape: ModelShape,
    /// Device that ran it.
    pub device: String,
    /// Number format that it ran in.
    pub dtype: String,
    /// The samples in the order of the data.
    pub samples: Vec<SampleEntry>,
}

/// What is looked at before the rest, of which a newer program may make anything.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format_version: Value,
    #[serde(default)]
    manifest_sha256: Value,
}

/// What is written: the manifest behind its own hash.
#[derive(Serialize)]
struct Sealed<'a> {
    manifest_sha256: &'static str,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

/// A manifest as it was found.
pub(crate) struct Found {
    pub(crate) manifest: Manifest,
    /// What of it, or of its journal, was changed since it was written; nothing where that cannot be told, as of
    /// manifests of earlier programs.
    pub(crate) changed: Option<String>,
}

impl Manifest {
    /// Reads and checks the manifest of a session folder, with its journal.
    pub(crate) fn read(folder: &Path) -> Result<Self, SessionError> {
        let Found { manifest, changed } = Self::find(folder)?;
        match changed {
            None => Ok(manifest),
            Some(what) => Err(SessionError::Session {
                reason: format!(
                    "{what} since it was written, by hand or by a fault of the disk; restore it, or run the command that captured the session with --resume, which writes it anew"
                ),
                path: folder.join(MANIFEST_FILE),
            }),
        }
    }

    /// As [`read`](Self::read), but gives what was changed, too: for whoever holds it against what it should be.
    pub(crate) fn find(folder: &Path) -> Result<Found, SessionError> {
        let path = folder.join(MANIFEST_FILE);
        let wrong = |reason: String| SessionError::Session {
            reason,
            path: path.clone(),
        };
        if !folder.is_dir() {
            let reason = match (folder.is_file(), is_packed(folder)) {
                (true, true) => {
                    "a packed session is read from its folder; write that by kvlens session unpack"
                }
                (true, false) if folder.extension().is_some_and(|ending| ending == "zip") => {
                    "it is no zip file, or a damaged one; get the packed session again"
                }
                (true, false) => "it is a file, and a session is a folder (NAME.kvlens)",
                (false, _) => "there is no such session folder",
            };
            return Err(SessionError::Session {
                reason: reason.to_owned(),
                path: folder.to_owned(),
            });
        }
        // before the manifest, which may take its lines over meanwhile
        let journal = journal::lines(&journal::bytes(folder)?);
        let text = match read_at_most(&path, MOST_BYTES) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(wrong(
                    "the folder is no KVLens session: it has no manifest.json".to_owned(),
                ));
            }
            read => read.io("read the session's manifest", &path)?,
        };
        let Found {
            mut manifest,
            mut changed,
        } = Self::parse(&text).map_err(wrong)?;
        if let Some(line) = journal.damaged {
            changed.get_or_insert(format!("line {line} of the session's journal was changed"));
        }
        for entry in journal.entries {
            let sample = manifest.samples.get_mut(entry.index);
            match sample.filter(|sample| sample.id == entry.id) {
                Some(sample) => sample.state = entry.state,
                None => {
                    let what = "the session's journal names other samples and was changed";
                    changed.get_or_insert(what.to_owned());
                }
            }
        }
        manifest.check_files().map_err(wrong)?;
        Ok(Found { manifest, changed })
    }

    /// Reads a manifest's bytes alone; a sentence for what is none that this program reads.
    pub(super) fn parse(text: &[u8]) -> Result<Found, String> {
        let damaged = |error| format!("the session's manifest is damaged ({error})");
        let head: Head = serde_json::from_slice(text).map_err(damaged)?;
        let version = head.format_version.as_u64().unwrap_or(0);
        if version > u64::from(FORMAT_VERSION) {
            return Err(format!(
                "the session has format version {version}, but this program reads up to {FORMAT_VERSION}; use a newer KVLens"
            ));
        }
        let is_changed = match head.manifest_sha256.as_str() {
            Some(hash) => !is_sealed(text, hash),
            None => version >= FIRST_SEALED_VERSION,
        };
        let manifest: Self = serde_json::from_slice(text).map_err(damaged)?;
        manifest.check_files()?;
        Ok(Found {
            manifest,
            changed: is_changed.then(|| "the session's manifest was changed".to_owned()),
        })
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
        write_file(&folder.join(MANIFEST_FILE), &self.sealed()?)
    }

    /// What is written.
    pub(super) fn sealed(&self) -> Result<Vec<u8>, SessionError> {
        let sealed = Sealed {
            manifest_sha256: UNSEALED,
            manifest: self,
        };
        let text = serde_json::to_vec_pretty(&sealed);
        let mut text = text.map_err(|error| SessionError::Internal {
            reason: format!("the manifest cannot be written as JSON ({error})"),
        })?;
        seal(&mut text);
        Ok(text)
    }

    /// Entries whose files are there.
    pub fn finished(&self) -> impl Iterator<Item = &SampleEntry> {
        self.samples
            .iter()
            .filter(|entry| matches!(entry.state, SampleState::Finished { .. }))
    }
}
