//! `kvlens train judge-q` and `kvlens train lookahead-kv`: windows that are trained for a model.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use kvlens_datasets::{DataSpec, Sample, load_all};
use kvlens_sessions::model::Model;
use kvlens_sessions::training::{
    Baseline, HeldOutFigures, HeldOutGroup, WindowTrainingData, WindowTrainingEvent,
    WindowTrainingPlan, WindowTrainingRun, WindowTrainingSummary, train_window,
};
use kvlens_sessions::windows::TrainedMethod;
use kvlens_sessions::{SessionError, StartMode};

use super::args::{TrainJudgeQArguments, TrainLookaheadKvArguments, TrainWindowArguments};
use super::failure::Failure;
use super::interrupt::cancel_on_interrupt;
use super::output;

/// Time between two lines where stderr is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(15);

/// One prompt in so many is held out where no held-out data are named.
const HELD_OUT_SHARE: usize = 10;

/// `kvlens train judge-q`
///
/// # Errors
/// Bad input, an interrupt, a loss that is no number any more.
pub fn judge_q(arguments: &TrainJudgeQArguments) -> Result<()> {
    let plan = plan(&arguments.window, TrainedMethod::JudgeQ);
    run(&arguments.window, plan)
}

/// `kvlens train lookahead-kv`
///
/// # Errors
/// As [`judge_q`].
pub fn lookahead_kv(arguments: &TrainLookaheadKvArguments) -> Result<()> {
    let plan = WindowTrainingPlan {
        adapter_rank: arguments.rank,
        adapter_alpha: arguments.alpha,
        adapter_learning_rate: arguments.adapter_rate,
        ..plan(&arguments.window, TrainedMethod::LookaheadKv)
    };
    run(&arguments.window, plan)
}

fn plan(arguments: &TrainWindowArguments, method: TrainedMethod) -> WindowTrainingPlan {
    WindowTrainingPlan {
        data: arguments.data.clone(),
        held_out: arguments.held_out.clone(),
        baselines: arguments.baselines.clone(),
        chat: arguments.chat,
        decode_tokens: arguments.decode,
        soft_tokens: arguments.soft_tokens,
        steps: arguments.steps,
        step_prompts: arguments.step_prompts,
        token_learning_rate: arguments.token_rate,
        steps_between_evaluations: arguments.look_every,
        seed: arguments.seed,
        ..WindowTrainingPlan::of(method)
    }
}

fn run(arguments: &TrainWindowArguments, plan: WindowTrainingPlan) -> Result<()> {
    let data = data(&plan)?;
    let run = WindowTrainingRun {
        plan,
        out: arguments.out.clone(),
        start: match (arguments.resume, arguments.replace) {
            (true, _) => StartMode::Resume,
            (_, true) => StartMode::Replace,
            _ => StartMode::New,
        },
        stop_after_steps: arguments.stop_after_steps,
    };
    let model = Model::load(&arguments.model, arguments.device, arguments.dtype)?;
    let mut watch = Watch::new()?;
    let cancel = cancel_on_interrupt()?;
    let outcome = train_window(&run, &model, &data, &mut |event| watch.take(event), &cancel);
    watch.end();
    let out = run.out.display();
    match outcome {
        Err(SessionError::Cancelled) => {
            let kept = format!("stopped; go on with the same command and --resume: {out}");
            Err(Failure::Interrupted(kept).into())
        }
        outcome => {
            let summary = outcome?;
            let state = if summary.is_complete {
                "trained"
            } else {
                "stopped early; --resume goes on"
            };
            output::print(&format!(
                "{}{state}: {} of {} steps: {out}\n",
                table(&run.plan, &data, &summary),
                summary.curve.len(),
                run.plan.steps
            ))
        }
    }
}

