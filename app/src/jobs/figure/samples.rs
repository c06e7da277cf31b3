//! What one sample gives to a figure.

use anyhow::Result;
use kvlens_analysis::agreement_by_head;
use kvlens_analysis::figure::SeriesSamples;
use kvlens_analysis::{HeadKind, Metric};
use kvlens_sessions::CapturedSample;
use kvlens_sessions::model::RopeConfig;

use super::data::{AFTER, BEFORE, FigureJob};
use super::heads::HeadChoice;
use super::maps::HeadSums;
use crate::jobs::HIT_RATE_BUDGETS;
use crate::measurement::allocations::{AllocationKind, allocate};
use crate::measurement::drift::window_drift;
use crate::measurement::places::sweep_places;
use crate::measurement::queries::window_queries;
use crate::measurement::{MeasuredSample, MeasuredWindow};

/// The budgets of curves: three to each doubling.
pub fn curve_budgets(prompt_tokens: usize) -> Vec<usize> {
    let mut budgets: Vec<usize> = (0..)
        .map(|step| (f64::from(step) / 3.0).exp2().round() as usize)
        .take_while(|budget| *budget <= prompt_tokens)
        .collect();
    budgets.dedup();
    budgets
}

/// A sample in every form that a figure needs.
#[derive(Clone, Copy)]
pub struct Sampled<'a> {
    /// Its tensors.
    pub captured: &'a CapturedSample,
    /// Its measurement at [`FigureJob::budgets`].
    pub measured: &'a MeasuredSample,
    /// The model's rotary embedding, if the session says it.
    pub rope: Option<&'a RopeConfig>,
}

