//! A training of a window, from nothing or from where it stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{Device, Tensor};
use kvlens_datasets::read_at_most;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::curve::{Baseline, HeldOutFigures, HeldOutGroup, WindowCurvePoint};
use super::data::{Joined, WindowTrainingData};
use super::evaluation::HeldOut;
use super::examples::{Examples, Prepared};
use super::initial;
use super::objective::{Rows, gradient, loss, targets};
use super::plan::WindowTrainingPlan;
use crate::error::Context;
use crate::files::OwnedLock;
use crate::model::{Decoder, MOST_WINDOW_BYTES, Model, ModelIdentity, Parameters};
use crate::prefill::Needs;
use crate::training::optimizer::Rates;
use crate::training::random::{Draws, Purpose};
use crate::training::state::TrainingState;
use crate::training::steps::{Training, add, run_steps};
use crate::training::threads::Threads;
use crate::windows::trained_file::{self, SOFT_TOKENS, TrainedFile, adapters_of};
use crate::windows::{ReadyWindow, SoftTokens, parse_windows};
use crate::{CancelFlag, SessionError, StartMode};

/// The gradients of squared differences of attention are tiny, and Adam is to see them whole.
const ADAM_EPSILON: f64 = 1e-15;

/// How a run is started and when it ends.
#[derive(Debug, Clone)]
pub struct WindowTrainingRun {
    /// What is trained, and how.
    pub plan: WindowTrainingPlan,
    /// The file of the window. The run's state lies beside it until the training is complete.
    pub out: PathBuf,
    /// From nothing, from the state beside the file, or from nothing where a file lies.
    pub start: StartMode,
    /// Steps, counted from the beginning of the training, after which to stop early.
    pub stop_after_steps: Option<usize>,
}

/// What a run tells while it goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowTrainingEvent {
    /// The model responds to the prompts.
    Responding {
        /// Prompts done.
        done: usize,
        /// Training and held-out prompts.
        prompts: usize,
    },
    /// Everything is there.
    Ready {
        /// Steps done by an earlier run.
        steps_done: usize,
        /// Steps in all.
        steps: usize,
        /// Numbers that are trained.
        parameters: usize,
        /// The held-out prompts.
        groups: Vec<HeldOutGroup>,
        /// What the other windows reach on them.
        baselines: Vec<Baseline>,
    },
    /// A step was done.
    Step {
        /// What it said.
        point: WindowCurvePoint,
        /// How long it took, a look at the held-out prompts included.
        elapsed_secs: f64,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowTrainingSummary {
    /// Every step from the beginning of the training, earlier runs included.
    pub curve: Vec<WindowCurvePoint>,
    /// The held-out prompts with the parameters as they are now.
    pub held_out: HeldOutFigures,
    /// What the other windows reach on them.
    pub baselines: Vec<Baseline>,
    /// Whether all steps of the plan were done.
    pub is_complete: bool,
    /// Whether they were before: nothing was left to go on with.
    pub was_complete: bool,
}

/// What a file says of the training that made it.
#[derive(Deserialize)]
struct Written {
    plan: WindowTrainingPlan,
    steps_done: usize,
    held_out: HeldOutFigures,
    baselines: Vec<Baseline>,
    curve: Vec<WindowCurvePoint>,
    /// Files of earlier programs do not say.
    data_sha256: Option<String>,
}

/// What a run must have in common with the one that it resumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Begun {
    plan: WindowTrainingPlan,
    model: ModelIdentity,
    /// SHA-256 of the prompts: a file may hold others by now.
    data_sha256: String,
}

type State = TrainingState<Begun, WindowCurvePoint>;

