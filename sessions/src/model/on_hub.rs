//! Models by their names on the hub: which name a source is, and whether what lies in the local cache is a whole model.

use std::path::PathBuf;

use super::checkpoint::{Checkpoint, ModelSource};
use crate::hub::{HubId, HubSettings, hub_id};

impl ModelSource {
    /// The hub id that the source is: whatever looks like one and is no path that is there.
    pub fn hub_id(&self) -> Option<HubId> {
        match self {
            Self::Demo => None,
            Self::Folder(path) | Self::Gguf(path) => hub_id(path),
        }
    }
}

impl HubSettings {
    /// As [`local`](Self::local), if nothing is missing that a model needs, and no small file has other contents than
    /// the name of its blob says.
    pub fn complete(&self, id: &HubId) -> Option<PathBuf> {
        let local = self.local(id)?;
        let folder = self.undamaged(id)?;
        let is_complete = local.is_file() || Checkpoint::find(&ModelSource::Folder(folder)).is_ok();
        is_complete.then_some(local)
    }
}
