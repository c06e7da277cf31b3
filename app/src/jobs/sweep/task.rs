//! One task: its part is captured, measured, and its tables are put into the data set.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use kvlens_datasets::read_at_most;
use kvlens_sessions::{OwnedLock, Session, StartMode, part_name, write_file};
use serde::{Deserialize, Serialize};

use super::{MOST_BYTES, Sweep, Task};
use crate::jobs::capture::{CaptureRequest, run as capture};
use crate::jobs::failure::is_cancelled;
use crate::jobs::measure::{MeasureRequest, Pairs, is_of_all_samples, run as measure};
use crate::jobs::models::Models;
use crate::jobs::{Cancel, Watch};
use crate::measurement::MeasureOptions;

/// How long the process that ran a task before is waited for, which a scheduler may be about to kill.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of a task that was to be run.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was left to do.
    AlreadyDone,
    /// Another process runs it.
    Elsewhere,
    /// All of it is done.
    Finished,
    /// Some of it could not be done: a sentence.
    Failed(String),
}

/// What a task wrote down of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TaskRecord {
    pub(super) state: RecordedState,
    /// A sentence, where it failed.
    #[serde(default)]
    pub(super) reason: String,
    /// Where it runs or ran.
    pub(super) host: String,
    /// As `JOB_INDEX`, where Slurm runs it.
    #[serde(default)]
    pub(super) slurm_task: Option<String>,
    /// When it began, in seconds since 1970.
    pub(super) since_unix_secs: u64,
    /// Names the session's content that the tables were made of.
    #[serde(default)]
    pub(super) session_sha256: String,
}

/// How far a task said that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RecordedState {
    Running,
    /// It was asked to stop.
    Stopped,
    Failed,
    Finished,
}

impl TaskRecord {
    fn new(state: RecordedState) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let job = variable("SLURM_ARRAY_JOB_ID").zip(variable("SLURM_ARRAY_TASK_ID"));
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let host = fs::read_to_string("/proc/sys/kernel/hostname");
        Self {
            state,
            reason: String::new(),
            host: variable("SLURMD_NODENAME")
                .or(host.ok())
                .unwrap_or_default()
                .trim()
                .to_owned(),
            slurm_task: job.map(|(job, index)| format!("{job}_{index}")),
            since_unix_secs: since.unwrap_or_default().as_secs(),
            session_sha256: String::new(),
        }
    }

    /// None where there is none, and where a kill or a fault left one that says nothing.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&read_at_most(path, MOST_BYTES).ok()?).ok()
    }
}

impl Sweep {
    pub(super) fn record(&self, task: &str) -> Option<TaskRecord> {
        TaskRecord::read(&self.task_file(task, "json"))
    }

    fn write_record(&self, task: &str, record: &TaskRecord) -> Result<()> {
        let text = serde_json::to_vec(record).context("a record has no JSON form")?;
        Ok(write_file(&self.task_file(task, "json"), &text)?)
    }

    /// Whether a task said that it is done, of the samples that are there now, and its tables are there.
    pub(super) fn is_done(&self, task: &Task<'_>) -> bool {
        let Some(record) = self.record(&task.name) else {
            return false;
        };
        let session = || Session::open(&self.part(task))?.sha256();
        record.state == RecordedState::Finished
            && session().is_ok_and(|sha256| sha256 == record.session_sha256)
            && self.table_file("overlap.parquet", task).is_file()
    }

    /// Where a task puts its part of a table: engines read the folders between as columns.
    fn table_file(&self, table: &str, task: &Task<'_>) -> PathBuf {
        let axes = &task.cell.axes;
        let name = table.strip_suffix(".parquet").unwrap_or(table);
        let mut path = self.folder.join("tables").join(name);
        for (axis, entry) in [
            ("model", &axes.model),
            ("data", &axes.data),
            ("windows", &axes.windows),
            ("decode", &axes.decode),
            ("seed", &axes.seed),
        ] {
            path.push(format!("swept_{axis}={entry}"));
        }
        path.join(format!("{}.parquet", part_name(task.index)))
    }
}