/// Trains a window for `model`, whose weights stay as they are, and writes it to `run.out`.
///
/// The model responds to every prompt itself; then each step runs the rows behind some prompts and moves them
/// by the gradient of the method's loss. Curve and file depend on plan and data alone, not on the number of
/// cores nor on where a run was stopped and resumed.
///
/// # Errors
/// [`SessionError::Cancelled`] after the state was saved, [`SessionError::Diverged`]; a sentence for a plan that makes no training, a
/// prompt that does not fit, an output that is there, a state of other settings.
pub fn train_window(
    run: &WindowTrainingRun,
    model: &Model,
    data: &WindowTrainingData<'_>,
    on_event: &mut dyn FnMut(WindowTrainingEvent),
    cancel: &CancelFlag,
) -> Result<WindowTrainingSummary, SessionError> {
    run.plan.check()?;
    let decoder = model.decoder().differentiable()?;
    let lock = run.out.with_added_extension("lock");
    let _held = OwnedLock::take(&lock, "another training is writing this file")?;
    if let Some(ended) = ended(run, model, data)? {
        return Ok(ended);
    }
    let mut state = start(run, model, data)?;
    let ready = Trainer::prepare(run, model, decoder, data, on_event, cancel)
        .and_then(|trainer| Ok((trainer.baselines(cancel)?, trainer)));
    // what is refused leaves nothing behind; what was stopped can be gone on with
    if matches!(ready, Err(SessionError::Cancelled)) {
        state.save(&state_path(&run.out))?;
    }
    let (baselines, trainer) = ready?;
    on_event(WindowTrainingEvent::Ready {
        steps_done: state.steps(),
        steps: run.plan.steps,
        parameters: state.parameters.values().map(|p| p.elem_count()).sum(),
        groups: trainer.held_out.groups.clone(),
        baselines: baselines.clone(),
    });
    let last = run
        .stop_after_steps
        .unwrap_or(usize::MAX)
        .min(run.plan.steps);
    let mut steps = Steps {
        trainer: &trainer,
        on_event,
        cancel,
    };
    let between_saves = run.plan.steps_between_evaluations;
    run_steps(&mut steps, &mut state, last, between_saves, cancel)?;
    let held_out = trainer.look(&state.parameters, cancel)?;
    trainer.write(&state, &baselines, &held_out)?;
    let is_complete = state.steps() == run.plan.steps;
    if is_complete {
        // nothing is left to go on with; that the file stays if it cannot be removed changes nothing
        let _ = std::fs::remove_file(state_path(&run.out));
    }
    Ok(WindowTrainingSummary {
        curve: state.curve,
        held_out,
        baselines,
        is_complete,
        was_complete: false,
    })
}

/// What a run came to that is to be gone on with and has ended.
fn ended(
    run: &WindowTrainingRun,
    model: &Model,
    data: &WindowTrainingData<'_>,
) -> Result<Option<WindowTrainingSummary>, SessionError> {
    if run.start != StartMode::Resume || state_path(&run.out).exists() || !run.out.is_file() {
        return Ok(None);
    }
    let other = || {
        SessionError::Checkpoint {
        reason: "a window of another training lies there, or one of a training that was stopped and whose state is gone; give another --out, or --replace to train anew"
            .to_owned(),
        path: run.out.clone(),
    }
    };
    let bytes =
        read_at_most(&run.out, MOST_WINDOW_BYTES).io("read the trained window", &run.out)?;
    let header = trained_file::header(&bytes, &run.out)?;
    let written: Written = serde_json::from_value(header.training).map_err(|_| other())?;
    let is_of_these_prompts = match written.data_sha256 {
        Some(sha256) => sha256 == data.sha256()?,
        None => true,
    };
    let is_it =
        written.plan == run.plan && header.model == *model.identity() && is_of_these_prompts;
    if !is_it || written.steps_done != run.plan.steps {
        return Err(other());
    }
    Ok(Some(WindowTrainingSummary {
        curve: written.curve,
        held_out: written.held_out,
        baselines: written.baselines,
        is_complete: true,
        was_complete: true,
    }))
}

/// Where the state of an unfinished run lies.
fn state_path(out: &Path) -> PathBuf {
    out.with_added_extension("training-state")
}

