//! A sample's file, opened for reading in parts.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use safetensors::tensor::Metadata as TensorTable;
use sha2::{Digest as _, Sha256};

use crate::SessionError;
use crate::hash::hex;

/// What the writer of the format allows for a header.
const MOST_HEADER_BYTES: u64 = 100_000_000;
/// The header's length stands before it.
const LENGTH_BYTES: u64 = 8;
const HASHED_AT_ONCE: usize = 1 << 20;

/// What changes when a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    /// Nothing on a system that keeps no such time.
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }

    /// Whether two equal stamps say that nothing was written in between.
    pub(super) fn tells_changes(&self) -> bool {
        self.modified.is_some()
    }
}

/// An open sample file. Not mapped into memory: that cannot be had without `unsafe`, tensors are copied out of a
/// mapping all the same, and a mapped file that another program cuts ends this one.
#[derive(Debug)]
pub(super) struct OpenedFile {
    path: PathBuf,
    file: File,
    stamp: Stamp,
}

impl OpenedFile {
    pub(super) fn open(path: &Path) -> Result<Self, SessionError> {
        let unreadable = |error: std::io::Error| broken(path, &format!("cannot be read ({error})"));
        // looked at before it is opened: opening a pipe waits for a writer
        require_file(&std::fs::metadata(path).map_err(unreadable)?, path)?;
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        require_file(&metadata, path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            stamp: Stamp::of(&metadata),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// SHA-256 of the whole file, which never stands in memory as a whole.
    pub(super) fn sha256(&mut self) -> Result<String, SessionError> {
        self.seek(0)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; HASHED_AT_ONCE];
        let mut file = (&self.file).take(self.stamp.bytes);
        loop {
            let count = file
                .read(&mut buffer)
                .map_err(|error| broken(&self.path, &format!("cannot be read ({error})")))?;
            match buffer.get(..count) {
                Some(read) if count > 0 => hasher.update(read),
                _ => break,
            }
        }
        Ok(hex(&hasher.finalize()))
    }

    /// The table of tensors, and where their bytes begin. The tensors themselves may be missing.
    pub(super) fn table(&mut self) -> Result<(TensorTable, u64), SessionError> {
        let length = self.read(0, LENGTH_BYTES)?;
        let length = <[u8; 8]>::try_from(length.as_slice()).map_or(0, u64::from_le_bytes);
        if length > MOST_HEADER_BYTES {
            return Err(self.damaged(&format!(
                "its header shall have {length} bytes, more than the {MOST_HEADER_BYTES} that a header may have"
            )));
        }
        let header = self.read(LENGTH_BYTES, length)?;
        let table = serde_json::from_slice(&header)
            .map_err(|error| self.damaged(&format!("its header cannot be read: {error}")))?;
        Ok((table, LENGTH_BYTES + length))
    }

    /// Requires the file to end with its tensors.
    pub(super) fn require_length(&self, expected: u64) -> Result<(), SessionError> {
        if self.stamp.bytes == expected {
            return Ok(());
        }
        let found = self.stamp.bytes;
        Err(self.damaged(&format!(
            "it has {found} bytes where its header asks for {expected}"
        )))
    }

    /// Some bytes of the file. No more room is taken than the file has bytes.
    pub(super) fn read(&mut self, start: u64, count: u64) -> Result<Vec<u8>, SessionError> {
        if start
            .checked_add(count)
            .is_none_or(|end| end > self.stamp.bytes)
        {
            let found = self.stamp.bytes;
            return Err(self.damaged(&format!("it ends after {found} bytes")));
        }
        self.seek(start)?;
        let mut bytes = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        (&self.file)
            .take(count)
            .read_to_end(&mut bytes)
            .map_err(|error| broken(&self.path, &format!("cannot be read ({error})")))?;
        if bytes.len() as u64 == count {
            Ok(bytes)
        } else {
            Err(self.damaged(&format!(
                "it ends after {} bytes",
                start + bytes.len() as u64
            )))
        }
    }

    /// Refuses what was read from a file that somebody wrote into meanwhile.
    pub(super) fn require_unchanged(&self) -> Result<(), SessionError> {
        let metadata = self.file.metadata();
        let now =
            metadata.map_err(|error| broken(&self.path, &format!("cannot be read ({error})")))?;
        if Stamp::of(&now) == self.stamp {
            Ok(())
        } else {
            Err(broken(&self.path, "was changed while it was read"))
        }
    }

    pub(super) fn damaged(&self, reason: &str) -> SessionError {
        SessionError::Session {
            reason: format!("the sample file is damaged ({reason}); capture it again"),
            path: self.path.clone(),
        }
    }

    fn seek(&mut self, place: u64) -> Result<(), SessionError> {
        self.file
            .seek(SeekFrom::Start(place))
            .map_err(|error| broken(&self.path, &format!("cannot be read ({error})")))?;
        Ok(())
    }
}

fn require_file(metadata: &Metadata, path: &Path) -> Result<(), SessionError> {
    if metadata.is_file() {
        Ok(())
    } else {
        Err(broken(path, "is no regular file"))
    }
}

/// A file that is not what the manifest says.
pub(super) fn broken(path: &Path, what: &str) -> SessionError {
    SessionError::Session {
        reason: format!(
            "the sample file {what}; the command that captured the session, with --resume, captures it again"
        ),
        path: path.to_owned(),
    }
}
