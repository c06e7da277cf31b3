//! What can go wrong between a checkpoint and a session. Every message is a sentence for the user:
//! what is wrong, what to do where that is known, and the path last.

use std::path::PathBuf;

use kvlens_analysis::AnalysisError;
use kvlens_datasets::DatasetError;

/// The one error type of this crate.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The run was cancelled through its [`CancelFlag`](crate::CancelFlag).
    #[error("cancelled")]
    Cancelled,

    /// A file or folder could not be read or written.
    #[error("cannot {action}: {source}: {}", path.display())]
    Io {
        /// What was tried, such as `read the configuration`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The folder is no checkpoint, or lacks a part of one.
    #[error("{reason}: {}", path.display())]
    Checkpoint {
        /// What is wrong and what to do.
        reason: String,
        /// The folder or file.
        path: PathBuf,
    },

    /// `config.json`, or the header of a GGUF file in its words, lacks a field or has a value that makes no model.
    #[error("config.json: {reason}")]
    Config {
        /// The field and what is wrong with it.
        reason: String,
    },

    /// A tensor that the configuration asks for is not in the weight files.
    #[error(
        "the weights have no tensor '{tensor}' in {files}; the checkpoint does not fit its configuration"
    )]
    MissingTensor {
        /// Name in the checkpoint.
        tensor: String,
        /// The files that were searched.
        files: String,
    },

    /// A tensor has another shape than the configuration says.
    #[error(
        "tensor '{tensor}' has shape {found:?} in {files}, but the configuration asks for {expected:?}"
    )]
    TensorShape {
        /// Name in the checkpoint.
        tensor: String,
        /// Shape that config.json implies.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
        /// The files that were searched.
        files: String,
    },

    /// A tensor is stored in a number format that is no plain floating point.
    #[error(
        "tensor '{tensor}' is stored as {found} in {files}, but only F32, F16 and BF16 weights are read; take the checkpoint that was not quantised"
    )]
    TensorFormat {
        /// Name in the checkpoint.
        tensor: String,
        /// Format in the file, as safetensors writes it.
        found: String,
        /// The files that were searched.
        files: String,
    },

    /// The tokenizer is missing or cannot be used.
    #[error("tokenizer: {reason}")]
    Tokenizer {
        /// What is wrong and what to do.
        reason: String,
    },

    /// A prompt cannot be run with this model.
    #[error("sample '{sample}': {reason}")]
    Prompt {
        /// Id of the sample.
        sample: String,
        /// What is wrong and what to do.
        reason: String,
    },

    /// A device that is not there or not built in.
    #[error("device '{device}': {reason}")]
    Device {
        /// As asked for.
        device: String,
        /// What is wrong and what to do.
        reason: String,
    },

    /// A word of the plan (window, device, dtype) that means nothing.
    #[error("{reason}")]
    Plan {
        /// What is wrong and what to do.
        reason: String,
    },

    /// A training whose loss or gradient is no number any more; the state before that step is kept.
    #[error("{reason}")]
    Diverged {
        /// At which step, and what to train with instead.
        reason: String,
    },

    /// The system gives no threads to work with.
    #[error(
        "the system gives no threads to work with ({source}); end other programs, or raise the limit (`ulimit -u`)"
    )]
    Threads {
        /// What it said.
        source: rayon::ThreadPoolBuildError,
    },

    /// Something that this program relies on does not hold: its own fault, which ends a run.
    #[error("{reason}; this is a fault of KVLens, please report it")]
    Internal {
        /// What does not hold.
        reason: String,
    },

    /// A model on the hub that cannot be had.
    #[error("model '{id}' (no such folder is here, so it was looked for on the hub): {reason}")]
    Hub {
        /// As it was asked for.
        id: String,
        /// What is wrong and what to do.
        reason: String,
    },

    /// A connection to the hub that could not be made, or broke.
    #[error("model '{id}' (no such folder is here, so it was looked for on the hub): {reason}")]
    HubConnection {
        /// As it was asked for.
        id: String,
        /// What is wrong and what to do.
        reason: String,
    },

    /// A run that takes more memory than there is.
    #[error("{reason}")]
    Memory {
        /// How much, of how much, and what would fit.
        reason: String,
    },

    /// A session folder that cannot be opened, resumed or written.
    #[error("{reason}: {}", path.display())]
    Session {
        /// What is wrong and what to do.
        reason: String,
        /// The session folder or the file in it.
        path: PathBuf,
    },

    /// The numerics refused their input.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),

    /// The source of prompts or training texts refused what it was asked for.
    #[error(transparent)]
    Dataset(#[from] DatasetError),

    /// The tensor library failed, with the step that it failed in.
    #[error("{context}: {source}")]
    Tensor {
        /// Which step.
        context: String,
        /// What candle said.
        source: candle_core::Error,
    },
}

impl From<candle_core::Error> for SessionError {
    fn from(source: candle_core::Error) -> Self {
        Self::Tensor {
            context: "the tensor library failed".to_owned(),
            source: without_backtrace(source),
        }
    }
}

/// What candle said without the stack that it adds where `RUST_BACKTRACE` is set: forty lines that tell a user
/// nothing.
pub(crate) fn without_backtrace(error: candle_core::Error) -> candle_core::Error {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => without_backtrace(*inner),
        error => error,
    }
}

/// Adds to a bare error what was being done.
pub(crate) trait Context<T> {
    /// The error becomes [`SessionError::Io`] or [`SessionError::Tensor`].
    fn io(self, action: &'static str, path: &std::path::Path) -> Result<T, SessionError>
    where
        Self: Sized;
}

impl<T> Context<T> for std::io::Result<T> {
    fn io(self, action: &'static str, path: &std::path::Path) -> Result<T, SessionError> {
        self.map_err(|source| SessionError::Io {
            action,
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_candle_says_stays_one_line() {
        let said = candle_core::Error::Msg("no kernel for this".to_owned());
        let traced = candle_core::Error::WithBacktrace {
            inner: Box::new(said),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        assert_eq!(
            SessionError::from(traced).to_string(),
            "the tensor library failed: no kernel for this"
        );
    }
}
