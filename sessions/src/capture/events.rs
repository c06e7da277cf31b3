//! What a capture tells while it runs.

use serde::{Deserialize, Serialize};

/// A part of the work on one sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The forward pass over the prompt.
    Prefill,
    /// The decode stage.
    Decode,
    /// A proxy window, by its label.
    Window(String),
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Prefill => f.write_str("prefill"),
            Self::Decode => f.write_str("decode"),
            Self::Window(label) => f.write_str(label),
        }
    }
}

/// News of a running capture. `index` counts samples from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaptureEvent {
    /// The plan was accepted and the session folder is there.
    Started,
    /// Work on a sample begins.
    SampleStarted {
        /// Number of the sample.
        index: usize,
        /// Samples in all.
        count: usize,
        /// Its id.
        id: String,
    },
    /// How far a stage is, in tokens.
    Progress {
        /// Which stage.
        stage: Stage,
        /// Tokens done.
        done_tokens: usize,
        /// Tokens in all (for the decode stage: at most).
        total_tokens: usize,
    },
    /// A sample is on disk.
    SampleFinished {
        /// Number of the sample.
        index: usize,
        /// Samples in all.
        count: usize,
        /// Its id.
        id: String,
    },
    /// A sample could not be captured; the others go on.
    SampleFailed {
        /// Number of the sample.
        index: usize,
        /// Its id.
        id: String,
        /// A sentence.
        reason: String,
    },
}

/// How a capture ended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CaptureSummary {
    /// Samples captured in this run.
    pub finished: usize,
    /// Samples that could not be captured.
    pub failed: usize,
    /// Samples that an earlier run had captured.
    pub already_finished: usize,
    /// Where numbers are kept in 16 bits: the largest change of a token's importance in this run's samples
    /// ([`SampleRecord::largest_rounding`](crate::SampleRecord::largest_rounding)).
    pub largest_rounding: Option<f32>,
}
