//! The local hub cache, laid out as huggingface_hub lays it out: `models--ORG--NAME` with `refs/REVISION` (a
//! commit), `snapshots/COMMIT/FILE` (links) and `blobs/HASH`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kvlens_datasets::read_text_at_most;

use super::contents::ContentHash;
use super::id::HubId;
use crate::error::Context;
use crate::{CancelFlag, SessionError};

/// Far above what the name of a commit takes.
const MOST_REVISION_BYTES: u64 = 1 << 10;

/// A folder of repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubCache {
    folder: PathBuf,
}

impl HubCache {
    /// A cache in this folder, which need not be there.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn repository(&self, id: &HubId) -> PathBuf {
        self.folder.join(id.cache_folder())
    }

    /// The folder of the id's revision as it was last fetched, complete or not.
    pub(super) fn snapshot(&self, id: &HubId) -> Option<PathBuf> {
        let repository = self.repository(id);
        let commit = read_text_at_most(
            &repository.join("refs").join(id.revision()),
            MOST_REVISION_BYTES,
        );
        let commit = commit.unwrap_or_else(|_| id.revision().to_owned());
        let folder = repository.join("snapshots").join(commit.trim());
        folder.is_dir().then_some(folder)
    }

    /// The folder of a commit, whether it is there or not.
    pub(super) fn snapshot_of(&self, id: &HubId, commit: &str) -> PathBuf {
        self.repository(id).join("snapshots").join(commit)
    }

    /// Where the contents of this hash lie once they are complete.
    pub(super) fn blob(&self, id: &HubId, hash: &str) -> PathBuf {
        self.repository(id).join("blobs").join(hash)
    }

    /// The lock of a hash, or of what else of a repository is written by one at a time.
    pub(super) fn lock(&self, id: &HubId, what: &str) -> PathBuf {
        let folder = self.folder.join(".locks").join(id.cache_folder());
        folder.join(format!("{what}.lock"))
    }

    /// Remembers which commit a revision is.
    pub(super) fn set_revision(&self, id: &HubId, commit: &str) -> Result<(), SessionError> {
        let path = self.repository(id).join("refs").join(id.revision());
        make_parent(&path)?;
        crate::files::write_file(&path, commit.as_bytes())
    }

    /// Puts the contents of a hash into a snapshot under the file's name.
    pub(super) fn link(
        &self,
        id: &HubId,
        commit: &str,
        file: &str,
        hash: &str,
    ) -> Result<(), SessionError> {
        let path = self.snapshot_of(id, commit).join(file);
        make_parent(&path)?;
        let up = "../".repeat(2 + file.matches('/').count());
        match symlink(&self.blob(id, hash), &format!("{up}blobs/{hash}"), &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked.io("put a downloaded file into the hub cache", &path),
        }
    }
}

/// Whether a file of a snapshot has other contents than the blob's name says that it leads to. What is no link into
/// the cache, nobody named.
pub(super) fn is_damaged(path: &Path) -> bool {
    let blob = path.canonicalize().ok().filter(|blob| {
        let folder = blob.parent().and_then(Path::file_name);
        folder.is_some_and(|folder| folder == "blobs")
    });
    let Some(blob) = blob else {
        return false;
    };
    let name = blob.file_name().and_then(|name| name.to_str());
    let hash = name.and_then(ContentHash::of_name);
    hash.is_some_and(|hash| !hash.is_of(&blob, &CancelFlag::default()).unwrap_or(false))
}

/// The model's name, if this is a snapshot in a cache: `models--ORG--NAME/snapshots/COMMIT`.
pub(crate) fn name_of_snapshot(folder: &Path) -> Option<String> {
    let snapshots = folder.parent()?;
    if snapshots.file_name()? != "snapshots" {
        return None;
    }
    let repository = snapshots.parent()?.file_name()?.to_str()?;
    let id = repository.strip_prefix("models--")?;
    Some(id.rsplit("--").next().unwrap_or(id).to_owned())
}

pub(super) fn make_parent(path: &Path) -> Result<(), SessionError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).io("make a folder in the hub cache", folder)
}

#[cfg(unix)]
fn symlink(_blob: &Path, relative: &str, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(relative, path)
}

/// Links take a right there that few users have.
#[cfg(not(unix))]
fn symlink(blob: &Path, _relative: &str, path: &Path) -> std::io::Result<()> {
    std::fs::copy(blob, path).map(drop)
}