/// Runs a task, unless it is done or another process runs it. What an earlier run of it finished is kept and used.
///
/// # Errors
/// What cannot be written, and a cancel, after which the next run goes on with it. What is wrong with the capture
/// itself is an [`Outcome`], so that other tasks go on.
pub fn run_task(
    sweep: &Sweep,
    task: &Task<'_>,
    models: &mut Models,
    watch: &mut dyn Watch,
    cancel: &Cancel,
) -> Result<Outcome> {
    if sweep.is_done(task) {
        return Ok(Outcome::AlreadyDone);
    }
    let Some(_lock) = taken(&sweep.task_file(&task.name, "lock"), cancel) else {
        return Ok(Outcome::Elsewhere);
    };
    if sweep.is_done(task) {
        return Ok(Outcome::AlreadyDone);
    }
    let record = TaskRecord::new(RecordedState::Running);
    sweep.write_record(&task.name, &record)?;
    let outcome = capture_and_measure(sweep, task, models, watch, cancel);
    let (state, reason, session_sha256) = match &outcome {
        Ok((None, sha256)) => (RecordedState::Finished, String::new(), sha256.clone()),
        Ok((Some(failed), sha256)) => (RecordedState::Failed, failed.clone(), sha256.clone()),
        Err(error) if is_cancelled(error) => (RecordedState::Stopped, String::new(), String::new()),
        Err(error) => (RecordedState::Failed, format!("{error:#}"), String::new()),
    };
    sweep.write_record(
        &task.name,
        &TaskRecord {
            state,
            reason: reason.clone(),
            session_sha256,
            ..record
        },
    )?;
    match (state, outcome) {
        (RecordedState::Finished, _) => Ok(Outcome::Finished),
        (RecordedState::Stopped, Err(error)) => Err(error),
        _ => Ok(Outcome::Failed(reason)),
    }
}

fn taken(path: &Path, cancel: &Cancel) -> Option<OwnedLock> {
    let end = SystemTime::now() + PATIENCE;
    // only the end of a process that runs the very same Slurm task is worth waiting for
    let is_slurm = std::env::var_os("SLURM_ARRAY_TASK_ID").is_some();
    loop {
        match OwnedLock::take(path, "another process runs this task") {
            Ok(lock) => return Some(lock),
            Err(_) if is_slurm && SystemTime::now() < end && !cancel.is_cancelled() => {
                std::thread::sleep(Duration::from_millis(500));
            }
            Err(_) => return None,
        }
    }
}

/// Gives what failed of it, and what names the content of its session.
fn capture_and_measure(
    sweep: &Sweep,
    task: &Task<'_>,
    models: &mut Models,
    watch: &mut dyn Watch,
    cancel: &Cancel,
) -> Result<(Option<String>, String)> {
    let part = sweep.part(task);
    let request = CaptureRequest {
        plan: task.plan(),
        prompts: None,
        out: part.clone(),
        start: StartMode::Resume,
    };
    let summary = capture(&request, models, watch, cancel)?;
    let session = Session::open(&part)?;
    if session.sample_count() > 0 {
        put_tables(sweep, task, &part, watch, cancel)?;
    }
    let failed = (summary.failed > 0).then(|| {
        let all = summary.failed + summary.finished + summary.already_finished;
        format!("{} of {all} samples could not be captured", summary.failed)
    });
    Ok((failed, session.sha256()?))
}

/// Measures a part and puts its tables into the data set. Tables that tell of all samples together are left to
/// whoever collects the sweep.
fn put_tables(
    sweep: &Sweep,
    task: &Task<'_>,
    part: &Path,
    watch: &mut dyn Watch,
    cancel: &Cancel,
) -> Result<()> {
    let aside = sweep.task_file(&task.name, "tables");
    let request = MeasureRequest {
        sessions: vec![part.to_owned()],
        out: aside.clone(),
        head_tests: false,
        ..measurement(sweep)
    };
    let measured = measure(&request, watch, cancel)?;
    measured
        .left_out
        .refuse("the task's tables are not put in place")?;
    let said = || format!("the tables cannot be put in place: {}", aside.display());
    for entry in fs::read_dir(&aside).with_context(said)? {
        let entry = entry.with_context(said)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_of_all_samples(&name) {
            continue;
        }
        let target = sweep.table_file(&name, task);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).with_context(said)?;
        }
        File::open(entry.path())
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(entry.path(), &target))
            .with_context(said)?;
    }
    fs::remove_dir_all(&aside).with_context(said)
}

/// Every window against the first of the plan: which session is read first says nothing.
fn first_of_plan(sweep: &Sweep) -> Pairs {
    let cells = sweep.plan.cells.iter();
    let mut windows = cells.filter_map(|cell| cell.plan.windows.first());
    match windows.next().filter(|label| *label != "all") {
        Some(label) => Pairs::Against(label.clone()),
        None => Pairs::First,
    }
}

/// The measurement of all of a sweep, into its folder `collected`. The tables name the sweep as the command that made
/// them, so that they are the same wherever they were made.
#[must_use]
pub fn measurement(sweep: &Sweep) -> MeasureRequest {
    let plan = &sweep.plan;
    let command = ["kvlens", "sweep", &plan.plan_file];
    MeasureRequest {
        options: MeasureOptions {
            compare: plan.compare,
            ..MeasureOptions::default()
        },
        command: Some(command.map(str::to_owned).to_vec()),
        pairs: first_of_plan(sweep),
        ..MeasureRequest::new(
            vec![sweep.sessions()],
            sweep.folder.join("collected"),
            plan.budgets.clone(),
        )
    }
}
