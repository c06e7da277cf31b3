//! Slurm: the tasks that are left as one array job, its queue, and taking it back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use kvlens_datasets::read_at_most;
use kvlens_sessions::write_file;
use serde::{Deserialize, Serialize};

use super::status::status;
use super::{MOST_BYTES, Sweep};
use crate::jobs::failure::Failure;

/// Seconds before its time is up at which a task is told to stop, so that it keeps what it has.
const WARNING_SECONDS: u32 = 120;

/// What a plan says of Slurm; what it does not say is the cluster's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct SlurmSettings {
    /// `--partition`.
    pub partition: Option<String>,
    /// `--account`.
    pub account: Option<String>,
    /// `--gpus-per-task` of a task, such as `1` or `h100:1`.
    pub gpus: Option<Scalar>,
    /// `--cpus-per-task`.
    pub cpus: Option<u32>,
    /// `--mem`, such as `64G`.
    pub memory: Option<Scalar>,
    /// `--time`, such as `04:00:00`.
    pub time: Option<Scalar>,
    /// Tasks that run at once, at most.
    pub at_once: Option<u32>,
    /// Further options of `sbatch`, each as it is typed there.
    pub options: Vec<String>,
    /// Lines of shell that run before each task, such as `module load cuda`.
    pub setup: Vec<String>,
    /// The program on the nodes; without it, the one that submits.
    pub program: Option<PathBuf>,
}

/// A number or a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// An array job that was submitted: task `i` of the array is `tasks[i]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submitted {
    /// Slurm's number.
    pub job: String,
    /// Names of its tasks.
    pub tasks: Vec<String>,
}

/// What Slurm's queue says of the sweep's tasks.
#[derive(Debug, Default)]
pub struct Queue {
    /// Whether each task that waits or runs runs.
    tasks: BTreeMap<String, bool>,
    is_known: bool,
    jobs: Vec<String>,
}

impl Queue {
    /// Asks Slurm, if anything of the sweep was ever submitted.
    ///
    /// # Errors
    /// [`Failure::BadInput`] where Slurm was used and cannot be asked from here.
    pub fn ask(sweep: &Sweep) -> Result<Self> {
        let submitted = submitted(sweep)?;
        if submitted.is_empty() {
            return Ok(Self::default());
        }
        let lines = output("squeue", &["--me", "-h", "-r", "-o", "%F %K %T"])?;
        Ok(Self::read(&submitted, &lines))
    }