fn data(plan: &WindowTrainingPlan) -> Result<WindowTrainingData> {
    let load = |specs: &[String]| -> Result<Vec<Sample>> {
        let specs = specs.iter().map(|spec| spec.parse());
        Ok(load_all(&specs.collect::<Result<Vec<DataSpec>, _>>()?)?)
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

/// Held-out recall of the trained window beside the others, group by group.
fn table(
    plan: &WindowTrainingPlan,
    data: &WindowTrainingData,
    summary: &WindowTrainingSummary,
) -> String {
    let groups: Vec<HeldOutGroup> = data
        .held_out
        .iter()
        .map(|(name, samples)| HeldOutGroup {
            name: name.clone(),
            prompts: samples.len(),
        })
        .collect();
    let trained = Baseline {
        window: plan.method.name().to_owned(),
        recall: summary.held_out.recall.clone(),
    };
    let mut windows = vec![trained];
    windows.extend(summary.baselines.iter().cloned());
    lines(&groups, &windows).join("\n") + "\n"
}

fn lines(groups: &[HeldOutGroup], windows: &[Baseline]) -> Vec<String> {
    let widest = windows.iter().map(|window| window.window.chars().count());
    let width = widest.max().unwrap_or(0);
    let mut lines = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let prompts = match group.prompts {
            1 => "1 prompt".to_owned(),
            prompts => format!("{prompts} prompts"),
        };
        lines.push(format!(
            "held-out recall at 5 %, 10 %, 20 % of the prompt, {prompts}: {}",
            group.name
        ));
        for window in windows {
            let recall = window.recall.get(index).map(Vec::as_slice);
            lines.push(format!(
                "  {:width$}  {}",
                window.window,
                numbers(recall.unwrap_or_default())
            ));
        }
    }
    lines
}

fn numbers(recall: &[f32]) -> String {
    let texts: Vec<String> = recall.iter().map(|value| format!("{value:.3}")).collect();
    texts.join("  ")
}

/// Shows responses and steps: a bar on a terminal, a line every few seconds elsewhere.
struct Watch {
    bar: Option<ProgressBar>,
    steps: usize,
    last_line: Option<Instant>,
}

impl Watch {
    fn new() -> Result<Self> {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{pos}/{len} {bar:24} {msg}, {eta} left")?;
            Ok::<_, indicatif::style::TemplateError>(ProgressBar::new(0).with_style(style))
        });
        Ok(Self {
            bar: bar
                .transpose()
                .context("a progress bar cannot be laid out")?,
            steps: 0,
            last_line: None,
        })
    }

    fn take(&mut self, event: WindowTrainingEvent) {
        match event {
            WindowTrainingEvent::Responding { done, prompts } => {
                self.show(
                    done,
                    prompts,
                    "prompts, to which the model responds".to_owned(),
                );
            }
            WindowTrainingEvent::Ready {
                steps_done,
                steps,
                parameters,
                groups,
                baselines,
            } => {
                self.steps = steps;
                self.last_line = None;
                if let Some(bar) = &self.bar {
                    bar.reset();
                }
                self.note(&format!(
                    "{parameters} numbers are trained; {steps_done} of {steps} steps are done"
                ));
                for line in lines(&groups, &baselines) {
                    self.note(&line);
                }
            }
            WindowTrainingEvent::Step { point, .. } => {
                if let Some(figures) = &point.held_out {
                    self.note(&looked(point.step, figures));
                }
                let line = format!("steps, loss {:.4e}", point.loss);
                self.show(point.step + 1, self.steps, line);
            }
        }
    }

    fn show(&mut self, done: usize, all: usize, line: String) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(all as u64);
                bar.set_position(done as u64);
                bar.set_message(line);
            }
            None if self
                .last_line
                .is_none_or(|shown| shown.elapsed() >= LINE_INTERVAL) =>
            {
                self.last_line = Some(Instant::now());
                output::note(&format!("{done}/{all} {line}"));
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

/// The held-out prompts after so many steps, in one line.
fn looked(step: usize, figures: &HeldOutFigures) -> String {
    let groups: Vec<String> = figures
        .recall
        .iter()
        .map(|recall| numbers(recall))
        .collect();
    format!(
        "after {step} steps, held out: loss {:.4e}, recall {}",
        figures.loss,
        groups.join(" | ")
    )
}