/// Fresh parameters, or those of an earlier run.
fn start(
    run: &WindowTrainingRun,
    model: &Model,
    data: &WindowTrainingData<'_>,
) -> Result<State, SessionError> {
    let begun = Begun {
        plan: run.plan.clone(),
        model: model.identity().clone(),
        data_sha256: data.sha256()?,
    };
    let path = state_path(&run.out);
    let refused = |reason: &str, path: &Path| SessionError::Checkpoint {
        reason: reason.to_owned(),
        path: path.to_owned(),
    };
    if run.out.is_dir() {
        return Err(refused(
            "the output is a folder; name a file, NAME.safetensors by custom",
            &run.out,
        ));
    }
    // as of a capture, where there is nothing to go on with it begins
    if run.start == StartMode::Resume && path.exists() {
        let state = State::load(&path, model.decoder().device())?;
        if state.plan != begun {
            return Err(refused(
                "this training was begun with other settings, another model or other prompts; resume it with the same ones, or start anew with --replace",
                &path,
            ));
        }
        return Ok(state);
    }
    if run.start == StartMode::New && (path.exists() || run.out.exists()) {
        return Err(refused(
            "the output is already there; give another --out, --resume to go on with a training that was stopped, or --replace",
            &run.out,
        ));
    }
    State::new(begun, initial::parameters(&run.plan, model)?)
}

/// What every step needs.
struct Trainer<'a> {
    run: &'a WindowTrainingRun,
    model: &'a Model,
    decoder: Decoder,
    training: Examples<'a>,
    held_out: HeldOut<'a>,
    windows: Vec<ReadyWindow>,
    threads: Threads,
}

