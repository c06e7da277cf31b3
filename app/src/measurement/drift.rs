//! When a window foresees: recall of single decode steps and of the decode stage up to a horizon, and what its eviction
//! does to the output of attention there.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use kvlens_analysis::drift::{DriftInput, HeadRows, recall_by_horizon, recall_by_step};
use kvlens_analysis::output_error::{Eviction, OutputHeads, mean_of_known, output_errors_by_step};
use kvlens_sessions::{CapturedSample, QueryRows};

use super::head_rows::{OnHead, by_head};
use super::{MeasureOptions, MeasuredWindow};

/// One window over the decode stage.
#[derive(Debug, Clone)]
pub struct WindowDrift {
    /// Decode steps up to each horizon, ascending: 1, 2, 4 and so on, all, and those that were asked for besides.
    pub horizons: Vec<usize>,
    /// `[L, heads]`.
    pub by_head: Vec<HeadDrift>,
}

/// One head over the decode stage.
#[derive(Debug, Clone, Default)]
pub struct HeadDrift {
    /// Recall.
    pub recall: Parts,
    /// Relative error of the head's attention output ([`kvlens_analysis::output_error`]): empty where the session keeps
    /// no values.
    pub output_error: Parts,
}

/// One number in parts of the decode stage.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// Of each step alone, `[S][budgets]`.
    pub by_step: Vec<Vec<f64>>,
    /// Of the stage up to each horizon, `[horizons][budgets]`.
    pub by_horizon: Vec<Vec<f64>>,
}

/// What is asked of a window.
#[derive(Debug, Clone, Copy)]
pub struct DriftAsked<'a> {
    /// In tokens.
    pub budgets: &'a [usize],
    /// Horizons besides the powers of two and all steps: where other samples end, so that means over samples can be taken
    /// there. Those behind the sample's own end are not told.
    pub more_horizons: &'a [usize],
}

impl<'a> DriftAsked<'a> {
    /// At budgets in tokens, up to the sample's own horizons.
    #[must_use]
    pub fn at(budgets: &'a [usize]) -> Self {
        Self {
            budgets,
            more_horizons: &[],
        }
    }
}

/// Drift of a measured window.
///
/// # Errors
/// What the sample's tensors or the numerics refuse, and what `on_head` does.
pub fn window_drift(
    captured: &CapturedSample,
    options: &MeasureOptions,
    window: &MeasuredWindow,
    asked: DriftAsked<'_>,
    on_head: OnHead<'_>,
) -> Result<WindowDrift> {
    if !window.at_budgets.is_empty() {
        return drift_of_parts(captured, options, window, asked, on_head);
    }
    let budgets = asked.budgets;
    let decode = captured.decode_rows()?;
    let rows = &decode.range(options.oracle_steps(decode.count())?)?;
    let horizons = horizons(rows.count(), asked.more_horizons);
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
            recall: Parts {
                by_step: recall_by_step(input)?,
                by_horizon: recall_by_horizon(input, &horizons)?,
            },
            output_error: Parts::default(),
        })
    };
    let mut by_head = by_head(captured, rows, options.truth_scoring(), on_head, ask)?;
    let errors = output_errors(captured, options, window, budgets, rows)
        .context("the output of attention cannot be told")?;
    for (head, by_step) in by_head.iter_mut().zip(errors) {
        head.output_error = Parts {
            by_horizon: means_up_to(&by_step, &horizons),
            by_step,
        };
    }
    Ok(WindowDrift { horizons, by_head })
}

