//! The training of the built-in model, from nothing or from where it stopped.

use std::path::PathBuf;
use std::time::Instant;

use candle_core::{DType, Device};
use tokenizers::Tokenizer;

use super::checkpoint_folder::{self, read_tokenizer};
use super::curve::{CurvePoint, DemoState};
use super::gradient::{StepFigures, of_step};
use super::plan::TrainingPlan;
use super::rows::{Row, RowSource};
use super::{initial, tokenizer};
use crate::error::Context;
use crate::model::{Decoder, DeviceChoice, Weights};
use crate::training::optimizer::{ADAM_EPSILON, Rates, clip};
use crate::training::state::TrainingState;
use crate::training::steps::{Training, run_steps};
use crate::training::threads::Threads;
use crate::{CancelFlag, SessionError, StartMode};

/// Tokens that one thread runs forward and backward at a time, on the CPU: what it touches stays near.
const PART_TOKENS: usize = 1024;

/// Steps between two writings of the run's state.
const STEPS_BETWEEN_SAVES: usize = 50;

/// Room for row numbers between two steps.
const ROWS_OF_STEP: u64 = 1 << 20;

/// How a run is started and when it ends.
#[derive(Debug, Clone)]
pub struct TrainingRun {
    /// What is trained, and how.
    pub plan: TrainingPlan,
    /// The folder of the model, the tokenizer and the run's state.
    pub out: PathBuf,
    /// From nothing, from the folder's state, or from nothing in a folder that holds something.
    pub start: StartMode,
    /// Where the tensors live.
    pub device: DeviceChoice,
    /// Steps, counted from the beginning of the training, after which to stop early.
    pub stop_after_steps: Option<usize>,
}

/// What a run tells while it goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainingEvent {
    /// Tokenizer and parameters are there.
    Ready {
        /// Steps done by an earlier run.
        steps_done: usize,
        /// Steps in all.
        steps: usize,
        /// Tokens of the vocabulary.
        vocabulary: usize,
        /// Numbers that are trained.
        parameters: usize,
    },
    /// A step was done.
    Step {
        /// What it said.
        point: CurvePoint,
        /// Tokens of the step, over its sequences.
        tokens: usize,
        /// How long it took.
        elapsed_secs: f64,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSummary {
    /// Every step from the beginning of the training, earlier runs included.
    pub curve: Vec<CurvePoint>,
    /// Whether all steps of the plan were done.
    pub is_complete: bool,
}

/// Trains a small Llama on generated documents (`kvlens_datasets::TrainingCorpus`), writing tokenizer, model
/// and state into `run.out`. On the CPU the curve and the weights depend on the plan alone, not on the number
/// of cores nor on where a run was stopped and resumed.
///
/// # Errors
/// [`SessionError::Cancelled`] after the state was saved, [`SessionError::Diverged`]; a sentence for a plan that makes no training, a
/// folder that holds something else, a device that is not there.
pub fn train_demo_model(
    run: &TrainingRun,
    on_event: &mut dyn FnMut(TrainingEvent),
    cancel: &CancelFlag,
) -> Result<TrainingSummary, SessionError> {
    run.plan.check()?;
    let device = run.device.open()?.device;
    let (tokenizer, mut state) = start(run, &device)?;
    let config = checkpoint_folder::config(&run.plan, &tokenizer)?;
    let weights = Weights::trained(&state.parameters, &device, DType::F32);
    let decoder = Decoder::load(&weights, config)?.differentiable()?;
    on_event(TrainingEvent::Ready {
        steps_done: state.steps(),
        steps: run.plan.steps(),
        vocabulary: tokenizer.get_vocab_size(true),
        parameters: state.parameters.values().map(|p| p.elem_count()).sum(),
    });
    let mut trainer = Trainer {
        run,
        tokenizer: &tokenizer,
        decoder: &decoder,
        threads: Threads::new(std::thread::available_parallelism().map_or(1, usize::from))?,
        source: None,
        on_event,
    };
    let last = run
        .stop_after_steps
        .unwrap_or(usize::MAX)
        .min(run.plan.steps());
    run_steps(&mut trainer, &mut state, last, STEPS_BETWEEN_SAVES, cancel)?;
    Ok(TrainingSummary {
        is_complete: state.steps() == run.plan.steps(),
        curve: state.curve,
    })
}

/// A fresh tokenizer and fresh parameters, or those of the folder.
fn start(run: &TrainingRun, device: &Device) -> Result<(Tokenizer, DemoState), SessionError> {
    let path = run.out.join(checkpoint_folder::STATE_FILE);
    // as of a capture, where there is nothing to go on with it begins
    if run.start == StartMode::Resume && path.exists() {
        let mut state = TrainingState::load(&path, device)?;
        if !run.plan.continues(&state.plan, state.steps()) {
            return Err(SessionError::Checkpoint {
                reason: "this training was begun with other settings; resume it with the same ones (stages that it has not reached may differ), or start anew with --replace"
                    .to_owned(),
                path,
            });
        }
        state.plan = run.plan.clone();
        return Ok((read_tokenizer(&run.out)?, state));
    }
    if run.start == StartMode::New && path.exists() {
        return Err(SessionError::Checkpoint {
            reason:
                "a training lies in this folder; go on with --resume, or start anew with --replace"
                    .to_owned(),
            path,
        });
    }
    std::fs::create_dir_all(&run.out).io("create the folder of the model", &run.out)?;
    let tokenizer = tokenizer::train(&run.plan)?;
    let config = checkpoint_folder::config(&run.plan, &tokenizer)?;
    let parameters = initial::parameters(&run.plan, &config, device)?;
    let state = TrainingState::new(run.plan.clone(), parameters)?;
    checkpoint_folder::begin(&run.out, &tokenizer, &state)?;
    Ok((tokenizer, state))
}

/// What every step needs.
struct Trainer<'a> {
    run: &'a TrainingRun,
    tokenizer: &'a Tokenizer,
    decoder: &'a Decoder,
    threads: Threads,
    /// The rows of a stage, by its index.
    source: Option<(usize, RowSource<'a>)>,
    on_event: &'a mut dyn FnMut(TrainingEvent),
}

impl Training<TrainingPlan, CurvePoint> for Trainer<'_> {
    fn step(&mut self, state: &mut DemoState) -> Result<(), SessionError> {
        let started = Instant::now();
        let (rows, sequence_tokens) = self.rows(state.steps())?;
        let point = self.update(state, &rows, sequence_tokens)?;
        (self.on_event)(TrainingEvent::Step {
            point,
            tokens: rows.len() * sequence_tokens,
            elapsed_secs: started.elapsed().as_secs_f64(),
        });
        Ok(())
    }

    fn save(&self, state: &DemoState) -> Result<(), SessionError> {
        checkpoint_folder::save(&self.run.out, state)
    }
}