impl<'a> Trainer<'a> {
    fn prepare(
        run: &'a WindowTrainingRun,
        model: &'a Model,
        decoder: Decoder,
        data: &WindowTrainingData<'a>,
        on_event: &mut dyn FnMut(WindowTrainingEvent),
        cancel: &CancelFlag,
    ) -> Result<Self, SessionError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = Threads::new(match model.decoder().device() {
            Device::Cpu => cores,
            // an accelerator has one queue
            _ => 1,
        })?;
        let windows = match run.plan.baselines.as_slice() {
            [] => Vec::new(),
            baselines => parse_windows(baselines)?,
        };
        let windows = windows
            .into_iter()
            .map(|window| window.ready(model))
            .collect::<Result<Vec<_>, _>>()?;
        let needs = windows
            .iter()
            .fold(Needs::default(), |needs, window| needs.and(&window.needs()));
        let training = Joined(vec![data.training]);
        let looked_at = Joined(data.held_out.iter().map(|(_, group)| *group).collect());
        let (prompts, looked_at_prompts) = (training.len() + looked_at.len(), looked_at.len());
        if training.len() == 0 || looked_at_prompts == 0 {
            return Err(SessionError::Plan {
                reason: "a training needs at least one prompt to train on and one to hold out"
                    .to_owned(),
            });
        }
        let mut respond = |before: usize, needs: Needs, samples: Joined<'a>| {
            let mut on_done = |done| {
                on_event(WindowTrainingEvent::Responding {
                    done: before + done,
                    prompts,
                });
            };
            Examples::prepare(
                model,
                &run.plan,
                needs,
                samples,
                &threads,
                cancel,
                &mut on_done,
            )
        };
        let held_out = HeldOut {
            model,
            examples: respond(0, needs, looked_at)?,
            groups: data
                .held_out
                .iter()
                .map(|(name, group)| HeldOutGroup {
                    name: name.clone(),
                    prompts: group.len(),
                })
                .collect(),
        };
        Ok(Self {
            run,
            model,
            decoder,
            training: respond(looked_at_prompts, Needs::default(), training)?,
            held_out,
            windows,
            threads,
        })
    }

    fn baselines(&self, cancel: &CancelFlag) -> Result<Vec<Baseline>, SessionError> {
        self.held_out
            .baselines(&self.windows, &self.threads, cancel)
    }

    /// Moves the parameters by one step.
    fn step(
        &self,
        state: &mut State,
        held_out: Option<HeldOutFigures>,
        cancel: &CancelFlag,
    ) -> Result<WindowCurvePoint, SessionError> {
        let (plan, step) = (&self.run.plan, state.steps());
        let prompts = self.prompts_of(step);
        let parts = self.threads.map(&prompts, |&index| {
            self.training.with(index, cancel, |prepared| {
                self.gradient(&state.parameters, prepared)
            })
        })?;
        let (loss, gradient) = mean(parts)?;
        let mut squares = 0.0;
        for gradient in &gradient {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        if !loss.is_finite() || !squares.is_finite() {
            return Err(SessionError::Diverged {
                reason: format!(
                    "the loss is {loss} and its gradient {} long at step {step}; train anew with lower learning rates, or with --dtype f32",
                    squares.sqrt()
                ),
            });
        }
        let named = state
            .parameters
            .iter()
            .zip(&mut state.moments)
            .zip(&gradient);
        for (((name, parameter), moments), gradient) in named {
            let rate = if name == SOFT_TOKENS {
                plan.token_learning_rate
            } else {
                plan.adapter_learning_rate
            };
            let rates = Rates {
                matrix: 0.0,
                vector: rate * plan.rate_at(step),
                adam_epsilon: ADAM_EPSILON,
            };
            moments.update(parameter, gradient, step, rates)?;
        }
        let point = WindowCurvePoint {
            step,
            loss: loss as f32,
            gradient_norm: squares.sqrt() as f32,
            held_out,
        };
        state.curve.push(point.clone());
        Ok(point)
    }

    /// Prompts of a step: all of them in a new random order each time around.
    fn prompts_of(&self, step: usize) -> Vec<usize> {
        let (count, each) = (self.training.count(), self.run.plan.step_prompts);
        (step * each..(step + 1) * each)
            .map(|place| {
                let round = (place / count) as u64;
                let order =
                    Draws::new(self.run.plan.seed, Purpose::PromptOrder, round).order(count);
                order.get(place % count).copied().unwrap_or(0)
            })
            .collect()
    }

    /// Loss of a prompt and its gradient, in the parameters' order.
    fn gradient(
        &self,
        parameters: &Parameters,
        prepared: &Prepared,
    ) -> Result<(f64, Vec<Tensor>), SessionError> {
        let loss = self.loss(&self.rows(parameters, Tensor::clone)?, prepared)?;
        let gradient = gradient(&loss, parameters, self.decoder.dtype())?;
        Ok((f64::from(loss.to_scalar::<f32>()?), gradient))
    }

    fn loss(&self, rows: &Rows, prepared: &Prepared) -> Result<Tensor, SessionError> {
        let targets = targets(&prepared.attention, self.decoder.device())?;
        prepared.locked(|prefilled| {
            let cache = prefilled.prompt_cache();
            loss(self.run.plan.method, &self.decoder, cache, rows, &targets)
        })
    }

    /// The parameters in the model's dtype: single precision is what they are kept and moved in.
    fn rows(
        &self,
        parameters: &Parameters,
        take: impl Fn(&Tensor) -> Tensor,
    ) -> Result<Rows, SessionError> {
        let dtype = self.decoder.dtype();
        let tensors = taken(parameters, take)
            .into_iter()
            .map(|(name, tensor)| Ok((name, tensor.to_dtype(dtype)?)))
            .collect::<Result<BTreeMap<_, _>, SessionError>>()?;
        let embeddings = tensors.get(SOFT_TOKENS).cloned();
        Ok(Rows {
            embeddings: embeddings.ok_or_else(|| SessionError::MissingTensor {
                tensor: SOFT_TOKENS.to_owned(),
                files: "the parameters in training".to_owned(),
            })?,
            adapters: adapters_of(
                &tensors,
                self.model.config(),
                self.run.plan.adapter_alpha,
                "the parameters in training",
            )?,
        })
    }

    /// Loss and recall on the held-out prompts.
    fn look(
        &self,
        parameters: &Parameters,
        cancel: &CancelFlag,
    ) -> Result<HeldOutFigures, SessionError> {
        let rows = self.rows(parameters, Tensor::detach)?;
        let indices: Vec<usize> = (0..self.held_out.examples.count()).collect();
        let losses = self.threads.map(&indices, |&index| {
            let examples = &self.held_out.examples;
            examples.with(index, cancel, |prepared| {
                Ok(self.loss(&rows, prepared)?.to_scalar::<f32>()?)
            })
        })?;
        let sum: f64 = losses.iter().copied().map(f64::from).sum();
        let method = self.run.plan.method;
        let rows = SoftTokens::new(self.model, &rows.embeddings, rows.adapters)?;
        let window = method.window_of(rows);
        Ok(HeldOutFigures {
            loss: (sum / losses.len().max(1) as f64) as f32,
            recall: self.held_out.recall(&window, &self.threads, cancel)?,
        })
    }

    fn write(
        &self,
        state: &State,
        baselines: &[Baseline],
        held_out: &HeldOutFigures,
    ) -> Result<(), SessionError> {
        let training = json!({
            "program_version": env!("CARGO_PKG_VERSION"),
            "plan": &state.plan.plan,
            "data_sha256": &state.plan.data_sha256,
            "training_prompts": self.training.count(),
            "held_out_groups": &self.held_out.groups,
            "baselines": baselines,
            "steps_done": state.steps(),
            "held_out": held_out,
            "curve": &state.curve,
        });
        TrainedFile::write(
            &self.run.out,
            self.run.plan.method,
            self.model.identity(),
            self.run.plan.adapter_alpha,
            training,
            &taken(&state.parameters, Tensor::detach),
        )
    }
}

