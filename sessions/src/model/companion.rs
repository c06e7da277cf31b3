//! Files that lie beside a model and were made for it, such as trained windows.

use std::path::{Path, PathBuf};

use kvlens_datasets::read_at_most;

use super::checkpoint::ModelSource;
use crate::SessionError;
use crate::error::Context;
use crate::hub;

/// Far above what the weights of a trained window take.
pub(crate) const MOST_WINDOW_BYTES: u64 = 1 << 33;

/// A file beside a model.
#[derive(Debug, Clone)]
pub(crate) struct Companion {
    /// Where it lies, for messages.
    pub(crate) path: PathBuf,
    embedded: Option<&'static [u8]>,
}

/// Files that are built into the program with its model.
const EMBEDDED: &[(&str, &[u8])] = &[
    (
        "judge-q.safetensors",
        include_bytes!("../../builtin/demo/judge-q.safetensors"),
    ),
    (
        "lookahead-kv.safetensors",
        include_bytes!("../../builtin/demo/lookahead-kv.safetensors"),
    ),
];

impl Companion {
    /// The file of this name beside the model, if there is one.
    pub(crate) fn find(source: &ModelSource, name: &str) -> Option<Self> {
        match source {
            ModelSource::Demo => {
                EMBEDDED
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, bytes)| Self {
                        path: Path::new("built-in").join(name),
                        embedded: Some(bytes),
                    })
            }
            ModelSource::Folder(folder) => Self::in_folder(&hub::located(folder).0, name),
            ModelSource::Gguf(path) => Self::in_folder(hub::located(path).0.parent()?, name),
        }
    }

    fn in_folder(folder: &Path, name: &str) -> Option<Self> {
        Some(Self {
            path: folder.join(name),
            embedded: None,
        })
        .filter(|companion| companion.path.is_file())
    }

    /// Its bytes.
    ///
    /// # Errors
    /// [`SessionError::Io`] if it cannot be read.
    pub(crate) fn read(&self) -> Result<Vec<u8>, SessionError> {
        match self.embedded {
            Some(bytes) => Ok(bytes.to_vec()),
            None => read_at_most(&self.path, MOST_WINDOW_BYTES)
                .io("read a file beside the model", &self.path),
        }
    }
}
