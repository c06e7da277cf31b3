//! `kvlens capture`: run a model on prompts into a session folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kvlens_datasets::{DataSpec, Sample, load_all};
use kvlens_sessions::model::Model;
use kvlens_sessions::windows::parse_windows;
use kvlens_sessions::{
    CancelFlag, CaptureEvent, CapturePlan, CaptureSummary, Session, SessionError, Stage, StartMode,
    capture,
};

use super::args::CaptureArguments;
use super::failure::Failure;
use super::folders::check_can_create;
use super::interrupt::cancel_on_interrupt;
use super::output;
use super::progress::Progress;
use super::warnings::{SampleFacts, Warnings};

/// What makes a folder a session.
const MANIFEST_FILE: &str = "manifest.json";

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, samples that could not be captured.
pub fn run(arguments: &CaptureArguments) -> Result<()> {
    let job = CaptureJob {
        plan: CapturePlan {
            model: arguments.model.clone(),
            data: arguments.data.clone(),
            windows: arguments.windows.clone(),
            decode: arguments.decode_plan(),
            chat: arguments.chat,
            device: arguments.device,
            dtype: arguments.dtype,
            repeat_cost: arguments.repeat_cost,
        },
        out: arguments.out.clone(),
        start: if arguments.resume {
            StartMode::Resume
        } else {
            StartMode::New
        },
    };
    let summary = job.run(&cancel_on_interrupt()?)?;
    let out = arguments.out.display();
    let before = match summary.already_finished {
        0 => String::new(),
        count => format!(", {count} were there already"),
    };
    output::print(&format!(
        "captured {}{before}: {out}\n",
        samples(summary.finished)
    ))
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
        let windows = self.window_rows()?;
        let samples = self.samples()?;
        self.check_output()?;
        let model = Model::load(&self.plan.model, self.plan.device, self.plan.dtype)?;
        let mut watch = Watch::new(windows)?;
        let outcome = capture(
            &self.plan,
            &model,
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

    fn samples(&self) -> Result<Vec<Sample>> {
        let specs = self
            .plan
            .data
            .iter()
            .map(|spec| spec.parse())
            .collect::<Result<Vec<DataSpec>, _>>()?;
        Ok(load_all(&specs)?)
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
    progress: Progress,
    warnings: Warnings,
    windows: Vec<(String, usize)>,
    prompt_tokens: usize,
    decode_tokens: usize,
}

impl Watch {
    fn new(windows: Vec<(String, usize)>) -> Result<Self> {
        Ok(Self {
            progress: Progress::begin("capture").context("the capture cannot start")?,
            warnings: Warnings::default(),
            windows,
            prompt_tokens: 0,
            decode_tokens: 0,
        })
    }

    fn take(&mut self, event: CaptureEvent) {
        match event {
            CaptureEvent::Started => {}
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
