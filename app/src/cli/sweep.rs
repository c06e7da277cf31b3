//! `kvlens sweep`: a plan over models, data, windows, decode settings and seeds, here or on a cluster.

mod local;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use super::fetch::fetch_model;
use super::interrupt::cancel_on_interrupt;
use super::measure::measure_and_print;
use super::output;
use super::progress::Progress;
use super::sweep_plan::{SweepFile, folder_of};
use crate::jobs::Cancel;
use crate::jobs::failure::Failure;
use crate::jobs::models::Models;
use crate::jobs::sweep::{
    Outcome, Queue, Sweep, TaskState, TaskStatus, cancel, measurement, run_task, status, submit,
};

/// `kvlens sweep`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct SweepArguments {
    #[command(subcommand)]
    command: Option<SweepCommand>,
    /// The plan (TOML): the keys of `capture --plan`, where `windows` may be a list of lists, `decode` and `seed` lists,
    /// and beside them `samples-per-task`, `budgets`, `compare` and a table [slurm]
    #[arg(value_name = "PLAN.toml", required = true)]
    plan: Option<PathBuf>,
    /// Submit what is left as an array job of Slurm, and end
    #[arg(long, conflicts_with = "gpus")]
    slurm: bool,
    /// Run one process on each of these GPUs, by their numbers in CUDA's order; without it, one process
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    gpus: Vec<u32>,
}

/// What else is done with a sweep.
#[derive(Debug, Subcommand)]
enum SweepCommand {
    /// Say how far each cell is, and what failed
    Status(StatusArguments),
    /// Measure all of it together, into the sweep's folder `collected`
    Collect(OfSweep),
    /// Take its jobs out of Slurm's queue; what they finished is kept
    Cancel(OfSweep),
    /// Run tasks that nobody runs, one after the other: as many of these as one likes, on whatever shares the folder
    Work(WorkArguments),
}

/// A sweep that was begun.
#[derive(Debug, Args)]
struct OfSweep {
    /// The sweep's folder, or its plan
    #[arg(value_name = "FOLDER|PLAN.toml")]
    sweep: PathBuf,
}

/// `kvlens sweep status`
#[derive(Debug, Args)]
struct StatusArguments {
    #[command(flatten)]
    sweep: OfSweep,
    /// Print JSON, a task for each element
    #[arg(long)]
    json: bool,
}