/// The steps of a run.
struct Steps<'a> {
    trainer: &'a Trainer<'a>,
    on_event: &'a mut dyn FnMut(WindowTrainingEvent),
    cancel: &'a CancelFlag,
}

impl Training<Begun, WindowCurvePoint> for Steps<'_> {
    fn step(&mut self, state: &mut State) -> Result<(), SessionError> {
        let started = Instant::now();
        let between_looks = self.trainer.run.plan.steps_between_evaluations;
        let held_out = match state.steps().is_multiple_of(between_looks) {
            true => Some(self.trainer.look(&state.parameters, self.cancel)?),
            false => None,
        };
        let point = self.trainer.step(state, held_out, self.cancel)?;
        (self.on_event)(WindowTrainingEvent::Step {
            point,
            elapsed_secs: started.elapsed().as_secs_f64(),
        });
        Ok(())
    }

    fn save(&self, state: &State) -> Result<(), SessionError> {
        state.save(&state_path(&self.trainer.run.out))
    }
}

/// The parameters as tensors by their names.
fn taken(parameters: &Parameters, take: impl Fn(&Tensor) -> Tensor) -> BTreeMap<String, Tensor> {
    parameters
        .iter()
        .map(|(name, parameter)| (name.clone(), take(parameter.as_tensor())))
        .collect()
}

/// Mean loss and mean gradient of the prompts of a step.
fn mean(parts: Vec<(f64, Vec<Tensor>)>) -> Result<(f64, Vec<Tensor>), SessionError> {
    let count = parts.len().max(1) as f64;
    let mut parts = parts.into_iter();
    let (mut loss, mut gradient) = parts.next().ok_or_else(|| SessionError::Internal {
        reason: "a training step needs at least one prompt".to_owned(),
    })?;
    for (more_loss, more) in parts {
        loss += more_loss;
        add(&mut gradient, &more)?;
    }
    for sum in &mut gradient {
        *sum = (&*sum / count)?;
    }
    Ok((loss / count, gradient))
}
