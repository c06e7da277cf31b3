//! A metric at one budget in every query head of every sample, gathered over a session.

use kvlens_analysis::statistics::WindowValues;
use kvlens_analysis::{AnalysisError, Budget, Metric};

use super::{MeasuredSample, MeasuredWindow};

/// One number of every window and query head, sample by sample.
///
/// Windows that score per key/value head or per layer count once for each query head that shares them, so that
/// all windows have the same heads.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadValues {
    /// L.
    pub layers: usize,
    /// H.
    pub query_heads: usize,
    metric: Metric,
    budget: Budget,
    windows: Vec<String>,
    /// `[samples][windows][L * H]`
    samples: Vec<Vec<Vec<f64>>>,
    skipped: usize,
}

impl HeadValues {
    /// Nothing yet; the first sample says which windows there are.
    #[must_use]
    pub fn new([layers, query_heads]: [usize; 2], metric: Metric, budget: Budget) -> Self {
        Self {
            layers,
            query_heads,
            metric,
            budget,
            windows: Vec::new(),
            samples: Vec::new(),
            skipped: 0,
        }
    }

    /// Adds a sample that was measured at [`HeadValues::budgets`]. A prompt shorter than the budget, or one without
    /// all of the first one's windows, is counted as skipped.
    pub fn add(&mut self, sample: &MeasuredSample) {
        if self.windows.is_empty() {
            let labels = sample.windows.iter().map(|window| window.label.clone());
            self.windows = labels.collect();
        }
        let of_label = |label: &String| {
            let window = sample.windows.iter().find(|known| known.label == *label)?;
            self.of_window(window)
        };
        let values: Option<Vec<Vec<f64>>> = self.windows.iter().map(of_label).collect();
        match values.filter(|windows| !windows.is_empty()) {
            Some(values) => self.samples.push(values),
            None => self.skipped += 1,
        }
    }

    fn of_window(&self, window: &MeasuredWindow) -> Option<Vec<f64>> {
        let comparison = &window.comparison;
        let tokens = self.budget.tokens(comparison.prompt_tokens);
        let index = comparison.budget_index(tokens).ok()?;
        let values = comparison.metric_map(self.metric, index);
        let values = spread(&values, comparison.heads, self.query_heads);
        let fits = values.len() == self.layers * self.query_heads;
        fits.then_some(values)
    }

    /// The budgets in tokens that a prompt of T tokens is measured at: the one, or none if the prompt is shorter.
    #[must_use]
    pub fn budgets(&self, prompt_tokens: usize) -> Vec<usize> {
        match self.budget {
            Budget::Tokens(tokens) if tokens > prompt_tokens => Vec::new(),
            budget => vec![budget.tokens(prompt_tokens)],
        }
    }

    /// Windows in order.
    #[must_use]
    pub fn windows(&self) -> &[String] {
        &self.windows
    }

    /// Samples that count.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples.len()
    }

    /// Samples that could not count.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// The numbers of some of the windows, in their order.
    ///
    /// # Errors
    /// No samples or windows; numbers that are not finite.
    pub fn of(&self, windows: &[String]) -> Result<WindowValues, AnalysisError> {
        let places: Vec<usize> = windows
            .iter()
            .filter_map(|label| self.windows.iter().position(|known| known == label))
            .collect();
        let mut values = Vec::new();
        for place in &places {
            for sample in &self.samples {
                values.extend(sample.get(*place).into_iter().flatten());
            }
        }
        let heads = self.layers * self.query_heads;
        WindowValues::new(
            places.len(),
            self.samples.len(),
            heads,
            values,
            Some((0.0, 1.0)),
        )
    }
}

/// Repeats the value of a shared head for each of the query heads that share it.
#[must_use]
pub fn spread(values: &[f64], from: usize, to: usize) -> Vec<f64> {
    if from == to || from == 0 {
        return values.to_vec();
    }
    values
        .chunks_exact(from)
        .flat_map(|layer| (0..to).filter_map(move |head| layer.get(head * from / to).copied()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_heads_are_spread_over_their_query_heads() {
        assert_eq!(
            spread(&[1.0, 2.0, 3.0, 4.0], 2, 4),
            [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]
        );
        assert_eq!(spread(&[1.0, 2.0], 2, 2), [1.0, 2.0]);
    }
}
