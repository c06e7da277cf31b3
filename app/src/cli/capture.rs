//! `kvlens capture`: run a model on prompts into a session folder.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kvlens_datasets::{Samples, Spooled};
use kvlens_sessions::windows::parse_windows;
use kvlens_sessions::{CapturePlan, CaptureSummary, Session, Stage, StartMode};

use super::args::CaptureArguments;
use super::capture_grid::cells;
use super::failure;
use super::fetch::{fetch_model, require_model};
use super::interrupt::cancel_on_interrupt;
use super::memory_table::memory_table;
use super::output::{self, counted_samples};
use super::progress::Progress;
use crate::jobs::capture::{CaptureRequest, run as capture};
use crate::jobs::estimate::{Estimate, keep_by_size};
use crate::jobs::failure::{Failure, is_cancelled};
use crate::jobs::models::Models;
use crate::jobs::prompts;
use crate::jobs::{Cancel, SampleFacts, Warnings, Watch};
use crate::measurement::StageProgress;

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, samples that could not be captured.
pub fn run(arguments: &CaptureArguments) -> Result<()> {
    let cells = cells(arguments)?;
    if arguments.estimate {
        return cells.iter().try_for_each(|cell| print_estimate(&cell.plan));
    }
    let start = if arguments.resume.is_some() {
        StartMode::Resume
    } else {
        StartMode::New
    };
    let requests = cells.into_iter().filter_map(|cell| {
        Some(CaptureRequest {
            plan: cell.plan,
            prompts: None,
            out: cell.out?,
            start,
        })
    });
    run_all(&requests.collect::<Vec<_>>(), &cancel_on_interrupt()?)
}

