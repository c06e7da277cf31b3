//! How far a sweep is.

use kvlens_sessions::{OwnedLock, Session};
use serde::Serialize;

use super::task::RecordedState;
use super::{Queue, Sweep, SweepCell, Task};

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum TaskState {
    /// Nobody began it.
    Waiting,
    /// It waits in Slurm's queue.
    Queued,
    /// A process runs it.
    Running {
        /// Where.
        host: String,
    },
    /// It was stopped or killed, and goes on when it is run again.
    Interrupted,
    /// Something of it could not be done; it is tried again when it is run again.
    Failed {
        /// A sentence.
        reason: String,
    },
    /// Captured, measured, its tables written.
    Finished,
}

impl TaskState {
    /// In a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Running { .. } => "running",
            Self::Interrupted => "interrupted",
            Self::Failed { .. } => "failed",
            Self::Finished => "finished",
        }
    }

    /// Whether it is to be run, because nobody does.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(
            self,
            Self::Waiting | Self::Interrupted | Self::Failed { .. }
        )
    }
}

/// A task and how far it is.
#[derive(Clone, Debug, Serialize)]
pub struct TaskStatus {
    /// Its name.
    pub task: String,
    /// The session that it is a part of.
    pub cell: String,
    /// How far it is.
    #[serde(flatten)]
    pub state: TaskState,
    /// Samples that are captured.
    pub finished_samples: usize,
    /// Samples that it has.
    pub samples: usize,
}

/// How far every task is, in the order of the tasks.
#[must_use]
pub fn status(sweep: &Sweep, queue: &Queue) -> Vec<TaskStatus> {
    let tasks = sweep.tasks();
    tasks
        .iter()
        .map(|task| of_task(sweep, task, queue))
        .collect()
}

fn of_task(sweep: &Sweep, task: &Task<'_>, queue: &Queue) -> TaskStatus {
    let session = Session::open(&sweep.part(task));
    TaskStatus {
        task: task.name.clone(),
        cell: task.cell.name.clone(),
        state: state_of(sweep, task, queue),
        finished_samples: session.map_or(0, |session| session.sample_count()),
        samples: task.part.samples,
    }
}

fn state_of(sweep: &Sweep, task: &Task<'_>, queue: &Queue) -> TaskState {
    if sweep.is_done(task) {
        return TaskState::Finished;
    }
    let record = sweep.record(&task.name);
    let host = || {
        record
            .as_ref()
            .map_or_else(String::new, |record| record.host.clone())
    };
    match queue.state_of(&task.name) {
        Some(true) => return TaskState::Running { host: host() },
        Some(false) => return TaskState::Queued,
        None => {}
    }
    let Some(record) = record else {
        return TaskState::Waiting;
    };
    match record.state {
        RecordedState::Failed => TaskState::Failed {
            reason: record.reason,
        },
        RecordedState::Running => {
            // a task of Slurm's runs no more once its queue does not know it
            let is_gone = record.slurm_task.is_some() && queue.is_known();
            match !is_gone && OwnedLock::seems_held(&sweep.task_file(&task.name, "lock")) {
                true => TaskState::Running { host: record.host },
                false => TaskState::Interrupted,
            }
        }
        // of a finished one something was changed or lost since
        RecordedState::Stopped | RecordedState::Finished => TaskState::Interrupted,
    }
}

/// The tasks of a cell together.
#[derive(Clone, Debug)]
pub struct CellStatus<'a> {
    /// The cell.
    pub cell: &'a SweepCell,
    /// Its tasks.
    pub tasks: Vec<&'a TaskStatus>,
}

impl CellStatus<'_> {
    /// Tasks in a state of this word.
    #[must_use]
    pub fn count(&self, word: &str) -> usize {
        let tasks = self.tasks.iter();
        tasks.filter(|task| task.state.word() == word).count()
    }

    /// Samples that are captured, and all.
    #[must_use]
    pub fn samples(&self) -> (usize, usize) {
        let sum = |of: fn(&TaskStatus) -> usize| self.tasks.iter().map(|task| of(task)).sum();
        (sum(|task| task.finished_samples), sum(|task| task.samples))
    }
}

/// Tasks by their cells.
#[must_use]
pub fn cells_of<'a>(sweep: &'a Sweep, tasks: &'a [TaskStatus]) -> Vec<CellStatus<'a>> {
    let cells = sweep.plan.cells.iter();
    cells
        .map(|cell| CellStatus {
            cell,
            tasks: tasks.iter().filter(|task| task.cell == cell.name).collect(),
        })
        .collect()
}
