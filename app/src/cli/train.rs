//! `kvlens train`: the models that KVLens makes itself.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use kvlens_datasets::{MOST_TYPED_BYTES, read_text_at_most};
use kvlens_sessions::training::{
    CurvePoint, TrainingEvent, TrainingPlan, TrainingRun, train_demo_model,
};
use kvlens_sessions::{SessionError, StartMode};

use super::args::{TrainCommand, TrainDemoModelArguments};
use super::interrupt::cancel_on_interrupt;
use super::model_card;
use super::output;
use super::train_window;
use crate::jobs::failure::Failure;

/// Steps that loss and accuracy are averaged over for showing.
const SHOWN_STEPS: usize = 20;

/// Time between two lines where stderr is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(15);

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, a loss that is no number any more.
pub fn run(command: &TrainCommand) -> Result<()> {
    match command {
        TrainCommand::DemoModel(arguments) => demo_model(arguments),
        TrainCommand::JudgeQ(arguments) => train_window::judge_q(arguments),
        TrainCommand::LookaheadKv(arguments) => train_window::lookahead_kv(arguments),
        TrainCommand::Card(arguments) => model_card::run(arguments),
    }
}

fn demo_model(arguments: &TrainDemoModelArguments) -> Result<()> {
    let mut plan = match &arguments.plan {
        Some(path) => read_plan(path)?,
        None => TrainingPlan::default(),
    };
    if let Some(seed) = arguments.seed {
        plan.seed = seed;
    }
    let run = TrainingRun {
        plan,
        out: arguments.out.clone(),
        start: start_mode(arguments.resume, arguments.replace),
        device: arguments.device,
        stop_after_steps: arguments.stop_after_steps,
    };
    let mut watch = Watch::new()?;
    let cancel = cancel_on_interrupt()?;
    let outcome = train_demo_model(&run, &mut |event| watch.take(event), &cancel);
    watch.end();
    let out = run.out.display();
    let summary = match outcome {
        Err(SessionError::Cancelled) => {
            let kept = format!("stopped; go on with the same command and --resume: {out}");
            return Err(Failure::Interrupted(kept).into());
        }
        outcome => outcome?,
    };
    let done = summary.curve.len();
    let last = summary.curve.get(done.saturating_sub(SHOWN_STEPS)..);
    let (loss, accuracy) = means(last.unwrap_or_default());
    let state = if summary.is_complete {
        "trained"
    } else {
        "stopped early; --resume goes on"
    };
    output::print(&format!(
        "{state}: {done} of {} steps, loss {loss:.4}, {:.1} % of value tokens right: {out}\n",
        run.plan.steps(),
        accuracy * 100.0
    ))
}

/// What `--resume` and `--replace` ask for.
pub fn start_mode(resume: bool, replace: bool) -> StartMode {
    match (resume, replace) {
        (true, _) => StartMode::Resume,
        (_, true) => StartMode::Replace,
        _ => StartMode::New,
    }
}

fn read_plan(path: &Path) -> Result<TrainingPlan> {
    let text = read_text_at_most(path, MOST_TYPED_BYTES)
        .with_context(|| format!("the training plan cannot be read: {}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::BadInput(format!(
            "this is no training plan ({error}); take the 'plan' of a training-log.json as a pattern: {}",
            path.display()
        ))
        .into()
    })
}

/// Mean loss and value accuracy.
fn means(points: &[CurvePoint]) -> (f64, f64) {
    let count = points.len().max(1) as f64;
    let mean = |value: fn(&CurvePoint) -> f32| {
        points
            .iter()
            .map(|point| f64::from(value(point)))
            .sum::<f64>()
            / count
    };
    (mean(|point| point.loss), mean(|point| point.value_accuracy))
}

/// Shows the steps: a bar on a terminal, a line every few seconds elsewhere.
struct Watch {
    bar: Option<ProgressBar>,
    steps: usize,
    recent: VecDeque<(CurvePoint, usize, f64)>,
    last_line: Option<Instant>,
}

impl Watch {
    fn new() -> Result<Self> {
        let bar = io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{pos}/{len} steps {bar:24} {msg}, {eta} left")?;
            Ok::<_, indicatif::style::TemplateError>(ProgressBar::new(0).with_style(style))
        });
        Ok(Self {
            bar: bar
                .transpose()
                .context("a progress bar cannot be laid out")?,
            steps: 0,
            recent: VecDeque::new(),
            last_line: None,
        })
    }

    fn take(&mut self, event: TrainingEvent) {
        match event {
            TrainingEvent::Ready {
                steps_done,
                steps,
                vocabulary,
                parameters,
            } => {
                self.steps = steps;
                if let Some(bar) = &self.bar {
                    bar.set_length(steps as u64);
                    bar.set_position(steps_done as u64);
                    bar.reset_eta();
                }
                self.note(&format!(
                    "a model of {:.2} million parameters with {vocabulary} tokens; {steps_done} of {steps} steps are done",
                    parameters as f64 / 1e6
                ));
            }
            TrainingEvent::Step {
                point,
                tokens,
                elapsed_secs,
            } => {
                self.recent.push_back((point, tokens, elapsed_secs));
                if self.recent.len() > SHOWN_STEPS {
                    self.recent.pop_front();
                }
                self.show(point);
            }
        }
    }

    fn show(&mut self, point: CurvePoint) {
        let points: Vec<CurvePoint> = self.recent.iter().map(|(point, _, _)| *point).collect();
        let (loss, accuracy) = means(&points);
        let tokens: usize = self.recent.iter().map(|(_, tokens, _)| tokens).sum();
        let secs: f64 = self.recent.iter().map(|(_, _, secs)| secs).sum();
        let line = format!(
            "{} tokens a row, loss {loss:.3}, values {:.1} %, {:.0} tokens/s",
            point.sequence_tokens,
            accuracy * 100.0,
            tokens as f64 / secs
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(point.step as u64 + 1);
                bar.set_message(line);
            }
            None if self
                .last_line
                .is_none_or(|shown| shown.elapsed() >= LINE_INTERVAL) =>
            {
                self.last_line = Some(Instant::now());
                output::note(&format!("step {}/{}: {line}", point.step + 1, self.steps));
            }
            None => {}
        }
    }

    fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => output::note(line),
        }
    }

    fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_damage_of_a_training_plan_ends_the_program() {
        let plan = include_str!("../../../sessions/builtin/demo/training-log.json");
        let log: serde_json::Value = serde_json::from_str(plan).unwrap();
        let plan = log["plan"].to_string();
        crate::damages::each_is_read_or_refused("plan.json", &plan, |path| {
            read_plan(path).map(drop).map_err(|error| error.to_string())
        });
    }
}
