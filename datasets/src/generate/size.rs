//! The largest text that a length has room for.

use super::tokens::estimate;
use crate::error::DatasetError;
use crate::fit::TokenCounter;
use crate::sample::{QuestionPlace, Sample};

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

/// The places at which a prompt must not be too long: one document serves all places but `both`.
pub(super) fn measured(place: QuestionPlace) -> &'static [QuestionPlace] {
    match place {
        QuestionPlace::Both => &[QuestionPlace::Both],
        _ => &[QuestionPlace::End, QuestionPlace::Start],
    }
}

/// The tokens of a prompt as it will run: by the model's tokenizer, or estimated as words and punctuation marks.
pub(super) fn count(sample: &Sample, tokens: Option<&dyn TokenCounter>) -> Result<usize, Misfit> {
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
            Some((size, _)) if size == fits + 1 => return Ok(fits),
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
}
