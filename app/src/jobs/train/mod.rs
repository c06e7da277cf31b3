//! Training a window for a model, which stays as it is.

mod card;
mod data;
mod recall;

use std::path::PathBuf;

use anyhow::Result;
use kvlens_datasets::PromptChoices;
use kvlens_sessions::StartMode;
use kvlens_sessions::model::{AttentionKernel, DeviceChoice, DtypeChoice, ModelSource};
use kvlens_sessions::training::{
    Baseline, HeldOutGroup, WindowTrainingEvent, WindowTrainingPlan, WindowTrainingRun,
    train_window,
};

use super::models::{ModelChoice, Models};
use super::{Cancel, Watch, fetch, prompts};
use card::Card;
use data::Prompts;

pub use recall::{lines, numbers};

/// A training with where it goes.
#[derive(Clone, Debug)]
pub struct TrainWindowRequest {
    /// The model.
    pub model: ModelSource,
    /// Where it runs.
    pub device: DeviceChoice,
    /// Its number format.
    pub dtype: DtypeChoice,
    /// What is trained, on which prompts.
    pub plan: WindowTrainingPlan,
    /// The file of the trained window.
    pub out: PathBuf,
    /// What to do with a training that is there.
    pub start: StartMode,
    /// Steps after which it stops, counted from the beginning.
    pub stop_after_steps: Option<usize>,
}

impl TrainWindowRequest {
    /// Refuses prompts that are not understood, without the model.
    ///
    /// # Errors
    /// What the data set refuses.
    pub fn check(&self) -> Result<()> {
        let specs = self.plan.data.iter().chain(&self.plan.held_out);
        let specs: Vec<String> = specs.cloned().collect();
        prompts::check(&specs, &PromptChoices::default()).map(drop)
    }
}

/// What a training made.
#[derive(Debug)]
pub struct TrainedWindow {
    /// Groups of held-out prompts.
    pub groups: Vec<HeldOutGroup>,
    /// The trained window first, then those beside it, with their held-out recall.
    pub windows: Vec<Baseline>,
    /// Whether all steps are done.
    pub is_complete: bool,
    /// Whether they were before: nothing was left to go on with.
    pub was_complete: bool,
    /// Steps that are done.
    pub steps_done: usize,
    /// The file that tells all this.
    pub card: PathBuf,
}

/// Hears of a training's responses and steps, beside what a [`Watch`] does.
pub trait WatchTraining: Watch {
    /// A step, or a response of the model.
    fn training(&mut self, event: WindowTrainingEvent);
}

/// Fetches the model if need be, trains, and writes the card.
///
/// # Errors
/// Bad input; a loss that is no number any more; a cancel, which keeps the steps that are done.
pub fn run(
    request: &TrainWindowRequest,
    models: &mut Models,
    watch: &mut dyn WatchTraining,
    cancel: &Cancel,
) -> Result<TrainedWindow> {
    fetch::run(&request.model, watch, cancel)?;
    let prompts = Prompts::read(request, |line| watch.note(line))?;
    let data = prompts.data();
    watch.loading();
    let choice = ModelChoice {
        source: request.model.clone(),
        device: request.device,
        dtype: request.dtype,
        attention: AttentionKernel::default(),
    };
    let model = models.load(&choice, cancel)?;
    watch.loaded(&request.model);
    let run = WindowTrainingRun {
        plan: request.plan.clone(),
        out: request.out.clone(),
        start: request.start,
        stop_after_steps: request.stop_after_steps,
    };
    let mut tell = |event| watch.training(event);
    let summary = train_window(&run, model, &data, &mut tell, cancel)?;
    let groups = prompts.groups();
    let card = Card {
        plan: &run.plan,
        model: model.identity(),
        training_prompts: data.training.len(),
        groups: &groups,
        summary: &summary,
    };
    Ok(TrainedWindow {
        card: card.write(&run.out)?,
        windows: recall::windows(&run.plan, &summary),
        is_complete: summary.is_complete,
        was_complete: summary.was_complete,
        steps_done: summary.curve.len(),
        groups,
    })
}
