//! One number per window, sample and head, and its means.

use super::{Interval, bootstrap_interval, mean};
use crate::budget::Budget;
use crate::comparison::{Comparison, Metric, same};
use crate::error::AnalysisError;

/// One finite number per window, sample and head, `[windows, samples, heads]`: a metric at a budget, or a
/// measure without one. `heads` runs over layers, then heads, as everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowValues {
    windows: usize,
    samples: usize,
    heads: usize,
    values: Vec<f64>,
}

impl WindowValues {
    /// Values as they are.
    ///
    /// # Errors
    /// [`AnalysisError::Empty`] for no windows, samples or heads, [`AnalysisError::Length`] for another
    /// number of values, [`AnalysisError::NotANumber`] for one that is not finite.
    pub fn new(
        windows: usize,
        samples: usize,
        heads: usize,
        values: Vec<f64>,
    ) -> Result<Self, AnalysisError> {
        for (count, what) in [(windows, "windows"), (samples, "samples"), (heads, "heads")] {
            if count == 0 {
                return Err(AnalysisError::Empty { what });
            }
        }
        let expected = windows.saturating_mul(samples).saturating_mul(heads);
        if values.len() != expected {
            return Err(AnalysisError::Length {
                what: "a block of values",
                dimensions: format!("[windows {windows}, samples {samples}, heads {heads}]"),
                expected,
                found: values.len(),
            });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let (row, head) = (index / heads, index % heads);
            return Err(AnalysisError::NotANumber {
                what: "the value",
                place: format!(
                    "window {}, sample {}, head {head}",
                    row / samples,
                    row % samples
                ),
                value: values[index].to_string(),
            });
        }
        Ok(Self {
            windows,
            samples,
            heads,
            values,
        })
    }

    /// A metric at a budget, from comparisons given as `[windows][samples]`: the same samples in the same
    /// order for every window.
    ///
    /// # Errors
    /// [`AnalysisError::Mismatch`] when windows differ in samples or comparisons in heads,
    /// [`AnalysisError::BudgetNotCompared`] when a comparison has no point at the budget.
    pub fn of_comparisons(
        comparisons: &[Vec<&Comparison>],
        metric: Metric,
        budget: Budget,
    ) -> Result<Self, AnalysisError> {
        let samples = comparisons.first().map_or(0, Vec::len);
        let heads = comparisons
            .first()
            .and_then(|first| first.first())
            .map_or(0, |comparison| comparison.by_head.len());
        let mut values = Vec::with_capacity(comparisons.len() * samples * heads);
        for window in comparisons {
            same("numbers of samples", samples, window.len())?;
            for comparison in window {
                same("numbers of heads", heads, comparison.by_head.len())?;
                let tokens = budget.tokens(comparison.prompt_tokens);
                let point = comparison.budget_index(tokens)?;
                values.extend(comparison.metric_map(metric, point));
            }
        }
        Self::new(comparisons.len(), samples, heads, values)
    }

    /// Number of windows.
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Number of heads over all layers.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// The values of one window and head, `[samples]`.
    ///
    /// # Panics
    /// When the window or the head does not exist.
    pub fn over_samples(&self, window: usize, head: usize) -> Vec<f64> {
        assert!(head < self.heads, "no head {head}");
        self.rows(window).map(|row| row[head]).collect()
    }

    /// Mean over heads of every sample of one window, `[samples]`.
    ///
    /// # Panics
    /// When the window does not exist.
    pub fn sample_means(&self, window: usize) -> Vec<f64> {
        self.rows(window)
            .map(|row| row.iter().sum::<f64>() / self.heads as f64)
            .collect()
    }

    /// Mean over samples of every head of one window, `[heads]`: what a map shows.
    ///
    /// # Panics
    /// When the window does not exist.
    pub fn head_means(&self, window: usize) -> Vec<f64> {
        let mut sums = vec![0.0; self.heads];
        for row in self.rows(window) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
        for sum in &mut sums {
            *sum /= self.samples as f64;
        }
        sums
    }