impl Sampled<'_> {
    fn prompt_tokens(&self) -> usize {
        self.captured.record.prompt_ids.len()
    }

    /// The measured windows that the figure shows, in its order.
    fn windows<'b>(&'b self, job: &FigureJob<'_>) -> Vec<&'b MeasuredWindow> {
        job.in_order(&self.measured.windows, |window| &window.label)
    }

    /// A curve, or one for each layer, against the budget.
    pub fn push_budgets(&self, job: &FigureJob<'_>, by_layer: bool, series: &mut SeriesSamples) {
        for window in self.windows(job) {
            let comparison = &window.comparison;
            let choices: Vec<(String, HeadChoice)> = match by_layer {
                false => vec![(String::new(), job.heads.clone())],
                true => (0..comparison.layers)
                    .filter(|layer| job.heads.layers.is_empty() || job.heads.layers.contains(layer))
                    .map(|layer| (format!("layer {layer}"), job.heads.within(layer)))
                    .collect(),
            };
            for (index, &budget) in comparison.budgets.iter().enumerate() {
                let map = comparison.metric_map(job.metric, index);
                for (panel, heads) in &choices {
                    let values = map.iter().map(|&value| f64::from(value));
                    let mean = heads.mean(values, comparison.heads);
                    series.push(panel, &window.label, budget as f64, mean);
                }
            }
        }
    }

    /// Recall of single steps or up to horizons.
    pub fn push_drift(
        &self,
        job: &FigureJob<'_>,
        by_step: bool,
        series: &mut SeriesSamples,
    ) -> Result<()> {
        let budget = [job.budget.tokens(self.prompt_tokens())];
        for window in self.windows(job) {
            let drift = window_drift(self.captured, &job.options, window, &budget, &mut |_, _| {
                Ok(())
            })?;
            let heads = window.comparison.heads;
            let steps: Vec<usize> = match by_step {
                false => drift.horizons.clone(),
                true => {
                    let first = drift.by_head.first();
                    (1..=first.map_or(0, |head| head.by_step.len())).collect()
                }
            };
            for (index, step) in steps.into_iter().enumerate() {
                let values = drift.by_head.iter().map(|head| {
                    let recall = match by_step {
                        true => head.by_step.get(index),
                        false => head.by_horizon.get(index),
                    };
                    let recall = recall.and_then(|recall| recall.first());
                    recall.map_or(f64::NAN, |&recall| f64::from(recall))
                });
                let mean = job.heads.mean(values, heads);
                series.push("", &window.label, step as f64, mean);
            }
        }
        Ok(())
    }

    /// Recall by place, relative to the prompt's last token. Says whether the sample has the queries.
    pub fn push_places(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) -> Result<bool> {
        let budget = [job.budget.tokens(self.prompt_tokens())];
        let places = sweep_places(
            self.captured,
            &job.options,
            job.sweep,
            &budget,
            &mut |_, _| Ok(()),
        )?;
        let Some(places) = places else {
            return Ok(false);
        };
        let heads = places.len() / self.measured.oracle.layers().max(1);
        let count = places.first().map_or(0, Vec::len);
        for index in 0..count {
            let at = |head: &Vec<kvlens_analysis::drift::PlacedRecall>| head.get(index).cloned();
            let here: Vec<_> = places.iter().filter_map(at).collect();
            let Some(place) = here.first() else { continue };
            let from_end = place.last_position as f64 - (self.prompt_tokens() as f64 - 1.0);
            for (label, values) in [
                (
                    "recall",
                    here.iter()
                        .map(|place| place.recall.first())
                        .collect::<Vec<_>>(),
                ),
                (
                    "share of the top tokens that lie before the window",
                    here.iter().map(|place| place.visible.first()).collect(),
                ),
            ] {
                let values = values
                    .into_iter()
                    .map(|value| value.map_or(f64::NAN, |&value| f64::from(value)));
                series.push("", label, from_end, job.heads.mean(values, heads));
            }
        }
        Ok(true)
    }

    /// Hit rate at the budgets that fit, x being the budget in tokens.
    pub fn push_hit_rates(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) {
        for window in self.windows(job) {
            let comparison = &window.comparison;
            for budget in HIT_RATE_BUDGETS {
                let Ok(index) = comparison.budget_index(budget) else {
                    continue;
                };
                let map = comparison.metric_map(Metric::HitRate, index);
                let values = map.into_iter().map(f64::from);
                let mean = job.heads.mean(values, comparison.heads);
                series.push("", &window.label, budget as f64, mean);
            }
        }
    }

    /// Mean cosines with the decode queries, x being the window's place among those shown.
    pub fn push_queries(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) -> Result<()> {
        let windows = job.in_order(self.captured.windows(), |window| window.label());
        for window in windows {
            let Some(queries) = window_queries(self.captured, window, self.rope)? else {
                continue;
            };
            let heads = self.captured.oracle().query_rows();
            let heads = heads
                .and_then(|rows| rows.queries().dim(1).ok())
                .unwrap_or(1);
            let x = job.place_of(window.label()) as f64;
            if let Some(before) = &queries.before_rotation {
                let mean = job.heads.mean(before.by_head().into_iter(), heads);
                series.push("", BEFORE, x, mean);
            }
            let mean = job
                .heads
                .mean(queries.after_rotation.by_head().into_iter(), heads);
            series.push("", AFTER, x, mean);
        }
        Ok(())
    }

    /// Decode attention that each allocation keeps, a panel for each window.
    pub fn push_allocations(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) -> Result<()> {
        let budgets = curve_budgets(self.prompt_tokens());
        for window in self.windows(job) {
            for kind in AllocationKind::ALL {
                for &budget in &budgets {
                    let kept = allocate(window, kind, budget)?;
                    let values = kept.iter().map(|head| f64::from(head.selected_mass));
                    let mean = job.heads.mean(values, window.comparison.heads);
                    series.push(&window.label, kind.name(), budget as f64, mean);
                }
            }
        }
        Ok(())
    }

    /// The metric at the budget, x being the time in milliseconds of this sample.
    pub fn push_cost(
        &self,
        job: &FigureJob<'_>,
        series: &mut SeriesSamples,
        times: &mut SeriesSamples,
    ) {
        for window in self.windows(job) {
            let Some(map) = job.map_of(window) else {
                continue;
            };
            let values = map.into_iter().map(f64::from);
            let mean = job.heads.mean(values, window.comparison.heads);
            series.push("", &window.label, 0.0, mean);
            times.push("", &window.label, 0.0, 1e3 * window.cost.seconds);
        }
    }

    /// The metric at the budget, or the divergence, of every head.
    pub fn add_heads(&self, job: &FigureJob<'_>, kl: bool, sums: &mut HeadSums) -> Result<()> {
        for window in self.windows(job) {
            let values: Vec<f64> = match kl {
                true => agreement_by_head(
                    &window.oracle_importance,
                    &window.importance,
                    job.options.exempt,
                )?
                .iter()
                .map(|agreement| agreement.kl)
                .collect(),
                false => match job.map_of(window) {
                    Some(map) => map.into_iter().map(f64::from).collect(),
                    None => continue,
                },
            };
            sums.add(&window.label, window.comparison.heads, &values);
        }
        Ok(())
    }
}

impl FigureJob<'_> {
    /// The metric of every head at the figure's budget; none where it was not compared there.
    fn map_of(&self, window: &MeasuredWindow) -> Option<Vec<f32>> {
        let comparison = &window.comparison;
        let tokens = self.budget.tokens(comparison.prompt_tokens);
        let index = comparison.budget_index(tokens).ok()?;
        Some(comparison.metric_map(self.metric, index))
    }
}

/// What the cells of a map are.
pub fn head_label(kinds: &[HeadKind]) -> &'static str {
    match kinds {
        [HeadKind::Kv] => "key/value head",
        [HeadKind::Layer] => "all heads",
        _ => "head",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_of_curves_are_distinct_and_fit() {
        assert_eq!(curve_budgets(20), [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20]);
        assert_eq!(curve_budgets(1), [1]);
        let long = curve_budgets(131_072);
        assert!(long.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(long.last(), Some(&131_072));
    }
}
