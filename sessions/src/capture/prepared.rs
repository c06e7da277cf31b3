//! Everything about the samples that can be refused before the first of them runs.

use kvlens_datasets::{Sample, Samples};

use super::CaptureJob;
use crate::SessionError;
use crate::model::EncodedPrompt;
use crate::plan::CapturePlan;
use crate::prefill::Needs;

/// A sample with its token ids.
pub(crate) struct PreparedSample<'a> {
    pub(crate) sample: &'a Sample,
    pub(crate) prompt: EncodedPrompt,
    /// Ids of the reference answer, when the decode stage is teacher-forced.
    pub(crate) answer_ids: Option<Vec<u32>>,
}

/// Refuses what can be refused before anything is written, and gives the room that questions and decode stages need
/// behind the prompts. The prompts' ids are not kept: those of a large data set take more memory than a capture, and a
/// prompt is encoded in no time beside its prefill.
pub(super) fn check_all(job: &CaptureJob<'_>, samples: Samples<'_>) -> Result<Needs, SessionError> {
    if samples.is_empty() {
        return Err(SessionError::Plan {
            reason: "the data hold no sample".to_owned(),
        });
    }
    let mut most = 0;
    for sample in samples.iter() {
        job.cancel.check()?;
        let sample = sample?;
        let question_tokens = prepare(job, &sample)?.prompt.question_ids.len();
        most = most.max(job.plan.decode.tokens_behind(&sample, question_tokens));
    }
    Ok(Needs::room(most))
}

pub(super) fn prepare<'a>(
    job: &CaptureJob<'_>,
    sample: &'a Sample,
) -> Result<PreparedSample<'a>, SessionError> {
    let (plan, model) = (job.plan, job.model);
    let wrong = |reason: String| SessionError::Prompt {
        sample: sample.id.clone(),
        reason,
    };
    if sample.prompt.is_empty() {
        return Err(wrong("the prompt is empty".to_owned()));
    }
    let positions = model.config().max_positions;
    let text = sample.prompt_and_prefix();
    let encode = |part: &str| Ok(model.encode_continuation(part)?.len());
    refuse_far_too_long(sample, &text, positions, encode)?;
    let prompt = model.encode_sample(sample, plan.chat())?;
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
    check_positions(sample, Lengths::of(&prompt), plan, job.needs, positions)?;
    job.windows
        .iter()
        .try_for_each(|window| window.check_prompt(prompt.ids.len()))
        .map_err(|error| wrong(error.to_string()))?;
    Ok(PreparedSample {
        sample,
        prompt,
        answer_ids,
    })
}

/// Bytes of text for each position of the model that are encoded to begin with: about two tokens' worth.
const FIRST_BYTES_A_POSITION: usize = 8;

/// Refuses a text whose beginning alone has twice as many tokens as the model has positions: encoding all of a text
/// takes 200 times its bytes. `count` gives the tokens of a part of it.
pub(crate) fn refuse_far_too_long(
    sample: &Sample,
    text: &str,
    positions: usize,
    count: impl Fn(&str) -> Result<usize, SessionError>,
) -> Result<(), SessionError> {
    // templates trim what they are given
    let text = text.trim();
    let mut bytes = positions.saturating_mul(FIRST_BYTES_A_POSITION);
    while bytes < text.len() {
        let part = text.get(..text.floor_char_boundary(bytes)).unwrap_or(text);
        let tokens = count(part)?;
        if tokens > positions.saturating_mul(2) {
            return Err(SessionError::Prompt {
                sample: sample.id.clone(),
                reason: format!(
                    "the first {} of the prompt's {} bytes have {tokens} tokens already, but the model has {positions} positions; shorten it, or have such prompts cut (--truncate) or left out (--skip-too-long)",
                    part.len(),
                    text.len()
                ),
            });
        }
        bytes = bytes.saturating_mul(2);
    }
    Ok(())
}

/// T, and Q of a question that comes after the prompt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    pub(crate) prompt_tokens: usize,
    pub(crate) question_tokens: usize,
}

impl Lengths {
    pub(crate) fn of(prompt: &EncodedPrompt) -> Self {
        Self {
            prompt_tokens: prompt.ids.len(),
            question_tokens: prompt.question_ids.len(),
        }
    }
}

/// Refuses a prompt that, with what stands behind it, passes the model's positions. `needs` are the windows'.
pub(crate) fn check_positions(
    sample: &Sample,
    lengths: Lengths,
    plan: &CapturePlan,
    needs: &Needs,
    positions: usize,
) -> Result<(), SessionError> {
    let Lengths {
        prompt_tokens: tokens,
        question_tokens,
    } = lengths;
    let behind_tokens = plan.decode.tokens_behind(sample, question_tokens);
    let needed = tokens.saturating_add(needs.extra_positions.max(behind_tokens));
    if needed <= positions {
        return Ok(());
    }
    let decode_tokens = behind_tokens - question_tokens;
    let behind = if needs.extra_positions > behind_tokens {
        format!(
            "{} positions that a window uses behind it",
            needs.extra_positions
        )
    } else if question_tokens > 0 {
        format!("{question_tokens} tokens of its question and {decode_tokens} decode tokens")
    } else {
        format!("{decode_tokens} decode tokens")
    };
    Err(SessionError::Prompt {
        sample: sample.id.clone(),
        reason: format!(
            "the prompt of {tokens} tokens with {behind} needs {needed} positions, but the model has {positions}; shorten one of them, or have such prompts cut (--truncate) or left out (--skip-too-long)"
        ),
    })
}
