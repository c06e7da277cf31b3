//! A file that grows line by line, each with its SHA-256: what was written stays, however the program ends.
//!
//! A line is the SHA-256 of its JSON, a space, and the JSON. A last line that is not whole is one that a killed run was
//! writing.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use kvlens_datasets::read_at_most;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::SessionError;
use crate::error::Context;
use crate::hash::sha256_hex;

/// Far above what a million samples take.
const MOST_BYTES: u64 = 1 << 30;

/// A file of lines that is being written.
#[derive(Debug)]
pub struct SealedLines {
    path: PathBuf,
    file: File,
    bytes: u64,
}

/// What a file of lines holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReadLines<T> {
    pub(crate) entries: Vec<T>,
    /// Number of the first line, counted from 1, that was changed since it was written, the last one apart.
    pub(crate) damaged: Option<usize>,
}

impl SealedLines {
    /// Begins a file that is not there.
    ///
    /// # Errors
    /// [`SessionError::Io`].
    pub fn begin(path: &Path) -> Result<Self, SessionError> {
        let file = OpenOptions::new().append(true).create_new(true).open(path);
        Ok(Self {
            file: file.io("write the file", path)?,
            path: path.to_owned(),
            bytes: 0,
        })
    }

    /// Goes on with a file: gives its lines up to the first that is not whole, from where on it is cut off.
    ///
    /// # Errors
    /// [`SessionError::Io`] for what is no regular file, is too large, or cannot be read or written.
    pub fn go_on<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>), SessionError> {
        let bytes = read_at_most(path, MOST_BYTES).io("read the file", path)?;
        let mut entries = Vec::new();
        let mut whole = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(entry) = line.strip_suffix(b"\n").and_then(parse) else {
                break;
            };
            entries.push(entry);
            whole += line.len() as u64;
        }
        let file = OpenOptions::new().append(true).open(path);
        let file = file.io("write the file", path)?;
        file.set_len(whole).io("write the file", path)?;
        let lines = Self {
            path: path.to_owned(),
            file,
            bytes: whole,
        };
        Ok((lines, entries))
    }

    /// Adds a line. A process that is killed does not lose it any more; see [`sync`](Self::sync) for a computer that is.
    ///
    /// # Errors
    /// [`SessionError::Io`]; the file is then as it was before.
    pub fn add(&mut self, entry: &impl Serialize) -> Result<(), SessionError> {
        let json = serde_json::to_string(entry).map_err(|error| SessionError::Internal {
            reason: format!("a line cannot be written as JSON ({error})"),
        })?;
        let line = format!("{} {json}\n", sha256_hex(json.as_bytes()));
        self.whole_or_not(line.len(), |file| file.write_all(line.as_bytes()))
    }

    /// Waits until the disk has all lines.
    ///
    /// # Errors
    /// [`SessionError::Io`].
    pub fn sync(&mut self) -> Result<(), SessionError> {
        self.whole_or_not(0, |file| file.sync_data())
    }

    /// Adds a line and waits until the disk has it.
    pub(crate) fn add_synced(&mut self, entry: &impl Serialize) -> Result<(), SessionError> {
        let before = self.bytes;
        self.add(entry)?;
        let synced = self.sync();
        if synced.is_err() {
            // whoever is told that it failed must not find it
            let _ = self.file.set_len(before);
            self.bytes = before;
        }
        synced
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn whole_or_not(
        &mut self,
        added: usize,
        write: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> Result<(), SessionError> {
        if let Err(error) = write(&mut self.file) {
            // half a line must not stand before the next
            let _ = self.file.set_len(self.bytes);
            return Err(error).io("write the file", &self.path);
        }
        self.bytes += added as u64;
        Ok(())
    }
}

/// The lines of a file that nobody writes.
pub(crate) fn read_lines<T: DeserializeOwned>(bytes: &[u8]) -> ReadLines<T> {
    let mut found = ReadLines {
        entries: Vec::new(),
        damaged: None,
    };
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let last = bytes
        .strip_suffix(b"\n")
        .map_or(lines.len(), |_| lines.len() - 1);
    for (number, line) in (1..).zip(lines.iter().take(last)) {
        match parse(line) {
            Some(entry) => found.entries.push(entry),
            None if number == last => {}
            None => {
                found.damaged.get_or_insert(number);
            }
        }
    }
    found
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
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

    /// Three lines, and where each ends.
    fn written(path: &Path) -> (Vec<u8>, Vec<usize>) {
        let mut lines = SealedLines::begin(path).unwrap();
        for text in ["a", "b\nc", "d"] {
            lines.add_synced(&text).unwrap();
        }
        let whole = std::fs::read(path).unwrap();
        let ends = (0..whole.len()).filter(|&place| whole[place] == b'\n');
        let ends = ends.collect();
        (whole, ends)
    }

    #[test]
    fn lines_come_back_and_damages_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, ends) = written(&folder.path().join("x"));
        let read = read_lines::<String>(&whole);
        assert_eq!(read.entries, ["a", "b\nc", "d"]);
        assert_eq!(read.damaged, None);
        // cut anywhere: what was whole before stays
        for length in 0..whole.len() {
            let cut = read_lines::<String>(&whole[..length]);
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
            assert!(read_lines::<String>(&flipped).damaged.is_some(), "{place}");
        }
    }

    #[test]
    fn a_file_that_was_cut_goes_on_behind_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let (whole, ends) = written(&path);
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (mut lines, known) = SealedLines::go_on::<String>(&path).unwrap();
            let complete = ends.iter().filter(|&&end| end < length).count();
            assert_eq!(known, ["a", "b\nc", "d"][..complete], "{length}");
            lines.add(&"e").unwrap();
            let (_, known) = SealedLines::go_on::<String>(&path).unwrap();
            assert_eq!(known.len(), complete + 1, "{length}");
            assert_eq!(known[complete], "e", "{length}");
        }
        // what stands behind a damage is not taken either
        let mut flipped = whole.clone();
        flipped[ends[0] + 10] ^= 1;
        std::fs::write(&path, flipped).unwrap();
        let (_, known) = SealedLines::go_on::<String>(&path).unwrap();
        assert_eq!(known, ["a"]);
    }
}
