//! What one sample gives to a figure.

mod by_head;
mod needed;
mod queries;
mod steps;

use kvlens_analysis::figure::{CHANCE, SeriesPlace, SeriesSamples};
use kvlens_analysis::{Comparison, HeadKind, Metric};
use kvlens_sessions::CapturedSample;

use super::data::FigureJob;
use super::heads::HeadChoice;
use super::maps::HeadNumbers;
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
    /// Equal for copies of the sample, which count once.
    pub content: &'a str,
    /// Its tensors.
    pub captured: &'a CapturedSample,
    /// Its measurement at [`FigureJob::budgets`].
    pub measured: &'a MeasuredSample,
}

impl Sampled<'_> {
    fn prompt_tokens(&self) -> usize {
        self.captured.record.prompt_ids.len()
    }

    /// The measured windows that the figure shows, in its order.
    fn windows<'b>(&'b self, job: &FigureJob<'_>) -> Vec<&'b MeasuredWindow> {
        job.shown(&self.measured.windows, self.prompt_tokens())
    }

    /// Adds a value without a ceiling.
    fn push(&self, series: &mut SeriesSamples, (panel, name): (&str, &str), x: f64, value: f64) {
        let place = SeriesPlace {
            panel,
            series: name,
            x,
        };
        series.push(self.content, place, value, None);
    }

    /// A curve, or one for each layer, against the budget.
    pub fn push_budgets(&self, job: &FigureJob<'_>, by_layer: bool, series: &mut SeriesSamples) {
        let choices = self.head_choices(job, by_layer);
        for window in self.windows(job) {
            for (index, &budget) in window.comparison.budgets.iter().enumerate() {
                let numbers = numbers_at(window, job.metric, index);
                for (panel, heads) in &choices {
                    let place = SeriesPlace {
                        panel,
                        series: &window.label,
                        x: budget as f64,
                    };
                    let (mean, ceiling) = heads.means(&numbers);
                    series.push(self.content, place, mean, ceiling);
                }
            }
        }
        if job.metric == Metric::Recall {
            self.push_chance(&choices, series);
        }
    }

    /// The metric at the budget, a mean for each layer, x being the layer.
    pub fn push_layers(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) {
        let choices = self.head_choices(job, true);
        for window in self.windows(job) {
            let Some(numbers) = job.numbers_of(window) else {
                continue;
            };
            for (_, heads) in &choices {
                for &layer in &heads.layers {
                    let place = SeriesPlace {
                        panel: "",
                        series: &window.label,
                        x: layer as f64,
                    };
                    let (mean, ceiling) = heads.means(&numbers);
                    series.push(self.content, place, mean, ceiling);
                }
            }
        }
        if job.metric == Metric::Recall {
            for (_, heads) in &choices {
                for &layer in &heads.layers {
                    self.push_chance_at(job, heads, layer as f64, series);
                }
            }
        }
    }

    /// What a ranking at random would reach at the figure's budget, over some heads.
    fn push_chance_at(
        &self,
        job: &FigureJob<'_>,
        heads: &HeadChoice,
        x: f64,
        series: &mut SeriesSamples,
    ) {
        let budget = job.budget.tokens(self.prompt_tokens());
        if let Some(window) = self.measured.windows.first() {
            let chance = heads.chance(&window.comparison, budget);
            self.push(series, ("", CHANCE), x, chance);
        }
    }

    /// What a ranking at random would reach: the budget as a share of the tokens that each layer ranks.
    fn push_chance(&self, choices: &[(String, HeadChoice)], series: &mut SeriesSamples) {
        let Some(comparison) = self
            .measured
            .windows
            .first()
            .map(|window| &window.comparison)
        else {
            return;
        };
        for &budget in &comparison.budgets {
            for (panel, choice) in choices {
                let chance = choice.chance(comparison, budget);
                self.push(series, (panel, CHANCE), budget as f64, chance);
            }
        }
    }

    /// The panels of curves with the heads that each is over.
    fn head_choices(&self, job: &FigureJob<'_>, by_layer: bool) -> Vec<(String, HeadChoice)> {
        let layers = self.measured.truth.rankings.layers();
        match by_layer {
            false => vec![(String::new(), job.heads.clone())],
            true => (0..layers)
                .filter(|layer| job.heads.layers.is_empty() || job.heads.layers.contains(layer))
                .map(|layer| (format!("layer {layer}"), job.heads.within(layer)))
                .collect(),
        }
    }

    /// Hit rate at the budgets that fit, x being the budget in tokens.
    pub fn push_hit_rates(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) {
        for window in self.windows(job) {
            for (index, &budget) in window.comparison.budgets.iter().enumerate() {
                let numbers = numbers_at(window, Metric::HitRate, index);
                let place = SeriesPlace {
                    panel: "",
                    series: &window.label,
                    x: budget as f64,
                };
                let (mean, ceiling) = job.heads.means(&numbers);
                series.push(self.content, place, mean, ceiling);
            }
        }
    }

    /// The metric at the budget, x being the time in milliseconds of this sample.
    pub fn push_cost(
        &self,
        job: &FigureJob<'_>,
        series: &mut SeriesSamples,
        times: &mut SeriesSamples,
    ) {
        for window in self.windows(job) {
            let Some(numbers) = job.numbers_of(window) else {
                continue;
            };
            let (mean, ceiling) = job.heads.means(&numbers);
            if mean.is_nan() {
                continue;
            }
            let place = SeriesPlace {
                panel: "",
                series: &window.label,
                x: 0.0,
            };
            series.push(self.content, place, mean, ceiling);
            let cost = window.at(job.budget.tokens(self.prompt_tokens()));
            let seconds = cost.map_or(f64::NAN, |window| window.cost.seconds);
            times.push(self.content, place, 1e3 * seconds, None);
        }
    }
}

