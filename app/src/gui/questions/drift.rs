//! When each window foresees: recall and output error by decode step and by horizon.

use std::sync::Arc;

use super::{Answer, AskedSample, CurvesKey};
use crate::gui::lanes::Reporter;
use crate::measurement::drift::{DriftAsked, Parts, window_drift};

/// The drift of a sample's windows, or of those that are done.
#[derive(Clone, Debug)]
pub struct DriftAnswer {
    /// What was asked.
    pub key: CurvesKey,
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
    /// Decode steps up to each horizon, ascending.
    pub horizons: Vec<usize>,
    /// Recall, `[L, heads]`.
    pub recall: Vec<HeadCurves>,
    /// Output error, `[L, heads]`; empty where the session keeps no values.
    pub output_error: Vec<HeadCurves>,
}

/// One head's number, laid out so that the curve at one budget is one slice: a drag of the budget reads it for
/// every head of every window.
#[derive(Clone, Debug)]
pub struct HeadCurves {
    /// Of each step alone, `[budgets, S]`.
    by_step: Vec<f64>,
    /// Of the stage up to each horizon, `[budgets, horizons]`.
    by_horizon: Vec<f64>,
    budgets: usize,
}

impl HeadCurves {
    /// Lays one head's number at so many budgets out.
    #[must_use]
    pub fn of(parts: &Parts, budgets: usize) -> Self {
        let by_budget = |points: &[Vec<f64>]| -> Vec<f64> {
            let at = |at: usize| {
                points
                    .iter()
                    .filter_map(move |point| point.get(at).copied())
            };
            (0..budgets).flat_map(at).collect()
        };
        Self {
            by_step: by_budget(&parts.by_step),
            by_horizon: by_budget(&parts.by_horizon),
            budgets,
        }
    }

    /// Of each step alone at a budget, `[S]`.
    #[must_use]
    pub fn steps(&self, budget: usize) -> &[f64] {
        self.curve(&self.by_step, budget)
    }

    /// Up to each horizon at a budget, `[horizons]`.
    #[must_use]
    pub fn horizons(&self, budget: usize) -> &[f64] {
        self.curve(&self.by_horizon, budget)
    }

    fn curve<'a>(&self, curves: &'a [f64], budget: usize) -> &'a [f64] {
        let points = curves.len() / self.budgets.max(1);
        curves
            .get(budget * points..(budget + 1) * points)
            .unwrap_or_default()
    }
}

pub(super) fn answer(
    sample: &AskedSample,
    key: CurvesKey,
    known: Vec<Arc<DriftOfWindow>>,
    reporter: &Reporter<'_>,
) -> anyhow::Result<()> {
    let captured = sample.load(reporter.samples)?;
    let windows = &sample.shown.sample.windows;
    let mut answer = DriftAnswer {
        key,
        windows: known,
        asked_windows: windows.len(),
    };
    for window in windows.iter().skip(answer.windows.len()) {
        let stage = format!("Drift of {}", window.label);
        let drift = window_drift(
            &captured,
            &sample.shown.options,
            window,
            DriftAsked::at(&answer.key.budgets),
            &mut |done, total| reporter.on_head(&stage, done, total),
        )?;
        let budgets = answer.key.budgets.len();
        let heads = drift.by_head.iter();
        let errors = heads.clone().map(|head| &head.output_error);
        let known = errors.filter(|errors| !errors.by_step.is_empty());
        answer.windows.push(Arc::new(DriftOfWindow {
            label: window.label.clone(),
            layers: window.comparison.layers,
            heads: window.comparison.heads,
            horizons: drift.horizons,
            recall: heads
                .map(|head| HeadCurves::of(&head.recall, budgets))
                .collect(),
            output_error: known
                .map(|errors| HeadCurves::of(errors, budgets))
                .collect(),
        }));
        reporter.answer(Answer::Drift(Arc::new(answer.clone())));
    }
    Ok(())
}

/// Numbers that the drift of a sample's windows holds for each budget.
pub(crate) fn numbers_per_budget(sample: &AskedSample) -> usize {
    let measured = &sample.shown.sample;
    let steps = measured.record.generated_ids.len();
    // recall and output error of each step, and of each horizon: the powers of two below the steps, and all
    let points = 2 * (steps + steps.max(1).ilog2() as usize + 2);
    let heads = measured
        .windows
        .iter()
        .map(|window| window.comparison.layers * window.comparison.heads);
    heads.sum::<usize>() * points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_holds_every_step_at_one_budget() {
        let drift = Parts {
            by_step: vec![vec![0.1, 0.2], vec![0.3, 0.4], vec![0.5, 0.6]],
            by_horizon: vec![vec![0.7, 0.8]],
        };
        let curves = HeadCurves::of(&drift, 2);
        assert_eq!(curves.steps(0), [0.1, 0.3, 0.5]);
        assert_eq!(curves.steps(1), [0.2, 0.4, 0.6]);
        assert_eq!(curves.horizons(1), [0.8]);
        assert!(curves.steps(2).is_empty());
    }
}
