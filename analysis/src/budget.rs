//! How many prompt tokens a head may keep.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::AnalysisError;

mod ascending;
pub(crate) use ascending::AscendingBudgets;

/// A budget as a person types it: `64` tokens or `5%` of the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Budget {
    /// A number of tokens.
    Tokens(usize),
    /// A share of the prompt, 0.05 for `5%`.
    Fraction(f64),
}

impl Budget {
    /// The budget in tokens of a prompt: the share rounded, and held between 1 and the prompt's length.
    pub fn tokens(&self, prompt_tokens: usize) -> usize {
        let asked = match *self {
            Self::Tokens(tokens) => tokens,
            Self::Fraction(fraction) => (fraction * prompt_tokens as f64).round() as usize,
        };
        asked.min(prompt_tokens).max(1)
    }

    /// The budget as a share of a prompt: as typed for a percentage, otherwise of the tokens used.
    pub fn fraction(&self, prompt_tokens: usize) -> f64 {
        match *self {
            Self::Tokens(_) => self.tokens(prompt_tokens) as f64 / prompt_tokens.max(1) as f64,
            Self::Fraction(fraction) => fraction,
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokens(tokens) => f.pad(&tokens.to_string()),
            Self::Fraction(fraction) => {
                // A percentage comes back as it was typed: 0.07 * 100 is 7.000000000000001.
                let percent = (fraction * 1e11).round() / 1e9;
                f.pad(&format!("{percent}%"))
            }
        }
    }
}

impl FromStr for Budget {
    type Err = AnalysisError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || AnalysisError::Unknown {
            what: "the budget",
            given: text.to_owned(),
            expected: "a number of tokens such as 64, or a share of the prompt above 0% up to 100% such as 5%",
        };
        match text.trim().strip_suffix('%') {
            Some(percent) => match percent.trim_end().parse::<f64>() {
                Ok(percent) if percent > 0.0 && percent <= 100.0 => {
                    Ok(Self::Fraction(hundredth(percent)))
                }
                _ => Err(unknown()),
            },
            None => match text.trim().parse::<usize>() {
                Ok(tokens) if tokens > 0 => Ok(Self::Tokens(tokens)),
                _ => Err(unknown()),
            },
        }
    }
}

impl TryFrom<String> for Budget {
    type Error = AnalysisError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Budget> for String {
    fn from(budget: Budget) -> Self {
        budget.to_string()
    }
}

/// Budgets in tokens for a curve over a logarithmic axis: sorted, distinct, from 1 to `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetGrid {
    tokens: Vec<usize>,
}

impl BudgetGrid {
    /// At most `points` budgets, evenly spaced in the logarithm; 1 and `prompt_tokens` are always
    /// among them, so there are two even when fewer are asked for (one for a prompt of one token).
    ///
    /// # Errors
    /// [`AnalysisError::Empty`] for a prompt without tokens.
    pub fn new(prompt_tokens: usize, points: usize) -> Result<Self, AnalysisError> {
        if prompt_tokens == 0 {
            return Err(AnalysisError::Empty {
                what: "prompt tokens",
            });
        }
        let steps = points.saturating_sub(1).max(1);
        let mut tokens: Vec<usize> = if prompt_tokens <= steps {
            (1..=prompt_tokens).collect()
        } else {
            (0..=steps)
                .map(|step| {
                    (prompt_tokens as f64)
                        .powf(step as f64 / steps as f64)
                        .round() as usize
                })
                .map(|budget| budget.clamp(1, prompt_tokens))
                .collect()
        };
        tokens.dedup();
        Ok(Self { tokens })
    }

    /// The same with these budgets, as far as the prompt has as many tokens.
    #[must_use]
    pub fn including(mut self, tokens: impl IntoIterator<Item = usize>) -> Self {
        let most = self.tokens.last().copied().unwrap_or(0);
        let fitting = tokens
            .into_iter()
            .filter(|tokens| (1..=most).contains(tokens));
        self.tokens.extend(fitting);
        self.tokens.sort_unstable();
        self.tokens.dedup();
        self
    }

    /// The budgets in tokens, ascending.
    pub fn tokens(&self) -> &[usize] {
        &self.tokens
    }

