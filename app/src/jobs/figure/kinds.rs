//! What a figure can show, and how wide it is, by the words that people write.

use kvlens_analysis::figure::{ColumnWidth, FigureKind};
use serde::{Deserialize, Serialize};

/// The kinds of figures, each once: its name here, how it is drawn, its word and what it shows.
macro_rules! kinds {
    ($($kind:ident, $drawn:ident, $name:literal, $summary:literal;)+) => {
        /// A kind of figure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum KindChoice {
            $(#[doc = $summary] #[serde(rename = $name)] $kind,)+
        }

        impl KindChoice {
            /// Every kind, in the order of lists.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The word for it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// What it shows.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self {
                    $(Self::$kind => $summary,)+
                }
            }
        }

        impl From<KindChoice> for FigureKind {
            fn from(choice: KindChoice) -> Self {
                match choice {
                    $(KindChoice::$kind => Self::$drawn,)+
                }
            }
        }
    };
}

kinds! {
    Recall, Recall, "recall", "The metric against the budget, a curve per window with its 95 % interval over samples";
    RecallByLayer, RecallByLayer, "recall-by-layer", "The metric against the budget, a curve per window, a panel per layer";
    Layer, Layer, "layer", "The metric at the budget against the layer, a curve per window";
    HeadMap, HeadMap, "head-map", "The metric at the budget for every layer and head, a panel per window";
    HeadDifference, HeadDifference, "head-difference", "Windows minus one of them for every layer and head; what is not resolved is struck through";
    Winner, Winner, "winner", "The best window of every layer and head; faint where it is not resolved";
    DecodeStep, DecodeStep, "decode-step", "Recall, or the output error, of single decode steps";
    Horizon, Horizon, "horizon", "Recall, or the output error, of the decode stage up to a horizon";
    Place, Place, "place", "Recall against the position of a window that moves from the prompt into the generation";
    DecodeEviction, DecodeStep, "decode-eviction", "Recall of what later decode steps attend to by rankings of the cache while it decodes, a panel per horizon";
    Depth, Depth, "depth", "Share of what the answer needs that is kept at the budget, against its depth in the prompt";
    HitRate, HitRate, "hit-rate", "Hit rate at 128, 256 and 512 tokens";
    Kl, Kl, "kl", "KL divergence of the decode stage from a window for every layer and head";
    Queries, Queries, "queries", "Cosine of pseudo and decode queries, before and after the rotary embedding";
    Allocation, Allocation, "allocation", "Decode attention kept by uniform, pyramid and head-adaptive budgets";
    Cost, Cost, "cost", "The metric against the time that a window takes";
    Complementarity, Complementarity, "complementarity", "Share of the decode stage's top B that one window finds and another misses, for every two windows";
    Needle, Needle, "needle", "Score of the answers, and what each window keeps of the needle and foresees, by asked length and depth; with the folder that `kvlens fidelity` wrote beside the session also the score after each window's eviction";
    Profile, Profile, "profile", "What the heads are like, by one number of their profiles, against the metric at the budget: a dot per head, a panel per window, with the rank correlation";
    Evidence, Evidence, "evidence", "Share of the needed tokens that a head keeps, and share that no head keeps, against the budget, a curve per window";
    RankDensity, RankDensity, "rank-density", "Where a window ranks the tokens that the decode stage ranks here or there, a panel per window";
    Attention, Attention, "attention", "Attention of one head's queries on the prompt: the decode stage's and each window's";
    Tokens, Tokens, "tokens", "The prompt's tokens of one head: kept and missed at the budget, a panel per window";
    FidelityKl, Fidelity, "fidelity-kl", "Divergence of the output from the full cache's against the budget, of caches evicted by `kvlens fidelity`";
    FidelityAgreement, Fidelity, "fidelity-agreement", "Share of steps with the same most likely token against the budget, of caches evicted by `kvlens fidelity`";
    FidelityAnswer, Fidelity, "fidelity-answer", "Negative log-likelihood of the reference answer against the budget, of caches evicted by `kvlens fidelity`";
    FidelityScore, Fidelity, "fidelity-score", "Task score against the budget, of caches evicted by `kvlens fidelity`";
    FidelityRecall, FidelityRecall, "fidelity-recall", "Share of steps with the same most likely token against recall, of caches evicted by `kvlens fidelity`";
}

impl KindChoice {
    /// Whether it shows what windows say of budgets, so that a window with `budget=final` is one and not its
    /// observations.
    #[must_use]
    pub fn is_about_budgets(self) -> bool {
        !matches!(
            self,
            Self::Kl | Self::Queries | Self::Place | Self::RankDensity | Self::Attention
        )
    }

    /// Whether it is about the one budget that was asked for.
    pub(super) fn is_about_one_budget(self) -> bool {
        !matches!(
            self,
            Self::Recall
                | Self::RecallByLayer
                | Self::HitRate
                | Self::Kl
                | Self::Queries
                | Self::Allocation
                | Self::RankDensity
                | Self::Attention
                | Self::Evidence
        )
    }

    /// Whether it marks what the samples tell apart.
    #[must_use]
    pub fn is_tested(self) -> bool {
        matches!(self, Self::HeadDifference | Self::Winner)
    }

    /// Whether it is drawn of sessions, and not of the tables that `kvlens fidelity` wrote.
    #[must_use]
    pub fn is_of_sessions(self) -> bool {
        !super::fidelity::is_of_tables(self)
    }

    /// Whether it shows one head of one sample.
    #[must_use]
    pub fn is_of_one_head(self) -> bool {
        matches!(self, Self::Attention | Self::Tokens)
    }
}

/// The width of a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WidthChoice {
    /// One column of a journal, 84 mm
    #[default]
    Single,
    /// Both of its columns, 174 mm
    Double,
    /// The text of a NeurIPS paper, 140 mm
    Neurips,
    /// A column of an ICML paper, 82.5 mm
    Icml,
    /// A column of an ACL paper, 77 mm
    Acl,
    /// A slide of 254 mm with margins, in larger text
    Slides,
}

impl WidthChoice {
    /// Every width.
    pub const ALL: [Self; 6] = [
        Self::Single,
        Self::Double,
        Self::Neurips,
        Self::Icml,
        Self::Acl,
        Self::Slides,
    ];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Double => "double",
            Self::Neurips => "neurips",
            Self::Icml => "icml",
            Self::Acl => "acl",
            Self::Slides => "slides",
        }
    }

    /// In millimetres.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Single => "one column, 84 mm",
            Self::Double => "two columns, 174 mm",
            Self::Neurips => "the text of a NeurIPS paper, 139.7 mm",
            Self::Icml => "a column of an ICML paper, 82.55 mm",
            Self::Acl => "a column of an ACL paper, 77 mm",
            Self::Slides => "a slide, 230 mm, with text of 14 points",
        }
    }

    /// Size of the text in points where none is asked for.
    #[must_use]
    pub fn font_size(self) -> f64 {
        match self {
            Self::Slides => 14.0,
            _ => 7.0,
        }
    }
}

impl From<WidthChoice> for ColumnWidth {
    fn from(choice: WidthChoice) -> Self {
        match choice {
            WidthChoice::Single => Self::Single,
            WidthChoice::Double => Self::Double,
            WidthChoice::Neurips => Self::Neurips,
            WidthChoice::Icml => Self::Icml,
            WidthChoice::Acl => Self::Acl,
            WidthChoice::Slides => Self::Slides,
        }
    }
}
