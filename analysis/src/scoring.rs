//! How the attention rows of an observation become one score per prompt token.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::AnalysisError;
pub use crate::pooling::Pooling;
pub use crate::tokens::ForcedKeep;

/// Text of an enum whose variants are single words; the words are also what serde writes.
macro_rules! words {
    ($type:ty, $what:literal, $expected:literal, { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word),+ })
            }
        }

        impl FromStr for $type {
            type Err = AnalysisError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(AnalysisError::Unknown {
                        what: $what,
                        given: text.to_owned(),
                        expected: $expected,
                    }),
                }
            }
        }
    };
}

/// Which keys a row's softmax runs over before it is cut to the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySet {
    /// Every key that the row saw; the cut to the prompt does not renormalise.
    #[default]
    Causal,
    /// The prompt's keys alone: each row is rescaled to sum 1 over the prompt.
    Prompt,
}

words!(KeySet, "the softmax key set", "causal or prompt", {
    Causal => "causal",
    Prompt => "prompt",
});

/// How the rows of a window collapse to one score per token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowReduction {
    /// Mean over rows.
    #[default]
    Mean,
    /// Sum over rows; ranks as the mean does.
    Sum,
    /// Largest over rows.
    Max,
}

words!(RowReduction, "the row reduction", "mean, sum or max", {
    Mean => "mean",
    Sum => "sum",
    Max => "max",
});

/// How query heads that keep the same tokens collapse to one score: those of one key/value head, or all of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupReduction {
    /// Every query head keeps its own scores.
    #[default]
    None,
    /// Mean over the group.
    Mean,
    /// Largest of the group.
    Max,
    /// Mean over all query heads of the layer, which then ranks the tokens once.
    Layer,
}

words!(GroupReduction, "the group reduction", "none, mean, max or layer", {
    None => "none",
    Mean => "mean",
    Max => "max",
    Layer => "layer",
});

impl GroupReduction {
    /// How many query heads become one, of H in a layer and H / G that share a key/value head.
    pub fn size(self, query_heads: usize, sharing_heads: usize) -> usize {
        match self {
            Self::None => 1,
            Self::Mean | Self::Max => sharing_heads,
            Self::Layer => query_heads,
        }
    }
}

/// Whether pooling along positions comes before or after the group reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupOrder {
    /// Pool every query head, then reduce the group (kvpress).
    #[default]
    PoolFirst,
    /// Reduce the group, then pool (AdaKV, KVCache-Factory).
    GroupFirst,
}

words!(GroupOrder, "the order of pooling and grouping", "pool-first or group-first", {
    PoolFirst => "pool-first",
    GroupFirst => "group-first",
});

/// What the score of a token is multiplied by, once it was pooled and its group reduced: a token that is looked at but
/// whose value is short adds little to the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueWeight {
    /// Nothing: attention alone.
    #[default]
    None,
    /// The Euclidean norm of the token's value (VATP, arXiv 2406.12335, which takes the sum of absolute numbers).
    ValueNorm,
    /// The Euclidean norm of what the output projection makes of the value (CriticalKV, arXiv 2502.03805; KVzip+), the
    /// mean over the query heads of a group.
    OutputNorm,
}

words!(ValueWeight, "the weight of scores", "none, value-norm or output-norm", {
    None => "none",
    ValueNorm => "value-norm",
    OutputNorm => "output-norm",
});

impl ValueWeight {
    /// Whether scores stay as they are.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// Everything between attention rows and importance.
///
/// The default is the raw scoring of the oracle: causal keys, mean over rows, no pooling, no groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Scoring {
    /// Softmax key set of the rows.
    pub keys: KeySet,
    /// Reduction over rows.
    pub reduce: RowReduction,
    /// Pooling along positions.
    pub pool: Pooling,
    /// Reduction over the query heads of one key/value head, or of a layer.
    pub group: GroupReduction,
    /// Which of pooling and group reduction comes first.
    pub group_order: GroupOrder,
    /// What the result is multiplied by; sessions of earlier programs know no weight.
    #[serde(default, skip_serializing_if = "ValueWeight::is_none")]
    pub weight: ValueWeight,
}

/// Choices of a user that replace parts of a window's published scoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ScoringOverrides {
    /// Replaces the softmax key set.
    pub keys: Option<KeySet>,
    /// Replaces the reduction over rows.
    pub reduce: Option<RowReduction>,
    /// Replaces the pooling.
    pub pool: Option<Pooling>,
    /// Replaces the group reduction.
    pub group: Option<GroupReduction>,
    /// Replaces the order of pooling and grouping.
    pub group_order: Option<GroupOrder>,
    /// Replaces the weight.
    pub weight: Option<ValueWeight>,
}

impl ScoringOverrides {
    /// The published scoring with every choice made here in its place.
    pub fn apply(&self, published: Scoring) -> Scoring {
        Scoring {
            keys: self.keys.unwrap_or(published.keys),
            reduce: self.reduce.unwrap_or(published.reduce),
            pool: self.pool.unwrap_or(published.pool),
            group: self.group.unwrap_or(published.group),
            group_order: self.group_order.unwrap_or(published.group_order),
            weight: self.weight.unwrap_or(published.weight),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapkv() -> Scoring {
        Scoring {
            reduce: RowReduction::Sum,
            pool: Pooling::Max { kernel: 7 },
            ..Scoring::default()
        }
    }

    #[test]
    fn no_override_leaves_the_published_scoring() {
        assert_eq!(ScoringOverrides::default().apply(snapkv()), snapkv());
    }

    #[test]
    fn every_override_replaces_its_own_part_only() {
        let overrides = ScoringOverrides {
            keys: Some(KeySet::Prompt),
            reduce: Some(RowReduction::Max),
            pool: Some(Pooling::None),
            group: Some(GroupReduction::Mean),
            group_order: Some(GroupOrder::GroupFirst),
            weight: Some(ValueWeight::ValueNorm),
        };
        let expected = Scoring {
            keys: KeySet::Prompt,
            reduce: RowReduction::Max,
            pool: Pooling::None,
            group: GroupReduction::Mean,
            group_order: GroupOrder::GroupFirst,
            weight: ValueWeight::ValueNorm,
        };
        assert_eq!(overrides.apply(snapkv()), expected);
        let one = ScoringOverrides {
            group: Some(GroupReduction::Max),
            ..Default::default()
        };
        assert_eq!(
            one.apply(snapkv()),
            Scoring {
                group: GroupReduction::Max,
                ..snapkv()
            }
        );
    }

    #[test]
    fn words_parse_to_what_they_display() {
        assert_eq!("prompt".parse(), Ok(KeySet::Prompt));
        assert_eq!("sum".parse(), Ok(RowReduction::Sum));
        assert_eq!("none".parse(), Ok(GroupReduction::None));
        assert_eq!("group-first".parse(), Ok(GroupOrder::GroupFirst));
        assert_eq!(GroupOrder::PoolFirst.to_string(), "pool-first");
        assert_eq!(KeySet::Causal.to_string(), "causal");
        let refused = "median".parse::<RowReduction>().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the row reduction `median` is unknown; write mean, sum or max"
        );
    }

    #[test]
    fn a_scoring_survives_json() {
        let json = serde_json::to_string(&snapkv()).unwrap();
        assert_eq!(
            json,
            r#"{"keys":"causal","reduce":"sum","pool":"max:7","group":"none","group_order":"pool-first"}"#
        );
        assert_eq!(serde_json::from_str::<Scoring>(&json).unwrap(), snapkv());
    }
}
