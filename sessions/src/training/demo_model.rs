//! The training of the built-in model, from nothing or from where it stopped.

use std::path::PathBuf;
use std::time::Instant;

use candle_core::{DType, Device};
use tokenizers::Tokenizer;

use super::checkpoint_folder::{self, read_tokenizer};
use super::gradient::{StepFigures, of_step};
use super::optimizer::{ADAM_EPSILON, Rates, clip};
use super::plan::TrainingPlan;
use super::rows::{Row, RowSource};
use super::state::{CurvePoint, DemoState, TrainingState};
use super::threads::Threads;
use super::{initial, tokenizer};
use crate::error::Context;
use crate::model::{Decoder, DeviceChoice, Weights};
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
/// [`SessionError::Cancelled`] after the state was saved; a sentence for a plan that makes no training, a
/// folder that holds something else, a device that is not there.
pub fn train_demo_model(
    run: &TrainingRun,
    on_event: &mut dyn FnMut(TrainingEvent),
    cancel: &CancelFlag,
) -> Result<TrainingSummary, SessionError> {
    run.plan.check()?;
    let device = run.device.open()?;
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
    let trainer = Trainer {
        plan: &run.plan,
        decoder: &decoder,
        threads: Threads::new(std::thread::available_parallelism().map_or(1, usize::from))?,
    };
    let last = run
        .stop_after_steps
        .unwrap_or(usize::MAX)
        .min(run.plan.steps());
    let mut source = None;
    while state.steps() < last && !cancel.is_cancelled() {
        let started = Instant::now();
        let step = state.steps();
        let Some((stage_index, stage, _)) = run.plan.stage_of(step) else {
            break;
        };
        let rows = match &source {
            Some((index, rows)) if *index == stage_index => rows,
            _ => {
                let rows = RowSource::new(&run.plan, stage, &tokenizer)?;
                &source.insert((stage_index, rows)).1
            }
        };
        let rows = trainer.rows(rows, step, run.plan.step_tokens / stage.sequence_tokens)?;
        let point = trainer.step(&mut state, &rows, stage.sequence_tokens)?;
        on_event(TrainingEvent::Step {
            point,
            tokens: rows.len() * stage.sequence_tokens,
            elapsed_secs: started.elapsed().as_secs_f64(),
        });
        if state.steps().is_multiple_of(STEPS_BETWEEN_SAVES) && state.steps() < last {
            checkpoint_folder::save(&run.out, &state)?;
        }
    }
    checkpoint_folder::save(&run.out, &state)?;
    cancel.check()?;
    Ok(TrainingSummary {
        is_complete: state.steps() == run.plan.steps(),
        curve: state.curve,
    })
}

/// A fresh tokenizer and fresh parameters, or those of the folder.
fn start(run: &TrainingRun, device: &Device) -> Result<(Tokenizer, DemoState), SessionError> {
    let path = run.out.join(checkpoint_folder::STATE_FILE);
    if run.start == StartMode::Resume {
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
    plan: &'a TrainingPlan,
    decoder: &'a Decoder,
    threads: Threads,
}

impl Trainer<'_> {
    fn rows(
        &self,
        source: &RowSource<'_>,
        step: usize,
        count: usize,
    ) -> Result<Vec<Row>, SessionError> {
        let first = step as u64 * ROWS_OF_STEP;
        let numbers: Vec<u64> = (first..first + count as u64).collect();
        self.threads.map(&numbers, |&number| source.row(number))
    }

    /// Moves the parameters by one step.
    fn step(
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
        let gradient_norm = clip(&mut gradient.of_parameters, self.plan.clip_norm)?;
        let step = state.steps();
        let rate = self.plan.rate_at(step);
        let rates = Rates {
            matrix: rate * self.plan.matrix_learning_rate,
            vector: rate * self.plan.vector_learning_rate,
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
        let StepFigures {
            loss,
            values_right,
            values,
        } = gradient.figures;
        if !loss.is_finite() {
            return Err(SessionError::Plan {
                reason: format!(
                    "the loss is {loss} at step {step}; the learning rates are too high, train anew with lower ones"
                ),
            });
        }
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
