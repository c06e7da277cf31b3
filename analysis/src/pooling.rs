//! One-dimensional pooling of scores along the positions of a prompt.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::AnalysisError;

/// Pooling along positions, stride 1, padding `kernel / 2`, so that the length stays.
///
/// As SnapKV and kvpress do it: the average divides by the whole kernel also at the ends, where the
/// padding's zeros are counted; the maximum ignores the padding. Written `none`, `avg:K` or `max:K`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pooling {
    /// Scores as they are.
    #[default]
    None,
    /// Mean over `kernel` positions.
    Average {
        /// Odd width in tokens.
        kernel: usize,
    },
    /// Largest of `kernel` positions.
    Max {
        /// Odd width in tokens.
        kernel: usize,
    },
}

impl Pooling {
    /// Refuses an even kernel, which has no middle, and a kernel of zero.
    pub fn check(self) -> Result<(), AnalysisError> {
        match self {
            Self::Average { kernel } | Self::Max { kernel } if kernel % 2 == 0 => {
                Err(AnalysisError::Kernel { kernel })
            }
            _ => Ok(()),
        }
    }

    /// Whether scores stay as they are under any circumstances.
    pub(crate) fn changes_nothing(self) -> bool {
        match self {
            Self::None => true,
            Self::Average { kernel } | Self::Max { kernel } => kernel == 1,
        }
    }

    /// Pools the scores before and after `boundary` apart, so that neither reaches into the other.
    ///
    /// `boundary` is a position; at 0 or past the end there is only one part. Sums in `f64`.
    ///
    /// # Errors
    /// [`AnalysisError::Kernel`] for an even kernel.
    pub fn pool(self, scores: &[f32], boundary: usize) -> Result<Vec<f32>, AnalysisError> {
        self.check()?;
        let (before, after) = scores.split_at(boundary.min(scores.len()));
        Ok(match self {
            Self::None => scores.to_vec(),
            Self::Average { kernel } => [before, after]
                .into_iter()
                .flat_map(|part| {
                    neighbourhoods(part, kernel).map(move |near| average(near, kernel))
                })
                .collect(),
            Self::Max { kernel } => [before, after]
                .into_iter()
                .flat_map(|part| neighbourhoods(part, kernel).map(largest))
                .collect(),
        })
    }
}

/// For every position, the scores that a kernel centred there covers.
fn neighbourhoods(scores: &[f32], kernel: usize) -> impl Iterator<Item = &[f32]> {
    let reach = kernel / 2;
    (0..scores.len()).map(move |middle| {
        let end = middle
            .saturating_add(reach)
            .saturating_add(1)
            .min(scores.len());
        &scores[middle.saturating_sub(reach)..end]
    })
}

fn average(near: &[f32], kernel: usize) -> f32 {
    let sum: f64 = near.iter().map(|&score| f64::from(score)).sum();
    (sum / kernel as f64) as f32
}

fn largest(near: &[f32]) -> f32 {
    near.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Average { kernel } => write!(f, "avg:{kernel}"),
            Self::Max { kernel } => write!(f, "max:{kernel}"),
        }
    }
}

impl FromStr for Pooling {
    type Err = AnalysisError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || AnalysisError::Unknown {
            what: "pooling",
            given: text.to_owned(),
            expected: "none, avg:K or max:K with an odd number of tokens K",
        };
        let pooling = match text.split_once(':') {
            None if text == "none" => Self::None,
            Some(("avg", kernel)) => Self::Average {
                kernel: kernel.parse().map_err(|_| unknown())?,
            },
            Some(("max", kernel)) => Self::Max {
                kernel: kernel.parse().map_err(|_| unknown())?,
            },
            _ => return Err(unknown()),
        };
        pooling.check()?;
        Ok(pooling)
    }
}

impl TryFrom<String> for Pooling {
    type Error = AnalysisError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Pooling> for String {
    fn from(pooling: Pooling) -> Self {
        pooling.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_counts_the_padding() {
        let pooled = Pooling::Average { kernel: 3 }
            .pool(&[3.0, 6.0, 9.0], 3)
            .unwrap();
        assert_eq!(pooled, [3.0, 6.0, 5.0]);
    }

    #[test]
    fn the_maximum_ignores_the_padding() {
        let pooled = Pooling::Max { kernel: 3 }
            .pool(&[-3.0, -6.0, -9.0, -1.0], 4)
            .unwrap();
        assert_eq!(pooled, [-3.0, -3.0, -1.0, -1.0]);
    }

    #[test]
    fn pooling_does_not_cross_the_boundary() {
        let scores = [0.0, 0.0, 0.0, 9.0, 9.0];
        let max = Pooling::Max { kernel: 5 };
        assert_eq!(max.pool(&scores, 3).unwrap(), [0.0, 0.0, 0.0, 9.0, 9.0]);
        assert_eq!(max.pool(&scores, 5).unwrap(), [0.0, 9.0, 9.0, 9.0, 9.0]);
        let average = Pooling::Average { kernel: 3 };
        assert_eq!(average.pool(&scores, 3).unwrap(), [0.0, 0.0, 0.0, 6.0, 6.0]);
    }

    #[test]
    fn a_kernel_wider_than_the_prompt_covers_all_of_it() {
        let pooled = Pooling::Average { kernel: 9 }
            .pool(&[9.0, 18.0], 2)
            .unwrap();
        assert_eq!(pooled, [3.0, 3.0]);
        let widest = Pooling::Max { kernel: usize::MAX };
        assert_eq!(widest.pool(&[1.0, 2.0], 2).unwrap(), [2.0, 2.0]);
    }

    #[test]
    fn even_kernels_and_foreign_words_are_refused() {
        assert_eq!(
            "max:4".parse::<Pooling>(),
            Err(AnalysisError::Kernel { kernel: 4 })
        );
        assert_eq!(
            "avg:0".parse::<Pooling>(),
            Err(AnalysisError::Kernel { kernel: 0 })
        );
        for text in ["", "max", "max:", "max:-1", "min:3", "none:3", "avg:3:5"] {
            let refused = text.parse::<Pooling>();
            assert!(
                matches!(refused, Err(AnalysisError::Unknown { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn text_and_json_return_the_same_pooling() {
        for text in ["none", "avg:5", "max:7"] {
            let pooling: Pooling = text.parse().unwrap();
            assert_eq!(pooling.to_string(), text);
            let json = serde_json::to_string(&pooling).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Pooling>(&json).unwrap(), pooling);
        }
        assert!(serde_json::from_str::<Pooling>("\"max:2\"").is_err());
    }
}
