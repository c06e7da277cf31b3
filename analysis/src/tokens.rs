//! Tokens at the two ends of a prompt that a rule sets apart.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The first `sinks` and the last `recent` tokens of a prompt.
///
/// Serves both as the forced-keep tokens of an eviction rule (they are always selected) and as the
/// exempt tokens of a measurement (they are left out of rankings). What is left lies between the two
/// ends, so it is one contiguous range of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct ForcedKeep {
    /// Tokens at the start of the prompt.
    pub sinks: usize,
    /// Tokens at the end of the prompt.
    pub recent: usize,
}

impl ForcedKeep {
    /// Whether the token at this position is one of them.
    pub fn contains(&self, token: usize, prompt_tokens: usize) -> bool {
        token < prompt_tokens && !self.rest(prompt_tokens).contains(&token)
    }

    /// The smallest set of this kind that holds the tokens of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            sinks: self.sinks.max(other.sinks),
            recent: self.recent.max(other.recent),
        }
    }

    /// How many distinct tokens of a prompt they are; never more than the prompt has.
    pub fn count(&self, prompt_tokens: usize) -> usize {
        prompt_tokens - self.rest(prompt_tokens).len()
    }

    /// Positions of the tokens that are not among them.
    pub fn rest(&self, prompt_tokens: usize) -> Range<usize> {
        let start = self.sinks.min(prompt_tokens);
        let end = prompt_tokens.saturating_sub(self.recent).max(start);
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_contained_and_the_middle_is_not() {
        let keep = ForcedKeep {
            sinks: 2,
            recent: 3,
        };
        let contained: Vec<usize> = (0..12).filter(|&t| keep.contains(t, 10)).collect();
        assert_eq!(contained, [0, 1, 7, 8, 9]);
        assert_eq!(keep.count(10), 5);
        assert_eq!(keep.rest(10), 2..7);
    }

    #[test]
    fn overlapping_ends_count_every_token_once() {
        let keep = ForcedKeep {
            sinks: 3,
            recent: 4,
        };
        assert_eq!(keep.count(5), 5);
        assert!((0..5).all(|t| keep.contains(t, 5)));
        assert_eq!(keep.count(0), 0);
        assert!(keep.rest(2).is_empty());
    }

    #[test]
    fn union_takes_the_longer_end_of_each_side() {
        let left = ForcedKeep {
            sinks: 4,
            recent: 1,
        };
        let right = ForcedKeep {
            sinks: 0,
            recent: 32,
        };
        assert_eq!(
            left.union(right),
            ForcedKeep {
                sinks: 4,
                recent: 32
            }
        );
    }
}
