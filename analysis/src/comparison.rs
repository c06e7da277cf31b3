//! How well a window's ranking foresees the truth's, at every budget.
//!
//! Each head is ranked once; the overlap at all budgets then takes one pass over its tokens.

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::collection::HeadShape;
use crate::error::AnalysisError;
use crate::importance::{HeadKind, Importance};
use crate::keep_rule::KeepRule;
use crate::ranking::Rankings;
use crate::statistics;

mod band;
mod head;
mod joined;
mod kept;
mod log_axis;
mod sides;
#[cfg(test)]
mod tests;

pub use band::Band;
use head::HeadComparer;
pub(crate) use sides::{Side, same, same_heads};

/// The area under recall begins at this share of the prompt, in per cent, rounded up and at least one token. Below it
/// few tokens decide, and the logarithmic axis would give a fifth of its length to budgets of 1 to 4 tokens.
pub const RECALL_AUC_FIRST_PERCENT: usize = 1;

/// It ends at this share of the prompt, in per cent, rounded down: whoever keeps more does not evict in earnest.
pub const RECALL_AUC_LAST_PERCENT: usize = 50;

/// A number that tells how much of the decode stage's attention a window foresees at a budget B.
///
/// All of them are undefined where B is not below the number of tokens that the layer ranks: any window would have
/// the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Share of the truth's top B among the window's top B, over the rankable tokens.
    Recall,
    /// Share of the truth's top B, over the rankable tokens, that the window's eviction rule keeps at B: forced-keep
    /// and exempt tokens first, then the top of the window's ranking.
    KeptRecall,
    /// Share of B that the rule keeps by the window's ranking and by the truth's: forced-keep and exempt tokens are
    /// hits on both sides, whether decoding uses them or not.
    HitRate,
    /// Tokens in both top-B sets over tokens in either.
    Jaccard,
    /// Decode attention on the prompt that the window's top B keeps, unpooled.
    Mass,
    /// The same as a share of the most that any B rankable tokens hold.
    MassOfOracle,
    /// Share of the evidence (the prompt tokens that the answer needs, as far as the layer sees them) that the
    /// window's eviction rule keeps.
    EvidenceKept,
    /// Relative error of the head's attention output, in the mean over decode steps, when only what the window's
    /// eviction rule keeps and the generated tokens are attended to; lower is better. Known where values were kept.
    OutputError,
}

impl Metric {
    /// Every metric, in the order of the tables' columns.
    pub const ALL: [Self; 8] = [
        Self::Recall,
        Self::KeptRecall,
        Self::HitRate,
        Self::Jaccard,
        Self::Mass,
        Self::MassOfOracle,
        Self::EvidenceKept,
        Self::OutputError,
    ];

    /// The name of the metric's column in the tables.
    pub fn column(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::KeptRecall => "kept_recall",
            Self::HitRate => "hit_rate",
            Self::Jaccard => "jaccard",
            Self::Mass => "mass",
            Self::MassOfOracle => "mass_of_oracle",
            Self::EvidenceKept => "evidence_kept",
            Self::OutputError => "output_error",
        }
    }

    /// The metric in words.
    pub fn label(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::KeptRecall => "recall of kept tokens",
            Self::HitRate => "hit rate",
            Self::Jaccard => "Jaccard index",
            Self::Mass => "retained attention mass",
            Self::MassOfOracle => "share of the largest attention mass",
            Self::EvidenceKept => "evidence kept",
            Self::OutputError => "output error",
        }
    }

    /// What it is, as a sentence without its full stop.
    pub fn definition(self) -> &'static str {
        match self {
            Self::Recall => "Share of the decode stage's top tokens that the window ranks as high",
            Self::KeptRecall => {
                "Share of the decode stage's top tokens that the window's eviction rule keeps"
            }
            Self::HitRate => {
                "Share of the kept tokens that the decode stage's ranking would keep, tokens that the rule always keeps \
                 counted as hits"
            }
            Self::Jaccard => "Tokens in both sets of top tokens over tokens in either",
            Self::Mass => "Decode attention that the window's top tokens hold",
            Self::MassOfOracle => {
                "Decode attention that the window's top tokens hold, as a share of the most that as many can hold"
            }
            Self::EvidenceKept => "Share of the tokens that the answer needs which are kept",
            Self::OutputError => {
                "Relative error of attention's output on what is kept; lower is better, needs values"
            }
        }
    }

    /// What no value can leave: a share, or an error, which has no end.
    pub fn bounds(self) -> (f64, f64) {
        match self {
            Self::OutputError => (0.0, f64::INFINITY),
            _ => (0.0, 1.0),
        }
    }

    /// Whether its values are shares.
    pub fn is_share(self) -> bool {
        self.bounds() == (0.0, 1.0)
    }

    /// Whether a higher value speaks for a window.
    pub fn higher_is_better(self) -> bool {
        self != Self::OutputError
    }
}

