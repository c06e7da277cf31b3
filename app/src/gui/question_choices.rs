//! What the views of further questions are set to; undo goes back over it as over every choice.

use serde::{Deserialize, Serialize};

/// What the drift view plots recall against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DriftPart {
    /// Each decode step by itself.
    #[default]
    Steps,
    /// The decode stage up to a step.
    Horizons,
    /// The place where a window of queries sits.
    Places,
}

impl DriftPart {
    /// Every choice in the order of the chooser.
    pub const ALL: [Self; 3] = [Self::Steps, Self::Horizons, Self::Places];

    /// Text of the chooser.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Steps => "Single steps",
            Self::Horizons => "Up to a step",
            Self::Places => "By place",
        }
    }
}

/// What the drift view shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DriftChoices {
    /// What recall is plotted against.
    pub part: DriftPart,
    /// W: queries of the window that is swept for [`DriftPart::Places`].
    pub sweep_width: usize,
}

impl Default for DriftChoices {
    fn default() -> Self {
        Self {
            part: DriftPart::default(),
            sweep_width: 32,
        }
    }
}
