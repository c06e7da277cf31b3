//! What is kept of one window on one sample at one budget.

use super::CollectedWindow;
use crate::budget::Budget;
use crate::comparison::{Comparison, Metric};
use crate::error::AnalysisError;
use crate::statistics::{WindowValues, mean};

/// One budget of one window on one sample.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// In the order of [`Metric::ALL`].
    means: [MeanOverHeads; Metric::ALL.len()],
    /// The collection's metric, `[L, heads]`, NaN where it is undefined; empty at a budget without maps.
    pub(super) by_head: Vec<f64>,
}

/// A metric's mean over the heads in which it is defined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MeanOverHeads {
    /// The mean; NaN without such a head.
    pub(super) mean: f64,
    /// The mean of the ceiling over the same heads.
    pub(super) ceiling: Option<f64>,
    /// Number of those heads.
    pub(super) heads: usize,
}

impl Point {
    /// None where the budget is larger than the prompt or the window was not compared at it; `map` is the metric
    /// whose heads are kept one by one.
    pub(super) fn of(
        window: &CollectedWindow<'_>,
        budget: Budget,
        map: Option<Metric>,
    ) -> Option<Self> {
        let comparison = window.comparison;
        if matches!(budget, Budget::Tokens(tokens) if tokens > comparison.prompt_tokens) {
            return None;
        }
        let tokens = budget.tokens(comparison.prompt_tokens);
        let index = comparison.budget_index(tokens).ok()?;
        let ceiling = window
            .ceiling
            .and_then(|ceiling| Some((ceiling, ceiling.budget_index(tokens).ok()?)));
        Some(Self {
            means: Metric::ALL.map(|metric| {
                let ceiling = ceiling.map(|(ceiling, index)| values(ceiling, metric, index));
                MeanOverHeads::of(&values(comparison, metric, index), ceiling.as_deref())
            }),
            by_head: map.map_or_else(Vec::new, |metric| values(comparison, metric, index)),
        })
    }

    /// The mean of a metric; none where no head is defined.
    pub(super) fn mean(&self, metric: Metric) -> Option<MeanOverHeads> {
        let place = Metric::ALL.iter().position(|known| *known == metric)?;
        let mean = *self.means.get(place)?;
        (mean.heads > 0).then_some(mean)
    }

    /// Whether another point has the same values to the last bit, undefined ones included.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let heads = |point: &Self| -> Vec<u64> {
            point.by_head.iter().map(|value| value.to_bits()).collect()
        };
        let means = |point: &Self| point.means.map(|mean| (mean.mean.to_bits(), mean.heads));
        means(self) == means(other) && heads(self) == heads(other)
    }
}

impl MeanOverHeads {
    /// Of one value per head, NaN where it is undefined.
    fn of(values: &[f64], ceiling: Option<&[f64]>) -> Self {
        let defined = || values.iter().copied().filter(|value| !value.is_nan());
        let ceiling = ceiling.and_then(|ceiling| {
            let same_heads = values.iter().zip(ceiling);
            let same_heads = same_heads.filter(|(value, _)| !value.is_nan());
            mean(same_heads.map(|(_, ceiling)| *ceiling)).filter(|mean| !mean.is_nan())
        });
        Self {
            mean: mean(defined()).unwrap_or(f64::NAN),
            ceiling,
            heads: defined().count(),
        }
    }
}

/// A metric at a budget, `[L, heads]`.
fn values(comparison: &Comparison, metric: Metric, budget_index: usize) -> Vec<f64> {
    comparison.metric_map(metric, budget_index)
}

/// The maps of samples that several windows share, as `[windows, samples, heads]`.
pub(super) fn head_values(
    shared: &[Vec<&Point>],
    metric: Metric,
) -> Result<WindowValues, AnalysisError> {
    let samples = shared.first().map_or(0, Vec::len);
    let heads = shared
        .first()
        .and_then(|points| points.first())
        .map_or(0, |point| point.by_head.len());
    let all = shared.iter().flatten();
    let all = all
        .flat_map(|point| point.by_head.iter().copied())
        .collect();
    WindowValues::new(shared.len(), samples, heads, all, Some(metric.bounds()))
}
