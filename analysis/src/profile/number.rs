//! The numbers of a profile, by name: what maps, scatters and tables over samples go through.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{HeadOverlaps, HeadProfile};
use crate::error::AnalysisError;

/// A number that says what a head is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ProfileNumber {
    /// [`HeadProfile::prompt_share`].
    PromptShare,
    /// [`HeadProfile::entropy`].
    Entropy,
    /// [`HeadProfile::effective_tokens`].
    EffectiveTokens,
    /// The first of [`HeadProfile::tokens_for`].
    TokensFor50,
    /// The second.
    TokensFor90,
    /// The third.
    TokensFor99,
    /// [`HeadProfile::sink_share`].
    SinkShare,
    /// [`HeadProfile::recent_share`].
    #[default]
    RecentShare,
    /// [`HeadProfile::evidence_share`].
    EvidenceShare,
    /// [`HeadOverlaps::next_step`].
    NextStep,
    /// [`HeadOverlaps::steps_before`].
    StepsBefore,
    /// [`HeadOverlaps::layer_below`].
    LayerBelow,
    /// [`HeadOverlaps::group`].
    Group,
}

impl ProfileNumber {
    /// Every number, in the order of the tables.
    pub const ALL: [Self; 13] = [
        Self::PromptShare,
        Self::Entropy,
        Self::EffectiveTokens,
        Self::TokensFor50,
        Self::TokensFor90,
        Self::TokensFor99,
        Self::SinkShare,
        Self::RecentShare,
        Self::EvidenceShare,
        Self::NextStep,
        Self::StepsBefore,
        Self::LayerBelow,
        Self::Group,
    ];

    /// Its column in profile.parquet or, where it hangs on a budget, in neighbour.parquet.
    pub fn column(self) -> &'static str {
        match self {
            Self::PromptShare => "prompt_share",
            Self::Entropy => "entropy",
            Self::EffectiveTokens => "effective_tokens",
            Self::TokensFor50 => "tokens_for_50",
            Self::TokensFor90 => "tokens_for_90",
            Self::TokensFor99 => "tokens_for_99",
            Self::SinkShare => "sink_share",
            Self::RecentShare => "recent_share",
            Self::EvidenceShare => "evidence_share",
            Self::NextStep => "next_step",
            Self::StepsBefore => "steps_before",
            Self::LayerBelow => "layer_below",
            Self::Group => "group",
        }
    }

    /// The number in words.
    pub fn label(self) -> &'static str {
        match self {
            Self::PromptShare => "attention on the prompt",
            Self::Entropy => "entropy (nats)",
            Self::EffectiveTokens => "effective tokens",
            Self::TokensFor50 => "tokens for 50 % of the mass",
            Self::TokensFor90 => "tokens for 90 % of the mass",
            Self::TokensFor99 => "tokens for 99 % of the mass",
            Self::SinkShare => "share of the first 4 tokens",
            Self::RecentShare => "share of the last 32 tokens",
            Self::EvidenceShare => "share of the needed tokens",
            Self::NextStep => "overlap with the step before",
            Self::StepsBefore => "overlap with the mean so far",
            Self::LayerBelow => "overlap with the layer below",
            Self::Group => "overlap within the group",
        }
    }

    /// Whether it is an overlap of top B sets, which hangs on the budget.
    pub fn is_overlap(self) -> bool {
        matches!(
            self,
            Self::NextStep | Self::StepsBefore | Self::LayerBelow | Self::Group
        )
    }

    /// Whether it lies within 0..=1.
    pub fn is_share(self) -> bool {
        !self.is_count() && self != Self::Entropy
    }

    /// Whether it counts tokens.
    pub fn is_count(self) -> bool {
        matches!(
            self,
            Self::EffectiveTokens | Self::TokensFor50 | Self::TokensFor90 | Self::TokensFor99
        )
    }

    /// The number of a head; NaN where it is undefined, or an overlap of a head whose overlaps are not known.
    pub fn of(self, profile: &HeadProfile, overlaps: Option<&HeadOverlaps>) -> f64 {
        let [half, most, nearly_all] = profile.tokens_for.map(|tokens| tokens as f64);
        let overlap = |number: fn(&HeadOverlaps) -> f64| overlaps.map_or(f64::NAN, number);
        match self {
            Self::PromptShare => profile.prompt_share,
            Self::Entropy => profile.entropy,
            Self::EffectiveTokens => profile.effective_tokens,
            Self::TokensFor50 => half,
            Self::TokensFor90 => most,
            Self::TokensFor99 => nearly_all,
            Self::SinkShare => profile.sink_share,
            Self::RecentShare => profile.recent_share,
            Self::EvidenceShare => profile.evidence_share,
            Self::NextStep => overlap(|overlaps| overlaps.next_step),
            Self::StepsBefore => overlap(|overlaps| overlaps.steps_before),
            Self::LayerBelow => overlap(|overlaps| overlaps.layer_below),
            Self::Group => overlap(|overlaps| overlaps.group),
        }
    }
}

impl fmt::Display for ProfileNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.column())
    }
}

impl FromStr for ProfileNumber {
    type Err = AnalysisError;

    /// A number by its column; `-` is as good as `_`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let column = text.trim().to_lowercase().replace('-', "_");
        let mut all = Self::ALL.into_iter();
        all.find(|number| number.column() == column)
            .ok_or_else(|| AnalysisError::Unknown {
                what: "the number of a head's profile",
                given: text.to_owned(),
                expected: "a column of profile.parquet or neighbour.parquet, such as recent_share or next_step",
            })
    }
}

impl TryFrom<String> for ProfileNumber {
    type Error = AnalysisError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ProfileNumber> for String {
    fn from(number: ProfileNumber) -> Self {
        number.column().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_column_and_words_of_its_own() {
        for (index, number) in ProfileNumber::ALL.into_iter().enumerate() {
            assert_eq!(number.to_string().parse(), Ok(number));
            for other in ProfileNumber::ALL.into_iter().skip(index + 1) {
                assert_ne!(number.column(), other.column());
                assert_ne!(number.label(), other.label());
            }
        }
        let wrong = "entropi".parse::<ProfileNumber>().unwrap_err();
        assert!(wrong.to_string().contains("entropi"));
    }
}
