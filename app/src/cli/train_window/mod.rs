//! `kvlens train judge-q` and `kvlens train lookahead-kv`: windows that are trained for a model.

mod card;
mod recall;
mod watch;

use anyhow::Result;
use kvlens_datasets::{DataSpec, Sample, load_all};
use kvlens_sessions::SessionError;
use kvlens_sessions::model::Model;
use kvlens_sessions::training::{
    HeldOutGroup, WindowTrainingData, WindowTrainingPlan, WindowTrainingRun, train_window,
};
use kvlens_sessions::windows::TrainedMethod;

use super::args::{TrainJudgeQArguments, TrainLookaheadKvArguments, TrainWindowArguments};
use super::fetch::fetch_model;
use super::interrupt::cancel_on_interrupt;
use super::output;
use super::train::start_mode;
use crate::jobs::failure::Failure;
use card::Card;
use watch::Watch;

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
    let published = WindowTrainingPlan::of(method);
    WindowTrainingPlan {
        data: arguments.data.clone(),
        held_out: arguments.held_out.clone(),
        baselines: arguments.baselines.clone(),
        chat: arguments.chat,
        decode_tokens: arguments.decode,
        soft_tokens: arguments.soft_tokens,
        steps: arguments.steps,
        step_prompts: arguments.step_prompts,
        token_learning_rate: arguments
            .token_rate
            .unwrap_or(published.token_learning_rate),
        steps_between_evaluations: arguments.look_every,
        seed: arguments.seed,
        ..published
    }
}

fn run(arguments: &TrainWindowArguments, plan: WindowTrainingPlan) -> Result<()> {
    let data = data(&plan)?;
    let run = WindowTrainingRun {
        plan,
        out: arguments.out.clone(),
        start: start_mode(arguments.resume, arguments.replace),
        stop_after_steps: arguments.stop_after_steps,
    };
    let cancel = cancel_on_interrupt()?;
    fetch_model(&arguments.model, &cancel)?;
    let model = Model::load(&arguments.model, arguments.device, arguments.dtype)?;
    let mut watch = Watch::new()?;
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
            let card = Card {
                plan: &run.plan,
                model: model.identity(),
                training_prompts: data.training.len(),
                groups: &groups(&data),
                summary: &summary,
            };
            let path = card.write(&run.out)?;
            let state = if summary.is_complete {
                "trained"
            } else {
                "stopped early; --resume goes on"
            };
            output::print(&format!(
                "{}\n{state}: {} of {} steps: {out}\ncard: {}\n",
                recall::lines(&groups(&data), &recall::windows(&run.plan, &summary)).join("\n"),
                summary.curve.len(),
                run.plan.steps,
                path.display()
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

fn groups(data: &WindowTrainingData) -> Vec<HeldOutGroup> {
    data.held_out
        .iter()
        .map(|(name, samples)| HeldOutGroup {
            name: name.clone(),
            prompts: samples.len(),
        })
        .collect()
}
