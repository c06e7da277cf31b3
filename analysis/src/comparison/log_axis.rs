//! The area under a curve of recall over a logarithmic axis of budgets.

use std::ops::RangeInclusive;

use super::{RECALL_AUC_FIRST_PERCENT, RECALL_AUC_LAST_PERCENT};
use crate::overlap::share_of;

/// Sums that run beside each other, so that an addition need not wait for the one before.
const LANES: usize = 8;

/// Weights that turn the overlap at every budget of the axis into the area under recall over `ln B`.
///
/// The trapezoid rule gives recall at budget B half of the two intervals `ln (B + 1) / B` beside it; the
/// weight of an overlap is that share divided by B. They are the same for all heads of a layer.
pub(super) struct LogAxis {
    budgets: RangeInclusive<usize>,
    weights: Vec<f64>,
    length: f64,
}

impl LogAxis {
    /// The axis of a prompt whose rankings hold `rankable` tokens: the stated shares of the prompt, as far as they
    /// lie below the rankable tokens.
    pub(super) fn new(prompt_tokens: usize, rankable: usize) -> Self {
        let first = (prompt_tokens * RECALL_AUC_FIRST_PERCENT).div_ceil(100);
        let last = prompt_tokens * RECALL_AUC_LAST_PERCENT / 100;
        let (first, last) = (first.max(1), last.min(rankable.saturating_sub(1)));
        let mut weights = Vec::with_capacity((last + 1).saturating_sub(first));
        let mut before = 0.0;
        for budget in first..=last {
            let behind = match budget < last {
                true => ((budget + 1) as f64 / budget as f64).ln(),
                false => 0.0,
            };
            weights.push(0.5 * (before + behind) / budget as f64);
            before = behind;
        }
        let whole: Vec<u32> = (first as u32..=last as u32).collect();
        Self {
            length: weighted_sum(&weights, &whole),
            budgets: first..=last,
            weights,
        }
    }

    /// Area under recall as a share of the axis, from the overlap at every budget 0..=N; the recall itself of an axis
    /// of one budget, NaN of an empty one. The area of a recall of 1 throughout is summed in the same order and gives
    /// exactly 1.
    pub(super) fn area(&self, overlap: &[u32]) -> f64 {
        let of_axis = overlap.get(self.budgets.clone()).unwrap_or_default();
        match of_axis {
            [] => f64::NAN,
            &[shared] => share_of(*self.budgets.start(), shared),
            _ => weighted_sum(&self.weights, of_axis) / self.length,
        }
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
