//! A sweep: captures over models, data, windows, decode settings and seeds, cut into tasks that any process may run.
//!
//! Its folder holds `sweep.json` (what is to be done), `sessions/CELL.kvlens/part-00000/...` (what was captured),
//! `tables/TABLE/swept_model=.../.../part-00000.parquet` (a hive-partitioned data set for each table), `tasks/` (what
//! became of each task), and `slurm/` (what was submitted). A task is done by whoever takes its lock, and done once.

mod slurm;
mod status;
mod task;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kvlens_analysis::{Budget, Compare};
use kvlens_datasets::{PromptChoices, SamplePart, read_at_most};
use kvlens_sessions::{CapturePlan, part_name, write_file};
use serde::{Deserialize, Serialize};

use super::failure::Failure;

pub use slurm::{Queue, SlurmSettings, Submitted, cancel, submit};
pub use status::{CellStatus, TaskState, TaskStatus, cells_of, status};
pub use task::{Outcome, measurement, run_task};

/// Layout of the folder.
const FORMAT_VERSION: u32 = 1;

/// What is to be done, in the sweep's folder.
pub const SWEEP_FILE: &str = "sweep.json";

/// Far above what a sweep of a hundred thousand cells takes.
const MOST_BYTES: u64 = 1 << 30;

/// Each has files of its own.
const MOST_TASKS: usize = 1_000_000;

/// What a sweep is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepPlan {
    /// Layout of the folder.
    pub format_version: u32,
    /// The program that began it.
    pub kvlens_version: String,
    /// Name of the plan file, for the tables, which are the same whoever ran a task.
    pub plan_file: String,
    /// The budgets of its tables.
    pub budgets: Vec<Budget>,
    /// What its tables compare.
    pub compare: Compare,
    /// The captures.
    pub cells: Vec<SweepCell>,
    /// How its tasks are submitted; nothing of this shapes a number.
    #[serde(default)]
    pub slurm: SlurmSettings,
}

/// One capture of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepCell {
    /// Name of its session, unique in the sweep.
    pub name: String,
    /// Which entry of each axis it is.
    pub axes: Axes,
    /// What is captured.
    pub plan: CapturePlan,
    /// Samples that its data have.
    pub samples: usize,
    /// Samples of a task, at least 1.
    pub samples_per_task: usize,
}

/// Names of a cell's entries, each of which may be part of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axes {
    /// Of the models.
    pub model: String,
    /// Of the data.
    pub data: String,
    /// Of the lists of windows.
    pub windows: String,
    /// Of the decode settings.
    pub decode: String,
    /// Of the seeds.
    pub seed: String,
}

/// A part of a cell's samples: what one process does at a time.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// Unique in the sweep.
    pub name: String,
    /// The capture.
    pub cell: &'a SweepCell,
    /// Number of the part.
    pub index: usize,
    /// Its samples.
    pub part: SamplePart,
}

impl Task<'_> {
    /// The part's capture.
    fn plan(&self) -> CapturePlan {
        CapturePlan {
            prompts: PromptChoices {
                part: Some(self.part),
                ..self.cell.plan.prompts.clone()
            },
            ..self.cell.plan.clone()
        }
    }
}

/// A sweep with its folder.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The folder.
    pub folder: PathBuf,
    /// What it is to do.
    pub plan: SweepPlan,
}

impl Sweep {
    /// Begins a sweep in a folder, or goes on with the one that is there: cells may be added to it, and how it is
    /// submitted may be changed.
    ///
    /// # Errors
    /// [`Failure::BadInput`] for a folder with a sweep that does something else; what cannot be written.
    pub fn begin(folder: &Path, plan: SweepPlan) -> Result<Self> {
        if folder.join(SWEEP_FILE).exists() {
            let there = Self::open(folder)?;
            if let Some(what) = there.plan.differs(&plan) {
                return Err(Failure::BadInput(format!(
                    "the sweep that is there {what}; give the plan another `out`: {}",
                    folder.display()
                ))
                .into());
            }
        }
        plan.check().map_err(Failure::BadInput)?;
        let sweep = Self {
            folder: folder.to_owned(),
            plan,
        };
        for inside in ["sessions", "tables", "tasks", "logs"] {
            let inside = folder.join(inside);
            fs::create_dir_all(&inside)
                .with_context(|| format!("a folder cannot be made: {}", inside.display()))?;
        }
        let text = serde_json::to_vec_pretty(&sweep.plan).context("the plan has no JSON form")?;
        write_file(&folder.join(SWEEP_FILE), &text)?;
        Ok(sweep)
    }

