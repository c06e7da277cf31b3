//! The figures of an eviction, each by its column.

use kvlens_analysis::fidelity::MeanFidelity;

use super::{Foreseen, Outcome};

/// What one eviction of one sample foresaw and changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// What was foreseen.
    pub foreseen: Foreseen,
    /// What became of the next tokens' distributions.
    pub fidelity: MeanFidelity,
    /// What became of the reference answer's likelihood.
    pub answer_nll: Option<f64>,
    /// What became of the task.
    pub score: Option<f64>,
}

impl Figures {
    /// Of an eviction, without its steps and its text.
    pub fn of(outcome: &Outcome) -> Self {
        Self {
            foreseen: outcome.foreseen,
            fidelity: outcome.fidelity,
            answer_nll: outcome.answer_nll,
            score: outcome.score,
        }
    }
}

/// One of the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Figure {
    /// [`Foreseen::recall`].
    Recall,
    /// [`Foreseen::method_recall`].
    MethodRecall,
    /// [`Foreseen::kept_recall`].
    KeptRecall,
    /// [`Foreseen::hit_rate`].
    HitRate,
    /// [`Foreseen::kept_mass`].
    KeptMass,
    /// [`Foreseen::output_error`].
    OutputError,
    /// [`MeanFidelity::kl`].
    Kl,
    /// [`MeanFidelity::agreement`].
    Agreement,
    /// Of the reference answer, in nats per token.
    AnswerNll,
    /// Of the greedy generation.
    Score,
}

impl Figure {
    /// What was foreseen.
    pub const FORESEEN: [Self; 6] = [
        Self::Recall,
        Self::MethodRecall,
        Self::KeptRecall,
        Self::HitRate,
        Self::KeptMass,
        Self::OutputError,
    ];

    /// What became of the output.
    pub const CHANGED: [Self; 4] = [Self::Kl, Self::Agreement, Self::AnswerNll, Self::Score];

    /// Every figure, in the order of the table's columns.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::FORESEEN.into_iter().chain(Self::CHANGED)
    }

    /// Its column of fidelity.parquet.
    #[must_use]
    pub fn column(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::MethodRecall => "method_recall",
            Self::KeptRecall => "kept_recall",
            Self::HitRate => "hit_rate",
            Self::KeptMass => "kept_mass",
            Self::OutputError => "output_error",
            Self::Kl => "kl",
            Self::Agreement => "agreement",
            Self::AnswerNll => "answer_nll",
            Self::Score => "score",
        }
    }

    /// It in words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Recall => "recall of the queries",
            Self::MethodRecall => "recall of the method",
            Self::KeptRecall => "kept recall",
            Self::HitRate => "hit rate",
            Self::KeptMass => "kept mass",
            Self::OutputError => "output error",
            Self::Kl => "KL divergence",
            Self::Agreement => "agreement",
            Self::AnswerNll => "answer's NLL",
            Self::Score => "score",
        }
    }

    /// What no value can leave.
    #[must_use]
    pub fn bounds(self) -> (f64, f64) {
        match self {
            Self::OutputError | Self::Kl | Self::AnswerNll => (0.0, f64::INFINITY),
            _ => (0.0, 1.0),
        }
    }

    /// Of an eviction; NaN where it is undefined or the data do not say.
    #[must_use]
    pub fn of(self, figures: &Figures) -> f64 {
        let Figures {
            foreseen,
            fidelity,
            answer_nll,
            score,
        } = figures;
        match self {
            Self::Recall => foreseen.recall,
            Self::MethodRecall => foreseen.method_recall,
            Self::KeptRecall => foreseen.kept_recall,
            Self::HitRate => foreseen.hit_rate,
            Self::KeptMass => foreseen.kept_mass,
            Self::OutputError => foreseen.output_error,
            Self::Kl => fidelity.kl,
            Self::Agreement => fidelity.agreement,
            Self::AnswerNll => answer_nll.unwrap_or(f64::NAN),
            Self::Score => score.unwrap_or(f64::NAN),
        }
    }
}
