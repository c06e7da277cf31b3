//! Prompts that are too long for the model: left out, cut, or refused.

mod far_too_long;
#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::parts::PromptParts;
use crate::sample::{QuestionPlace, Sample};
use far_too_long::certain_gap;

/// How often a cut prompt may turn out too long again, because tokens merge anew where it was cut.
const TRIES: usize = 16;

/// Measures texts by a model's tokenizer.
pub trait TokenCounter {
    /// The byte span of every token of the text, in its order, without special tokens.
    ///
    /// # Errors
    /// What the tokenizer says.
    fn spans(&self, text: &str) -> Result<Vec<Range<usize>>, String>;

    /// How many tokens the sample's prompt has as it will run: with special tokens, chat template and answer prefix,
    /// and with a question that comes after it.
    ///
    /// # Errors
    /// What the tokenizer says.
    fn prompt_tokens(&self, sample: &Sample) -> Result<usize, String>;

    /// How many positions must stay free behind that, for the answer and for what windows put there.
    fn tokens_behind(&self, _sample: &Sample) -> usize {
        0
    }

    /// How many tokens the model takes at most, those behind the prompt included.
    fn positions(&self) -> usize {
        usize::MAX
    }
}

/// What to do with a prompt that is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TooLong {
    /// Nothing is loaded, and the sample is named.
    #[default]
    Refuse,
    /// It is left out and counted.
    LeaveOut,
    /// The middle is cut out, so that as many tokens stay before as behind it (LongBench); but of a document alone
    /// where that would take from question or instruction.
    CutMiddle,
    /// The beginning of the document is cut off, or of a prompt without one.
    CutLeft,
}

/// How long prompts may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The model's positions: those of [`TokenCounter::prompt_tokens`] and [`TokenCounter::tokens_behind`] together.
    pub limit_tokens: usize,
    /// What to do with a longer one.
    pub too_long: TooLong,
}

/// What came of a sample.
pub(crate) enum Fitted {
    /// It fits as it is.
    Whole(Sample),
    /// It was cut.
    Cut {
        sample: Sample,
        from_tokens: usize,
        to_tokens: usize,
        /// Evidence that was cut away, in whole or in part.
        lost_evidence: usize,
    },
    /// It is too long and stays so.
    TooLong {
        id: String,
        tokens: usize,
        /// The longest that fits.
        limit: usize,
        /// Why it was not cut where that was asked.
        reason: String,
    },
}

/// Makes the sample fit with its question at `place` (where it stands when `None`).
///
/// It is cut with the question where it stands and moved after that, so that one document is cut in the same way for
/// every place; with two questions it is cut by that much more.
///
/// # Errors
/// What the tokenizer says; a question that cannot be moved.
pub(crate) fn fit(
    sample: Sample,
    place: Option<QuestionPlace>,
    fit: Option<(Fit, &dyn TokenCounter)>,
) -> Result<Fitted, String> {
    let placed = |sample: &Sample| match place {
        Some(place) => sample
            .with_question(place)
            .map_err(|error| error.to_string()),
        None => Ok(sample.clone()),
    };
    let whole = placed(&sample)?;
    let Some((
        Fit {
            limit_tokens,
            too_long,
        },
        counter,
    )) = fit
    else {
        return Ok(Fitted::Whole(whole));
    };
    let limit_tokens = limit_tokens.saturating_sub(counter.tokens_behind(&whole));
    let tokens = counter.prompt_tokens(&whole)?;
    if tokens <= limit_tokens {
        return Ok(Fitted::Whole(whole));
    }
    let stays = |reason: &str| {
        Ok(Fitted::TooLong {
            id: whole.id.clone(),
            tokens,
            limit: limit_tokens,
            reason: reason.to_owned(),
        })
    };
    if matches!(too_long, TooLong::Refuse | TooLong::LeaveOut) {
        return stays("");
    }
    let (sample, lost_before, mut excess) =
        match certain_gap(&sample, limit_tokens, too_long, counter)? {
            Some(gap) => {
                let (shorter, lost) = cut(&sample, &gap);
                let left = counter.prompt_tokens(&placed(&shorter)?)?;
                (shorter, lost, left.saturating_sub(limit_tokens))
            }
            None => (sample, 0, tokens - limit_tokens),
        };
    let tokens_of_prompt = Tokens::of(&sample, counter.spans(&sample.prompt)?);
    for _ in 0..TRIES {
        let Some(gap) = tokens_of_prompt.gap(excess, too_long) else {
            return stays("more would have to go than the document has");
        };
        let (cut, lost_evidence) = cut(&sample, &on_letters(gap, &sample.prompt));
        let cut = placed(&cut)?;
        let left = counter.prompt_tokens(&cut)?;
        if left <= limit_tokens {
            return Ok(Fitted::Cut {
                sample: cut,
                from_tokens: tokens,
                to_tokens: left,
                lost_evidence: lost_before + lost_evidence,
            });
        }
        excess += left - limit_tokens;
    }
    stays("no cut was short enough")
}

