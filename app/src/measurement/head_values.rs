//! A metric at one budget in every query head of every sample, gathered over a session.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use kvlens_analysis::statistics::{WindowValues, mean};
use kvlens_analysis::{AnalysisError, Budget, Metric};

use super::{MeasuredSample, MeasuredWindow};

/// One number of every window and query head, sample by sample.
///
/// Windows that score per key/value head or per layer count once for each query head that shares them, so that
/// all windows have the same heads.
///
/// What counts is the document with its question: samples that differ in where the question stands, or in nothing, are
/// no further evidence, and their mean counts once.
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
    /// The samples of each document, in the order of coming.
    documents: Vec<Vec<usize>>,
    /// Index of a document by the hash of what names it: prompts are long, and may be many. Never iterated.
    known: HashMap<u64, usize>,
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
            documents: Vec::new(),
            known: HashMap::new(),
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
            Some(values) => {
                let record = &sample.record;
                match record.document_and_question() {
                    Some(document) => self.count(&document),
                    None => self.count(&record.prompt),
                }
                self.samples.push(values);
            }
            None => self.skipped += 1,
        }
    }

    /// Puts the next sample to the others of its document.
    fn count(&mut self, document: &str) {
        let mut hasher = DefaultHasher::new();
        document.hash(&mut hasher);
        let next = self.documents.len();
        let index = *self.known.entry(hasher.finish()).or_insert(next);
        if index == next {
            self.documents.push(Vec::new());
        }
        self.documents[index].push(self.samples.len());
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

    /// Documents that they are of, each of which counts once.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.documents.len()
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
        let heads = self.layers * self.query_heads;
        let mut values = Vec::new();
        for place in &places {
            for samples in &self.documents {
                let of_head = |head| self.mean_over(samples, *place, head);
                values.extend((0..heads).map(of_head));
            }
        }
        WindowValues::new(
            places.len(),
            self.documents.len(),
            heads,
            values,
            Some((0.0, 1.0)),
        )
    }
}

impl HeadValues {
    /// Over the samples in which the head is defined; NaN without one.
    fn mean_over(&self, samples: &[usize], window: usize, head: usize) -> f64 {
        let of_sample = |sample: &usize| self.samples.get(*sample)?.get(window)?.get(head).copied();
        mean(
            samples
                .iter()
                .filter_map(of_sample)
                .filter(|value| !value.is_nan()),
        )
        .unwrap_or(f64::NAN)
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

    /// The first two samples are one document, whose second head is defined in one of them.
    #[test]
    fn a_document_counts_once_by_the_mean_of_its_samples() {
        let mut values = HeadValues::new([1, 2], Metric::Recall, Budget::Tokens(1));
        values.windows.push("last:8".to_owned());
        for (document, heads) in [
            ("d", vec![0.25, f64::NAN]),
            ("d", vec![0.5, 0.75]),
            ("e", vec![0.625, 0.25]),
        ] {
            values.count(document);
            values.samples.push(vec![heads]);
        }
        assert_eq!((values.samples(), values.documents()), (3, 2));
        let found = values.of(&["last:8".to_owned()]).unwrap();
        assert_eq!(found.head_means(0), [0.5, 0.5]);
    }
}