    /// Opens the sweep of a folder.
    ///
    /// # Errors
    /// [`Failure::BadInput`] for a folder without one, and for one of a newer program.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(SWEEP_FILE);
        let refused = |reason: &str| Failure::BadInput(format!("{reason}: {}", path.display()));
        if !path.exists() {
            return Err(refused("no sweep was begun there; kvlens sweep PLAN begins it").into());
        }
        let text = read_at_most(&path, MOST_BYTES)
            .with_context(|| format!("the sweep cannot be read: {}", path.display()))?;
        let plan: SweepPlan = serde_json::from_slice(&text)
            .map_err(|error| refused(&format!("the sweep's file is damaged ({error})")))?;
        if plan.format_version != FORMAT_VERSION {
            return Err(refused("the sweep is of another version of KVLens").into());
        }
        plan.check().map_err(|reason| refused(&reason))?;
        Ok(Self {
            folder: folder.to_owned(),
            plan,
        })
    }

    /// All tasks, cell by cell.
    #[must_use]
    pub fn tasks(&self) -> Vec<Task<'_>> {
        let cells = self.plan.cells.iter();
        cells.flat_map(SweepCell::tasks).collect()
    }

    /// Where a cell's parts are captured.
    #[must_use]
    pub fn session(&self, cell: &SweepCell) -> PathBuf {
        self.sessions().join(format!("{}.kvlens", cell.name))
    }

    /// The folder of all sessions.
    #[must_use]
    pub fn sessions(&self) -> PathBuf {
        self.folder.join("sessions")
    }

    fn part(&self, task: &Task<'_>) -> PathBuf {
        self.session(task.cell).join(part_name(task.index))
    }

    fn task_file(&self, task: &str, ending: &str) -> PathBuf {
        self.folder.join("tasks").join(format!("{task}.{ending}"))
    }
}

impl SweepPlan {
    /// A plan of this program.
    #[must_use]
    pub fn new(
        plan_file: String,
        budgets: Vec<Budget>,
        compare: Compare,
        cells: Vec<SweepCell>,
        slurm: SlurmSettings,
    ) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            kvlens_version: env!("CARGO_PKG_VERSION").to_owned(),
            plan_file,
            budgets,
            compare,
            cells,
            slurm,
        }
    }

    /// A file that somebody handed over must not lead out of its folder.
    fn check(&self) -> Result<(), String> {
        let mut tasks = 0_usize;
        for cell in &self.cells {
            let Axes {
                model,
                data,
                windows,
                decode,
                seed,
            } = &cell.axes;
            for name in [&cell.name, model, data, windows, decode, seed] {
                if name.is_empty() || *name != file_name(name) || name.starts_with('.') {
                    return Err(format!(
                        "the sweep has a cell that no file can be named after, '{name}'"
                    ));
                }
            }
            if cell.samples_per_task == 0 {
                return Err("the sweep has tasks of no sample".to_owned());
            }
            tasks = tasks.saturating_add(cell.samples.div_ceil(cell.samples_per_task));
            if tasks > MOST_TASKS {
                return Err(format!(
                    "the sweep has more than {MOST_TASKS} tasks; give them more samples each"
                ));
            }
        }
        Ok(())
    }

    /// What of this sweep is not to be done any more, or otherwise.
    fn differs(&self, new: &Self) -> Option<String> {
        if self.kvlens_version != new.kvlens_version {
            return Some(format!(
                "was begun by KVLens {}, and this is {}",
                self.kvlens_version, new.kvlens_version
            ));
        }
        if (&self.budgets, self.compare) != (&new.budgets, new.compare) {
            return Some("makes tables of other budgets, or compares something else".to_owned());
        }
        let gone = self.cells.iter().find(|cell| !new.cells.contains(cell))?;
        Some(format!(
            "has a cell that the plan has not, or has otherwise, '{}'",
            gone.name
        ))
    }
}

impl SweepCell {
    fn tasks(&self) -> impl Iterator<Item = Task<'_>> {
        let starts = (0..self.samples).step_by(self.samples_per_task.max(1));
        starts.enumerate().map(|(index, first)| Task {
            name: format!("{}.{}", self.name, part_name(index)),
            cell: self,
            index,
            part: SamplePart {
                first,
                samples: self.samples_per_task.min(self.samples - first),
                of: self.samples,
            },
        })
    }
}

/// With a hyphen for every character that is not at home in a file's name.
#[must_use]
pub fn file_name(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_alphanumeric() || matches!(c, '.' | '_' | '+' | '-') {
                c
            } else {
                '-'
            }
        })
        .collect()
}
