//! The largest text that a length has room for.

use super::tokens::estimate;
use crate::error::DatasetError;
use crate::fit::TokenCounter;
use crate::sample::{QuestionPlace, Sample};

/// What a length counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LengthUnit {
    /// The model's tokens, as the prompt will run; estimated ones where no tokenizer is at hand.
    #[default]
    ModelTokens,
    /// Estimated tokens: words and punctuation marks.
    Words,
}

impl LengthUnit {
    pub(super) fn from_label(label: &str) -> Option<Self> {
        match label {
            "model" => Some(Self::ModelTokens),
            "words" => Some(Self::Words),
            _ => None,
        }
    }

    /// The tokenizer, where it is what counts.
    pub(super) fn counter(self, tokens: Option<&dyn TokenCounter>) -> Option<&dyn TokenCounter> {
        tokens.filter(|_| self == Self::ModelTokens)
    }
}

/// Why no text fits.
pub(super) enum Misfit {
    /// What is hidden and asked alone takes this many tokens.
    TooShort(usize),
    /// What the tokenizer said.
    Tokenizer(String),
}

impl Misfit {
    pub(super) fn into_error(self, task: &str, length: usize) -> DatasetError {
        match self {
            Self::TooShort(needed) => DatasetError::LengthTooShort {
                task: task.to_owned(),
                length,
                needed,
            },
            Self::Tokenizer(problem) => DatasetError::Sample { problem },
        }
    }
}

/// The longest of the prompts that a document makes with its question at `place` or where it must fit as well. A
/// tokenizer takes its time, so one that is longer than `length` ends the search.
pub(super) fn longest(
    place: QuestionPlace,
    length: usize,
    tokens: Option<&dyn TokenCounter>,
    sample: &mut dyn FnMut(QuestionPlace) -> Sample,
) -> Result<usize, Misfit> {
    let mut longest = 0;
    for place in measured(place) {
        longest = longest.max(count(&sample(*place), tokens)?);
        if tokens.is_some() && longest > length {
            break;
        }
    }
    Ok(longest)
}

/// The places at which a prompt must not be too long: one document serves all places but `both`.
fn measured(place: QuestionPlace) -> &'static [QuestionPlace] {
    match place {
        QuestionPlace::Both => &[QuestionPlace::Both],
        _ => &[QuestionPlace::End, QuestionPlace::Start],
    }
}

/// The tokens of a prompt as it will run: by the model's tokenizer, or estimated as words and punctuation marks.
fn count(sample: &Sample, tokens: Option<&dyn TokenCounter>) -> Result<usize, Misfit> {
    match tokens {
        Some(counter) => counter.prompt_tokens(sample).map_err(Misfit::Tokenizer),
        None => Ok(estimate(&sample.prompt_and_prefix())),
    }
}

/// The largest size whose count is at most `length`, found between one that fits and one that does not by guessing
/// along the straight line between them.
pub(super) fn largest(
    length: usize,
    count: &mut dyn FnMut(usize) -> Result<usize, Misfit>,
) -> Result<usize, Misfit> {
    largest_with_count(length, count).map(|(size, _)| size)
}

/// The largest size, and its count.
fn largest_with_count(
    length: usize,
    count: &mut dyn FnMut(usize) -> Result<usize, Misfit>,
) -> Result<(usize, usize), Misfit> {
    let empty = count(0)?;
    if empty > length {
        return Err(Misfit::TooShort(empty));
    }
    let (mut fits, mut fits_count) = (0, empty);
    let mut fails: Option<(usize, usize)> = None;
    loop {
        let room = length - fits_count;
        let guess = match fails {
            None if fits == 0 => fits + room.max(1),
            None => {
                let grown = (fits_count - empty).max(1) as f64 / fits as f64;
                fits + ((room as f64 / grown) as usize).max(1)
            }
            Some((size, _)) if size == fits + 1 => return Ok((fits, fits_count)),
            Some((size, tokens)) => {
                let share = room as f64 / (tokens - fits_count) as f64;
                let step = (share * (size - fits) as f64) as usize;
                fits + step.clamp(1, size - fits - 1)
            }
        };
        let tokens = count(guess)?;
        if tokens <= length {
            (fits, fits_count) = (guess, tokens);
        } else {
            fails = Some((guess, tokens));
        }
    }
}

/// How many larger sizes are looked at where the largest is not close.
const BEYOND: usize = 24;

/// As [`largest`], for a tokenizer: with each size a text may be another one whose tokens merge in another way, so that
/// a larger size may fit where a smaller one does not. Where the length is missed by more than 1 %, some are tried.
pub(super) fn closest(
    length: usize,
    count: &mut dyn FnMut(usize) -> Result<usize, Misfit>,
) -> Result<usize, Misfit> {
    let (size, size_count) = largest_with_count(length, count)?;
    let (mut best, mut best_count) = (size, size_count);
    for larger in size + 2..=size + BEYOND {
        if best_count.saturating_mul(100) >= length.saturating_mul(99) {
            break;
        }
        let tokens = count(larger)?;
        if tokens <= length && tokens > best_count {
            (best, best_count) = (larger, tokens);
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_size_that_fits_is_found_in_few_counts() {
        for length in [10, 17, 100, 5_000, 131_072] {
            for slope in [1, 2, 3, 7] {
                let mut asked = 0;
                let size = largest(length, &mut |size| {
                    asked += 1;
                    Ok(10 + size * slope + size / 9)
                });
                let Ok(size) = size else {
                    panic!("nothing fits");
                };
                let count = |size: usize| 10 + size * slope + size / 9;
                assert!(count(size) <= length && count(size + 1) > length);
                assert!(asked < 24, "{asked} counts for {length}");
            }
        }
        let error = largest(9, &mut |_| Ok(10));
        assert!(matches!(error, Err(Misfit::TooShort(10))));
    }

    #[test]
    fn a_larger_size_that_is_closer_is_found_where_the_count_goes_up_and_down() {
        let wavy = |size: usize| match size {
            3 => 104,
            4 => 103,
            5 => 99,
            size => 10 + 30 * size,
        };
        let size = largest(100, &mut |size| Ok(wavy(size)));
        assert!(matches!(size, Ok(2)));
        let size = closest(100, &mut |size| Ok(wavy(size)));
        assert!(matches!(size, Ok(5)));
        let straight = closest(100, &mut |size| Ok(10 + 40 * size));
        assert!(matches!(straight, Ok(2)));
    }
}
