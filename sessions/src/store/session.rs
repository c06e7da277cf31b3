//! Opening a session and reading its samples one by one.

use std::path::{Path, PathBuf};

use super::manifest::{MANIFEST_FILE, Manifest, SampleState};
use super::sample_file::{CapturedSample, read_sample};
use crate::SessionError;
use crate::error::Context;
use crate::model::sha256_hex;

/// An open session. Only the manifest is read; samples are loaded when asked for.
#[derive(Debug, Clone)]
pub struct Session {
    path: PathBuf,
    name: String,
    manifest: Manifest,
}

impl Session {
    /// Opens a session folder.
    ///
    /// # Errors
    /// [`SessionError::Session`] for a folder that is no session, a damaged manifest, a newer format, or a
    /// manifest that points outside the folder.
    pub fn open(path: &Path) -> Result<Self, SessionError> {
        let manifest = Manifest::read(path)?;
        let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = absolute.file_stem().map_or_else(
            || path.display().to_string(),
            |stem| stem.to_string_lossy().into_owned(),
        );
        Ok(Self {
            path: path.to_owned(),
            name,
            manifest,
        })
    }

    /// The folder's name without `.kvlens`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was captured, and how far it is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest, which holds those of all samples: what names the session's content.
    ///
    /// # Errors
    /// [`SessionError::Io`] when the manifest cannot be read any more.
    pub fn sha256(&self) -> Result<String, SessionError> {
        let path = self.path.join(MANIFEST_FILE);
        let bytes = std::fs::read(&path).io("read the session's manifest", &path)?;
        Ok(sha256_hex(&bytes))
    }

    /// Finished samples.
    pub fn sample_count(&self) -> usize {
        self.manifest.finished().count()
    }

    /// Loads the finished sample number `index`, counted over finished samples only.
    ///
    /// # Errors
    /// [`SessionError::Session`] for an index past the end, or for a file that is missing, truncated or not
    /// the one that the manifest was written for.
    pub fn load_sample(&self, index: usize) -> Result<CapturedSample, SessionError> {
        let entry = self.manifest.finished().nth(index);
        let Some(SampleState::Finished { file, sha256, .. }) = entry.map(|entry| &entry.state)
        else {
            return Err(SessionError::Session {
                reason: format!(
                    "the session has {} finished samples, no number {index}",
                    self.sample_count()
                ),
                path: self.path.clone(),
            });
        };
        let path = self.path.join(file);
        let bytes = read_intact(&path, sha256)?;
        read_sample(&bytes, &path, &self.manifest.shape)
    }
}

/// Whether a sample's file is the one that was written.
pub(crate) fn is_intact(path: &Path, sha256: &str) -> bool {
    read_intact(path, sha256).is_ok()
}

fn read_intact(path: &Path, sha256: &str) -> Result<Vec<u8>, SessionError> {
    let broken = |what: String| SessionError::Session {
        reason: format!(
            "the sample file {what}; the command that captured the session, with --resume, captures it again"
        ),
        path: path.to_owned(),
    };
    let bytes = std::fs::read(path).map_err(|error| broken(format!("cannot be read ({error})")))?;
    if sha256_hex(&bytes) != *sha256 {
        let what = "is not the one that was written (its SHA-256 differs): truncated, or changed";
        return Err(broken(what.to_owned()));
    }
    Ok(bytes)
}
