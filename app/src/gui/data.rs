//! What was loaded or computed: sessions, the sample on show, the running job, the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvlens_analysis::SampleGroup;
use kvlens_sessions::CancelFlag;
use serde::{Deserialize, Serialize};

use super::lanes::{CaptureOrder, JobKey};
use super::prompt_preview::PromptPreview;
use super::questions::Answers;
use super::questions::fidelity::group_of;
use crate::measurement::{MeasureOptions, MeasuredSample};

/// One row of the table of samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleRow {
    /// Unique in the session.
    pub id: String,
    /// T.
    pub prompt_tokens: usize,
    /// S.
    pub decode_tokens: usize,
    /// What is only known once the sample's file was read.
    pub details: Option<SampleDetails>,
}

/// The part of a sample's row that stands in the sample's own file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleDetails {
    /// What the prompt asks for.
    pub task: String,
    /// Where the question stands: `start`, `end` or nothing.
    pub question_place: String,
    /// Share of the task that the generated text got right.
    pub score: Option<f64>,
}

/// What the workbench knows of an open session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// The folder.
    pub path: PathBuf,
    /// The folder's name without `.kvlens`.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// Device and number type of the run.
    pub device: String,
    /// L.
    pub layers: usize,
    /// H.
    pub query_heads: usize,
    /// G.
    pub kv_heads: usize,
    /// Finished samples.
    pub samples: Vec<SampleRow>,
    /// Samples that could not be captured, with the reason.
    pub failed: Vec<(String, String)>,
    /// Samples that a stopped or running capture has not come to.
    #[serde(default)]
    pub pending: usize,
}

/// The sample on show.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its number among the session's finished samples.
    pub index: usize,
    /// The options that it was measured with.
    pub options: MeasureOptions,
    /// Its numbers.
    pub sample: Arc<MeasuredSample>,
    /// Differs for every sample that was ever shown, so that derived values know when to renew.
    pub version: u64,
}

impl Shown {
    /// What the sample is averaged within, of a session of the model of that name.
    #[must_use]
    pub fn group(&self, model: &str) -> Option<SampleGroup> {
        Some(group_of(model, &self.sample.record))
    }
}

/// Which of two sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// A: the one that all views show.
    Main,
    /// B: the one that it is held against.
    Beside,
}

/// A sample of a session, as it was when the session was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamplePlace {
    /// The session's folder.
    pub path: PathBuf,
    /// Differs each time that a session is opened: another one may lie in the folder since.
    pub opened: u64,
    /// Number among the finished samples.
    pub index: usize,
}

/// The open session with the sample on show.
#[derive(Clone)]
pub struct OpenedSession {
    /// What is known of the session.
    pub info: SessionInfo,
    /// Differs each time that a session is opened.
    pub opened: u64,
    /// The sample on show; nothing while the session has no finished sample.
    pub shown: Option<Shown>,
}

impl OpenedSession {
    /// Where the sample on show stands.
    #[must_use]
    pub fn place(&self) -> Option<SamplePlace> {
        Some(SamplePlace {
            path: self.info.path.clone(),
            opened: self.opened,
            index: self.shown.as_ref()?.index,
        })
    }
}

/// How far a running job is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub stage: String,
    /// Number of the sample, counted from 1, and how many there are.
    pub sample: Option<(usize, usize)>,
    /// Tokens done in this stage, and how many there are.
    pub tokens: Option<(usize, usize)>,
    /// Speed of this stage.
    pub tokens_per_second: Option<f64>,
    /// Bytes that are here, of how many, where a model is fetched.
    pub bytes: Option<(u64, u64)>,
    /// Speed of the download.
    pub bytes_per_second: Option<f64>,
    /// Time that this stage still needs.
    pub seconds_left: Option<f64>,
}

