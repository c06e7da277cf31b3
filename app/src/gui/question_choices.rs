//! What the views of further questions are set to; undo goes back over it as over every choice.

use kvlens_analysis::{Budget, SampleGroup};
use serde::{Deserialize, Serialize};

use crate::measurement::decode_eviction::HorizonChoice;

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

/// What the view of the decoding cache shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecodeCacheChoices {
    /// Decode steps from one ranking to the next.
    pub every: usize,
    /// Later steps that each ranking is held against.
    pub horizon: HorizonChoice,
    /// What is plotted of it.
    pub metric: DecodeCacheMetric,
}

impl Default for DecodeCacheChoices {
    fn default() -> Self {
        Self {
            every: 4,
            horizon: HorizonChoice::default(),
            metric: DecodeCacheMetric::default(),
        }
    }
}

impl HorizonChoice {
    /// Text of the chooser.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NextStep => "Next step",
            Self::NextRanking => "To the next ranking",
            Self::Rest => "To the end",
        }
    }

    /// What it means.
    #[must_use]
    pub fn explain(self) -> &'static str {
        match self {
            Self::NextStep => "Held against what the next decode step attends to",
            Self::NextRanking => "Held against what the steps up to the next ranking attend to",
            Self::Rest => "Held against what all steps to the end attend to",
        }
    }
}

/// What a ranking of the cache is worth to later steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecodeCacheMetric {
    /// Tokens that it has in common with their own.
    #[default]
    Recall,
    /// Their attention on its tokens.
    Mass,
}

impl DecodeCacheMetric {
    /// Every choice in the order of the chooser.
    pub const ALL: [Self; 2] = [Self::Recall, Self::Mass];

    /// Text of the chooser.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Recall => "Recall",
            Self::Mass => "Mass",
        }
    }

    /// The word for it in axes and tables.
    #[must_use]
    pub fn axis(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::Mass => "mass",
        }
    }

    /// What it means.
    #[must_use]
    pub fn explain(self) -> &'static str {
        match self {
            Self::Recall => "Share of the later steps' own top tokens that the ranking puts on top",
            Self::Mass => {
                "Share of the later steps' attention on the cache that falls on the ranking's top tokens"
            }
        }
    }
}

/// What the view of needed tokens shows of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EvidencePart {
    /// The share that a head keeps.
    #[default]
    Kept,
    /// The share that no head keeps.
    LostEverywhere,
}

impl EvidencePart {
    /// Every choice in the order of the chooser.
    pub const ALL: [Self; 2] = [Self::Kept, Self::LostEverywhere];

    /// Text of the chooser.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Kept => "Evidence kept",
            Self::LostEverywhere => "Lost at every head",
        }
    }
}

/// Which queries the layer profile is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryPart {
    /// Before the rotary embedding.
    #[default]
    BeforeRotation,
    /// After it, as the model attends.
    AfterRotation,
}

impl QueryPart {
    /// Every choice in the order of the chooser.
    pub const ALL: [Self; 2] = [Self::BeforeRotation, Self::AfterRotation];

    /// Text of the chooser.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::BeforeRotation => "Before RoPE",
            Self::AfterRotation => "After RoPE",
        }
    }
}

/// What the fidelity view plots its metric against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FidelityPlot {
    /// The budget.
    #[default]
    Budget,
    /// Recall of what the cache kept.
    Recall,
    /// Nothing: the answers themselves, of the open sample.
    Answers,
}

impl FidelityPlot {
    /// Every choice in the order of the chooser.
    pub const ALL: [Self; 3] = [Self::Budget, Self::Recall, Self::Answers];

    /// Text of the chooser.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Budget => "By budget",
            Self::Recall => "By recall",
            Self::Answers => "Answers",
        }
    }
}

/// What became of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FidelityMetric {
    /// Divergence of the next token's distribution.
    #[default]
    Divergence,
    /// Share of the steps at which the most likely token stays.
    Agreement,
    /// Negative log-likelihood of the reference answer.
    AnswerNll,
    /// Score of the greedy generation.
    Score,
}

impl FidelityMetric {
    /// Every choice in the order of the chooser.
    pub const ALL: [Self; 4] = [
        Self::Divergence,
        Self::Agreement,
        Self::AnswerNll,
        Self::Score,
    ];

    /// Text of the chooser and of the axis.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Divergence => "KL, nats",
            Self::Agreement => "top-1 agreement",
            Self::AnswerNll => "answer NLL, nats",
            Self::Score => "task score",
        }
    }
}

/// What the fidelity view shows, and what its button measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FidelityChoices {
    /// What the metric is plotted against.
    pub plot: FidelityPlot,
    /// The metric.
    pub metric: FidelityMetric,
    /// Every sample of the session, not only the open one.
    pub all_samples: bool,
    /// Of all samples those of this group; those of the open sample's if none.
    #[serde(skip)]
    pub group: Option<SampleGroup>,
    /// Budgets in tokens or as shares of the prompt, separated by commas.
    pub budgets: String,
}

impl Default for FidelityChoices {
    fn default() -> Self {
        Self {
            plot: FidelityPlot::default(),
            metric: FidelityMetric::default(),
            all_samples: false,
            group: None,
            budgets: "2%, 5%, 10%, 20%, 50%".to_owned(),
        }
    }
}

impl FidelityChoices {
    /// The typed budgets, each once, in the order of typing.
    ///
    /// # Errors
    /// A sentence about the part that is no budget, or about there being none.
    pub fn parsed_budgets(&self) -> Result<Vec<Budget>, String> {
        let mut budgets = Vec::new();
        for part in self.budgets.split(',').map(str::trim) {
            if part.is_empty() {
                continue;
            }
            let budget: Budget = part
                .parse()
                .map_err(|error: kvlens_analysis::AnalysisError| error.to_string())?;
            if !budgets.contains(&budget) {
                budgets.push(budget);
            }
        }
        match budgets.is_empty() {
            true => Err("type a budget, such as 64 or 5%".to_owned()),
            false => Ok(budgets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Budget>, String> {
        FidelityChoices {
            budgets: text.to_owned(),
            ..FidelityChoices::default()
        }
        .parsed_budgets()
    }

    #[test]
    fn budgets_are_typed_with_commas_and_repetitions_are_dropped() {
        let budgets = parsed("64, 5%,64,").unwrap();
        assert_eq!(budgets, [Budget::Tokens(64), Budget::Fraction(0.05)]);
        assert!(parsed("64, some").unwrap_err().contains("some"));
        assert!(parsed(" , ").is_err());
        assert_eq!(
            FidelityChoices::default().parsed_budgets().unwrap().len(),
            5
        );
    }
}
