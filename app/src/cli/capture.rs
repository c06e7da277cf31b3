//! `kvlens capture`: run a model on prompts into a session folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kvlens_datasets::{DataSpec, Sample, load_all};
use kvlens_sessions::estimate::CaptureEstimator;
use kvlens_sessions::model::Model;
use kvlens_sessions::windows::parse_windows;
use kvlens_sessions::{
    CancelFlag, CaptureEvent, CapturePlan, CaptureSummary, Session, SessionError, Stage, StartMode,
    capture,
};

use super::args::CaptureArguments;
use super::capture_grid::cells;
use super::failure::{self, Failure};
use super::fetch::{fetch_model, require_model};
use super::folders::check_can_create;
use super::interrupt::cancel_on_interrupt;
use super::memory_table::{memory_line, memory_table};
use super::output;
use super::progress::Progress;
use super::warnings::{SampleFacts, Warnings};
use crate::system_memory::available_memory;

/// What makes a folder a session.
const MANIFEST_FILE: &str = "manifest.json";

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, samples that could not be captured.
pub fn run(arguments: &CaptureArguments) -> Result<()> {
    let cells = cells(arguments)?;
    if arguments.estimate {
        return cells.iter().try_for_each(|cell| print_estimate(&cell.plan));
    }
    let start = if arguments.resume {
        StartMode::Resume
    } else {
        StartMode::New
    };
    let jobs = cells.into_iter().filter_map(|cell| {
        let (plan, out) = (cell.plan, cell.out?);
        Some(CaptureJob { plan, out, start })
    });
    run_all(&jobs.collect::<Vec<_>>(), &cancel_on_interrupt()?)
}

/// Runs captures one after the other. One that fails is named, and the others go on.
fn run_all(jobs: &[CaptureJob], cancel: &CancelFlag) -> Result<()> {
    // what can be refused cheaply is refused before the first of them runs
    for job in jobs {
        job.check()?;
    }
    let mut model = ModelSlot::default();
    let mut failed = 0;
    for job in jobs {
        match job.run_with(&mut model, cancel) {
            Ok(summary) => output::print(&job.summary_line(summary))?,
            Err(error) if jobs.len() == 1 || cancel.is_cancelled() => return Err(error),
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
            jobs.len()
        ),
    }
}

/// Prints what the plan would take, and refuses it if that cannot be had.
fn print_estimate(plan: &CapturePlan) -> Result<()> {
    let samples = load_samples(plan)?;
    require_model(&plan.model)?;
    let available = available_memory();
    let estimator = CaptureEstimator::open(plan)?;
    let estimate = estimator.estimate(&samples)?;
    output::print(&memory_table(&estimate, available))?;
    Ok(estimator.check(&estimate, available)?)
}

fn load_samples(plan: &CapturePlan) -> Result<Vec<Sample>> {
    let specs = plan
        .data
        .iter()
        .map(|spec| spec.parse())
        .collect::<Result<Vec<DataSpec>, _>>()?;
    Ok(load_all(&specs)?)
}

fn samples(count: usize) -> String {
    match count {
        1 => "1 sample".to_owned(),
        _ => format!("{count} samples"),
    }
}

/// A capture with where it goes.
pub struct CaptureJob {
    /// What to capture.
    pub plan: CapturePlan,
    /// The session folder.
    pub out: PathBuf,
    /// What to do with a folder that is there.
    pub start: StartMode,
}

impl CaptureJob {
    /// Refuses what can be refused cheaply, loads the model, and captures every sample.
    ///
    /// # Errors
    /// Bad input; [`Failure::Interrupted`] after a cancel; an error when samples could not be
    /// captured, each of which was named on stderr.
    pub fn run(&self, cancel: &CancelFlag) -> Result<CaptureSummary> {
        self.check()?;
        self.run_with(&mut ModelSlot::default(), cancel)
    }

    /// Refuses what can be refused without the model.
    fn check(&self) -> Result<()> {
        self.window_rows()?;
        load_samples(&self.plan)?;
        self.check_output()
    }

    fn run_with(&self, slot: &mut ModelSlot, cancel: &CancelFlag) -> Result<CaptureSummary> {
        let windows = self.window_rows()?;
        let samples = load_samples(&self.plan)?;
        fetch_model(&self.plan.model, cancel)?;
        slot.make_room_for(&self.plan);
        let memory = self.foresee_memory(&samples, slot)?;
        let model = slot.load(&self.plan)?;
        let mut watch = Watch::new(windows, memory)?;
        let outcome = capture(
            &self.plan,
            model,
            &samples,
            &self.out,
            self.start,
            &mut |event| watch.take(event),
            cancel,
        );
        watch.end();
        match outcome {
            Ok(summary) if summary.failed > 0 => bail!(
                "{} of {} could not be captured, as said above; the others are kept: {}",
                summary.failed,
                self::samples(samples.len()),
                self.out.display()
            ),
            Err(SessionError::Cancelled) => Err(interrupted(&self.out, samples.len()).into()),
            outcome => Ok(outcome?),
        }
    }

