//! Models on the Hugging Face hub: found in the local hub cache, or downloaded into it.
//!
//! hf-hub, the hub's own crate, was looked at first: version 1.0 brings an asynchronous runtime, and in the blocking
//! 0.5 a download cannot be stopped; so requests are made with ureq here.

mod cache;
mod client;
mod contents;
mod download;
mod files;
mod id;
mod lock;
mod settings;
mod waiting;

use std::path::{Path, PathBuf};

pub use cache::HubCache;
pub(crate) use cache::name_of_snapshot;
pub use id::HubId;
pub use settings::HubSettings;

use crate::{CancelFlag, SessionError};
use download::Download;
use files::SMALL_FILES;

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadProgress<'a> {
    /// The file on its way.
    pub file: &'a str,
    /// Bytes of all files that are here.
    pub done_bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
}

/// The hub id that a model's name is: whatever looks like one and is no path that is there.
pub(crate) fn hub_id(name: &Path) -> Option<HubId> {
    if name.exists() {
        return None;
    }
    name.to_str()?.parse().ok()
}

impl HubSettings {
    /// The id's folder in the local cache, if no small file in it has other contents than the name of its blob says.
    pub(crate) fn undamaged(&self, id: &HubId) -> Option<PathBuf> {
        let folder = self.cache.snapshot(id)?;
        let mut small = SMALL_FILES.iter().map(|name| folder.join(name));
        let is_damaged = small.any(|file| cache::is_damaged(&file));
        (!is_damaged).then_some(folder)
    }

    /// The id's folder in the local cache, or the GGUF file that it names, as far as it is there.
    pub fn local(&self, id: &HubId) -> Option<PathBuf> {
        let folder = self.cache.snapshot(id)?;
        match id.file() {
            None => Some(folder),
            Some(file) => Some(folder.join(file)).filter(|path| path.is_file()),
        }
    }

    /// Fetches what is missing of the id's model: configuration, tokenizer, and safetensors or the one GGUF file,
    /// never a pickle. Gives the folder or the file.
    ///
    /// # Errors
    /// [`SessionError::Hub`] with what to do where the hub cannot be asked, does not have the model, or does not
    /// give it; [`SessionError::HubConnection`] where a connection broke; [`SessionError::Cancelled`]. What was
    /// fetched stays, and the next download goes on from there.
    pub fn download(
        &self,
        id: &HubId,
        cancel: &CancelFlag,
        on_progress: &mut dyn FnMut(DownloadProgress<'_>),
    ) -> Result<PathBuf, SessionError> {
        if self.offline {
            return Err(SessionError::Hub {
                id: id.to_string(),
                reason: format!(
                    "it is not complete, or damaged, in the local hub cache {}, and HF_HUB_OFFLINE forbids to fetch it; unset that, or give a model's folder",
                    self.cache.folder().display()
                ),
            });
        }
        let folder = Download::new(self, id, cancel, on_progress).run()?;
        Ok(id.file().map_or(folder.clone(), |file| folder.join(file)))
    }
}

/// Where a model's files lie, and the name that tables use: what was typed, or its place in the local hub cache.
pub(crate) fn located(path: &Path) -> (PathBuf, Option<String>) {
    let found = hub_id(path).and_then(|id| {
        let local = HubSettings::from_environment().local(&id)?;
        Some((local, Some(id.name().to_owned())))
    });
    found.unwrap_or_else(|| (path.to_owned(), None))
}
