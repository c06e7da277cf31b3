//! Which sample files were found to be those that were written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::opened_file::{OpenedFile, Stamp, broken};
use crate::SessionError;

/// Hashing a large sample takes longer than reading it, so each file is hashed once, until its length or the time of
/// its last change differs.
#[derive(Debug, Default)]
pub(super) struct VerifiedFiles {
    stamps: Mutex<HashMap<PathBuf, (Stamp, String)>>,
}

impl VerifiedFiles {
    /// Opens a file, which must have this SHA-256.
    pub(super) fn open(&self, path: &Path, sha256: &str) -> Result<OpenedFile, SessionError> {
        let mut file = OpenedFile::open(path)?;
        let known = (file.stamp().clone(), sha256.to_owned());
        if known.0.tells_changes() && self.stamps().get(path) == Some(&known) {
            return Ok(file);
        }
        require_sha256(&mut file, sha256)?;
        self.stamps().insert(path.to_owned(), known);
        Ok(file)
    }

    /// An entry is put in whole, so the map is sound whatever panicked.
    fn stamps(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (Stamp, String)>> {
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a sample's file is the one that was written.
pub(crate) fn is_intact(path: &Path, sha256: &str) -> bool {
    OpenedFile::open(path).is_ok_and(|mut file| require_sha256(&mut file, sha256).is_ok())
}

fn require_sha256(file: &mut OpenedFile, sha256: &str) -> Result<(), SessionError> {
    if file.sha256()? == sha256 {
        return file.require_unchanged();
    }
    Err(broken(
        file.path(),
        "is not the one that was written (its SHA-256 differs): truncated, or changed",
    ))
}
