//! How well a window's ranking foresees the oracle's, at every budget.
//!
//! Each head is ranked once; the overlap at all budgets then takes one pass over its tokens.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AnalysisError;
use crate::importance::{HeadKind, Importance};
use crate::keep_rule::KeepRule;
use crate::ranking::Rankings;
use crate::statistics;

mod head;
mod log_axis;
#[cfg(test)]
mod tests;

use head::HeadComparer;

/// A number that tells how much of the oracle a window foresees at a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Share of the oracle's top B among the window's top B, over the rankable tokens.
    Recall,
    /// The same over whole selections, forced-keep and exempt tokens counted.
    HitRate,
    /// Tokens in both top-B sets over tokens in either.
    Jaccard,
    /// Decode attention on the prompt that the window's top B keeps.
    Mass,
    /// The same as a share of what the oracle's own top B keeps.
    MassOfOracle,
}

impl Metric {
    /// Every metric, in the order of the tables' columns.
    pub const ALL: [Self; 5] = [
        Self::Recall,
        Self::HitRate,
        Self::Jaccard,
        Self::Mass,
        Self::MassOfOracle,
    ];

    /// The name of the metric's column in the tables.
    pub fn column(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::HitRate => "hit_rate",
            Self::Jaccard => "jaccard",
            Self::Mass => "mass",
            Self::MassOfOracle => "mass_of_oracle",
        }
    }

    /// The metric in words.
    pub fn label(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::HitRate => "hit rate",
            Self::Jaccard => "jaccard",
            Self::Mass => "retained mass",
            Self::MassOfOracle => "retained mass of oracle",
        }
    }
}

/// Every metric of one head at the budgets that were asked for, each as long as the budgets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BudgetCurves {
    /// [`Metric::Recall`]; 1 when no token is rankable.
    pub recall: Vec<f32>,
    /// [`Metric::HitRate`].
    pub hit_rate: Vec<f32>,
    /// [`Metric::Jaccard`]; 1 when no token is rankable.
    pub jaccard: Vec<f32>,
    /// [`Metric::Mass`], attention weight summed over tokens.
    pub mass: Vec<f32>,
    /// [`Metric::MassOfOracle`]; 1 when the oracle's own top B holds no mass.
    pub mass_of_oracle: Vec<f32>,
}

impl BudgetCurves {
    /// The curve of one metric.
    pub fn of(&self, metric: Metric) -> &[f32] {
        match metric {
            Metric::Recall => &self.recall,
            Metric::HitRate => &self.hit_rate,
            Metric::Jaccard => &self.jaccard,
            Metric::Mass => &self.mass,
            Metric::MassOfOracle => &self.mass_of_oracle,
        }
    }
}

/// One head's window against the oracle.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadComparison {
    /// Every metric at the asked budgets.
    pub curves: BudgetCurves,
    /// Area under recall over all budgets 1..=N on a logarithmic axis, as a share of the axis (0..=1).
    pub recall_auc: f64,
}

/// What is compared with what.
#[derive(Debug, Clone, Copy)]
pub struct ComparisonInput<'a> {
    /// The decode stage's ranking.
    pub oracle: &'a Rankings,
    /// The window's ranking of the same heads and tokens.
    pub window: &'a Rankings,
    /// Attention of the decode stage for the retained mass: mean over rows, causal keys, unpooled; the
    /// mean over the group where heads are grouped.
    pub oracle_mass: &'a Importance,
    /// Tokens that the window's eviction rule keeps whatever their score.
    pub keep_rule: KeepRule,
    /// Budgets in tokens, each in 1..=T, in any order.
    pub budgets: &'a [usize],
}

/// A window against the oracle, for every head.
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
    /// The budgets of the curves, in tokens, as they were asked for.
    pub budgets: Vec<usize>,
    /// `[L, heads]`.
    pub by_head: Vec<HeadComparison>,
}

/// A metric over a set of heads, per budget; NaN throughout when the set is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Mean over the heads.
    pub mean: Vec<f32>,
    /// 10th percentile over the heads.
    pub low: Vec<f32>,
    /// 90th percentile over the heads.
    pub high: Vec<f32>,
}

impl Band {
    /// Mean, 10th and 90th percentile of the curves of some heads at each of `points` points; a curve that
    /// ends before is left out there.
    #[must_use]
    pub fn of(curves: &[&[f32]], points: usize) -> Self {
        let at_point = |index: usize| {
            let of_heads = curves.iter().filter_map(|curve| curve.get(index));
            let mut values: Vec<f64> = of_heads.map(|value| f64::from(*value)).collect();
            values.sort_unstable_by(f64::total_cmp);
            let mean = statistics::mean(values.iter().copied());
            [
                mean,
                statistics::quantile_of_sorted(&values, 0.1),
                statistics::quantile_of_sorted(&values, 0.9),
            ]
            .map(|value| value.unwrap_or(f64::NAN) as f32)
        };
        let at_points: Vec<[f32; 3]> = (0..points).into_par_iter().map(at_point).collect();
        let side = |side: usize| at_points.iter().map(|values| values[side]).collect();
        Self {
            mean: side(0),
            low: side(1),
            high: side(2),
        }
    }
}

