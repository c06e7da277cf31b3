//! What a figure can show, and how wide it is, by the words that people write.

use kvlens_analysis::figure::{ColumnWidth, FigureKind};
use serde::{Deserialize, Serialize};
use strum::{EnumMessage, IntoStaticStr, VariantArray};

/// A kind of figure. What is written over a variant is what help and dialogs say of it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumMessage,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum KindChoice {
    /// The metric against the budget, a curve per window with its 95 % interval over samples
    Recall,
    /// The same, a panel per layer
    RecallByLayer,
    /// The metric at the budget against the layer, a curve per window
    Layer,
    /// The metric at the budget for every layer and head, a panel per window
    HeadMap,
    /// Windows minus --against for every layer and head; what is not resolved is struck through
    HeadDifference,
    /// The best window of every layer and head; faint where it is not resolved
    Winner,
    /// Recall of single decode steps
    DecodeStep,
    /// Recall of the decode stage up to a horizon
    Horizon,
    /// Recall against the position of a window of --place-width queries, from the prompt into the generation
    Place,
    /// Hit rate at 128, 256 and 512 tokens
    HitRate,
    /// KL divergence of the decode stage from a window for every layer and head
    Kl,
    /// Cosine of pseudo and decode queries, before and after the rotary embedding
    Queries,
    /// Decode attention kept by uniform, pyramid and head-adaptive budgets
    Allocation,
    /// The metric against the time that a window takes
    Cost,
    /// Share of the decode stage's top B that one window finds and another misses, for every two windows
    Complementarity,
    /// Divergence of the output from the full cache's against the budget; of what `kvlens fidelity` wrote
    FidelityKl,
    /// Share of steps with the same most likely token against the budget; of what `kvlens fidelity` wrote
    FidelityAgreement,
    /// Task score against the budget; of what `kvlens fidelity` wrote
    FidelityScore,
    /// Share of steps with the same most likely token against recall; of what `kvlens fidelity` wrote
    FidelityRecall,
}

impl KindChoice {
    /// Every kind, in the order of lists.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What it shows.
    #[must_use]
    pub fn summary(self) -> &'static str {
        self.get_documentation().unwrap_or_default()
    }

    /// Whether it is drawn of sessions, and not of the tables that `kvlens fidelity` wrote.
    #[must_use]
    pub fn is_of_sessions(self) -> bool {
        !super::fidelity::is_of_tables(self)
    }
}

impl From<KindChoice> for FigureKind {
    fn from(choice: KindChoice) -> Self {
        match choice {
            KindChoice::Recall => Self::Recall,
            KindChoice::RecallByLayer => Self::RecallByLayer,
            KindChoice::Layer => Self::Layer,
            KindChoice::HeadMap => Self::HeadMap,
            KindChoice::HeadDifference => Self::HeadDifference,
            KindChoice::Winner => Self::Winner,
            KindChoice::DecodeStep => Self::DecodeStep,
            KindChoice::Horizon => Self::Horizon,
            KindChoice::Place => Self::Place,
            KindChoice::HitRate => Self::HitRate,
            KindChoice::Kl => Self::Kl,
            KindChoice::Queries => Self::Queries,
            KindChoice::Allocation => Self::Allocation,
            KindChoice::Cost => Self::Cost,
            KindChoice::Complementarity => Self::Complementarity,
            KindChoice::FidelityKl | KindChoice::FidelityAgreement | KindChoice::FidelityScore => {
                Self::Fidelity
            }
            KindChoice::FidelityRecall => Self::FidelityRecall,
        }
    }
}

/// The width of a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WidthChoice {
    /// 84 mm
    #[default]
    Single,
    /// 174 mm
    Double,
}

impl WidthChoice {
    /// Both widths.
    pub const ALL: [Self; 2] = [Self::Single, Self::Double];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Double => "double",
        }
    }

    /// In millimetres.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Single => "84 mm",
            Self::Double => "174 mm",
        }
    }
}

impl From<WidthChoice> for ColumnWidth {
    fn from(choice: WidthChoice) -> Self {
        match choice {
            WidthChoice::Single => Self::Single,
            WidthChoice::Double => Self::Double,
        }
    }
}