/// The tokens of a prompt, and which of them may go.
struct Tokens {
    spans: Vec<Range<usize>>,
    /// Those of the document; all of a prompt without parts.
    document: Range<usize>,
}

impl Tokens {
    fn of(sample: &Sample, spans: Vec<Range<usize>>) -> Self {
        let place = sample.question_place.unwrap_or(QuestionPlace::End);
        let document = match &sample.parts {
            Some(parts) => parts.document_span(place),
            None => 0..sample.prompt.len(),
        };
        let first = spans.partition_point(|span| span.start < document.start);
        let end = spans.partition_point(|span| span.end <= document.end);
        Self {
            spans,
            document: first..end.max(first),
        }
    }

    /// The bytes of `excess` tokens that go: those in the middle of the prompt or at its left, or the nearest in the
    /// document where that would take from the words around it. `None` when not even one token of it would stay.
    fn gap(&self, excess: usize, too_long: TooLong) -> Option<Range<usize>> {
        let last_first = self.document.end.checked_sub(excess)?;
        if self.document.len() <= excess {
            return None;
        }
        let middle = match too_long {
            TooLong::CutMiddle => (self.spans.len() - excess) / 2,
            _ => 0,
        };
        let first = middle.clamp(self.document.start, last_first);
        Some(self.spans.get(first)?.start..self.spans.get(first + excess - 1)?.end)
    }
}

/// The gap, widened to whole letters: a token may be a part of one.
fn on_letters(gap: Range<usize>, text: &str) -> Range<usize> {
    let start = (0..=gap.start).rev().find(|at| text.is_char_boundary(*at));
    let end = (gap.end..=text.len()).find(|at| text.is_char_boundary(*at));
    start.unwrap_or(0)..end.unwrap_or(text.len())
}

/// The sample without these bytes of its prompt, and how much evidence was lost.
fn cut(sample: &Sample, gap: &Range<usize>) -> (Sample, usize) {
    let prompt = [&sample.prompt[..gap.start], &sample.prompt[gap.end..]].concat();
    let place = sample.question_place.unwrap_or(QuestionPlace::End);
    let parts = sample.parts.as_ref().map(|parts| {
        let document = parts.document_span(place);
        PromptParts {
            document: [
                &sample.prompt[document.start..gap.start],
                &sample.prompt[gap.end..document.end],
            ]
            .concat(),
            ..parts.clone()
        }
    });
    let mut evidence = Vec::new();
    for span in &sample.evidence {
        if span.end <= gap.start {
            evidence.push(span.clone());
        } else if span.start >= gap.end {
            let length = gap.len();
            evidence.push(span.start - length..span.end - length);
        }
    }
    let lost = sample.evidence.len() - evidence.len();
    let cut = Sample {
        prompt,
        parts,
        evidence,
        ..sample.clone()
    };
    (cut, lost)
}