/// A job that its lane has not finished.
#[derive(Clone, Debug)]
pub struct Job {
    /// Number of the job.
    pub id: u64,
    /// What tells it from others.
    pub key: JobKey,
    /// What it does, for the progress line.
    pub title: String,
    /// How far it is.
    pub progress: Progress,
    /// Stops it.
    pub cancel: CancelFlag,
}

/// The capture that runs, beside what is on show.
#[derive(Clone, Debug)]
pub struct RunningCapture {
    /// The session's folder.
    pub out: PathBuf,
    /// Whether its samples are to be shown as soon as there are some: until another session is opened.
    pub is_for_show: bool,
    /// Whether its session was asked for.
    pub is_shown: bool,
}

/// How bad a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Something went well that one was waiting for.
    Success,
    /// Went on, but not as asked.
    Warning,
    /// Did not work.
    Error,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How bad it is.
    pub severity: Severity,
    /// A sentence.
    pub text: String,
}

/// Everything that was loaded or computed.
#[derive(Default)]
pub struct Data {
    /// The open session.
    pub session: Option<OpenedSession>,
    /// The session that it is held against; can be the same with another sample.
    pub beside: Option<OpenedSession>,
    /// What the lanes said of the sample and the session beyond their measurement.
    pub answers: Answers,
    /// Jobs in the order that they were asked for.
    pub jobs: Vec<Job>,
    /// The capture that runs or waits.
    pub capture: Option<RunningCapture>,
    /// What to ask for to go on with the capture that was cancelled or failed last, and the samples that it lacks.
    pub resumable: Option<(CaptureOrder, usize)>,
    /// Every message since the start.
    pub log: Vec<Message>,
    /// Why the last capture did not start or finish; shown in the capture panel.
    pub capture_error: Option<String>,
    /// The page that a recipe wrote last.
    pub recipe_page: Option<PathBuf>,
    /// What the capture of the panel would take in memory, once it was estimated.
    pub capture_memory: Option<String>,
    /// What its prompts are, once they were read.
    pub capture_prompts: Option<PromptPreview>,
}

impl Data {
    /// The sample on show.
    #[must_use]
    pub fn shown(&self) -> Option<&Shown> {
        self.session.as_ref()?.shown.as_ref()
    }

    /// The session of a slot.
    #[must_use]
    pub fn slot(&self, slot: Slot) -> Option<&OpenedSession> {
        match slot {
            Slot::Main => self.session.as_ref(),
            Slot::Beside => self.beside.as_ref(),
        }
    }

    /// The same, to be changed.
    pub fn slot_mut(&mut self, slot: Slot) -> &mut Option<OpenedSession> {
        match slot {
            Slot::Main => &mut self.session,
            Slot::Beside => &mut self.beside,
        }
    }

    /// Whether the session in this folder is the open one.
    #[must_use]
    pub fn is_open(&self, path: &Path) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.info.path == path)
    }

    /// The running or waiting capture.
    #[must_use]
    pub fn capture_job(&self) -> Option<&Job> {
        self.job(&JobKey::Capture)
    }

    /// Whether maps over all samples are on their way.
    #[must_use]
    pub fn is_comparing_samples(&self) -> bool {
        self.is_asking(&JobKey::CompareSamples)
    }

    /// The job of a key, if it runs or waits.
    #[must_use]
    pub fn job(&self, key: &JobKey) -> Option<&Job> {
        self.jobs.iter().find(|job| job.key == *key)
    }

    /// Whether a job of the key is on its way and not to be stopped.
    #[must_use]
    pub fn is_asking(&self, key: &JobKey) -> bool {
        let mut jobs = self.jobs.iter();
        jobs.any(|job| job.key == *key && !job.cancel.is_cancelled())
    }

    /// Jobs that somebody waits for.
    pub fn jobs_on_show(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(|job| job.key.is_shown())
    }

    /// The first of them.
    #[must_use]
    pub fn job_on_show(&self) -> Option<&Job> {
        self.jobs_on_show().next()
    }
}
