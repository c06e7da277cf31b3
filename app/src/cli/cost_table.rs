//! The second table on stdout: what each window cost, and what its scores are.

use comfy_table::CellAlignment;
use kvlens_sessions::windows::DECODE_LABEL;
use kvlens_sessions::{Cost, ScoreKind};

use super::grid::grid;
use crate::measurement::MeasuredWindow;

const HEADER: [&str; 7] = ["window", "rows", "tokens", "ms", "MFLOP", "MiB", "scores"];

/// Costs summed over samples, by window in the order of the plan.
#[derive(Default)]
pub struct CostSummary {
    windows: Vec<WindowCosts>,
}

struct WindowCosts {
    label: String,
    score_kind: ScoreKind,
    samples: usize,
    sum: Cost,
}

impl CostSummary {
    /// Adds what one sample cost.
    pub fn add(&mut self, oracle: &Cost, windows: &[MeasuredWindow]) {
        self.add_window(DECODE_LABEL, ScoreKind::Attention, oracle);
        for window in windows {
            self.add_window(&window.label, window.score_kind, &window.cost);
        }
    }

    fn add_window(&mut self, label: &str, score_kind: ScoreKind, cost: &Cost) {
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

    /// The table with its heading.
    pub fn text(&self) -> String {
        let rows = self.windows.iter().map(|entry| entry.cells().to_vec());
        let mut table = grid(HEADER.map(str::to_owned).to_vec(), rows);
        if let Some(scores) = table.column_mut(HEADER.len() - 1) {
            scores.set_cell_alignment(CellAlignment::Left);
        }
        format!(
            "Cost beyond the prefill\n\n{table}\n\nRows, tokens run through a model, time and \
             operations are means over samples;\nmemory is the most held at once.\n"
        )
    }
}

impl WindowCosts {
    fn cells(&self) -> [String; 7] {
        let count = self.samples as f64;
        [
            self.label.clone(),
            format!("{:.0}", self.sum.rows as f64 / count),
            format!("{:.0}", self.sum.extra_tokens as f64 / count),
            format!("{:.2}", self.sum.seconds * 1e3 / count),
            format!("{:.1}", self.sum.flops / 1e6 / count),
            format!("{:.2}", self.sum.peak_bytes as f64 / f64::from(1 << 20)),
            self.score_kind.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_means_over_samples_and_memory_is_the_most() {
        let cost = |rows: usize, peak_bytes: usize| Cost {
            rows,
            seconds: 0.5,
            flops: 3e6,
            extra_tokens: rows,
            peak_bytes,
        };
        let mut summary = CostSummary::default();
        summary.add_window("laq", ScoreKind::Attention, &cost(8, 1 << 20));
        summary.add_window("laq", ScoreKind::Attention, &cost(6, 3 << 20));
        summary.add_window("knorm", ScoreKind::KeyNorm, &Cost::default());
        assert_eq!(
            summary.windows[0].cells(),
            ["laq", "7", "7", "500.00", "3.0", "3.00", "attention"]
        );
        let text = summary.text();
        let line = text.lines().find(|line| line.contains("knorm")).unwrap();
        assert!(line.contains("key-norm"), "{text}");
    }
}
