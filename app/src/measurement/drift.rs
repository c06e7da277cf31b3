//! When a window foresees: recall of single decode steps, and of the decode stage up to a horizon.

use anyhow::Result;
use kvlens_analysis::drift::{DriftInput, HeadRows, recall_by_horizon, recall_by_step};
use kvlens_sessions::CapturedSample;

use super::head_rows::{OnHead, by_head};
use super::{MeasureOptions, MeasuredWindow};

/// One window's recall over the decode stage.
#[derive(Debug, Clone)]
pub struct WindowDrift {
    /// Decode steps up to each horizon, ascending: 1, 2, 4 and so on, and all.
    pub horizons: Vec<usize>,
    /// `[L, heads]`.
    pub by_head: Vec<HeadDrift>,
}

/// One head's recall over the decode stage.
#[derive(Debug, Clone)]
pub struct HeadDrift {
    /// Of each step alone, `[S][budgets]`.
    pub by_step: Vec<Vec<f64>>,
    /// Of the stage up to each horizon, `[horizons][budgets]`.
    pub by_horizon: Vec<Vec<f64>>,
}

/// Drift of a measured window at budgets in tokens.
///
/// # Errors
/// What the sample's tensors or the numerics refuse, and what `on_head` does.
pub fn window_drift(
    captured: &CapturedSample,
    options: &MeasureOptions,
    window: &MeasuredWindow,
    budgets: &[usize],
    on_head: OnHead<'_>,
) -> Result<WindowDrift> {
    if !window.at_budgets.is_empty() {
        return drift_of_parts(captured, options, window, budgets, on_head);
    }
    let decode = captured.decode_rows()?;
    let rows = &decode.range(options.oracle_steps(decode.count())?)?;
    let horizons = horizons(rows.count());
    let ask = |layer: usize, head: usize, decode: HeadRows<'_>| {
        let input = DriftInput {
            decode,
            window: window
                .ranked
                .importance
                .head_scores(layer, head, options.exempt),
            budgets,
        };
        Ok(HeadDrift {
            by_step: recall_by_step(input)?,
            by_horizon: recall_by_horizon(input, &horizons)?,
        })
    };
    let by_head = by_head(captured, rows, options.truth_scoring(), on_head, ask)?;
    Ok(WindowDrift { horizons, by_head })
}

/// Drift of a window that observed anew for each budget: at each that of its own observation, NaN at others.
fn drift_of_parts(
    captured: &CapturedSample,
    options: &MeasureOptions,
    window: &MeasuredWindow,
    budgets: &[usize],
    on_head: OnHead<'_>,
) -> Result<WindowDrift> {
    let mut joined: Option<WindowDrift> = None;
    for part in window.observations() {
        let of_part = window_drift(captured, options, part, budgets, on_head)?;
        let known = joined.get_or_insert_with(|| undefined(&of_part));
        for (index, &budget) in budgets.iter().enumerate() {
            if window.at(budget).is_some_and(|own| own.label == part.label) {
                take_budget(known, &of_part, index);
            }
        }
    }
    Ok(joined.unwrap_or(WindowDrift {
        horizons: Vec::new(),
        by_head: Vec::new(),
    }))
}

/// The same with no number known.
fn undefined(drift: &WindowDrift) -> WindowDrift {
    let none = |points: &[Vec<f64>]| {
        points
            .iter()
            .map(|point| vec![f64::NAN; point.len()])
            .collect()
    };
    let heads = drift.by_head.iter().map(|head| HeadDrift {
        by_step: none(&head.by_step),
        by_horizon: none(&head.by_horizon),
    });
    WindowDrift {
        horizons: drift.horizons.clone(),
        by_head: heads.collect(),
    }
}

/// Takes the numbers at one budget over.
fn take_budget(into: &mut WindowDrift, from: &WindowDrift, budget: usize) {
    let take = |into: &mut [Vec<f64>], from: &[Vec<f64>]| {
        for (into, from) in into.iter_mut().zip(from) {
            if let (Some(into), Some(from)) = (into.get_mut(budget), from.get(budget)) {
                *into = *from;
            }
        }
    };
    for (into, from) in into.by_head.iter_mut().zip(&from.by_head) {
        take(&mut into.by_step, &from.by_step);
        take(&mut into.by_horizon, &from.by_horizon);
    }
}

/// Powers of two, and all steps.
fn horizons(steps: usize) -> Vec<usize> {
    let powers = (0..usize::BITS).map(|power| 1 << power);
    powers
        .take_while(|&horizon| horizon < steps)
        .chain([steps])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizons_double_and_end_with_all_steps() {
        assert_eq!(horizons(1), [1]);
        assert_eq!(horizons(8), [1, 2, 4, 8]);
        assert_eq!(horizons(11), [1, 2, 4, 8, 11]);
    }
}
