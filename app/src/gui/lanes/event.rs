//! What the lanes say.

use std::path::PathBuf;
use std::sync::Arc;

use super::request::CaptureOrder;
use crate::gui::capture_refusal::CaptureRefusal;
use crate::gui::data::{Preview, Progress, SampleDetails, SessionInfo, Severity, Slot};
use crate::gui::prompt_preview::PromptPreview;
use crate::gui::questions::Answer;
use crate::measurement::{MeasureOptions, MeasuredSample};

/// News of a job.
pub enum Event {
    /// A job is on.
    Started {
        /// The job.
        job: u64,
    },
    /// How far a job is.
    Progress {
        /// The job.
        job: u64,
        /// How far.
        progress: Progress,
    },
    /// A session is open.
    SessionOpened {
        /// Where it stands.
        slot: Slot,
        /// What is known of it.
        info: SessionInfo,
    },
    /// Another sample of the running capture is finished.
    SampleCaptured(SessionInfo),
    /// A figure was drawn for the screen.
    Previewed(Preview),
    /// An answer to a question, or what is known of it so far.
    Answered(Answer),
    /// A sample is measured.
    SampleMeasured {
        /// Where it stands.
        slot: Slot,
        /// The session's folder.
        path: PathBuf,
        /// Number among the finished samples.
        index: usize,
        /// How it was measured.
        options: MeasureOptions,
        /// Its numbers.
        sample: Arc<MeasuredSample>,
    },
    /// A row of the table of samples was filled in.
    SampleDetails {
        /// The session's folder.
        path: PathBuf,
        /// Number among the finished samples.
        index: usize,
        /// The row's details.
        details: SampleDetails,
    },
    /// The file of a sample was found missing or damaged.
    SampleUnreadable {
        /// The session's folder.
        path: PathBuf,
        /// Number among the finished samples.
        index: usize,
        /// A sentence.
        reason: String,
        /// How bad that is for who uses the program; nothing where the job that found it tells of it.
        severity: Option<Severity>,
    },
    /// Something worth a line in the log.
    Note(String),
    /// Something that went on, but not as asked.
    Warning(String),
    /// A session was copied.
    Saved(PathBuf),
    /// A recipe's page was written.
    RecipeDone(PathBuf),
    /// A figure was made; the names of its files.
    Exported(Vec<String>),
    /// What the prompts of a capture are; none where they cannot be read.
    PromptsRead(Option<PromptPreview>),
    /// What a capture would take, or why it cannot run.
    Estimated(Result<String, CaptureRefusal>),
    /// A capture begins with this model, which could be loaded.
    ModelLoaded(String),
    /// A capture came to its end.
    Captured {
        /// The session.
        info: SessionInfo,
        /// Finished samples of this run and of those before.
        samples: usize,
        /// What to ask for to try those again that failed.
        again: Option<Box<CaptureOrder>>,
    },
    /// A capture was cancelled or failed.
    CaptureStopped {
        /// What became of its samples; nothing where a failure is told besides.
        outcome: Option<String>,
        /// The session, if it has finished samples.
        info: Option<SessionInfo>,
        /// What to ask for to go on with it.
        again: Option<Box<CaptureOrder>>,
    },
    /// A job ended without a result.
    Failed {
        /// The job.
        job: u64,
        /// A sentence.
        reason: String,
    },
    /// A job was cancelled.
    Cancelled {
        /// What became of the job's results.
        outcome: String,
    },
    /// A job is over, whichever way; always its last event.
    Finished {
        /// The job.
        job: u64,
    },
}
