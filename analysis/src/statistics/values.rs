//! One number per window, sample and head, and its means.

use crate::error::AnalysisError;

/// One number per window, sample and head, `[windows, samples, heads]`: a metric at a budget, or a
/// measure without one; NaN where it is undefined. `heads` runs over layers, then heads, as everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowValues {
    windows: usize,
    samples: usize,
    heads: usize,
    values: Vec<f64>,
    bounds: Option<(f64, f64)>,
}

impl WindowValues {
    /// Values as they are; `bounds` are what none of them can leave, where that is known.
    ///
    /// # Errors
    /// [`AnalysisError::Empty`] for no windows, samples or heads, [`AnalysisError::Length`] for another
    /// number of values, [`AnalysisError::NotANumber`] for one that is infinite.
    pub fn new(
        windows: usize,
        samples: usize,
        heads: usize,
        values: Vec<f64>,
        bounds: Option<(f64, f64)>,
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
        if let Some(index) = values.iter().position(|value| value.is_infinite()) {
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
            bounds,
        })
    }

    /// Every value with the other sign, so that the lowest becomes the highest.
    pub(crate) fn negated(&self) -> Self {
        Self {
            values: self.values.iter().map(|value| -value).collect(),
            bounds: self.bounds.map(|(low, high)| (-high, -low)),
            ..*self
        }
    }

    /// What none of the values can leave, where that is known.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        self.bounds
    }

    /// Heads that are defined for every window and sample: the only ones that windows are compared in.
    pub fn defined_heads(&self) -> Vec<usize> {
        let mut defined = vec![true; self.heads];
        for row in self.values.chunks_exact(self.heads) {
            for (defined, value) in defined.iter_mut().zip(row) {
                *defined &= !value.is_nan();
            }
        }
        (0..self.heads).filter(|&head| defined[head]).collect()
    }

    /// What was found of the [`Self::defined_heads`], each at its head; none at the others. `[heads]`.
    pub(super) fn by_head<V: Clone>(&self, defined: &[usize], found: Vec<V>) -> Vec<Option<V>> {
        let mut by_head = vec![None; self.heads];
        for (&head, found) in defined.iter().zip(found) {
            by_head[head] = Some(found);
        }
        by_head
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

    /// Mean over samples of every head of one window, `[heads]`: what a map shows; NaN where a sample is
    /// undefined.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> WindowValues {
        let values = vec![
            0.0, 1.0, 0.5, 0.5, 1.0, 0.0, // window 0: three samples of two heads
            0.25, 0.75, 0.5, 1.0, 0.0, 0.5, // window 1
        ];
        WindowValues::new(2, 3, 2, values, None).unwrap()
    }

    #[test]
    fn means_run_over_what_their_names_say() {
        let values = values();
        assert_eq!(values.over_samples(1, 0), [0.25, 0.5, 0.0]);
        assert_eq!(values.head_means(0), [0.5, 0.5]);
        assert_eq!(values.head_means(1), [0.25, 0.75]);
    }

    #[test]
    fn an_undefined_value_leaves_its_head_out() {
        let mut some = vec![0.5; 12];
        some[9] = f64::NAN;
        let values = WindowValues::new(2, 3, 2, some, Some((0.0, 1.0))).unwrap();
        assert_eq!(values.defined_heads(), [0]);
        let means = values.head_means(1);
        assert!(means[0] == 0.5 && means[1].is_nan());
        assert_eq!(values.by_head(&[0], vec!["found"]), [Some("found"), None]);
    }

    #[test]
    fn an_infinite_value_is_refused_with_its_place() {
        let mut wrong = vec![0.5; 12];
        wrong[9] = f64::INFINITY;
        let refused = WindowValues::new(2, 3, 2, wrong, None).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the value of window 1, sample 1, head 1 is inf, not a finite number"
        );
        assert!(WindowValues::new(2, 3, 2, vec![0.5; 11], None).is_err());
        assert!(WindowValues::new(2, 0, 2, vec![], None).is_err());
    }
}