    /// Index of the budget that is nearest on the logarithmic axis; the smaller one when two are as near.
    pub fn nearest_index(&self, tokens: usize) -> usize {
        let above = self.tokens.partition_point(|&budget| budget < tokens);
        if above == self.tokens.len() {
            return above - 1;
        }
        if above == 0 {
            return 0;
        }
        // Nearest in the logarithm: `tokens / low <= high / tokens`, without rounding.
        let (low, high) = (self.tokens[above - 1] as u128, self.tokens[above] as u128);
        let squared = (tokens as u128) * (tokens as u128);
        if squared <= low * high {
            above - 1
        } else {
            above
        }
    }
}

/// The number nearest to what was typed: 33.3 / 100 is a hair below 0.333.
fn hundredth(percent: f64) -> f64 {
    format!("{percent}e-2").parse().unwrap_or(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_that_are_asked_for_are_in_the_grid_once_and_in_order() {
        let grid = BudgetGrid::new(4096, 5).unwrap();
        assert_eq!(grid.tokens(), [1, 8, 64, 512, 4096]);
        let grid = grid.including([410, 64, 0, 5000]);
        assert_eq!(grid.tokens(), [1, 8, 64, 410, 512, 4096]);
    }

    #[test]
    fn a_share_is_the_number_nearest_to_what_was_typed() {
        assert_eq!("33.3%".parse(), Ok(Budget::Fraction(0.333)));
        assert_eq!("0.7 %".parse(), Ok(Budget::Fraction(0.007)));
    }

    #[test]
    fn budgets_parse_and_display_as_typed() {
        for text in ["1", "64", "5%", "7%", "12.5%", "0.1%", "100%", "33.333%"] {
            assert_eq!(text.parse::<Budget>().unwrap().to_string(), text);
        }
        assert_eq!("5%".parse(), Ok(Budget::Fraction(0.05)));
        assert_eq!(" 64 ".parse(), Ok(Budget::Tokens(64)));
    }

    #[test]
    fn impossible_budgets_are_refused() {
        for text in [
            "", "0", "-3", "0%", "-5%", "101%", "NaN%", "inf%", "5 tokens", "%", "1.5",
        ] {
            assert!(text.parse::<Budget>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_budget_stays_within_the_prompt() {
        assert_eq!(Budget::Tokens(64).tokens(1000), 64);
        assert_eq!(Budget::Tokens(64).tokens(10), 10);
        assert_eq!(Budget::Fraction(0.05).tokens(1000), 50);
        assert_eq!(Budget::Fraction(0.05).tokens(9), 1);
        assert_eq!(Budget::Fraction(0.25).tokens(10), 3);
        assert_eq!(Budget::Fraction(1.0).tokens(7), 7);
    }

    #[test]
    fn the_fraction_is_the_typed_one_or_that_of_the_tokens_used() {
        assert_eq!(Budget::Fraction(0.05).fraction(9), 0.05);
        assert_eq!(Budget::Tokens(64).fraction(256), 0.25);
        assert_eq!(Budget::Tokens(64).fraction(10), 1.0);
    }

    #[test]
    fn a_grid_is_ascending_distinct_and_spans_the_prompt() {
        for (tokens, points) in [
            (1, 40),
            (2, 40),
            (7, 40),
            (1000, 40),
            (131_072, 64),
            (50, 1),
            (5, 5),
        ] {
            let grid = BudgetGrid::new(tokens, points).unwrap();
            let budgets = grid.tokens();
            assert_eq!(budgets.first(), Some(&1));
            assert_eq!(budgets.last(), Some(&tokens));
            assert!(
                budgets.windows(2).all(|pair| pair[0] < pair[1]),
                "{budgets:?}"
            );
            assert!(budgets.len() <= points.max(2), "{budgets:?}");
        }
        assert_eq!(
            BudgetGrid::new(1000, 4).unwrap().tokens(),
            [1, 10, 100, 1000]
        );
        assert!(BudgetGrid::new(0, 4).is_err());
    }

    #[test]
    fn nearest_is_measured_on_the_logarithmic_axis() {
        let grid = BudgetGrid::new(1000, 4).unwrap();
        for (tokens, index) in [
            (0, 0),
            (1, 0),
            (3, 0),
            (4, 1),
            (31, 1),
            (32, 2),
            (316, 2),
            (317, 3),
            (9999, 3),
        ] {
            assert_eq!(grid.nearest_index(tokens), index, "{tokens}");
        }
    }
}