/// The output error of each step, `[L * heads][S][budgets]`; none where the session keeps no values.
fn output_errors(
    captured: &CapturedSample,
    options: &MeasureOptions,
    window: &MeasuredWindow,
    budgets: &[usize],
    rows: &QueryRows,
) -> Result<Vec<Vec<Vec<f64>>>> {
    let Some(values) = captured.values() else {
        return Ok(Vec::new());
    };
    let keys = captured.keys();
    let (layers, kv_heads, ..) = keys.shape();
    let heads = OutputHeads {
        layers,
        query_heads: keys.group_size()? * kv_heads,
        kv_heads,
    };
    let eviction = Eviction {
        rankings: &window.ranked.rankings,
        keep_rule: window.keep_rule,
    };
    Ok(output_errors_by_step(
        eviction,
        budgets,
        heads,
        |layer, kv_head| values.reads(keys, rows, layer, kv_head, options.through),
    )?)
}

/// The mean over the steps up to each horizon, `[horizons][budgets]`, of `by_step`, `[S][budgets]`.
fn means_up_to(by_step: &[Vec<f64>], horizons: &[usize]) -> Vec<Vec<f64>> {
    let budgets = by_step.first().map_or(0, Vec::len);
    let mean = |horizon: usize, budget: usize| {
        let steps = by_step.iter().take(horizon);
        let errors: Vec<f64> = steps.filter_map(|step| step.get(budget).copied()).collect();
        mean_of_known(&errors)
    };
    let horizons = horizons.iter();
    horizons
        .map(|&horizon| (0..budgets).map(|budget| mean(horizon, budget)).collect())
        .collect()
}

/// Drift of a window that observed anew for each budget: at each that of its own observation, NaN at others.
fn drift_of_parts(
    captured: &CapturedSample,
    options: &MeasureOptions,
    window: &MeasuredWindow,
    asked: DriftAsked<'_>,
    on_head: OnHead<'_>,
) -> Result<WindowDrift> {
    let mut joined: Option<WindowDrift> = None;
    for part in window.observations() {
        let of_part = window_drift(captured, options, part, asked, on_head)?;
        let known = joined.get_or_insert_with(|| undefined(&of_part));
        for (index, &budget) in asked.budgets.iter().enumerate() {
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
    let parts = |parts: &Parts| Parts {
        by_step: none(&parts.by_step),
        by_horizon: none(&parts.by_horizon),
    };
    let heads = drift.by_head.iter().map(|head| HeadDrift {
        recall: parts(&head.recall),
        output_error: parts(&head.output_error),
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
        let pairs = [
            (&mut into.recall, &from.recall),
            (&mut into.output_error, &from.output_error),
        ];
        for (into, from) in pairs {
            take(&mut into.by_step, &from.by_step);
            take(&mut into.by_horizon, &from.by_horizon);
        }
    }
}

/// Powers of two, all steps, and what else is asked for, ascending.
fn horizons(steps: usize, more: &[usize]) -> Vec<usize> {
    let powers = (0..usize::BITS).map(|power| 1 << power);
    let powers = powers.take_while(|&horizon| horizon < steps);
    let more = more.iter().copied();
    let more = more.filter(|horizon| (1..steps).contains(horizon));
    let all: BTreeSet<usize> = powers.chain([steps]).chain(more).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizons_double_and_end_with_all_steps() {
        assert_eq!(horizons(1, &[]), [1]);
        assert_eq!(horizons(8, &[]), [1, 2, 4, 8]);
        assert_eq!(horizons(11, &[]), [1, 2, 4, 8, 11]);
        // where a shorter sample ends, and not where a longer one does
        assert_eq!(horizons(11, &[10, 11, 12, 0, 8]), [1, 2, 4, 8, 10, 11]);
    }

    #[test]
    fn an_error_up_to_a_horizon_is_the_mean_of_its_known_steps() {
        let by_step = [vec![0.5, 1.0], vec![f64::NAN, 2.0], vec![0.25, 6.0]];
        let means = means_up_to(&by_step, &[1, 2, 3]);
        assert_eq!(means, [[0.5, 1.0], [0.5, 1.5], [0.375, 3.0]]);
        assert!(means_up_to(&[], &[1, 2]).concat().is_empty());
    }
}
