//! Position or content: what makes a pseudo query like the decode query that it stands for?
//!
//! DapQ's Table 1 (arXiv 2603.11564, set-up in appendix A.1) runs the true decode tokens behind the prompt again, but for
//! one thing: other tokens at their positions, or the same tokens at other positions. That needs the model, so
//! it is asked for apart from [`super::queries`], which a session alone can answer.

use anyhow::{Context, Result, ensure};
use kvlens_sessions::model::{Model, RopeConfig};
use kvlens_sessions::windows::{Decode, ReadyWindow, parse_window};
use kvlens_sessions::{
    CancelFlag, CapturedSample, DecodePlan, Needs, Observation, Prefilled, RunControl,
};

use super::StageProgress;
use super::queries::{WindowQueries, window_queries};

/// How far the tokens of [`Intervention::OtherPositions`] are moved towards the start, at most.
const LARGEST_SHIFT: usize = 256;

/// What is changed of the decode tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intervention {
    /// Nothing: the cosine has to be 1.
    Nothing,
    /// Other tokens, drawn at random, at their positions.
    OtherContent,
    /// The same tokens, nearer to the start.
    OtherPositions,
}

impl Intervention {
    /// Every intervention.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::OtherContent, Self::OtherPositions];

    /// What stays and what changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "same positions, same content",
            Self::OtherContent => "same positions, other content",
            Self::OtherPositions => "other positions, same content",
        }
    }

    /// What changes, where there is little room.
    #[must_use]
    pub fn short_name(self) -> &'static str {
        match self {
            Self::Nothing => "unchanged",
            Self::OtherContent => "other content",
            Self::OtherPositions => "other positions",
        }
    }

    /// The window that makes it, for so many decode steps behind a prompt of T tokens.
    fn label(self, steps: usize, prompt_tokens: usize) -> String {
        match self {
            Self::Nothing => format!("dapq:n={steps},content=decode"),
            Self::OtherContent => format!("dapq:n={steps},content=random"),
            Self::OtherPositions => {
                let shift = LARGEST_SHIFT.min(prompt_tokens / 2);
                format!("dapq:n={steps},content=decode,shift=-{shift}")
            }
        }
    }
}

/// An intervention and what became of the queries.
#[derive(Debug, Clone)]
pub struct IntervenedQueries {
    /// What was changed.
    pub intervention: Intervention,
    /// The window that changed it.
    pub label: String,
    /// Its queries against those of the decode stage.
    pub queries: WindowQueries,
}

/// Runs every intervention on a captured sample, with the model that it was captured with.
///
/// # Errors
/// [`SessionError::Cancelled`](kvlens_sessions::SessionError::Cancelled), or what the model refuses.
pub fn intervene(
    model: &Model,
    captured: &CapturedSample,
    rope: Option<&RopeConfig>,
    cancel: &CancelFlag,
    progress: &mut dyn StageProgress,
) -> Result<Vec<IntervenedQueries>> {
    let record = &captured.record;
    ensure!(
        record.asked_later.is_none(),
        "the question of this sample comes after its prompt, and interventions put the answer's tokens right behind it; \
         choose a sample with its question in the prompt"
    );
    let (steps, prompt_tokens) = (record.generated_ids.len(), record.prompt_ids.len());
    let decode = DecodePlan {
        max_tokens: steps,
        ..DecodePlan::default()
    };
    // the tokens of the session, whatever chose them there
    let decode = Decode::teacher_forced(decode, record.generated_ids.clone());
    let windows = Intervention::ALL
        .into_iter()
        .map(|intervention| {
            let label = intervention.label(steps, prompt_tokens);
            Ok((intervention, parse_window(&label.parse()?)?.ready(model)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let needs = windows
        .iter()
        .fold(decode.needs(), |needs: Needs, (_, window)| {
            needs.and(&window.needs())
        });
    let mut prefilled = Prefilled::run(
        model,
        &record.prompt_ids,
        &needs,
        &mut RunControl {
            cancel,
            on_tokens: &mut |done, total| progress.stage("Prefill", done, total),
        },
    )?;
    observe(&decode, "Decode", model, &mut prefilled, cancel, progress)?;
    let mut found = Vec::with_capacity(windows.len());
    for (intervention, window) in &windows {
        let name = intervention.name();
        let observation = observe(window, name, model, &mut prefilled, cancel, progress)?;
        let queries = window_queries(captured, &observation, rope)?;
        found.push(IntervenedQueries {
            intervention: *intervention,
            label: window.label().to_owned(),
            queries: queries.context("a pseudo token has no query")?,
        });
    }
    Ok(found)
}

fn observe(
    window: &ReadyWindow,
    stage: &str,
    model: &Model,
    prefilled: &mut Prefilled,
    cancel: &CancelFlag,
    progress: &mut dyn StageProgress,
) -> Result<Observation> {
    cancel.check()?;
    let mut control = RunControl {
        cancel,
        on_tokens: &mut |done, total| progress.stage(stage, done, total),
    };
    Ok(window.observe(model, prefilled, &mut control)?)
}
