//! `journal.jsonl`: what became of samples since the manifest was written. A line is appended and synced for each, so
//! that a sample costs the same however many there are; the manifest takes the lines over when a capture begins or ends.
//!
//! A line is the SHA-256 of its JSON, a space, and the JSON. A last line that is not whole is one that a killed run was
//! writing: its sample is captured again.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::SampleState;
use crate::SessionError;
use crate::error::Context;
use crate::files::read_at_most;
use crate::hash::sha256_hex;

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

/// What a journal holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct JournalLines {
    pub(super) entries: Vec<JournalEntry>,
    /// Number of the first line, counted from 1, that was changed since it was written, the last one apart.
    pub(super) damaged: Option<usize>,
}

/// The journal of a running capture.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Journal {
    /// Begins one anew.
    pub(crate) fn begin(folder: &Path) -> Result<Self, SessionError> {
        let path = folder.join(JOURNAL_FILE);
        remove(folder)?;
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        Ok(Self {
            file: file.io("write the session's journal", &path)?,
            path,
            bytes: 0,
        })
    }

    /// Adds a line, which is on disk afterwards.
    pub(crate) fn add(
        &mut self,
        index: usize,
        id: &str,
        state: &SampleState,
    ) -> Result<(), SessionError> {
        let entry = JournalEntry {
            index,
            id: id.to_owned(),
            state: state.clone(),
        };
        let json = serde_json::to_string(&entry).map_err(|error| SessionError::Internal {
            reason: format!("a line of the journal cannot be written as JSON ({error})"),
        })?;
        let line = format!("{} {json}\n", sha256_hex(json.as_bytes()));
        let written = self.file.write_all(line.as_bytes());
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // half a line must not stand before the next; the sample is captured again either way
            let _ = self.file.set_len(self.bytes);
            return Err(error).io("write the session's journal", &self.path);
        }
        self.bytes += line.len() as u64;
        Ok(())
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
pub(super) fn lines(bytes: &[u8]) -> JournalLines {
    let mut found = JournalLines::default();
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let last = bytes
        .strip_suffix(b"\n")
        .map_or(lines.len(), |_| lines.len() - 1);
    for (number, line) in (1..).zip(lines.iter().take(last)) {
        match entry(line) {
            Some(entry) => found.entries.push(entry),
            None if number == last => {}
            None => {
                found.damaged.get_or_insert(number);
            }
        }
    }
    found
}

fn entry(line: &[u8]) -> Option<JournalEntry> {
    let line = str::from_utf8(line).ok()?;
    let (hash, json) = line.split_once(' ')?;
    if hash != sha256_hex(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_and_damages_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(folder.path()).unwrap();
        let state = |reason: &str| SampleState::Failed {
            reason: reason.to_owned(),
        };
        for (index, reason) in ["a", "b\nc", "d"].into_iter().enumerate() {
            journal.add(index, "x", &state(reason)).unwrap();
        }
        let whole = bytes(folder.path()).unwrap();
        let read = lines(&whole);
        let reasons: Vec<_> = read
            .entries
            .iter()
            .map(|entry| entry.state.clone())
            .collect();
        assert_eq!(reasons, [state("a"), state("b\nc"), state("d")]);
        assert_eq!(read.damaged, None);
        let ends: Vec<usize> = (0..whole.len())
            .filter(|&place| whole[place] == b'\n')
            .collect();
        // cut anywhere: what was whole before stays
        for length in 0..whole.len() {
            let cut = lines(&whole[..length]);
            let complete = ends.iter().filter(|&&end| end < length).count();
            // a last line without its end may be all there
            assert!(
                [complete, complete + 1].contains(&cut.entries.len()),
                "{length}"
            );
            assert_eq!(cut.damaged, None, "{length}");
        }
        // a flipped bit before the last line is told
        for place in 0..ends[1] {
            let mut flipped = whole.clone();
            flipped[place] ^= 1;
            let read = lines(&flipped);
            assert!(read.damaged.is_some(), "{place}");
        }
    }
}
