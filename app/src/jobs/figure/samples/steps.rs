//! What one sample gives to figures of decode steps and of places of a window.

use anyhow::Result;
use kvlens_analysis::Metric;
use kvlens_analysis::drift::PlacedRecall;
use kvlens_analysis::figure::{SeriesPlace, SeriesSamples};

use super::Sampled;
use crate::jobs::figure::data::FigureJob;
use crate::measurement::MeasuredWindow;
use crate::measurement::drift::{DriftAsked, WindowDrift, window_drift};
use crate::measurement::places::sweep_places;

/// One of the numbers of a place at the only budget.
type PlaceValue = fn(&PlacedRecall) -> Option<&f64>;

impl Sampled<'_> {
    /// Recall, or output error where that is the metric, of single steps or up to horizons.
    pub fn push_drift(
        &self,
        job: &FigureJob<'_>,
        by_step: bool,
        series: &mut SeriesSamples,
    ) -> Result<()> {
        let budget = [job.budget.tokens(self.prompt_tokens())];
        let asked = DriftAsked {
            budgets: &budget,
            more_horizons: &job.decode_lengths,
        };
        for shown in self.windows(job) {
            let Some(window) = shown.at(budget[0]) else {
                continue;
            };
            let drift = |window: &MeasuredWindow| {
                window_drift(self.captured, &job.options, window, asked, &mut |_, _| {
                    Ok(())
                })
            };
            let heads = window.comparison.heads;
            let found = drift(window)?;
            let ceiling = window.as_its_ceiling().map(|own| drift(&own)).transpose()?;
            let steps: Vec<usize> = match by_step {
                false => found.horizons.clone(),
                true => {
                    let first = found.by_head.first();
                    (1..=first.map_or(0, |head| head.recall.by_step.len())).collect()
                }
            };
            for (index, step) in steps.into_iter().enumerate() {
                let at = |drift: &WindowDrift| {
                    let values = drift.by_head.iter().map(|head| {
                        let parts = match job.metric {
                            Metric::OutputError => &head.output_error,
                            _ => &head.recall,
                        };
                        let value = match by_step {
                            true => parts.by_step.get(index),
                            false => parts.by_horizon.get(index),
                        };
                        let value = value.and_then(|value| value.first());
                        value.copied().unwrap_or(f64::NAN)
                    });
                    job.heads.mean(values, heads)
                };
                let place = SeriesPlace {
                    panel: "",
                    series: &shown.label,
                    x: step as f64,
                };
                let ceiling = ceiling.as_ref().map(at).filter(|ceiling| !ceiling.is_nan());
                series.push(self.content, place, at(&found), ceiling);
                if job.metric != Metric::OutputError {
                    self.push_chance_at(job, &job.heads, step as f64, series);
                }
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
        let heads = self.measured.truth.rankings.heads();
        let count = places.first().map_or(0, Vec::len);
        for index in 0..count {
            let at = |head: &Vec<PlacedRecall>| head.get(index).cloned();
            let here: Vec<_> = places.iter().filter_map(at).collect();
            let Some(place) = here.first() else { continue };
            let from_end = place.last_position as f64 - (self.prompt_tokens() as f64 - 1.0);
            let curves: [(&str, PlaceValue); 2] = [
                ("recall", |place| place.recall.first()),
                (
                    "share of the top tokens that lie before the window",
                    |place| place.visible.first(),
                ),
            ];
            for (label, value) in curves {
                let values = here.iter().map(value);
                let values = values.map(|value| value.copied().unwrap_or(f64::NAN));
                let mean = job.heads.mean(values, heads);
                self.push(series, ("", label), from_end, mean);
            }
            self.push_chance_at(job, &job.heads, from_end, series);
        }
        Ok(true)
    }
}
