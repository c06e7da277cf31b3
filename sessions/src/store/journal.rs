//! `journal.jsonl`: what became of samples since the manifest was written. A line is appended and synced for each, so
//! that a sample costs the same however many there are; the manifest takes the lines over when a capture begins or ends.
//! The sample of a last line that is not whole is captured again.

use std::path::Path;

use kvlens_datasets::read_at_most;
use serde::{Deserialize, Serialize};

use super::manifest::SampleState;
use crate::SessionError;
use crate::error::Context;
use crate::files::{ReadLines, SealedLines, read_lines};

/// Name of the journal in the session folder.
pub(crate) const JOURNAL_FILE: &str = "journal.jsonl";

/// Far above what a million samples take.
const MOST_BYTES: u64 = 1 << 30;

/// What became of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JournalEntry {
    /// Its place in the manifest.
    pub(super) index: usize,
    /// Its id, which stands there.
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) state: SampleState,
}

/// The journal of a running capture.
pub(crate) struct Journal {
    lines: SealedLines,
}

impl Journal {
    /// Begins one anew.
    pub(crate) fn begin(folder: &Path) -> Result<Self, SessionError> {
        remove(folder)?;
        Ok(Self {
            lines: SealedLines::begin(&folder.join(JOURNAL_FILE))?,
        })
    }

    /// Adds a line, which is on disk afterwards.
    pub(crate) fn add(
        &mut self,
        index: usize,
        id: &str,
        state: &SampleState,
    ) -> Result<(), SessionError> {
        self.lines.add_synced(&JournalEntry {
            index,
            id: id.to_owned(),
            state: state.clone(),
        })
    }
}

/// Removes the journal of a folder, once the manifest has all of it.
pub(crate) fn remove(folder: &Path) -> Result<(), SessionError> {
    let path = folder.join(JOURNAL_FILE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).io("remove the session's journal", &path)
        }
        _ => Ok(()),
    }
}

/// The bytes of a folder's journal; none where there is none.
pub(super) fn bytes(folder: &Path) -> Result<Vec<u8>, SessionError> {
    let path = folder.join(JOURNAL_FILE);
    match read_at_most(&path, MOST_BYTES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.io("read the session's journal", &path),
    }
}

/// The lines of a journal.
pub(super) fn lines(bytes: &[u8]) -> ReadLines<JournalEntry> {
    read_lines(bytes)
}
