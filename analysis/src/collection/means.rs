//! Means over the samples of a group, with intervals.

use super::points::MeanOverHeads;
use super::{Collection, GroupSamples, SampleGroup, WindowSamples};
use crate::budget::Budget;
use crate::comparison::Metric;
use crate::statistics::{Interval, mean, mean_interval};

/// One metric of one window at one budget: the mean over samples, each sample the mean over those of its layers
/// and heads in which the metric is defined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupSummary<'a> {
    /// The group.
    pub group: &'a SampleGroup,
    /// The window as it was typed.
    pub window: &'a str,
    /// What its scores are.
    pub score_kind: &'a str,
    /// The metric.
    pub metric: Metric,
    /// The budget as it was typed.
    pub budget: Budget,
    /// Samples that the budget applies to and in which at least one head is defined.
    pub samples: usize,
    /// Heads that are in the mean of a sample: the smallest number over the samples.
    pub heads: usize,
    /// The largest.
    pub most_heads: usize,
    /// All heads of all layers.
    pub all_heads: usize,
    /// The mean.
    pub mean: f64,
    /// [`mean_interval`] over samples within 0..=1; none of the truth's own 1.
    pub interval: Option<Interval>,
    /// The mean of the ceilings over the same samples and heads, where every sample has one.
    pub ceiling: Option<f64>,
}

impl Collection {
    /// The summaries of a metric: groups and windows in the order in which they came, budgets as given. A
    /// budget at which no sample has a value is left out.
    ///
    /// Every interval draws with the same seed, so windows of equally many samples are resampled alike.
    pub fn summaries(&self, metric: Metric, seed: u64) -> Vec<GroupSummary<'_>> {
        let budgets = match metric {
            Metric::KeptRecall | Metric::HitRate => self.budgets.len(),
            _ => self.mapped,
        };
        let windows = self
            .groups
            .iter()
            .flat_map(|entry| entry.windows.iter().map(move |window| (entry, window)));
        let summary = |(entry, window)| {
            let budgets = self.budgets.iter().enumerate().take(budgets);
            let of_budget =
                move |(index, &budget)| summary(entry, window, metric, (index, budget), seed);
            budgets
                .filter_map(of_budget)
                .map(|summary| self.without_interval_of_definition(summary))
        };
        windows.flat_map(summary).collect()
    }

    fn without_interval_of_definition<'a>(&self, summary: GroupSummary<'a>) -> GroupSummary<'a> {
        let is_by_definition = self.is_truth && summary.mean == 1.0;
        GroupSummary {
            interval: summary.interval.filter(|_| !is_by_definition),
            ..summary
        }
    }
}

fn summary<'a>(
    entry: &'a GroupSamples,
    window: &'a WindowSamples,
    metric: Metric,
    (index, budget): (usize, Budget),
    seed: u64,
) -> Option<GroupSummary<'a>> {
    let samples: Vec<MeanOverHeads> = window
        .at(index)
        .filter_map(|(_, point)| point.mean(metric))
        .collect();
    let values: Vec<f64> = samples.iter().map(|sample| sample.mean).collect();
    let ceilings: Option<Vec<f64>> = samples.iter().map(|sample| sample.ceiling).collect();
    Some(GroupSummary {
        group: &entry.group,
        window: &window.label,
        score_kind: &window.score_kind,
        metric,
        budget,
        samples: values.len(),
        heads: samples.iter().map(|sample| sample.heads).min()?,
        most_heads: samples.iter().map(|sample| sample.heads).max()?,
        all_heads: window.shape.layers * window.shape.heads,
        mean: mean(values.iter().copied())?,
        interval: mean_interval(&values, Some(metric.bounds()), seed),
        ceiling: ceilings.and_then(mean),
    })
}
