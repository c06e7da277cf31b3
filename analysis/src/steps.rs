//! Which decode steps the oracle is made of.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::AnalysisError;

/// A range of decode steps as a person types it: `all`, `8` for the first eight, `5-8` for the fifth to the
/// eighth. Typed steps count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StepRange {
    /// Every step.
    #[default]
    All,
    /// So many steps from the beginning, at least 1.
    First(usize),
    /// From one step to another, both counted from 1 and both included.
    Between(usize, usize),
}

impl StepRange {
    /// The steps of a decode stage of `decode_steps` tokens, from 0; none when the range begins behind its
    /// end. A range that reaches past the end stops there.
    pub fn of(self, decode_steps: usize) -> Option<Range<usize>> {
        let (first, end) = match self {
            Self::All => (0, decode_steps),
            Self::First(count) => (0, count.min(decode_steps)),
            Self::Between(first, last) => (first.saturating_sub(1), last.min(decode_steps)),
        };
        (first < end).then_some(first..end)
    }
}

impl fmt::Display for StepRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.pad("all"),
            Self::First(count) => f.pad(&count.to_string()),
            Self::Between(first, last) => f.pad(&format!("{first}-{last}")),
        }
    }
}

impl FromStr for StepRange {
    type Err = AnalysisError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || AnalysisError::Unknown {
            what: "the range of decode steps",
            given: text.to_owned(),
            expected: "all, a number such as 8 for the first steps, or a range such as 5-8, counted from 1",
        };
        let step = |text: &str| match text.trim().parse::<usize>() {
            Ok(step) if step > 0 => Ok(step),
            _ => Err(unknown()),
        };
        match (text.trim(), text.split_once('-')) {
            ("all", _) => Ok(Self::All),
            (_, Some((first, last))) => match (step(first)?, step(last)?) {
                (first, last) if first <= last => Ok(Self::Between(first, last)),
                _ => Err(unknown()),
            },
            (count, None) => Ok(Self::First(step(count)?)),
        }
    }
}

impl TryFrom<String> for StepRange {
    type Error = AnalysisError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<StepRange> for String {
    fn from(range: StepRange) -> Self {
        range.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_parse_to_what_they_display() {
        for text in ["all", "1", "8", "5-8", "3-3"] {
            assert_eq!(text.parse::<StepRange>().unwrap().to_string(), text);
        }
        for wrong in ["", "0", "8-5", "0-3", "-3", "3-", "first", "1.5"] {
            assert!(wrong.parse::<StepRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn steps_are_cut_to_those_that_there_are() {
        assert_eq!(StepRange::All.of(5), Some(0..5));
        assert_eq!(StepRange::First(3).of(5), Some(0..3));
        assert_eq!(StepRange::First(9).of(5), Some(0..5));
        assert_eq!(StepRange::Between(4, 9).of(5), Some(3..5));
        assert_eq!(StepRange::Between(6, 9).of(5), None);
        assert_eq!(StepRange::All.of(0), None);
    }
}
