//! The area under a curve of recall over a logarithmic axis of budgets.

use crate::overlap::recall;

/// Sums that run beside each other, so that an addition need not wait for the one before.
const LANES: usize = 8;

/// Weights that turn the overlap at every budget 1..=N into the area under recall over `ln B`.
///
/// The trapezoid rule gives recall at budget B half of the two intervals `ln (B + 1) / B` beside it; the
/// weight of an overlap is that share divided by B. They are the same for all heads.
pub(super) struct LogAxis {
    weights: Vec<f64>,
    length: f64,
}

impl LogAxis {
    /// The axis of rankings of `rankable` tokens.
    pub(super) fn new(rankable: usize) -> Self {
        let mut weights = Vec::with_capacity(rankable);
        let mut before = 0.0;
        for budget in 1..=rankable {
            let behind = match budget < rankable {
                true => ((budget + 1) as f64 / budget as f64).ln(),
                false => 0.0,
            };
            weights.push(0.5 * (before + behind) / budget as f64);
            before = behind;
        }
        let whole: Vec<u32> = (1..=rankable as u32).collect();
        let length = weighted_sum(&weights, &whole);
        Self { weights, length }
    }

    /// Area under recall as a share of the axis, from the overlap at every budget 0..=N: the area of a recall
    /// of 1 throughout is summed in the same order and gives exactly 1.
    pub(super) fn area(&self, overlap: &[u32]) -> f64 {
        if self.weights.len() < 2 {
            return f64::from(recall(overlap, self.weights.len()));
        }
        weighted_sum(&self.weights, &overlap[1..]) / self.length
    }
}

fn weighted_sum(weights: &[f64], counts: &[u32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let parts = weights.chunks(LANES).zip(counts.chunks(LANES));
    for (weights, counts) in parts {
        for ((lane, weight), &count) in lanes.iter_mut().zip(weights).zip(counts) {
            *lane += weight * f64::from(count);
        }
    }
    lanes.iter().sum()
}