/// Every metric of one head at the budgets that were asked for, each as long as the budgets; NaN where it is
/// undefined, as every metric is at a budget that is not below the number of rankable tokens.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BudgetCurves {
    /// [`Metric::Recall`], 0..=1.
    pub recall: Vec<f64>,
    /// [`Metric::KeptRecall`], 0..=1.
    pub kept_recall: Vec<f64>,
    /// [`Metric::HitRate`], 0..=1.
    pub hit_rate: Vec<f64>,
    /// [`Metric::Jaccard`], 0..=1.
    pub jaccard: Vec<f64>,
    /// [`Metric::Mass`], attention weight summed over tokens.
    pub mass: Vec<f64>,
    /// [`Metric::MassOfOracle`], 0..=1; undefined also where the rankable tokens hold no mass at all.
    pub mass_of_oracle: Vec<f64>,
    /// [`Metric::EvidenceKept`], 0..=1; undefined also where the layer sees no evidence.
    pub evidence_kept: Vec<f64>,
    /// [`Metric::OutputError`], 0 and above; undefined also where no values were kept.
    pub output_error: Vec<f64>,
}

impl BudgetCurves {
    /// Nothing known at any of some budgets.
    fn undefined(budgets: usize) -> Self {
        let curve = || vec![f64::NAN; budgets];
        Self {
            recall: curve(),
            kept_recall: curve(),
            hit_rate: curve(),
            jaccard: curve(),
            mass: curve(),
            mass_of_oracle: curve(),
            evidence_kept: curve(),
            output_error: curve(),
        }
    }

    /// The curve of one metric.
    pub fn of(&self, metric: Metric) -> &[f64] {
        match metric {
            Metric::Recall => &self.recall,
            Metric::KeptRecall => &self.kept_recall,
            Metric::HitRate => &self.hit_rate,
            Metric::Jaccard => &self.jaccard,
            Metric::Mass => &self.mass,
            Metric::MassOfOracle => &self.mass_of_oracle,
            Metric::EvidenceKept => &self.evidence_kept,
            Metric::OutputError => &self.output_error,
        }
    }
}

/// One head's window against the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadComparison {
    /// Every metric at the asked budgets.
    pub curves: BudgetCurves,
    /// Area under recall on a logarithmic axis of budgets from [`RECALL_AUC_FIRST_PERCENT`] to
    /// [`RECALL_AUC_LAST_PERCENT`] of the prompt, as far as they lie below the rankable tokens, as a share of the
    /// axis (0..=1). NaN when none does.
    pub recall_auc: f64,
}

/// What is compared with what.
#[derive(Debug, Clone, Copy)]
pub struct ComparisonInput<'a> {
    /// The decode stage's ranking.
    pub truth: &'a Rankings,
    /// The window's ranking of the same heads and tokens.
    pub window: &'a Rankings,
    /// Attention of the decode stage for the retained mass: mean over rows, causal keys, unpooled; the
    /// mean over the group where heads are grouped.
    pub decode_mass: &'a Importance,
    /// Tokens that the window's eviction rule keeps whatever their score.
    pub keep_rule: KeepRule,
    /// Positions of the prompt tokens that the answer needs; none when that is not known.
    pub evidence: &'a [Range<usize>],
    /// Budgets in tokens, each in 1..=T, in any order.
    pub budgets: &'a [usize],
}

/// A window against the truth, for every head.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Number of layers.
    pub layers: usize,
    /// Number of heads per layer.
    pub heads: usize,
    /// What one head stands for.
    pub head_kind: HeadKind,
    /// Number of prompt tokens, `T`.
    pub prompt_tokens: usize,
    /// Number of tokens that each layer ranks, `[L]`: those that are not exempt and that a decode step sees.
    pub rankable_tokens: Vec<usize>,
    /// The budgets of the curves, in tokens, as they were asked for.
    pub budgets: Vec<usize>,
    /// `[L, heads]`.
    pub by_head: Vec<HeadComparison>,
}

