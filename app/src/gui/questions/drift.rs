//! When each window foresees: recall by decode step and by horizon.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Answer, AskedSample};
use crate::gui::jobs::Reporter;
use crate::measurement::drift::{WindowDrift, window_drift};

/// The drift of a sample's windows, or of those that are done.
#[derive(Clone, Debug)]
pub struct DriftAnswer {
    /// The session's folder.
    pub path: PathBuf,
    /// Number among the finished samples.
    pub index: usize,
    /// Version of the measured sample.
    pub shown_version: u64,
    /// Budgets in tokens, ascending.
    pub budgets: Vec<usize>,
    /// The windows that are done, in the sample's order.
    pub windows: Vec<Arc<DriftOfWindow>>,
    /// Windows that were asked for.
    pub asked_windows: usize,
}

/// One window's drift.
#[derive(Clone, Debug)]
pub struct DriftOfWindow {
    /// Its label.
    pub label: String,
    /// L.
    pub layers: usize,
    /// Heads of a layer that the window's scoring tells apart.
    pub heads: usize,
    /// The numbers.
    pub drift: WindowDrift,
}

pub(super) fn answer(
    sample: &AskedSample,
    budgets: &[usize],
    reporter: &Reporter<'_>,
) -> anyhow::Result<()> {
    let captured = sample.load()?;
    let windows = &sample.shown.sample.windows;
    let mut answer = DriftAnswer {
        path: sample.path.clone(),
        index: sample.shown.index,
        shown_version: sample.shown.version,
        budgets: budgets.to_vec(),
        windows: Vec::with_capacity(windows.len()),
        asked_windows: windows.len(),
    };
    for window in windows {
        let stage = format!("Drift of {}", window.label);
        let drift = window_drift(
            &captured,
            &sample.shown.options,
            window,
            budgets,
            &mut |done, total| reporter.on_head(&stage, done, total),
        )?;
        answer.windows.push(Arc::new(DriftOfWindow {
            label: window.label.clone(),
            layers: window.comparison.layers,
            heads: window.comparison.heads,
            drift,
        }));
        reporter.answer(Answer::Drift(Arc::new(answer.clone())));
    }
    Ok(())
}

/// Numbers that the drift of a sample's windows holds for each budget.
pub(crate) fn numbers_per_budget(sample: &AskedSample) -> usize {
    let measured = &sample.shown.sample;
    let steps = measured.record.generated_ids.len();
    // a number for each step, and for each horizon: the powers of two below the steps, and all
    let points = steps + steps.max(1).ilog2() as usize + 2;
    let heads = measured
        .windows
        .iter()
        .map(|window| window.comparison.layers * window.comparison.heads);
    heads.sum::<usize>() * points
}
