//! The second table on stdout: what each window cost, and what its scores are.

use comfy_table::CellAlignment;

use super::grid::grid;
use crate::jobs::measure::{CostSummary, WindowCosts};

const HEADER: [&str; 7] = ["window", "rows", "tokens", "ms", "MFLOP", "MiB", "scores"];

/// The table with its heading.
pub fn text(costs: &CostSummary) -> String {
    let rows = costs.windows.iter().map(|entry| cells(entry).to_vec());
    let mut table = grid(HEADER.map(str::to_owned).to_vec(), rows);
    if let Some(scores) = table.column_mut(HEADER.len() - 1) {
        scores.set_cell_alignment(CellAlignment::Left);
    }
    format!(
        "Cost beyond the prefill\n\n{table}\n\nRows, tokens run through a model, time and \
         operations are means over samples;\nmemory is the most held at once.\n"
    )
}

fn cells(window: &WindowCosts) -> [String; 7] {
    let count = window.samples as f64;
    [
        window.label.clone(),
        format!("{:.0}", window.sum.rows as f64 / count),
        format!("{:.0}", window.sum.extra_tokens as f64 / count),
        format!("{:.2}", window.sum.seconds * 1e3 / count),
        format!("{:.1}", window.sum.flops / 1e6 / count),
        format!("{:.2}", window.sum.peak_bytes as f64 / f64::from(1 << 20)),
        window.score_kind.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use kvlens_sessions::{Cost, ScoreKind};

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
            cells(&summary.windows[0]),
            ["laq", "7", "7", "500.00", "3.0", "3.00", "attention"]
        );
        let text = text(&summary);
        let line = text.lines().find(|line| line.contains("knorm")).unwrap();
        assert!(line.contains("key-norm"), "{text}");
    }
}