/// Compares every head of a window with the oracle's, in parallel over heads.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the sides differ in layers, heads, tokens or exempt tokens;
/// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T.
pub fn compare(input: ComparisonInput<'_>) -> Result<Comparison, AnalysisError> {
    check(&input)?;
    let ComparisonInput { oracle, window, .. } = input;
    let (layers, heads) = (oracle.layers(), oracle.heads());
    let comparer = HeadComparer::new(input);
    let by_head = (0..layers * heads)
        .into_par_iter()
        .map(|index| comparer.compare(index / heads, index % heads))
        .collect();
    Ok(Comparison {
        layers,
        heads,
        head_kind: window.head_kind(),
        prompt_tokens: oracle.prompt_tokens(),
        budgets: input.budgets.to_vec(),
        by_head,
    })
}

fn check(input: &ComparisonInput<'_>) -> Result<(), AnalysisError> {
    let ComparisonInput {
        oracle,
        window,
        oracle_mass,
        ..
    } = input;
    same_heads(oracle, window)?;
    same(
        "layers of the retained mass",
        oracle_mass.layers(),
        window.layers(),
    )?;
    same(
        "heads of the retained mass",
        oracle_mass.heads(),
        window.heads(),
    )?;
    same(
        "prompt tokens of the retained mass",
        oracle_mass.prompt_tokens(),
        window.prompt_tokens(),
    )?;
    check_budgets(input.budgets, oracle.prompt_tokens())
}

/// Refuses rankings of other heads or other tokens.
pub(crate) fn same_heads(oracle: &Rankings, window: &Rankings) -> Result<(), AnalysisError> {
    same("layers", oracle.layers(), window.layers())?;
    same("heads", oracle.heads(), window.heads())?;
    same("head kinds", oracle.head_kind(), window.head_kind())?;
    same(
        "prompt tokens",
        oracle.prompt_tokens(),
        window.prompt_tokens(),
    )?;
    same("exempt sinks", oracle.exempt().sinks, window.exempt().sinks)?;
    same(
        "exempt recent tokens",
        oracle.exempt().recent,
        window.exempt().recent,
    )
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

/// Refuses two sides that differ in a property.
pub(crate) fn same<P: PartialEq + ToString>(
    what: &'static str,
    oracle: P,
    window: P,
) -> Result<(), AnalysisError> {
    if oracle == window {
        return Ok(());
    }
    Err(AnalysisError::Mismatch {
        what,
        oracle: oracle.to_string(),
        window: window.to_string(),
    })
}

impl Comparison {
    /// Comparisons of consecutive layers as one.
    ///
    /// So a prompt too large to hold is compared layer by layer: the importance and the rankings of one
    /// layer are made, compared and dropped before those of the next.
    ///
    /// # Errors
    /// [`AnalysisError::Empty`] of no parts, [`AnalysisError::Mismatch`] when they differ in heads, prompt
    /// or budgets.
    pub fn stack(parts: Vec<Self>) -> Result<Self, AnalysisError> {
        let mut parts = parts.into_iter();
        let mut whole = parts
            .next()
            .ok_or(AnalysisError::Empty { what: "layers" })?;
        for part in parts {
            same("heads", whole.heads, part.heads)?;
            same("head kinds", whole.head_kind, part.head_kind)?;
            same("prompt tokens", whole.prompt_tokens, part.prompt_tokens)?;
            same(
                "budgets",
                format!("{:?}", whole.budgets),
                format!("{:?}", part.budgets),
            )?;
            whole.layers += part.layers;
            whole.by_head.extend(part.by_head);
        }
        Ok(whole)
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

    /// One metric at one budget for every head, `[L, heads]`; NaN when there is no such budget.
    pub fn metric_map(&self, metric: Metric, budget_index: usize) -> Vec<f32> {
        self.by_head
            .iter()
            .map(|head| {
                head.curves
                    .of(metric)
                    .get(budget_index)
                    .copied()
                    .unwrap_or(f32::NAN)
            })
            .collect()
    }

    /// Mean of one metric at one budget over all layers and heads; NaN when there is no such budget.
    pub fn mean(&self, metric: Metric, budget_index: usize) -> f64 {
        let values = self.metric_map(metric, budget_index);
        statistics::mean(values.into_iter().map(f64::from)).unwrap_or(f64::NAN)
    }

    /// Mean, 10th and 90th percentile of one metric per budget over some heads, given as layer and
    /// head; heads that do not exist are left out.
    pub fn band(&self, metric: Metric, heads: &[(usize, usize)]) -> Band {
        let curves: Vec<&[f32]> = heads
            .iter()
            .filter(|&&(layer, head)| layer < self.layers && head < self.heads)
            .map(|&(layer, head)| self.head(layer, head).curves.of(metric))
            .collect();
        Band::of(&curves, self.budgets.len())
    }
}
