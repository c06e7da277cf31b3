//! Training a window for a model, which stays as it is.

mod card;
mod recall;

use std::path::PathBuf;

use anyhow::Result;
use kvlens_datasets::{PromptChoices, Sample};
use kvlens_sessions::StartMode;
use kvlens_sessions::model::{AttentionKernel, DeviceChoice, DtypeChoice, ModelSource};
use kvlens_sessions::training::{
    Baseline, HeldOutGroup, WindowTrainingData, WindowTrainingEvent, WindowTrainingPlan,
    WindowTrainingRun, train_window,
};

use super::models::{ModelChoice, Models};
use super::{Cancel, Watch, fetch, prompts};
use card::Card;

pub use recall::{lines, numbers};

/// One prompt in so many is held out where no held-out data are named.
const HELD_OUT_SHARE: usize = 10;

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
        data(&self.plan, |_| ()).map(drop)
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
    let data = data(&request.plan, |line| watch.note(line))?;
    fetch::run(&request.model, watch, cancel)?;
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
    let groups = groups(&data);
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

fn data(plan: &WindowTrainingPlan, tell: impl Fn(&str)) -> Result<WindowTrainingData> {
    let load = |specs: &[String]| -> Result<Vec<Sample>> {
        let loaded = prompts::load_specs(specs, &PromptChoices::default())?;
        loaded.report.to_string().lines().for_each(&tell);
        Ok(loaded.samples)
    };
    let training = load(&plan.data)?;
    if plan.held_out.is_empty() {
        let (held_out, training): (Vec<_>, Vec<_>) = training
            .into_iter()
            .enumerate()
            .partition(|(index, _)| index % HELD_OUT_SHARE == HELD_OUT_SHARE - 1);
        let samples = |part: Vec<(usize, Sample)>| part.into_iter().map(|(_, s)| s).collect();
        return Ok(WindowTrainingData {
            training: samples(training),
            held_out: vec![("every tenth prompt".to_owned(), samples(held_out))],
        });
    }
    let held_out = plan
        .held_out
        .iter()
        .map(|spec| Ok((spec.clone(), load(std::slice::from_ref(spec))?)))
        .collect::<Result<_>>()?;
    Ok(WindowTrainingData { training, held_out })
}

fn groups(data: &WindowTrainingData) -> Vec<HeldOutGroup> {
    data.held_out
        .iter()
        .map(|(name, samples)| HeldOutGroup {
            name: name.clone(),
            prompts: samples.len(),
        })
        .collect()
}
