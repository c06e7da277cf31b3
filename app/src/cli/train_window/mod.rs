//! `kvlens train judge-q` and `kvlens train lookahead-kv`: windows that are trained for a model.

mod watch;

use anyhow::Result;
use kvlens_sessions::training::WindowTrainingPlan;
use kvlens_sessions::windows::TrainedMethod;

use super::args::{TrainJudgeQArguments, TrainLookaheadKvArguments, TrainWindowArguments};
use super::fetch::fetch_model;
use super::interrupt::cancel_on_interrupt;
use super::output;
use super::train::start_mode;
use crate::jobs::failure::{Failure, is_cancelled};
use crate::jobs::models::Models;
use crate::jobs::train::{TrainWindowRequest, lines, run as train};
use watch::Told;

/// `kvlens train judge-q`
///
/// # Errors
/// Bad input, an interrupt, a loss that is no number any more.
pub fn judge_q(arguments: &TrainJudgeQArguments) -> Result<()> {
    let published = WindowTrainingPlan::of(TrainedMethod::JudgeQ);
    let plan = plan(&arguments.window, published);
    run_training(&arguments.window, plan)
}

/// `kvlens train lookahead-kv`
///
/// # Errors
/// As [`judge_q`].
pub fn lookahead_kv(arguments: &TrainLookaheadKvArguments) -> Result<()> {
    let published = WindowTrainingPlan::of(TrainedMethod::LookaheadKv);
    let published = published.with_settings(arguments.settings);
    let plan = WindowTrainingPlan {
        adapter_rank: arguments.rank,
        adapter_alpha: arguments.alpha,
        adapter_learning_rate: arguments
            .adapter_rate
            .unwrap_or(published.adapter_learning_rate),
        ..plan(&arguments.window, published)
    };
    run_training(&arguments.window, plan)
}

/// What was typed in place of what was published.
fn plan(arguments: &TrainWindowArguments, published: WindowTrainingPlan) -> WindowTrainingPlan {
    WindowTrainingPlan {
        data: arguments.data.clone(),
        held_out: arguments.held_out.clone(),
        baselines: arguments.baselines.clone(),
        chat: arguments.chat,
        decode_tokens: arguments.decode.unwrap_or(published.decode_tokens),
        soft_tokens: arguments.soft_tokens,
        steps: arguments.steps,
        step_prompts: arguments.step_prompts.unwrap_or(published.step_prompts),
        token_learning_rate: arguments
            .token_rate
            .unwrap_or(published.token_learning_rate),
        steps_between_evaluations: arguments.look_every,
        seed: arguments.seed,
        ..published
    }
}

fn run_training(arguments: &TrainWindowArguments, plan: WindowTrainingPlan) -> Result<()> {
    let request = TrainWindowRequest {
        model: arguments.model.clone(),
        device: arguments.device,
        dtype: arguments.dtype,
        plan,
        out: arguments.out.clone(),
        start: start_mode(arguments.resume, arguments.replace),
        stop_after_steps: arguments.stop_after_steps,
    };
    request.check()?;
    let cancel = cancel_on_interrupt()?;
    fetch_model(&request.model, &cancel)?;
    let mut told = Told::new()?;
    let outcome = train(&request, &mut Models::default(), &mut told, &cancel);
    told.end();
    let out = request.out.display();
    let trained = match outcome {
        Err(error) if is_cancelled(&error) => {
            let kept = format!("stopped; go on with the same command and --resume: {out}");
            return Err(Failure::Interrupted(kept).into());
        }
        outcome => outcome?,
    };
    let state = match (trained.was_complete, trained.is_complete) {
        (true, _) => "nothing was left to go on with",
        (_, true) => "trained",
        _ => "stopped early; --resume goes on",
    };
    output::print(&format!(
        "{}\n{state}: {} of {} steps: {out}\ncard: {}\n",
        lines(&trained.groups, &trained.windows).join("\n"),
        trained.steps_done,
        request.plan.steps,
        trained.card.display()
    ))
}
