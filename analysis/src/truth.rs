//! What a table holds its windows against: one truth for all of them, and how each side is scored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::AnalysisError;
use crate::importance::Importance;
use crate::scoring::{GroupReduction, Pooling, Scoring, ScoringOverrides};
use crate::tokens::ForcedKeep;

/// What is compared: the windows' queries, or the methods that were published with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compare {
    /// Which window's queries foresee the decode stage? One scoring for every window and for the decode stage.
    #[default]
    Queries,
    /// Which method as published keeps what decoding really uses? Every window with its own scoring, against the raw
    /// attention of the decode stage.
    Methods,
}

impl Compare {
    /// One sentence for captions.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Queries => {
                "Every window and the decode stage are scored alike, so that only their queries differ and the decode \
                 stage itself reaches 1 at every budget."
            }
            Self::Methods => {
                "Every window is scored as its method was published and held against the raw attention of the decode \
                 stage; the ceiling is what the decode stage's own queries reach under the same scoring."
            }
        }
    }

    /// How a window that was published with a scoring and a pooling boundary is scored.
    pub fn window(
        self,
        overrides: ScoringOverrides,
        published: Scoring,
        boundary: ForcedKeep,
    ) -> SideScoring {
        match self {
            Self::Queries => SideScoring::alike(overrides),
            Self::Methods => SideScoring {
                scoring: overrides.apply(published),
                boundary,
                per_query_head: true,
            },
        }
    }

    /// How the decode stage is scored to be the truth of all windows: where queries are compared as every window is,
    /// where methods are compared unpooled for every query head, whatever overrides the windows.
    pub fn truth(self, overrides: ScoringOverrides) -> SideScoring {
        match self {
            Self::Queries => SideScoring::alike(overrides),
            Self::Methods => SideScoring {
                scoring: Scoring::default(),
                boundary: ForcedKeep::default(),
                per_query_head: true,
            },
        }
    }

    /// How the decode stage's own rows are scored for the ceiling of a window: as the window is. None where queries
    /// are compared, where the ceiling is 1.
    pub fn ceiling(
        self,
        overrides: ScoringOverrides,
        published: Scoring,
        boundary: ForcedKeep,
    ) -> Option<SideScoring> {
        match self {
            Self::Queries => None,
            Self::Methods => Some(self.window(overrides, published, boundary)),
        }
    }

    /// How the decode stage is scored for the retained mass: mean over rows, causal keys, unpooled, for the same heads
    /// as the truth; of a group the mean, so that it stays an attention weight.
    pub fn decode_mass(self, overrides: ScoringOverrides) -> SideScoring {
        let truth = self.truth(overrides);
        let group = match truth.scoring.group {
            GroupReduction::Max => GroupReduction::Mean,
            group => group,
        };
        SideScoring {
            scoring: Scoring {
                group,
                ..Scoring::default()
            },
            ..truth
        }
    }
}

impl fmt::Display for Compare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queries => "queries",
            Self::Methods => "methods",
        })
    }
}

impl FromStr for Compare {
    type Err = AnalysisError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "queries" => Ok(Self::Queries),
            "methods" => Ok(Self::Methods),
            _ => Err(AnalysisError::Unknown {
                what: "the kind of comparison",
                given: text.to_owned(),
                expected: "queries or methods",
            }),
        }
    }
}

/// How one side of a table is scored, from its attention rows to the heads that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SideScoring {
    /// From rows to scores.
    pub scoring: Scoring,
    /// Pooling never crosses into the last `boundary.recent` tokens.
    pub boundary: ForcedKeep,
    /// Whether every query head is compared, those of a group by the scores that they share.
    pub per_query_head: bool,
}

impl SideScoring {
    /// One scoring for windows and decode stage. No window's own tokens are cut off before pooling, because that would
    /// be a difference besides the queries.
    fn alike(overrides: ScoringOverrides) -> Self {
        Self::of(
            overrides.apply(Scoring::for_queries()),
            ForcedKeep::default(),
        )
    }

    /// A scoring with its own heads, that stops pooling at the boundary.
    pub fn of(scoring: Scoring, boundary: ForcedKeep) -> Self {
        Self {
            scoring,
            boundary,
            per_query_head: false,
        }
    }

