//! A sweep on this computer: a process for each GPU, and a live table of what they do.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::table::samples;
use crate::cli::output;
use crate::jobs::Cancel;
use crate::jobs::sweep::{Queue, Sweep, TaskState, cells_of, status};

/// How often the table is looked after.
const TICK: Duration = Duration::from_millis(300);

/// Runs what is left of a sweep until it is done, or until a cancel.
pub fn run(sweep: &Sweep, gpus: &[u32], cancel: &Cancel) -> Result<()> {
    let mut workers = match gpus.is_empty() {
        true => vec![start(sweep, 0, None)?],
        false => gpus
            .iter()
            .enumerate()
            .map(|(number, gpu)| start(sweep, number, Some(*gpu)))
            .collect::<Result<_>>()?,
    };
    let mut live = Live::begin(sweep)?;
    while !all_ended(&mut workers)? {
        if cancel.is_cancelled() {
            // their stdin closes, which tells them to stop after the current step
            for worker in &mut workers {
                worker.stdin.take();
            }
        }
        live.show(sweep);
        std::thread::sleep(TICK);
    }
    live.show(sweep);
    live.end();
    Ok(())
}

/// A process of this program that works on the sweep; what it says goes into a log.
fn start(sweep: &Sweep, number: usize, gpu: Option<u32>) -> Result<Child> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let log = sweep
        .folder
        .join("logs")
        .join(format!("worker-{number}.log"));
    let said = || format!("the log cannot be written: {}", log.display());
    let file = OpenOptions::new().create(true).append(true).open(&log);
    let file = file.with_context(said)?;
    let mut command = Command::new(program);
    command
        .args(["sweep", "work", "--until-stdin-closes"])
        .arg(&sweep.folder)
        .stdin(Stdio::piped())
        .stdout(file.try_clone().with_context(said)?)
        .stderr(file);
    if let Some(gpu) = gpu {
        command.env("CUDA_VISIBLE_DEVICES", gpu.to_string());
    }
    command.spawn().context("a process cannot be started")
}

fn all_ended(workers: &mut [Child]) -> Result<bool> {
    let mut ended = true;
    for worker in workers {
        let status = worker.try_wait().context("a process cannot be asked")?;
        ended &= status.is_some();
    }
    Ok(ended)
}

/// A line for each cell on a terminal; elsewhere a line for each task that ends.
struct Live {
    bars: Option<(MultiProgress, Vec<ProgressBar>)>,
    told: HashMap<String, &'static str>,
}

impl Live {
    fn begin(sweep: &Sweep) -> Result<Self> {
        let told = status(sweep, &Queue::default());
        let told = told.into_iter().map(|task| (task.task, task.state.word()));
        Ok(Self {
            bars: io::stderr()
                .is_terminal()
                .then(|| bars(sweep))
                .transpose()?,
            told: told.collect(),
        })
    }

    fn show(&mut self, sweep: &Sweep) {
        let tasks = status(sweep, &Queue::default());
        if let Some((_, bars)) = &self.bars {
            for (cell, bar) in cells_of(sweep, &tasks).iter().zip(bars) {
                bar.set_position(cell.count("finished") as u64);
                let mut message = format!("{} samples", samples(cell));
                for state in ["running", "failed", "interrupted"] {
                    match cell.count(state) {
                        0 => {}
                        count => message.push_str(&format!(", {count} {state}")),
                    }
                }
                bar.set_message(message);
            }
        }
        for task in tasks {
            let word = task.state.word();
            let before = self.told.insert(task.task.clone(), word);
            let has_ended = matches!(task.state, TaskState::Finished | TaskState::Failed { .. });
            if before != Some(word) && has_ended && self.bars.is_none() {
                output::note(&format!("{}: {word}", task.task));
            }
        }
    }

    fn end(self) {
        if let Some((_, bars)) = self.bars {
            bars.iter().for_each(ProgressBar::finish_and_clear);
        }
    }
}

fn bars(sweep: &Sweep) -> Result<(MultiProgress, Vec<ProgressBar>)> {
    let layout = "{prefix:40!} {bar:16} {pos}/{len} tasks, {msg}";
    let style = ProgressStyle::with_template(layout).context("a table cannot be laid out")?;
    let all = MultiProgress::new();
    let cells = sweep.plan.cells.iter();
    let bars = cells.map(|cell| {
        let tasks = cell.samples.div_ceil(cell.samples_per_task.max(1));
        let bar = all.add(ProgressBar::new(tasks as u64).with_style(style.clone()));
        bar.set_prefix(cell.name.clone());
        bar
    });
    let bars = bars.collect();
    Ok((all, bars))
}