    fn rows(&self, window: usize) -> impl Iterator<Item = &[f64]> {
        assert!(window < self.windows, "no window {window}");
        let block = self.samples * self.heads;
        self.values[window * block..(window + 1) * block].chunks_exact(self.heads)
    }
}

/// The mean over the samples of one group, such as a task.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupMean {
    /// Name of the group.
    pub group: String,
    /// Number of samples.
    pub samples: usize,
    /// Mean over its samples.
    pub mean: f64,
    /// [`bootstrap_interval`] of that mean; none of fewer than two samples.
    pub interval: Option<Interval>,
}

/// The mean of every group, in the order in which groups first appear. `groups` names the group of each
/// value, one value a sample. The mean of these means weighs tasks alike, the mean of all values weighs
/// samples alike.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the two differ in length, [`AnalysisError::NotANumber`] for a value
/// that is not finite.
pub fn means_by_group(
    groups: &[&str],
    values: &[f64],
    seed: u64,
) -> Result<Vec<GroupMean>, AnalysisError> {
    same("numbers of samples", groups.len(), values.len())?;
    let mut gathered: Vec<(&str, Vec<f64>)> = Vec::new();
    for (sample, (&group, &value)) in groups.iter().zip(values).enumerate() {
        if !value.is_finite() {
            return Err(AnalysisError::NotANumber {
                what: "the value",
                place: format!("sample {sample}"),
                value: value.to_string(),
            });
        }
        match gathered.iter_mut().find(|(known, _)| *known == group) {
            Some((_, members)) => members.push(value),
            None => gathered.push((group, vec![value])),
        }
    }
    Ok(gathered
        .into_iter()
        .map(|(group, members)| GroupMean {
            group: group.to_owned(),
            samples: members.len(),
            mean: mean(members.iter().copied()).unwrap_or(f64::NAN),
            interval: bootstrap_interval(&members, seed),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> WindowValues {
        let values = vec![
            0.0, 1.0, 0.5, 0.5, 1.0, 0.0, // window 0: three samples of two heads
            0.25, 0.75, 0.5, 1.0, 0.0, 0.5, // window 1
        ];
        WindowValues::new(2, 3, 2, values).unwrap()
    }

    #[test]
    fn means_run_over_what_their_names_say() {
        let values = values();
        assert_eq!(values.over_samples(1, 0), [0.25, 0.5, 0.0]);
        assert_eq!(values.sample_means(1), [0.5, 0.75, 0.25]);
        assert_eq!(values.head_means(0), [0.5, 0.5]);
        assert_eq!(values.head_means(1), [0.25, 0.75]);
    }

    #[test]
    fn a_value_that_is_no_number_is_refused_with_its_place() {
        let mut wrong = vec![0.5; 12];
        wrong[9] = f64::NAN;
        let refused = WindowValues::new(2, 3, 2, wrong).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the value of window 1, sample 1, head 1 is NaN, not a finite number"
        );
        assert!(WindowValues::new(2, 3, 2, vec![0.5; 11]).is_err());
        assert!(WindowValues::new(2, 0, 2, vec![]).is_err());
    }

    #[test]
    fn groups_come_in_the_order_in_which_they_appear() {
        let means = means_by_group(&["b", "a", "b"], &[0.5, 0.25, 1.0], 1).unwrap();
        let told: Vec<(&str, usize, f64)> = means
            .iter()
            .map(|mean| (mean.group.as_str(), mean.samples, mean.mean))
            .collect();
        assert_eq!(told, [("b", 2, 0.75), ("a", 1, 0.25)]);
        assert!(means[0].interval.is_some() && means[1].interval.is_none());
        let refused = means_by_group(&["a", "b"], &[0.5, f64::NAN], 1).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the value of sample 1 is NaN, not a finite number"
        );
    }
}
