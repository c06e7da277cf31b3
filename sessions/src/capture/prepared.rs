//! Everything about the samples that can be refused before the first of them runs.

use kvlens_datasets::Sample;

use crate::SessionError;
use crate::model::{EncodedPrompt, Model};
use crate::plan::CapturePlan;
use crate::prefill::Needs;
use crate::windows::ReadyWindow;

/// A sample with its token ids.
pub(crate) struct PreparedSample<'a> {
    pub(crate) sample: &'a Sample,
    pub(crate) prompt: EncodedPrompt,
    /// Ids of the reference answer, when the decode stage is teacher-forced.
    pub(crate) answer_ids: Option<Vec<u32>>,
}

pub(crate) fn prepare<'a>(
    plan: &CapturePlan,
    model: &Model,
    samples: &'a [Sample],
    needs: &Needs,
    windows: &[ReadyWindow],
) -> Result<Vec<PreparedSample<'a>>, SessionError> {
    if samples.is_empty() {
        return Err(SessionError::Plan {
            reason: "the data hold no sample".to_owned(),
        });
    }
    samples
        .iter()
        .map(|sample| prepare_one(plan, model, sample, needs, windows))
        .collect()
}

fn prepare_one<'a>(
    plan: &CapturePlan,
    model: &Model,
    sample: &'a Sample,
    needs: &Needs,
    windows: &[ReadyWindow],
) -> Result<PreparedSample<'a>, SessionError> {
    let wrong = |reason: String| SessionError::Prompt {
        sample: sample.id.clone(),
        reason,
    };
    if sample.prompt.is_empty() {
        return Err(wrong("the prompt is empty".to_owned()));
    }
    if sample.later_question.is_some() {
        return Err(wrong(
            "its question comes after the prompt, which a capture does not ask yet; put the question at the start or the end"
                .to_owned(),
        ));
    }
    let prompt = model.encode_prompt(&sample.prompt_and_prefix(), plan.chat())?;
    if prompt.ids.is_empty() {
        return Err(wrong("the prompt has no tokens".to_owned()));
    }
    let answer_ids = match (plan.decode.teacher_forced, &sample.answer) {
        (false, _) => None,
        (true, Some(answer)) => Some(model.encode_continuation(answer)?),
        (true, None) => {
            return Err(wrong(
                "there is no reference answer to force; run without --teacher-forced".to_owned(),
            ));
        }
    };
    let positions = model.config().max_positions;
    check_positions(sample, prompt.ids.len(), plan, needs, positions)?;
    windows
        .iter()
        .try_for_each(|window| window.check_prompt(prompt.ids.len()))
        .map_err(|error| wrong(error.to_string()))?;
    Ok(PreparedSample {
        sample,
        prompt,
        answer_ids,
    })
}

/// Refuses a prompt of so many tokens that, with what stands behind it, passes the model's positions.
pub(crate) fn check_positions(
    sample: &Sample,
    tokens: usize,
    plan: &CapturePlan,
    needs: &Needs,
    positions: usize,
) -> Result<(), SessionError> {
    let needed = tokens.saturating_add(needs.extra_positions);
    if needed <= positions {
        return Ok(());
    }
    let behind = if needs.extra_positions > plan.decode.max_tokens {
        format!(
            "{} positions that a window uses behind it",
            needs.extra_positions
        )
    } else {
        format!("{} decode tokens", plan.decode.max_tokens)
    };
    Err(SessionError::Prompt {
        sample: sample.id.clone(),
        reason: format!(
            "the prompt of {tokens} tokens with {behind} needs {needed} positions, but the model has {positions}; shorten one of them"
        ),
    })
}
