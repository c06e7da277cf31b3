//! What tells jobs apart.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::gui::data::Slot;
use crate::gui::questions::QuestionKind;

/// Identity of a job: of two requests with the same key the newer one counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JobKey {
    /// Running a model on prompts.
    Capture,
    /// Measuring what a paper measured.
    Recipe,
    /// Answering a question beyond the measurement of a sample.
    Question(QuestionKind),
    /// Opening a session.
    Open(Slot),
    /// Measuring the sample on show.
    Measure(Slot),
    /// Reading the attention of a head.
    Attention,
    /// Comparing the windows over all samples.
    CompareSamples,
    /// Making the figure of this file.
    Export(PathBuf),
    /// Drawing a figure for the screen.
    Preview,
    /// Copying a session to this folder.
    SaveAs(PathBuf),
    /// Estimating what a capture takes.
    Estimate,
    /// Reading the rest of the table of samples.
    Details,
}

impl JobKey {
    /// What the job does, for the progress line.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self {
            Self::Capture => "Capturing",
            Self::Recipe => "Measuring a paper's recipe",
            Self::Question(kind) => kind.job_title(),
            Self::Open(_) => "Opening the session",
            Self::Measure(Slot::Main) => "Measuring the sample",
            Self::Measure(Slot::Beside) => "Measuring the sample of B",
            Self::Attention => "Reading the attention",
            Self::CompareSamples => "Comparing all samples",
            Self::Export(_) => "Exporting",
            Self::Preview => "Drawing the preview",
            Self::SaveAs(_) => "Saving the session",
            Self::Estimate => "Estimating the memory",
            Self::Details => "Reading the table of samples",
        }
    }

    /// Whether somebody waits for it; the others take a moment and nobody asked for them.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        !matches!(self, Self::Estimate | Self::Details)
    }

    /// Whether work is lost when the job is stopped, so that it asks first.
    #[must_use]
    pub fn loses_work(&self) -> bool {
        matches!(self, Self::Capture)
    }
}
