//! What was loaded or computed: sessions, the sample on show, the running job, the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use kvlens_analysis::SampleGroup;
use kvlens_analysis::needle::NeedlePlace;
use kvlens_sessions::{CancelFlag, CapturePlan, StartMode};
use serde::{Deserialize, Serialize};

use super::capture_refusal::{CapturePart, CaptureRefusal};
use super::capture_settings::{CaptureSettings, TYPED_TEXT};
use super::lanes::{CaptureOrder, JobKey};
use super::prompt_preview::PromptPreview;
use super::questions::Answers;
use super::questions::fidelity::group_of;
use crate::jobs::figure::FigureRequest;
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
    /// Why its file cannot be read, once that was found: it is missing or damaged.
    #[serde(default)]
    pub unreadable: Option<String>,
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
    /// Its place in a needle grid, if it belongs to one.
    #[serde(skip)]
    pub needle: Option<NeedlePlace>,
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
    /// What was captured, where that is known.
    #[serde(skip)]
    pub plan: Option<Arc<CapturePlan>>,
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
    /// Time that this sample and those behind it still need, as far as those before it tell.
    pub seconds_left_for_all: Option<f64>,
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
    /// When it was said, in seconds since the start of 1970.
    pub at_unix_secs: u64,
    /// How bad it is.
    pub severity: Severity,
    /// A sentence.
    pub text: String,
    /// The file or folder that it names, if there was one when it was said.
    pub path: Option<PathBuf>,
}

impl Message {
    /// A message of now.
    #[must_use]
    pub fn now(severity: Severity, text: String) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            at_unix_secs: now.map_or(0, |now| now.as_secs()),
            severity,
            path: named_path(&text),
            text,
        }
    }

    /// The time of day, UTC.
    #[must_use]
    pub fn time(&self) -> String {
        let of_day = self.at_unix_secs % 86_400;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        format!("{hour:02}:{minute:02}:{second:02}")
    }
}

/// The file or folder that a sentence names, if there is one.
fn named_path(text: &str) -> Option<PathBuf> {
    absolute_path(text).or_else(|| last_path(text))
}

/// The longest path from the root that is there: a path may hold blanks.
fn absolute_path(text: &str) -> Option<PathBuf> {
    let starts = text.match_indices('/').map(|(start, _)| start);
    starts
        .filter(|start| *start == 0 || text[..*start].ends_with([' ', '\'', '"']))
        .find_map(|start| {
            let rest = &text[start..];
            let ends = rest.char_indices().map(|(end, _)| end).chain([rest.len()]);
            let named = ends.rev().filter_map(|end| rest.get(..end));
            let mut named = named.map(PathBuf::from);
            named.find(|path| path.components().count() > 2 && path.exists())
        })
}

/// The path at the end of a refusal, from where the program was started: it counts where its folder is there, though the
/// file itself may be what is missing.
fn last_path(text: &str) -> Option<PathBuf> {
    let (_, last) = text.rsplit_once(": ")?;
    let path = Path::new(last.trim());
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let is_there = match folder {
        Some(folder) => folder.is_dir(),
        None => path.extension().is_some() && path.exists(),
    };
    is_there.then(|| std::path::absolute(path).ok()).flatten()
}

/// A figure as it would be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// What was asked for, but for the file.
    pub of: FigureRequest,
    /// Its picture.
    pub picture: Arc<egui::ColorImage>,
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
    /// The figure that the export dialog showed last.
    pub preview: Option<Preview>,
    /// Every message since the start.
    pub log: Vec<Message>,
    /// Why the last capture did not start or finish; shown in the capture panel.
    pub capture_error: Option<String>,
    /// The page that a recipe wrote last.
    pub recipe_page: Option<PathBuf>,
    /// What the capture of the panel would take, once it was estimated, or why it cannot run as it stands.
    pub capture_estimate: Option<Result<String, CaptureRefusal>>,
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

    /// What to ask for to go on with a capture, and the samples that it lacks: the one that was stopped last, or else
    /// that of the open session.
    #[must_use]
    pub fn going_on(&self) -> Option<(CaptureOrder, usize)> {
        self.resumable.clone().or_else(|| {
            let info = &self.session.as_ref()?.info;
            let plan = info.plan.as_ref()?;
            let lacking = info.pending + info.failed.len();
            // text that was typed stands in no file that could be read again
            let can_go_on = lacking > 0 && plan.data != [TYPED_TEXT];
            let order = CaptureOrder {
                settings: CaptureSettings::of_plan(plan),
                plan: Some(Arc::clone(plan)),
                out: info.path.clone(),
                start: StartMode::Resume,
            };
            can_go_on.then_some((order, lacking))
        })
    }

    /// Whether maps over all samples are on their way.
    #[must_use]
    pub fn is_comparing_samples(&self) -> bool {
        self.is_asking(&JobKey::CompareSamples)
    }

    /// Why the capture of the panel cannot run as it stands, if that is because of this part of it.
    #[must_use]
    pub fn capture_refusal(&self, about: CapturePart) -> Option<&str> {
        let refusal = self.capture_estimate.as_ref()?.as_ref().err()?;
        (refusal.about == about).then_some(refusal.sentence.as_str())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_its_time_of_day_and_the_folder_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("my run.kvlens");
        std::fs::create_dir(&there).unwrap();
        let text = format!("Saved as {}", there.display());
        let message = Message {
            at_unix_secs: 86_400 * 3 + 3_723,
            ..Message::now(Severity::Success, text)
        };
        assert_eq!(message.time(), "01:02:03");
        assert_eq!(message.path, Some(there));
        for text in ["3/4 of 7 / 8", "cannot be read: 3/4 of it", "stopped: wait"] {
            let nothing = Message::now(Severity::Info, text.to_owned());
            assert_eq!(nothing.path, None, "{text}");
        }
    }

    #[test]
    fn a_refusal_tells_the_file_at_its_end_from_where_the_program_was_started() {
        let here = std::env::current_dir().unwrap();
        for named in ["src/lib.rs", "Cargo.toml", "src/not-there.json"] {
            let text = format!("the file is damaged: {named}");
            let message = Message::now(Severity::Error, text);
            assert_eq!(message.path, Some(here.join(named)), "{named}");
        }
    }
}