    /// The importance that was made by this scoring, with the heads that are compared, of a model of H query heads.
    ///
    /// # Errors
    /// [`AnalysisError::Grouping`] when the importance is not of such a model.
    pub fn heads(
        &self,
        importance: Importance,
        query_heads: usize,
    ) -> Result<Importance, AnalysisError> {
        match self.per_query_head {
            true => importance.for_query_heads(query_heads),
            false => Ok(importance),
        }
    }
}

impl Scoring {
    /// The scoring under which queries are compared: mean over rows, causal keys, max pooling over seven tokens as in
    /// `SnapKV` and its successors, every query head by itself.
    pub fn for_queries() -> Self {
        Self {
            pool: Pooling::Max { kernel: 7 },
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::{HeadKind, ReducedHead};
    use crate::scoring::RowReduction;

    const BOUNDARY: ForcedKeep = ForcedKeep {
        sinks: 0,
        recent: 32,
    };

    fn published() -> Scoring {
        Scoring {
            reduce: RowReduction::Sum,
            pool: Pooling::Average { kernel: 5 },
            group: GroupReduction::Max,
            ..Scoring::default()
        }
    }

    fn unpooled() -> ScoringOverrides {
        ScoringOverrides {
            pool: Some(Pooling::None),
            ..ScoringOverrides::default()
        }
    }

    #[test]
    fn queries_are_scored_alike_on_both_sides() {
        for overrides in [ScoringOverrides::default(), unpooled()] {
            let window = Compare::Queries.window(overrides, published(), BOUNDARY);
            assert_eq!(window, Compare::Queries.truth(overrides));
            assert_eq!(window.scoring, overrides.apply(Scoring::for_queries()));
            assert_eq!(window.boundary, ForcedKeep::default());
            let ceiling = Compare::Queries.ceiling(overrides, published(), BOUNDARY);
            assert_eq!(ceiling, None);
        }
        let plain = Compare::default().truth(ScoringOverrides::default());
        let json = serde_json::to_string(&plain.scoring).unwrap();
        assert_eq!(
            json,
            r#"{"keys":"causal","reduce":"mean","pool":"max:7","group":"none","group_order":"pool-first"}"#
        );
    }

    #[test]
    fn methods_keep_their_scoring_and_meet_the_raw_attention() {
        let methods = Compare::Methods;
        for overrides in [ScoringOverrides::default(), unpooled()] {
            let window = methods.window(overrides, published(), BOUNDARY);
            assert_eq!(window.scoring, overrides.apply(published()));
            assert_eq!(window.boundary, BOUNDARY);
            let ceiling = methods.ceiling(overrides, published(), BOUNDARY);
            assert_eq!(ceiling, Some(window));
            let truth = methods.truth(overrides);
            assert_eq!(truth.scoring, Scoring::default());
            assert_eq!(methods.decode_mass(overrides), truth);
        }
    }

    #[test]
    fn both_sides_have_the_same_heads() {
        let reduced = |score| ReducedHead {
            scores: vec![score, 0.5],
            prompt_share: 1.0,
        };
        for compare in [Compare::Queries, Compare::Methods] {
            for group in [
                GroupReduction::None,
                GroupReduction::Max,
                GroupReduction::Layer,
            ] {
                let overrides = ScoringOverrides {
                    group: Some(group),
                    ..ScoringOverrides::default()
                };
                let heads = |side: SideScoring| {
                    let layers = vec![(0..4_u8).map(|head| reduced(f32::from(head))).collect()];
                    let SideScoring {
                        scoring, boundary, ..
                    } = side;
                    let made = Importance::from_reduced(layers, 2, scoring, boundary, vec![0]);
                    let seen = side.heads(made.unwrap(), 4).unwrap();
                    (seen.heads(), seen.head_kind())
                };
                let window = heads(compare.window(overrides, published(), BOUNDARY));
                assert_eq!(heads(compare.truth(overrides)), window);
                assert_eq!(heads(compare.decode_mass(overrides)), window);
                if compare == Compare::Methods {
                    assert_eq!(window, (4, HeadKind::Query));
                }
            }
        }
    }

    #[test]
    fn words_parse_to_what_they_display() {
        for compare in [Compare::Queries, Compare::Methods] {
            let word = compare.to_string();
            assert_eq!(word.parse(), Ok(compare));
            assert_eq!(
                serde_json::to_string(&compare).unwrap(),
                format!("\"{word}\"")
            );
            assert!(compare.explain().ends_with('.'));
        }
        assert_eq!(
            "windows".parse::<Compare>().unwrap_err().to_string(),
            "the kind of comparison `windows` is unknown; write queries or methods"
        );
    }
}
