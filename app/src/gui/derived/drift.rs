//! Recall by decode step and by the window's place, over the selected heads and at the budget.

use std::collections::BTreeSet;

use kvlens_analysis::figure::palette::repeat;
use kvlens_analysis::{Band, Metric};

use super::Derived;
use super::curves::{HeadGrid, selected_heads};
use crate::gui::data::SessionInfo;
use crate::gui::query::Pool;
use crate::gui::question_choices::DriftPart;
use crate::gui::questions::Answers;
use crate::gui::questions::drift::{DriftAnswer, DriftOfWindow, HeadCurves};
use crate::gui::questions::places::PlacesAnswer;
use crate::gui::state::{Choices, HeadAddress};

/// One window's curve.
#[derive(Clone, Debug)]
pub struct DriftCurve {
    /// The window.
    pub label: String,
    /// How many windows of the same method stand before it.
    pub repeat: usize,
    /// Heads that the band is over.
    pub heads: usize,
    /// Recall at every step or horizon.
    pub band: Band,
}

/// Recall or output error of every window over the decode stage.
#[derive(Clone, Debug)]
pub struct DriftCurves {
    /// Version of the measured sample that they are of.
    pub shown_version: u64,
    /// Which of the two.
    pub metric: Metric,
    /// The budget that they are at; another one than the workbench's while that is still being measured.
    pub budget_tokens: usize,
    /// Decode steps counted from 1, each or the last of a horizon.
    pub steps: Vec<usize>,
    /// The windows that are done.
    pub curves: Vec<DriftCurve>,
    /// Windows that were asked for.
    pub asked_windows: usize,
}

/// Recall of a window by its place.
#[derive(Clone, Debug)]
pub struct PlacesCurves {
    /// Version of the measured sample that they are of.
    pub shown_version: u64,
    /// W.
    pub width: usize,
    /// The budget that they are at.
    pub budget_tokens: usize,
    /// Queries at the end of the prompt that the session keeps.
    pub prompt_queries: usize,
    /// Position of the window's last row, ascending.
    pub positions: Vec<usize>,
    /// Recall at every place.
    pub recall: Band,
    /// Share of the decode stage's top tokens that lie at or before the window.
    pub in_reach: Band,
    /// Heads that the bands are over.
    pub heads: usize,
}

pub(super) type DriftKey = (u64, BTreeSet<HeadAddress>, usize, DriftPart, Metric);
pub(super) type PlacesKey = (u64, BTreeSet<HeadAddress>, usize);

impl Derived {
    /// Renews what the drift view draws.
    pub fn refresh_drift(
        &mut self,
        pool: &Pool,
        info: &SessionInfo,
        choices: &Choices,
        answers: &Answers,
    ) {
        let (wanted, grid) = (self.budget_tokens(), HeadGrid::of(info));
        let (heads, part) = (choices.heads.clone(), choices.drift.part);
        if part == DriftPart::Places {
            self.drift.let_go();
            if let Some(answer) = answers.places.value().cloned() {
                let at = nearest(&answer.key.budgets, wanted);
                let key = (answers.places.version(), heads.clone(), at);
                self.places
                    .in_pool(pool, key, move |_| places_curves(&answer, grid, &heads, at));
            }
        } else {
            self.places.let_go();
            if let Some(answer) = answers.drift.value().cloned() {
                let at = nearest(&answer.key.budgets, wanted);
                let metric = metric_of(choices);
                let key = (answers.drift.version(), heads.clone(), at, part, metric);
                self.drift.in_pool(pool, key, move |_| {
                    drift_curves(&answer, grid, &heads, (part, metric), at)
                });
            }
        }
    }

    /// No view of it is in sight.
    pub fn let_drift_go(&mut self) {
        self.drift.let_go();
        self.places.let_go();
    }

    /// Recall over the decode stage, as far as it was asked for.
    #[must_use]
    pub fn drift(&self) -> Option<&DriftCurves> {
        self.drift.value()
    }

    /// Recall by place, as far as it was asked for.
    #[must_use]
    pub fn places(&self) -> Option<&PlacesCurves> {
        self.places.value()
    }
}