/// Runs captures one after the other. One that fails is named, and the others go on.
fn run_all(requests: &[CaptureRequest], cancel: &Cancel) -> Result<()> {
    // what can be refused cheaply is refused before the first of them runs
    for request in requests {
        request.check()?;
    }
    let mut models = Models::default();
    let mut failed = 0;
    for request in requests {
        match run_one(request, &mut models, cancel) {
            Ok(summary) => output::print(&summary_line(request, summary))?,
            Err(error) if requests.len() == 1 || cancel.is_cancelled() => return Err(error),
            Err(error) => {
                failed += 1;
                output::note(&failure::sentence(&error));
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => bail!(
            "{failed} of {} captures failed, as said above; --resume goes on with them",
            requests.len()
        ),
    }
}

/// Captures, and tells on stderr how far it is.
///
/// # Errors
/// Bad input; [`Failure::Interrupted`] after a cancel; an error when samples could not be captured, each of which
/// was named on stderr.
pub fn run_one(
    request: &CaptureRequest,
    models: &mut Models,
    cancel: &Cancel,
) -> Result<CaptureSummary> {
    fetch_model(&request.plan.model, cancel)?;
    let mut told = Told::new(&request.plan)?;
    let outcome = capture(request, models, &mut told, cancel);
    told.end();
    match outcome {
        Ok(summary) if summary.failed > 0 => bail!(
            "{} of {} could not be captured, as said above; the others are kept: {}",
            summary.failed,
            counted_samples(summary.failed + summary.finished + summary.already_finished),
            request.out.display()
        ),
        Err(error) if is_cancelled(&error) => Err(interrupted(&request.out).into()),
        outcome => outcome,
    }
}

/// Prints what the plan would take, and refuses it if that cannot be had.
fn print_estimate(plan: &CapturePlan) -> Result<()> {
    require_model(&plan.model)?;
    let Spooled { samples, report } = prompts::load(plan, &std::env::temp_dir())?;
    let samples = Samples::from(&samples);
    report.to_string().lines().for_each(output::note);
    let keep = match plan.keep {
        Some(keep) => keep,
        None => keep_by_size(plan, samples)?,
    };
    let plan = CapturePlan {
        keep: Some(keep),
        ..plan.clone()
    };
    let estimate = Estimate::of(&plan, samples, false)?;
    output::print(&memory_table(&estimate))?;
    estimate.check()
}

fn summary_line(request: &CaptureRequest, summary: CaptureSummary) -> String {
    let before = match summary.already_finished {
        0 => String::new(),
        count => format!(", {count} were there already"),
    };
    let out = request.out.display();
    let rounded = match summary.largest_rounding {
        Some(change) => format!("; 16 bits changed a token's importance by at most {change:.1e}"),
        None => String::new(),
    };
    format!(
        "captured {}{before}{rounded}: {out}\n",
        counted_samples(summary.finished)
    )
}

fn interrupted(out: &Path) -> Failure {
    let session = Session::open(out);
    let (kept, count) = session.map_or((0, 0), |session| {
        (session.sample_count(), session.manifest().samples.len())
    });
    Failure::Interrupted(format!(
        "stopped; finished and kept: {kept} of {}; go on with: kvlens capture --resume {}",
        counted_samples(count),
        out.display()
    ))
}

/// Turns a capture's news into progress and warnings.
struct Told {
    /// What the capture takes, told once it was accepted.
    memory: String,
    progress: Progress,
    warnings: Warnings,
    /// Each window's label and the prompt rows that it takes.
    windows: Vec<(String, usize)>,
    prompt_tokens: usize,
    decode_tokens: usize,
    pace: Pace,
}

/// How fast samples are finished.
#[derive(Default)]
struct Pace {
    began: Option<Instant>,
    finished: u32,
    /// Samples behind the one that runs.
    left: usize,
}

impl Pace {
    /// A sample finishes quickly enough if nobody has to be told how long the others take.
    const SLOW: Duration = Duration::from_secs(5);

    fn begin(&mut self, index: usize, count: usize) {
        self.began.get_or_insert_with(Instant::now);
        self.left = count.saturating_sub(index + 1);
    }

    /// What the rest will take if it goes on as it went; nothing where that is soon or there is none.
    fn finish(&mut self) -> Option<String> {
        self.finished += 1;
        let each = self.began?.elapsed() / self.finished;
        (self.left > 0 && each >= Self::SLOW).then(|| rest_line(each, self.left))
    }
}

fn rest_line(each: Duration, left: usize) -> String {
    format!(
        "about {} left, at {:.0} seconds a prompt so far",
        readable_time(each.mul_f64(left as f64)),
        each.as_secs_f64()
    )
}

/// A time as it is told of beforehand, in whole seconds or minutes.
pub fn readable_time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds < 90.0 {
        true => format!("{seconds:.0} seconds"),
        false => format!("{:.0} minutes", seconds / 60.0),
    }
}

impl Told {
    fn new(plan: &CapturePlan) -> Result<Self> {
        let windows = parse_windows(&plan.windows)?;
        Ok(Self {
            memory: String::new(),
            progress: Progress::begin("capture").context("the capture cannot start")?,
            warnings: Warnings::default(),
            windows: windows
                .iter()
                .map(|window| {
                    // of `all` those that lack weights are left out when the model is there
                    let needs = window.needs(&plan.model).unwrap_or_default();
                    (window.label().to_owned(), needs.last_rows)
                })
                .collect(),
            prompt_tokens: 0,
            decode_tokens: 0,
            pace: Pace::default(),
        })
    }

    fn end(self) {
        self.warnings.end(&self.progress);
        self.progress.end();
    }
}

impl StageProgress for Told {
    fn stage(&mut self, name: &str, done: usize, total: usize) {
        self.progress.stage(name, done, total);
    }

    fn note(&self, line: &str) {
        self.progress.note(line);
    }
}

impl Watch for Told {
    fn sample(&mut self, index: usize, count: usize, id: &str) {
        (self.prompt_tokens, self.decode_tokens) = (0, 0);
        self.pace.begin(index, count);
        self.progress.sample(index, count, id);
    }

    fn capture_stage(&mut self, stage: &Stage, done: usize, total: usize) {
        match stage {
            Stage::Prefill => self.prompt_tokens = total,
            Stage::Decode => self.decode_tokens = done,
            Stage::Window(_) => {}
        }
        self.stage(&stage.to_string(), done, total);
    }

    fn sample_finished(&mut self, id: &str) {
        let sample = SampleFacts {
            id,
            prompt_tokens: self.prompt_tokens,
            decode_tokens: self.decode_tokens,
        };
        self.warnings.of_decode_stage(sample, &self.progress);
        for (label, rows) in &self.windows {
            self.warnings
                .of_window(sample, label, *rows, &self.progress);
        }
        if let Some(line) = self.pace.finish() {
            self.progress.note(&line);
        }
    }

    fn accepted(&mut self, estimate: &Estimate) {
        self.memory = estimate.peak_of_available_line();
    }

    fn started(&mut self) {
        self.progress.note(&self.memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_what_the_samples_took_so_far() {
        let line = rest_line(Duration::from_secs(20), 7);
        assert_eq!(line, "about 2 minutes left, at 20 seconds a prompt so far");
        let line = rest_line(Duration::from_millis(8500), 2);
        assert_eq!(line, "about 17 seconds left, at 8 seconds a prompt so far");
        let mut quick = Pace::default();
        quick.begin(0, 3);
        assert_eq!(quick.finish(), None);
    }
}
