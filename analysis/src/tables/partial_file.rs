//! A file that appears under its name only when it is whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::error::TableError;

/// A file written aside as `NAME.partial`; dropped without [`Self::commit`] it is removed.
#[derive(Debug)]
pub(super) struct PartialFile {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    committed: bool,
}

impl PartialFile {
    pub(super) fn create(path: &Path) -> Result<Self, TableError> {
        let mut name = OsString::from(path);
        name.push(".partial");
        let partial = PathBuf::from(name);
        let file = File::create(&partial).map_err(|source| TableError::File {
            action: "create",
            path: partial.clone(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            partial,
            file,
            committed: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Another handle of the same open file, for a writer to own.
    pub(super) fn handle(&self) -> Result<File, TableError> {
        self.file
            .try_clone()
            .map_err(|source| self.refused("open", source))
    }

    /// Makes the written bytes durable and gives them their name, in place of what had it before.
    pub(super) fn commit(mut self) -> Result<(), TableError> {
        self.file
            .sync_all()
            .map_err(|source| self.refused("write", source))?;
        fs::rename(&self.partial, &self.path).map_err(|source| self.refused("finish", source))?;
        self.committed = true;
        Ok(())
    }

    fn refused(&self, action: &'static str, source: std::io::Error) -> TableError {
        TableError::File {
            action,
            path: self.path.clone(),
            source,
        }
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing can be done when even the removal fails; the name says that it is partial.
            let _ = fs::remove_file(&self.partial);
        }
    }
}
