//! Running a model on prompts into a session folder.

use std::path::PathBuf;

use anyhow::Result;
use kvlens_datasets::{LoadReport, Sample, Samples, Spool, Spooled};
use kvlens_sessions::windows::{left_out_of_all, parse_windows};
use kvlens_sessions::{
    CaptureEvent, CapturePlan, CaptureSummary, Keep, Session, SessionError, StartMode, capture,
};

use super::estimate::{Estimate, keep_by_size};
use super::failure::Failure;
use super::folders::{check_can_create, folder_above};
use super::models::{ModelChoice, Models};
use super::{Cancel, Watch, fetch, prompts};

/// What makes a folder a session.
pub const MANIFEST_FILE: &str = "manifest.json";

/// A capture with where it goes.
#[derive(Clone, Debug)]
pub struct CaptureRequest {
    /// What to capture.
    pub plan: CapturePlan,
    /// Prompts in place of those that the plan's data name, for text that stands in no file.
    pub prompts: Option<Vec<Sample>>,
    /// The session folder.
    pub out: PathBuf,
    /// What to do with a folder that is there.
    pub start: StartMode,
}

impl CaptureRequest {
    /// Refuses what can be refused without the model.
    ///
    /// # Errors
    /// Windows and prompts that are not understood; an output that cannot be written.
    pub fn check(&self) -> Result<()> {
        parse_windows(&self.plan.windows)?;
        if self.prompts.is_none() {
            prompts::check(&self.plan.data, &self.plan.prompts)?;
        }
        self.check_output()
    }

    /// The prompts, with what was read of their files. Many of them lie on disk, where the session goes.
    ///
    /// # Errors
    /// What the data set refuses; a disk that has no room for them.
    pub fn prompts(&self) -> Result<Spooled> {
        let folder = folder_above(&self.out);
        let Some(given) = &self.prompts else {
            return prompts::load(&self.plan, &folder);
        };
        let mut samples = Spool::in_folder(&folder);
        given.iter().try_for_each(|sample| samples.push(sample))?;
        Ok(Spooled {
            samples,
            report: LoadReport::default(),
        })
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
                    Session::begun_plan(&self.out)?;
                }
                StartMode::Resume | StartMode::Replace => {}
            }
        }
        check_can_create(&self.out)
    }

    /// What the plan says or, where it leaves that open, what a session has that is there already; for a new one see
    /// [`keep_by_size`].
    fn keep(&self, plan: &CapturePlan, samples: Samples<'_>) -> Result<Keep> {
        let goes_on = self.start == StartMode::Resume && self.out.join(MANIFEST_FILE).exists();
        match plan.keep {
            Some(keep) => Ok(keep),
            None if goes_on => Ok(Session::begun_plan(&self.out)?.keep()),
            None => keep_by_size(plan, samples),
        }
    }

    fn model(&self) -> ModelChoice {
        ModelChoice {
            source: self.plan.model.clone(),
            device: self.plan.device,
            dtype: self.plan.dtype,
            attention: self.plan.attention,
        }
    }
}

/// Fetches the model if need be, loads it unless it is loaded, and captures every sample. One that cannot be
/// captured is told and counted, and the others go on.
///
/// # Errors
/// Bad input; what does not fit into memory; [`SessionError::Cancelled`] after a cancel, which keeps the finished
/// samples.
pub fn run(
    request: &CaptureRequest,
    models: &mut Models,
    watch: &mut dyn Watch,
    cancel: &Cancel,
) -> Result<CaptureSummary> {
    request.check()?;
    fetch::run(&request.plan.model, watch, cancel)?;
    let Spooled { samples, report } = request.prompts()?;
    let samples = Samples::from(&samples);
    let told = report.to_string();
    told.lines().for_each(|line| watch.note(line));
    let plan = CapturePlan {
        // a built-in task says all of itself in the plan
        read: (!told.is_empty()).then_some(report),
        ..request.plan.clone()
    };
    watch.loading();
    let choice = request.model();
    let is_loaded = models.make_room_for(&choice);
    let plan = CapturePlan {
        keep: Some(request.keep(&plan, samples)?),
        ..plan
    };
    let estimate = Estimate::of(&plan, samples, is_loaded)?;
    estimate.check()?;
    estimate.check_disk(&request.out)?;
    watch.accepted(&estimate);
    let model = models.load(&choice, cancel)?;
    watch.loaded(&request.plan.model);
    for warning in model.warnings() {
        watch.note(&format!("warning: {warning}"));
    }
    let lacking = left_out_of_all(&plan.windows, &choice.source).join(" and ");
    if !lacking.is_empty() {
        watch.note(&format!(
            "windows: all is without {lacking}, of which no file lies beside the model; kvlens train makes one"
        ));
    }
    let outcome = capture(
        &plan,
        model,
        samples,
        &request.out,
        request.start,
        &mut |event| tell(watch, event),
        cancel,
    );
    Ok(outcome?)
}

fn tell(watch: &mut dyn Watch, event: CaptureEvent) {
    match event {
        CaptureEvent::Started => watch.started(),
        CaptureEvent::SampleStarted { index, count, id } => watch.sample(index, count, &id),
        CaptureEvent::Progress {
            stage,
            done_tokens,
            total_tokens,
        } => watch.capture_stage(&stage, done_tokens, total_tokens),
        CaptureEvent::SampleFinished { id, .. } => watch.sample_finished(&id),
        CaptureEvent::SampleFailed { id, reason, .. } => watch.sample_failed(&id, &reason),
    }
}

/// What a stopped capture left behind.
#[derive(Debug)]
pub enum Left {
    /// So many finished samples.
    Finished(usize),
    /// No finished sample.
    Nothing,
    /// Something that cannot be read, and why.
    Unreadable(SessionError),
}

/// Looks at the folder of a capture that was stopped or failed.
#[must_use]
pub fn left_behind(request: &CaptureRequest) -> Left {
    match Session::open(&request.out).map(|session| session.sample_count()) {
        Ok(0) => Left::Nothing,
        Ok(finished) => Left::Finished(finished),
        Err(_) if matches!(request.out.try_exists(), Ok(false)) => Left::Nothing,
        Err(error) => Left::Unreadable(error),
    }
}