/// A metric of every head at a budget that was compared, with the ceilings.
fn numbers_at(window: &MeasuredWindow, metric: Metric, budget_index: usize) -> HeadNumbers {
    let ceiling = window.ceiling.as_ref();
    HeadNumbers {
        heads: window.comparison.heads,
        values: window.comparison.metric_map(metric, budget_index),
        ceilings: ceiling.map(|ceiling| ceiling.metric_map(metric, budget_index)),
    }
}

impl HeadChoice {
    /// The budget as a share of the tokens that each layer ranks, as a mean over the chosen heads.
    fn chance(&self, comparison: &Comparison, budget: usize) -> f64 {
        let of_layer = |&tokens: &usize| match budget < tokens {
            true => budget as f64 / tokens as f64,
            false => f64::NAN,
        };
        let of_layers = comparison.rankable_tokens.iter().map(of_layer);
        let heads = comparison.heads;
        let values = of_layers.flat_map(|chance| std::iter::repeat_n(chance, heads));
        self.mean(values, heads)
    }

    /// Means over the chosen heads of the values and of the ceilings.
    fn means(&self, numbers: &HeadNumbers) -> (f64, Option<f64>) {
        let HeadNumbers {
            heads,
            values,
            ceilings,
        } = numbers;
        let ceiling = ceilings
            .as_ref()
            .map(|ceilings| self.mean(ceilings.iter().copied(), *heads));
        let ceiling = ceiling.filter(|ceiling| !ceiling.is_nan());
        (self.mean(values.iter().copied(), *heads), ceiling)
    }
}

impl FigureJob<'_> {
    /// The metric of every head at the figure's budget; none where it was not compared there.
    fn numbers_of(&self, window: &MeasuredWindow) -> Option<HeadNumbers> {
        let comparison = &window.comparison;
        let tokens = self.budget.tokens(comparison.prompt_tokens);
        let index = comparison.budget_index(tokens).ok()?;
        Some(numbers_at(window, self.metric, index))
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
