//! What each window cost, over samples.

use kvlens_sessions::windows::DECODE_LABEL;
use kvlens_sessions::{Cost, ScoreKind};

use super::numbers::WindowNumbers;

/// Costs summed over samples, by window in the order of the plan.
#[derive(Default)]
pub struct CostSummary {
    /// The decode stage first.
    pub windows: Vec<WindowCosts>,
}

/// What one window cost.
pub struct WindowCosts {
    /// Its label.
    pub label: String,
    /// What its scores are.
    pub score_kind: ScoreKind,
    /// Samples that the sum is over.
    pub samples: usize,
    /// The sum.
    pub sum: Cost,
}

impl CostSummary {
    /// Adds what one sample cost.
    pub fn add(&mut self, oracle: &Cost, windows: &[WindowNumbers]) {
        self.add_window(DECODE_LABEL, ScoreKind::Attention, oracle);
        for window in windows {
            self.add_window(&window.label, window.score_kind, &window.cost);
        }
    }

    /// Adds what one window cost for one sample.
    pub fn add_window(&mut self, label: &str, score_kind: ScoreKind, cost: &Cost) {
        let known = self.windows.iter_mut().find(|entry| entry.label == label);
        match known {
            Some(entry) => {
                entry.samples += 1;
                entry.sum = entry.sum.and_then(*cost);
            }
            None => self.windows.push(WindowCosts {
                label: label.to_owned(),
                score_kind,
                samples: 1,
                sum: *cost,
            }),
        }
    }
}
