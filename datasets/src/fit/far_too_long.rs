//! Texts of which most has to go: a tokenizer takes hundreds of times the bytes of what it is given, so the part that
//! certainly goes is taken out first.

use std::ops::Range;

use super::{TokenCounter, TooLong};
use crate::sample::{QuestionPlace, Sample};

/// Bytes of text for each token that may stay, to begin with: about two tokens' worth.
const FIRST_BYTES_A_TOKEN: usize = 8;

/// How many times the tokens that may stay are left to cut among.
const MARGIN: usize = 2;

/// Bytes in the middle or at the left of the document that go whatever is cut exactly after that; none where that is
/// little.
///
/// # Errors
/// What the tokenizer says.
pub(super) fn certain_gap(
    sample: &Sample,
    limit_tokens: usize,
    too_long: TooLong,
    counter: &dyn TokenCounter,
) -> Result<Option<Range<usize>>, String> {
    let place = sample.question_place.unwrap_or(QuestionPlace::End);
    let document = match &sample.parts {
        Some(parts) => parts.document_span(place),
        None => 0..sample.prompt.len(),
    };
    let text = sample.prompt.get(document.clone()).unwrap_or_default();
    let enough = limit_tokens.saturating_mul(MARGIN).max(1);
    let first_bytes = enough.saturating_mul(FIRST_BYTES_A_TOKEN);
    let start = match too_long {
        TooLong::CutMiddle => long_enough(text.len(), first_bytes, enough, &|bytes| {
            counter.spans(&text[..text.floor_char_boundary(bytes)])
        })?,
        _ => Some(0),
    };
    let end = long_enough(text.len(), first_bytes, enough, &|bytes| {
        counter.spans(&text[text.ceil_char_boundary(text.len() - bytes)..])
    })?;
    let (Some(start), Some(end)) = (start, end) else {
        return Ok(None);
    };
    let start = document.start + text.floor_char_boundary(start);
    let end = document.start + text.ceil_char_boundary(text.len() - end);
    Ok((start < end).then_some(start..end))
}

/// So many bytes of a text of `length` bytes that they have at least `enough` tokens; none where all of it may be
/// needed.
fn long_enough(
    length: usize,
    first_bytes: usize,
    enough: usize,
    spans: &dyn Fn(usize) -> Result<Vec<Range<usize>>, String>,
) -> Result<Option<usize>, String> {
    let mut bytes = first_bytes;
    while bytes < length / 2 {
        if spans(bytes)?.len() >= enough {
            return Ok(Some(bytes));
        }
        bytes = bytes.saturating_mul(2);
    }
    Ok(None)
}
