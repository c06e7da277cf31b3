//! Which sample files were found to be those that were written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::manifest::{ModelShape, SampleEntry, SampleState};
use super::opened_file::{OpenedFile, Stamp, broken};
use super::sample_reader::SampleReader;
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

/// The state of a finished sample if its file is the one that was written; with `recount`, by the file alone and not by
/// what the entry says of it.
pub(crate) fn found_in_file(
    folder: &Path,
    entry: &SampleEntry,
    shape: &ModelShape,
    recount: bool,
) -> Option<SampleState> {
    let SampleState::Finished { file, sha256, .. } = &entry.state else {
        return None;
    };
    let mut opened = OpenedFile::open(&folder.join(file)).ok()?;
    require_sha256(&mut opened, sha256).ok()?;
    if !recount {
        return Some(entry.state.clone());
    }
    let reader = SampleReader::new(opened, shape).ok()?;
    let record = &reader.header().record;
    (record.id == entry.id).then(|| SampleState::Finished {
        file: file.clone(),
        sha256: sha256.clone(),
        prompt_tokens: record.prompt_ids.len(),
        decode_tokens: record.generated_ids.len(),
    })
}

/// Refuses a file of another SHA-256.
pub(super) fn require_sha256(file: &mut OpenedFile, sha256: &str) -> Result<(), SessionError> {
    if file.sha256()? == sha256 {
        return file.require_unchanged();
    }
    Err(broken(
        file.path(),
        "is not the one that was written (its SHA-256 differs): truncated, or changed",
    ))
}