    /// Each window's label and the prompt rows that it takes.
    fn window_rows(&self) -> Result<Vec<(String, usize)>> {
        let windows = parse_windows(&self.plan.windows)?;
        Ok(windows
            .iter()
            .map(|window| (window.label().to_owned(), window.needs().last_rows))
            .collect())
    }

    /// Refuses what cannot fit; gives a line on what the capture takes.
    fn foresee_memory(&self, samples: &[Sample], slot: &ModelSlot) -> Result<String> {
        let mut available = available_memory();
        let estimator = CaptureEstimator::open(&self.plan)?;
        let mut estimate = estimator.estimate(samples)?;
        if slot.loaded.is_some() {
            estimate.count_weights_as_available(&mut available);
        }
        estimator.check(&estimate, available)?;
        Ok(memory_line(&estimate, available))
    }

    fn summary_line(&self, summary: CaptureSummary) -> String {
        let before = match summary.already_finished {
            0 => String::new(),
            count => format!(", {count} were there already"),
        };
        let out = self.out.display();
        format!("captured {}{before}: {out}\n", samples(summary.finished))
    }

    /// Refuses an output before the model is loaded, which may take long.
    fn check_output(&self) -> Result<()> {
        if self.out.exists() {
            match self.start {
                StartMode::New => {
                    return Err(Failure::BadInput(format!(
                        "the output is already there; give another --out, or --resume to go on \
                         with a capture that was stopped: {}",
                        self.out.display()
                    ))
                    .into());
                }
                StartMode::Resume if self.out.join(MANIFEST_FILE).exists() => {
                    Session::open(&self.out)?;
                }
                StartMode::Resume | StartMode::Replace => {}
            }
        }
        check_can_create(&self.out)
    }
}

/// The model of the capture before, which the next one may take over.
#[derive(Default)]
struct ModelSlot {
    loaded: Option<(CapturePlan, Model)>,
}

impl ModelSlot {
    /// Another model gives its memory back before this plan's asks for its own.
    fn make_room_for(&mut self, plan: &CapturePlan) {
        let of = |plan: &CapturePlan| (plan.model.clone(), plan.device, plan.dtype);
        let loaded = self.loaded.take();
        self.loaded = loaded.filter(|(before, _)| of(before) == of(plan));
    }

    fn load(&mut self, plan: &CapturePlan) -> Result<&Model> {
        let (_, model) = match self.loaded.take() {
            Some(loaded) => self.loaded.insert(loaded),
            None => {
                let model = Model::load(&plan.model, plan.device, plan.dtype)?
                    .with_attention(plan.attention);
                self.loaded.insert((plan.clone(), model))
            }
        };
        Ok(model)
    }
}

fn interrupted(out: &Path, count: usize) -> Failure {
    let kept = Session::open(out).map_or(0, |session| session.sample_count());
    Failure::Interrupted(format!(
        "stopped; {kept} of {} are finished and kept; go on with the same command and --resume: {}",
        samples(count),
        out.display()
    ))
}

/// Turns a capture's news into progress and warnings.
struct Watch {
    /// What the capture takes, told once it was accepted.
    memory: String,
    progress: Progress,
    warnings: Warnings,
    windows: Vec<(String, usize)>,
    prompt_tokens: usize,
    decode_tokens: usize,
}

impl Watch {
    fn new(windows: Vec<(String, usize)>, memory: String) -> Result<Self> {
        Ok(Self {
            memory,
            progress: Progress::begin("capture").context("the capture cannot start")?,
            warnings: Warnings::default(),
            windows,
            prompt_tokens: 0,
            decode_tokens: 0,
        })
    }

    fn take(&mut self, event: CaptureEvent) {
        match event {
            CaptureEvent::Started => self.progress.note(&self.memory),
            CaptureEvent::SampleStarted { index, count, id } => {
                (self.prompt_tokens, self.decode_tokens) = (0, 0);
                self.progress.sample(index, count, &id);
            }
            CaptureEvent::Progress {
                stage,
                done_tokens,
                total_tokens,
            } => {
                match &stage {
                    Stage::Prefill => self.prompt_tokens = total_tokens,
                    Stage::Decode => self.decode_tokens = done_tokens,
                    Stage::Window(_) => {}
                }
                self.progress
                    .stage(&stage.to_string(), done_tokens, total_tokens);
            }
            CaptureEvent::SampleFinished { id, .. } => self.warn_about(&id),
            CaptureEvent::SampleFailed { id, reason, .. } => {
                let line = format!("sample '{id}' could not be captured: {reason}");
                self.progress.note(&line);
            }
        }
    }

    fn warn_about(&mut self, id: &str) {
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
    }

    fn end(self) {
        self.warnings.end(&self.progress);
        self.progress.end();
    }
}