/// Output error where that is looked at, else recall: no other metric is told by step.
fn metric_of(choices: &Choices) -> Metric {
    match choices.metric {
        Metric::OutputError => Metric::OutputError,
        _ => Metric::Recall,
    }
}

/// Place of the budget that is closest to the wanted one.
pub(super) fn nearest(budgets: &[usize], wanted: usize) -> usize {
    let places = budgets.iter().enumerate();
    places
        .min_by_key(|(_, budget)| budget.abs_diff(wanted))
        .map_or(0, |(place, _)| place)
}

fn drift_curves(
    answer: &DriftAnswer,
    grid: HeadGrid,
    selection: &BTreeSet<HeadAddress>,
    (part, metric): (DriftPart, Metric),
    at: usize,
) -> DriftCurves {
    let by_step = part == DriftPart::Steps;
    fn by_head(window: &DriftOfWindow, metric: Metric) -> &[HeadCurves] {
        match metric {
            Metric::OutputError => &window.output_error,
            _ => &window.recall,
        }
    }
    let steps = answer.windows.first().map_or_else(Vec::new, |window| {
        let first = window.recall.first();
        match by_step {
            true => (1..=first.map_or(0, |head| head.steps(at).len())).collect(),
            false => window.horizons.clone(),
        }
    });
    let labels: Vec<&str> = answer
        .windows
        .iter()
        .map(|window| window.label.as_str())
        .collect();
    let curves = answer.windows.iter().enumerate().map(|(index, window)| {
        let heads = selected_heads(window.layers, window.heads, grid, selection);
        let of_heads: Vec<&[f64]> = heads
            .iter()
            .filter_map(|(layer, head)| by_head(window, metric).get(layer * window.heads + head))
            .map(|head| match by_step {
                true => head.steps(at),
                false => head.horizons(at),
            })
            .collect();
        DriftCurve {
            label: window.label.clone(),
            repeat: repeat(&labels, index),
            heads: heads.len(),
            band: Band::of(&of_heads, steps.len()),
        }
    });
    DriftCurves {
        shown_version: answer.key.shown_version,
        metric,
        budget_tokens: answer.key.budgets.get(at).copied().unwrap_or(0),
        curves: curves.collect(),
        steps,
        asked_windows: answer.asked_windows,
    }
}

fn places_curves(
    answer: &PlacesAnswer,
    grid: HeadGrid,
    selection: &BTreeSet<HeadAddress>,
    at: usize,
) -> PlacesCurves {
    let heads_per_layer = answer.by_head.len() / answer.layers.max(1);
    let heads = selected_heads(answer.layers, heads_per_layer, grid, selection);
    let chosen: Vec<_> = heads
        .iter()
        .filter_map(|(layer, head)| answer.by_head.get(layer * heads_per_layer + head))
        .collect();
    let positions: Vec<usize> = chosen.first().map_or_else(Vec::new, |places| {
        places.iter().map(|place| place.last_position).collect()
    });
    let over_heads = |of: fn(&kvlens_analysis::drift::PlacedRecall) -> &Vec<f64>| {
        let curves: Vec<Vec<f64>> = chosen
            .iter()
            .map(|places| {
                let values = places.iter().map(|place| of(place).get(at).copied());
                values.map(|value| value.unwrap_or(f64::NAN)).collect()
            })
            .collect();
        let curves: Vec<&[f64]> = curves.iter().map(Vec::as_slice).collect();
        Band::of(&curves, positions.len())
    };
    PlacesCurves {
        shown_version: answer.key.shown_version,
        width: answer.key.width,
        budget_tokens: answer.key.budgets.get(at).copied().unwrap_or(0),
        prompt_queries: answer.prompt_queries,
        recall: over_heads(|place| &place.recall),
        in_reach: over_heads(|place| &place.visible),
        positions,
        heads: chosen.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_budget_is_the_one_itself_where_it_is_known() {
        assert_eq!(nearest(&[1, 8, 64, 512], 64), 2);
        assert_eq!(nearest(&[1, 8, 64, 512], 70), 2);
        assert_eq!(nearest(&[1, 8, 64, 512], 4000), 3);
        assert_eq!(nearest(&[], 3), 0);
    }
}