/// Compares every head of a window with the truth's, in parallel over heads.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the sides differ in layers, heads, tokens or rankable tokens;
/// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T, [`AnalysisError::OutOfBounds`] for evidence behind
/// the prompt.
pub fn compare(input: ComparisonInput<'_>) -> Result<Comparison, AnalysisError> {
    check(&input)?;
    let ComparisonInput { truth, window, .. } = input;
    let (layers, heads) = (truth.layers(), truth.heads());
    let comparer = HeadComparer::new(input);
    let by_head = (0..layers * heads)
        .into_par_iter()
        .map(|index| comparer.compare(index / heads, index % heads))
        .collect();
    Ok(Comparison {
        layers,
        heads,
        head_kind: window.head_kind(),
        prompt_tokens: truth.prompt_tokens(),
        rankable_tokens: (0..layers)
            .map(|layer| truth.rankable_tokens(layer))
            .collect(),
        budgets: input.budgets.to_vec(),
        by_head,
    })
}

fn check(input: &ComparisonInput<'_>) -> Result<(), AnalysisError> {
    let ComparisonInput {
        truth,
        window,
        decode_mass,
        ..
    } = input;
    same_heads(truth, window)?;
    Side::from(*truth).check(*decode_mass)?;
    let prompt_tokens = truth.prompt_tokens();
    if let Some(behind) = input
        .evidence
        .iter()
        .find(|tokens| tokens.end > prompt_tokens)
    {
        return Err(AnalysisError::OutOfBounds {
            what: "the end of the evidence",
            bounds: "within the prompt",
            value: behind.end.to_string(),
        });
    }
    check_budgets(input.budgets, prompt_tokens)
}

/// Refuses a budget outside 1..=T.
pub(crate) fn check_budgets(budgets: &[usize], prompt_tokens: usize) -> Result<(), AnalysisError> {
    match budgets
        .iter()
        .find(|&&budget| budget == 0 || budget > prompt_tokens)
    {
        Some(&budget) => Err(AnalysisError::BudgetOutOfRange {
            budget,
            prompt_tokens,
        }),
        None => Ok(()),
    }
}

impl Comparison {
    /// Layers and heads, and what a head stands for.
    pub fn shape(&self) -> HeadShape {
        HeadShape {
            layers: self.layers,
            heads: self.heads,
            head_kind: self.head_kind,
        }
    }

    /// The comparison of one head.
    ///
    /// # Panics
    /// When the layer or the head does not exist.
    pub fn head(&self, layer: usize, head: usize) -> &HeadComparison {
        assert!(
            layer < self.layers && head < self.heads,
            "no layer {layer}, head {head}"
        );
        &self.by_head[layer * self.heads + head]
    }

    /// Index of the curve points at a budget.
    ///
    /// # Errors
    /// [`AnalysisError::BudgetNotCompared`] when the comparison was not made at it.
    pub fn budget_index(&self, budget: usize) -> Result<usize, AnalysisError> {
        self.budgets
            .iter()
            .position(|&compared| compared == budget)
            .ok_or(AnalysisError::BudgetNotCompared { budget })
    }

    /// One metric at one budget for every head, `[L, heads]`; NaN where it is undefined or there is no such budget.
    pub fn metric_map(&self, metric: Metric, budget_index: usize) -> Vec<f64> {
        self.at_budget(metric, budget_index).collect()
    }

    /// Mean of one metric at one budget over the heads where it is defined; NaN when there are none.
    pub fn mean(&self, metric: Metric, budget_index: usize) -> f64 {
        statistics::mean(self.defined(metric, budget_index)).unwrap_or(f64::NAN)
    }

    /// Number of heads, of all layers, where a metric is defined at a budget.
    pub fn defined_heads(&self, metric: Metric, budget_index: usize) -> usize {
        self.defined(metric, budget_index).count()
    }

    /// Mean, 10th and 90th percentile of one metric per budget over some heads, given as layer and
    /// head; heads that do not exist are left out.
    pub fn band(&self, metric: Metric, heads: &[(usize, usize)]) -> Band {
        let curves: Vec<&[f64]> = heads
            .iter()
            .filter(|&&(layer, head)| layer < self.layers && head < self.heads)
            .map(|&(layer, head)| self.head(layer, head).curves.of(metric))
            .collect();
        Band::of(&curves, self.budgets.len())
    }

    fn at_budget(&self, metric: Metric, budget_index: usize) -> impl Iterator<Item = f64> {
        self.by_head.iter().map(move |head| {
            let value = head.curves.of(metric).get(budget_index);
            value.copied().unwrap_or(f64::NAN)
        })
    }

    fn defined(&self, metric: Metric, budget_index: usize) -> impl Iterator<Item = f64> {
        let values = self.at_budget(metric, budget_index);
        values.filter(|value| !value.is_nan())
    }
}