impl Trainer<'_> {
    /// The rows of a step, and how long each is.
    fn rows(&mut self, step: usize) -> Result<(Vec<Row>, usize), SessionError> {
        let plan = &self.run.plan;
        let (index, stage, _) = plan.stage_of(step).ok_or_else(|| SessionError::Internal {
            reason: format!("step {step} is in no stage of the plan"),
        })?;
        let source = match &self.source {
            Some((of_stage, source)) if *of_stage == index => source,
            _ => {
                let source = RowSource::new(plan, stage, self.tokenizer)?;
                &self.source.insert((index, source)).1
            }
        };
        let first = step as u64 * ROWS_OF_STEP;
        let count = (plan.step_tokens / stage.sequence_tokens) as u64;
        let numbers: Vec<u64> = (first..first + count).collect();
        let rows = self.threads.map(&numbers, |&number| source.row(number))?;
        Ok((rows, stage.sequence_tokens))
    }

    /// Moves the parameters by one step.
    fn update(
        &self,
        state: &mut DemoState,
        rows: &[Row],
        sequence_tokens: usize,
    ) -> Result<CurvePoint, SessionError> {
        let part_rows = match self.decoder.device() {
            Device::Cpu => (PART_TOKENS / sequence_tokens).max(1),
            // an accelerator wants everything at once
            _ => rows.len(),
        };
        let mut gradient = of_step(
            self.decoder,
            &state.parameters,
            rows,
            part_rows,
            &self.threads,
        )?;
        let step = state.steps();
        let StepFigures {
            loss,
            values_right,
            values,
        } = gradient.figures;
        if !loss.is_finite() {
            return Err(SessionError::Diverged {
                reason: format!(
                    "the loss is {loss} at step {step}; the learning rates are too high, train anew with lower ones"
                ),
            });
        }
        let plan = &self.run.plan;
        let gradient_norm = clip(&mut gradient.of_parameters, plan.clip_norm)?;
        let rate = plan.rate_at(step);
        let rates = Rates {
            matrix: rate * plan.matrix_learning_rate,
            vector: rate * plan.vector_learning_rate,
            adam_epsilon: ADAM_EPSILON,
        };
        let parameters = state.parameters.values().zip(&gradient.of_parameters);
        let work: Vec<_> = parameters.zip(&state.moments).collect();
        state.moments = self
            .threads
            .map(&work, |((parameter, gradient), moments)| {
                let mut moments = (*moments).clone();
                moments.update(parameter, gradient, step, rates)?;
                Ok(moments)
            })?;
        let point = CurvePoint {
            step,
            sequence_tokens,
            loss: loss as f32,
            value_accuracy: values_right as f32 / values.max(1) as f32,
            gradient_norm: gradient_norm as f32,
        };
        state.curve.push(point);
        Ok(point)
    }
}