    fn read(submitted: &[Submitted], lines: &str) -> Self {
        let mut queue = Self {
            is_known: true,
            ..Self::default()
        };
        for line in lines.lines() {
            let mut words = line.split_whitespace();
            let (Some(job), Some(index), Some(state)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let Some(ours) = submitted.iter().find(|submitted| submitted.job == job) else {
                continue;
            };
            let task = index
                .parse()
                .ok()
                .and_then(|index: usize| ours.tasks.get(index));
            if let Some(task) = task {
                let runs = !matches!(
                    state,
                    "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "SPECIAL_EXIT"
                );
                queue.tasks.insert(task.clone(), runs);
                if queue.jobs.iter().all(|known| known != job) {
                    queue.jobs.push(job.to_owned());
                }
            }
        }
        queue
    }

    /// Whether a task runs; none where it is not in the queue.
    pub(super) fn state_of(&self, task: &str) -> Option<bool> {
        self.tasks.get(task).copied()
    }

    /// Whether Slurm was asked.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }
}

/// Submits the tasks that nobody runs and that do not wait already, as one array job; none where there are none.
///
/// # Errors
/// [`Failure::BadInput`] where there is no Slurm or it refuses the job.
pub fn submit(sweep: &Sweep, queue: &Queue) -> Result<Option<Submitted>> {
    let open = status(sweep, queue).into_iter();
    let open = open.filter(|task| task.state.is_open());
    let tasks: Vec<String> = open.map(|task| task.task).collect();
    if tasks.is_empty() {
        return Ok(None);
    }
    let folder = slurm_folder(sweep)?;
    fs::create_dir_all(&folder)
        .with_context(|| format!("a folder cannot be made: {}", folder.display()))?;
    let number = submitted(sweep)?.len();
    let list = folder.join(format!("{number:03}.tasks"));
    write_file(&list, format!("{}\n", tasks.join("\n")).as_bytes())?;
    let script = folder.join(format!("{number:03}.sh"));
    write_file(
        &script,
        script_text(sweep, &folder, &list, tasks.len())?.as_bytes(),
    )?;
    let job = output("sbatch", &["--parsable", &script.to_string_lossy()])?;
    let job = job.trim().split(';').next().unwrap_or_default().to_owned();
    let submitted = Submitted { job, tasks };
    let text = serde_json::to_vec(&submitted).context("a job has no JSON form")?;
    write_file(&folder.join(format!("{number:03}.json")), &text)?;
    Ok(Some(submitted))
}

/// Takes what waits or runs of the sweep back, and gives the numbers of the jobs.
///
/// # Errors
/// [`Failure::BadInput`] where Slurm refuses it.
pub fn cancel(queue: &Queue) -> Result<Vec<String>> {
    if !queue.jobs.is_empty() {
        let jobs: Vec<&str> = queue.jobs.iter().map(String::as_str).collect();
        output("scancel", &jobs)?;
    }
    Ok(queue.jobs.clone())
}

/// What was submitted of a sweep, the oldest first.
fn submitted(sweep: &Sweep) -> Result<Vec<Submitted>> {
    let folder = sweep.folder.join("slurm");
    let mut submitted = Vec::new();
    for number in 0_usize.. {
        let path = folder.join(format!("{number:03}.json"));
        let Ok(text) = read_at_most(&path, MOST_BYTES) else {
            break;
        };
        submitted.push(
            serde_json::from_slice(&text)
                .with_context(|| format!("a submission is damaged: {}", path.display()))?,
        );
    }
    Ok(submitted)
}

fn slurm_folder(sweep: &Sweep) -> Result<PathBuf> {
    let folder = sweep.folder.join("slurm");
    std::path::absolute(&folder)
        .with_context(|| format!("this is no usable folder: {}", folder.display()))
}

fn script_text(sweep: &Sweep, folder: &Path, list: &Path, tasks: usize) -> Result<String> {
    let slurm = &sweep.plan.slurm;
    let here = std::env::current_dir().context("there is no current folder")?;
    let program = match &slurm.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().context("this program cannot be found")?,
    };
    let out = std::path::absolute(&sweep.folder).context("the sweep's folder cannot be named")?;
    let at_once = slurm
        .at_once
        .map_or_else(String::new, |most| format!("%{most}"));
    let mut options = vec![
        "--job-name=kvlens-sweep".to_owned(),
        format!("--array=0-{}{at_once}", tasks.saturating_sub(1)),
        format!("--chdir={}", here.display()),
        format!("--output={}/%A_%a.log", folder.display()),
        "--open-mode=append".to_owned(),
        "--requeue".to_owned(),
        format!("--signal=B:TERM@{WARNING_SECONDS}"),
    ];
    let mut add = |name: &str, value: Option<String>| {
        options.extend(value.map(|value| format!("--{name}={value}")));
    };
    add("partition", slurm.partition.clone());
    add("account", slurm.account.clone());
    add("gpus-per-node", slurm.gpus.as_ref().map(Scalar::to_string));
    add("cpus-per-task", slurm.cpus.map(|cpus| cpus.to_string()));
    add("mem", slurm.memory.as_ref().map(Scalar::to_string));
    add("time", slurm.time.as_ref().map(Scalar::to_string));
    options.extend(slurm.options.iter().cloned());
    if let Some(option) = options.iter().find(|option| option.contains(['\n', '\r'])) {
        let reason = format!("an option of Slurm's has a line break in it: '{option}'");
        return Err(Failure::BadInput(reason).into());
    }
    let mut text = "#!/bin/bash\n".to_owned();
    for option in options {
        // writing to a string cannot fail
        let _ = writeln!(text, "#SBATCH {}", quoted_option(&option));
    }
    text.push_str("set -e\n");
    for line in &slurm.setup {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(
        text,
        "task=$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" {})\nexec {} sweep work {} --task \"$task\"",
        quoted(&list.to_string_lossy()),
        quoted(&program.to_string_lossy()),
        quoted(&out.to_string_lossy())
    );
    Ok(text)
}

/// For a shell, whatever stands in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Slurm reads its lines as a shell does, so what has a space stands in quotes.
fn quoted_option(option: &str) -> String {
    match option.contains(' ') {
        true => format!("\"{option}\""),
        false => option.to_owned(),
    }
}

fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let ran = Command::new(program).args(arguments).output();
    let ran = ran.map_err(|error| {
        Failure::BadInput(format!(
            "Slurm cannot be asked ({error}); run this where its commands are: {program}"
        ))
    })?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    Err(Failure::BadInput(format!("{program} refused: {}", said.trim())).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_tells_which_tasks_wait_and_which_run() {
        let submitted = [
            Submitted {
                job: "12".to_owned(),
                tasks: vec!["a".to_owned(), "b".to_owned()],
            },
            Submitted {
                job: "15".to_owned(),
                tasks: vec!["c".to_owned()],
            },
        ];
        let queue = Queue::read(
            &submitted,
            "12 1 RUNNING\n15 0 PENDING\n99 0 RUNNING\n12 7 RUNNING\n",
        );
        assert_eq!(
            ["a", "b", "c"].map(|task| queue.state_of(task)),
            [None, Some(true), Some(false)]
        );
        assert_eq!(queue.jobs, ["12", "15"]);
    }

    #[test]
    fn nothing_in_a_path_is_obeyed_by_a_shell() {
        assert_eq!(quoted("a b"), "'a b'");
        // as printf %q and bash take it
        assert_eq!(quoted("it's $(x)"), "'it'\\''s $(x)'");
    }
}
