//! What an eviction rule keeps whatever the scores say, at any budget.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::AnalysisError;
use crate::tokens::ForcedKeep;

/// How many of the most recent tokens a rule keeps: `32` of them, or `50%` of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeptRecent {
    /// As many at every budget.
    Tokens(usize),
    /// A share of the budget in per cent, 0 to 100.
    PercentOfBudget(u8),
}

impl fmt::Display for KeptRecent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokens(tokens) => write!(f, "{tokens}"),
            Self::PercentOfBudget(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for KeptRecent {
    type Err = AnalysisError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = match text.strip_suffix('%') {
            Some(percent) => percent
                .parse()
                .ok()
                .filter(|percent| *percent <= 100)
                .map(Self::PercentOfBudget),
            None => text.parse().ok().map(Self::Tokens),
        };
        read.ok_or_else(|| AnalysisError::Unknown {
            what: "the number of recent tokens",
            given: text.to_owned(),
            expected: "a number of tokens such as 32, or a whole share of the budget up to 100% such as 50%",
        })
    }
}

impl TryFrom<String> for KeptRecent {
    type Error = AnalysisError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeptRecent> for String {
    fn from(recent: KeptRecent) -> Self {
        recent.to_string()
    }
}

/// Tokens that an eviction rule keeps whatever their score: those of both ends that it keeps at every budget,
/// and the most recent ones that make up a share of the budget.
///
/// A share is of the budget that is asked for, also where an allocation gives a head more or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct KeepRule {
    /// Kept at every budget.
    #[serde(flatten)]
    pub fixed: ForcedKeep,
    /// Share of the budget, in per cent, that goes to the most recent tokens: 50 in H2O (Zhang et al. 2023, arXiv
    /// 2306.14048), whose released code sizes both parts by ratios and runs them with equal ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub recent_percent: u8,
}

fn is_zero(percent: &u8) -> bool {
    *percent == 0
}

impl KeepRule {
    /// The tokens that it keeps at a budget: a share is rounded down, so that an odd token goes to the ranking.
    #[must_use]
    pub fn at(self, budget_tokens: usize) -> ForcedKeep {
        // in parts, because a budget times 100 may not fit
        let percent = usize::from(self.recent_percent);
        let recent = budget_tokens / 100 * percent + budget_tokens % 100 * percent / 100;
        self.fixed.union(ForcedKeep { sinks: 0, recent })
    }

    /// The smallest rule that keeps at every budget what both keep.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            fixed: self.fixed.union(other.fixed),
            recent_percent: self.recent_percent.max(other.recent_percent),
        }
    }

    /// The rule with other recent tokens in place of its own.
    #[must_use]
    pub fn with_recent(self, recent: KeptRecent) -> Self {
        let (tokens, recent_percent) = match recent {
            KeptRecent::Tokens(tokens) => (tokens, 0),
            KeptRecent::PercentOfBudget(percent) => (0, percent),
        };
        Self {
            fixed: ForcedKeep {
                sinks: self.fixed.sinks,
                recent: tokens,
            },
            recent_percent,
        }
    }
}

impl From<ForcedKeep> for KeepRule {
    fn from(fixed: ForcedKeep) -> Self {
        Self {
            fixed,
            recent_percent: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half() -> KeepRule {
        KeepRule::default().with_recent(KeptRecent::PercentOfBudget(50))
    }

    #[test]
    fn recent_tokens_parse_and_display_as_typed() {
        for text in ["0", "32", "0%", "50%", "100%"] {
            assert_eq!(text.parse::<KeptRecent>().unwrap().to_string(), text);
        }
        for text in ["", "-1", "101%", "12.5%", "%", "half", "256%"] {
            let refused = text.parse::<KeptRecent>().unwrap_err().to_string();
            assert!(refused.contains("such as 50%"), "{refused}");
        }
    }

    #[test]
    fn a_share_grows_with_the_budget_and_gives_an_odd_token_to_the_ranking() {
        let recent = |budget| half().at(budget).recent;
        assert_eq!(
            [0, 1, 2, 7, 64, 99, 1000].map(recent),
            [0, 0, 1, 3, 32, 49, 500]
        );
        assert_eq!(recent(usize::MAX), usize::MAX / 2);
        let third = KeepRule::default().with_recent(KeptRecent::PercentOfBudget(33));
        assert_eq!(third.at(250).recent, 82);
    }

    #[test]
    fn what_is_fixed_is_kept_beside_a_share() {
        let fixed = ForcedKeep {
            sinks: 4,
            recent: 8,
        };
        let both = half().union(fixed.into());
        assert_eq!(both.at(10), fixed);
        assert_eq!(
            both.at(40),
            ForcedKeep {
                sinks: 4,
                recent: 20
            }
        );
        let fewer = both.with_recent(KeptRecent::Tokens(2));
        assert_eq!(
            fewer.at(40),
            ForcedKeep {
                sinks: 4,
                recent: 2
            }
        );
    }

    #[test]
    fn a_rule_without_a_share_is_written_as_its_ends() {
        let fixed = ForcedKeep {
            sinks: 4,
            recent: 8,
        };
        let text = serde_json::to_string(&KeepRule::from(fixed)).unwrap();
        assert_eq!(text, serde_json::to_string(&fixed).unwrap());
        assert_eq!(
            serde_json::from_str::<KeepRule>(&text).unwrap(),
            fixed.into()
        );
        let text = serde_json::to_string(&half()).unwrap();
        assert_eq!(text, r#"{"sinks":0,"recent":0,"recent_percent":50}"#);
        assert_eq!(serde_json::from_str::<KeepRule>(&text).unwrap(), half());
    }
}