/// `kvlens sweep work`
#[derive(Debug, Args)]
struct WorkArguments {
    #[command(flatten)]
    sweep: OfSweep,
    /// Only this task
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Stop after the current step once stdin is closed
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, tasks that failed.
pub fn run(arguments: &SweepArguments) -> Result<()> {
    match (&arguments.command, &arguments.plan) {
        (Some(SweepCommand::Status(arguments)), _) => print_status(arguments),
        (Some(SweepCommand::Collect(of)), _) => collect(&open(&of.sweep)?),
        (Some(SweepCommand::Cancel(of)), _) => cancel_jobs(&open(&of.sweep)?),
        (Some(SweepCommand::Work(arguments)), _) => work(arguments),
        (None, Some(plan)) => begin(plan, arguments),
        (None, None) => Err(Failure::BadInput("a sweep needs its plan".to_owned()).into()),
    }
}

fn open(path: &Path) -> Result<Sweep> {
    Sweep::open(&folder_of(path)?)
}

fn begin(plan: &Path, arguments: &SweepArguments) -> Result<()> {
    let file = SweepFile::read(plan)?;
    let cancel = cancel_on_interrupt()?;
    // here, where there is a network: the nodes may have none
    for plan in file.models() {
        fetch_model(&plan.model, &cancel)?;
    }
    let folder = file.out.clone();
    let sweep = Sweep::begin(&folder, file.plan()?)?;
    if arguments.slurm {
        return submit_rest(&sweep);
    }
    local::run(&sweep, &arguments.gpus, &cancel)?;
    let tasks = status(&sweep, &Queue::default());
    output::print(&table::text(&sweep, &tasks))?;
    refuse_failed(&tasks, &cancel, &folder)
}

/// What a sweep that has ended has not done.
fn refuse_failed(tasks: &[TaskStatus], cancel: &Cancel, folder: &Path) -> Result<()> {
    let open: Vec<&TaskStatus> = tasks.iter().filter(|task| task.state.is_open()).collect();
    if cancel.is_cancelled() {
        return Err(Failure::Interrupted(format!(
            "stopped; {} of {} tasks are done, and the same command goes on: {}",
            tasks.len() - open.len(),
            tasks.len(),
            folder.display()
        ))
        .into());
    }
    for task in &open {
        if let TaskState::Failed { reason } = &task.state {
            output::note(&format!("{}: {reason}", task.task));
        }
    }
    match open.len() {
        0 => Ok(()),
        count => bail!(
            "{count} of {} tasks are not done; the same command tries them again, and what they said stands in logs: {}",
            tasks.len(),
            folder.display()
        ),
    }
}

fn submit_rest(sweep: &Sweep) -> Result<()> {
    let queue = Queue::ask(sweep)?;
    let text = match submit(sweep, &queue)? {
        Some(submitted) => match submitted.tasks.len() {
            1 => format!("submitted as job {}: 1 task\n", submitted.job),
            count => format!("submitted as job {}: {count} tasks\n", submitted.job),
        },
        None => "nothing to submit: every task is done, runs, or waits in the queue\n".to_owned(),
    };
    output::print(&text)
}

fn print_status(arguments: &StatusArguments) -> Result<()> {
    let sweep = open(&arguments.sweep.sweep)?;
    let tasks = status(&sweep, &Queue::ask(&sweep)?);
    if arguments.json {
        return output::print(&format!("{}\n", serde_json::to_string_pretty(&tasks)?));
    }
    output::print(&table::text(&sweep, &tasks))
}

fn collect(sweep: &Sweep) -> Result<()> {
    let tasks = status(sweep, &Queue::ask(sweep)?);
    let open = tasks
        .iter()
        .filter(|task| task.state != TaskState::Finished);
    match open.count() {
        0 => {}
        count => output::note(&format!(
            "warning: {count} of {} tasks are not done, so the tables tell of a part of the sweep",
            tasks.len()
        )),
    }
    measure_and_print(&measurement(sweep), &cancel_on_interrupt()?)
}

fn cancel_jobs(sweep: &Sweep) -> Result<()> {
    let jobs = cancel(&Queue::ask(sweep)?)?;
    output::print(&match jobs.is_empty() {
        true => "nothing of the sweep is in Slurm's queue\n".to_owned(),
        false => format!("taken out of the queue: {}\n", jobs.join(", ")),
    })
}

/// Tasks one after the other, in this process.
fn work(arguments: &WorkArguments) -> Result<()> {
    let sweep = open(&arguments.sweep.sweep)?;
    let cancel = cancel_on_interrupt()?;
    if arguments.until_stdin_closes {
        cancel_when_stdin_closes(cancel.clone())?;
    }
    let tasks: Vec<_> = sweep
        .tasks()
        .into_iter()
        .filter(|task| {
            arguments
                .task
                .as_ref()
                .is_none_or(|name| *name == task.name)
        })
        .collect();
    if let (Some(name), true) = (&arguments.task, tasks.is_empty()) {
        return Err(Failure::BadInput(format!("the sweep has no task '{name}'")).into());
    }
    let mut models = Models::default();
    let mut failed = 0;
    for task in &tasks {
        let mut progress = Progress::begin("sweep")?;
        let outcome = run_task(&sweep, task, &mut models, &mut progress, &cancel);
        progress.end();
        let said = match outcome? {
            Outcome::AlreadyDone => continue,
            Outcome::Elsewhere => "is run by another process".to_owned(),
            Outcome::Finished => "done".to_owned(),
            Outcome::Failed(reason) => {
                failed += 1;
                reason
            }
        };
        output::print(&format!("{}: {said}\n", task.name))?;
    }
    match failed {
        0 => Ok(()),
        _ => bail!(
            "{failed} tasks failed, as said above; they are tried again when they are run again"
        ),
    }
}

/// Whoever started this process holds its stdin, and it ends when they do, however they end.
fn cancel_when_stdin_closes(cancel: Cancel) -> Result<()> {
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            cancel.cancel();
        })?;
    Ok(())
}
