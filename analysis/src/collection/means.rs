//! Means over the samples of a group, with intervals.

use super::{Collection, SampleGroup, WindowSamples, place_of};
use crate::budget::Budget;
use crate::comparison::Metric;
use crate::statistics::{Interval, bootstrap_interval, mean};

/// One metric of one window at one budget: the mean over samples, each sample the mean over its layers
/// and heads.
#[derive(Debug, Clone, PartialEq)]
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
    /// Samples that the budget applies to.
    pub samples: usize,
    /// The mean.
    pub mean: f64,
    /// [`bootstrap_interval`] over samples, cut to 0..=1; none of fewer than two samples.
    pub interval: Option<Interval>,
}

impl Collection {
    /// The summaries of a metric: groups and windows in the order in which they came, budgets as given. A
    /// budget that applies to no sample is left out.
    ///
    /// Every interval draws with the same seed, so windows of equally many samples are resampled alike.
    pub fn summaries(&self, metric: Metric, seed: u64) -> Vec<GroupSummary<'_>> {
        let mut summaries = Vec::new();
        for entry in &self.groups {
            for window in &entry.windows {
                for (index, &budget) in self.budgets.iter().enumerate() {
                    let values = window.sample_means(index, metric);
                    let Some(mean) = mean(values.iter().copied()) else {
                        continue;
                    };
                    summaries.push(GroupSummary {
                        group: &entry.group,
                        window: &window.label,
                        score_kind: &window.score_kind,
                        metric,
                        budget,
                        samples: values.len(),
                        mean,
                        interval: bootstrap_interval(&values, seed)
                            .map(|interval| interval.within(0.0, 1.0)),
                    });
                }
            }
        }
        summaries
    }
}

impl WindowSamples {
    /// Mean over heads of every sample that the budget applies to.
    fn sample_means(&self, budget: usize, metric: Metric) -> Vec<f64> {
        let place = place_of(metric);
        let points = self
            .samples
            .iter()
            .filter_map(|sample| sample.point(budget));
        points.map(|point| point.means[place]).collect()
    }
}
