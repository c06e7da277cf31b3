//! What one sample gives to a figure.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Result;
use kvlens_analysis::agreement_by_head;
use kvlens_analysis::complementarity::complementarity;
use kvlens_analysis::drift::PlacedRecall;
use kvlens_analysis::evidence::evidence_survival;
use kvlens_analysis::figure::{CHANCE, SeriesPlace, SeriesSamples};
use kvlens_analysis::statistics::mean;
use kvlens_analysis::{Comparison, HeadKind, KeepRule, Metric, Rankings, selection};
use kvlens_sessions::CapturedSample;
use kvlens_sessions::model::RopeConfig;
use kvlens_sessions::windows::DECODE_LABEL;

use super::data::{AFTER, BEFORE, FigureJob};
use super::heads::HeadChoice;
use super::maps::{HeadNumbers, HeadSums};
use super::profile::HeadScatter;
use crate::measurement::allocations::{AllocationKind, allocate};
use crate::measurement::drift::{WindowDrift, window_drift};
use crate::measurement::places::sweep_places;
use crate::measurement::profiles::profile_number;
use crate::measurement::queries::window_queries;
use crate::measurement::{MeasuredSample, MeasuredWindow};

/// The two panels of needed tokens.
const KEPT: &str = "kept by a head";
const LOST: &str = "lost at every head";

/// One of the numbers of a place at the only budget.
type PlaceValue = fn(&PlacedRecall) -> Option<&f64>;

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
    /// The model's rotary embedding, if the session says it.
    pub rope: Option<&'a RopeConfig>,
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

    /// Recall, or output error where that is the metric, of single steps or up to horizons.
    pub fn push_drift(
        &self,
        job: &FigureJob<'_>,
        by_step: bool,
        series: &mut SeriesSamples,
    ) -> Result<()> {
        let budget = [job.budget.tokens(self.prompt_tokens())];
        for shown in self.windows(job) {
            let Some(window) = shown.at(budget[0]) else {
                continue;
            };
            let drift = |window: &MeasuredWindow| {
                window_drift(self.captured, &job.options, window, &budget, &mut |_, _| {
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

    /// Share of each run of needed tokens that a window keeps at the budget, x being the middle of its tenth of the
    /// prompt.
    pub fn push_depths(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) {
        let tokens = self.prompt_tokens();
        let budget = job.budget.tokens(tokens);
        for shown in self.windows(job) {
            let Some(window) = shown.at(budget) else {
                continue;
            };
            let mut of_tenths: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
            for evidence in &self.captured.record.evidence_tokens {
                let middle = (evidence.start + evidence.end) / 2;
                let kept = kept_share(job, window, evidence, budget);
                of_tenths
                    .entry((10 * middle / tokens.max(1)).min(9))
                    .or_default()
                    .push(kept);
            }
            for (tenth, kept) in of_tenths {
                let kept = kept.into_iter().filter(|kept| !kept.is_nan());
                if let Some(kept) = mean(kept) {
                    let depth = 0.1 * (tenth as f64 + 0.5);
                    self.push(series, ("", &shown.label), depth, kept);
                }
            }
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
                self.push(series, ("", BEFORE), x, mean);
            }
            let mean = job
                .heads
                .mean(queries.after_rotation.by_head().into_iter(), heads);
            self.push(series, ("", AFTER), x, mean);
        }
        Ok(())
    }

    /// Decode attention that each allocation keeps, a panel for each window.
    pub fn push_allocations(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) -> Result<()> {
        let budgets = job.curve_budgets(self.prompt_tokens());
        for shown in self.windows(job) {
            for &budget in &budgets {
                let Some(window) = shown.at(budget) else {
                    continue;
                };
                let own = window.as_its_ceiling();
                for kind in AllocationKind::ALL {
                    let kept = |window: &MeasuredWindow| -> Result<f64> {
                        let kept = allocate(self.measured, window, kind, budget)?;
                        let values = kept.iter().map(|head| head.selected_mass);
                        Ok(job.heads.mean(values, window.comparison.heads))
                    };
                    let ceiling = own.as_ref().map(kept).transpose()?;
                    let ceiling = ceiling.filter(|ceiling| !ceiling.is_nan());
                    let place = SeriesPlace {
                        panel: &shown.label,
                        series: kind.name(),
                        x: budget as f64,
                    };
                    series.push(self.content, place, kept(window)?, ceiling);
                }
            }
        }
        Ok(())
    }

    /// What each window finds of the decode stage's top tokens and each other one misses, x being the place of the other
    /// among those shown.
    pub fn push_pairs(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) -> Result<()> {
        let budget = [job.budget.tokens(self.prompt_tokens())];
        let windows = self.windows(job);
        for first in &windows {
            for second in &windows {
                let (Some(one), Some(other)) = (first.at(budget[0]), second.at(budget[0])) else {
                    continue;
                };
                let shares = complementarity(
                    &self.measured.truth.rankings,
                    &one.ranked.rankings,
                    &other.ranked.rankings,
                    &budget,
                )?;
                let first_only = shares.iter().map(|head| {
                    let share = head.first().map(|share| share.first_only);
                    share.unwrap_or(f64::NAN)
                });
                let mean = job.heads.mean(first_only, first.comparison.heads);
                let x = job.place_of(&second.label) as f64;
                self.push(series, ("", &first.label), x, mean);
            }
        }
        Ok(())
    }

    /// What the heads are like against the metric at the budget, for each window.
    pub fn add_profiles(&self, job: &FigureJob<'_>, scatter: &mut HeadScatter) -> Result<()> {
        let budget = job.budget.tokens(self.prompt_tokens());
        let (captured, measured) = (self.captured, self.measured);
        let number = profile_number(captured, measured, &job.options, job.profile, budget)?;
        for window in self.windows(job) {
            if let Some(numbers) = job.numbers_of(window) {
                let heads = window.comparison.heads;
                let shown = |index: usize| job.heads.has(index / heads, index % heads);
                let points = number.iter().zip(&numbers.values).enumerate();
                let points = points.map(|(index, (&x, &y))| match shown(index) {
                    true => (x, y),
                    false => (f64::NAN, f64::NAN),
                });
                scatter.add(self.content, &window.label, heads, points.collect());
            }
        }
        Ok(())
    }

    /// What a head keeps of the needed tokens and what no head keeps, a panel each, by the decode stage's order and each
    /// window's rule.
    pub fn push_evidence(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) {
        let evidence = &self.captured.record.evidence_tokens;
        if evidence.is_empty() {
            return;
        }
        let budgets = job.curve_budgets(self.prompt_tokens());
        let mut push = |label: &str, rankings: &Rankings, rule: KeepRule, budgets: &[usize]| {
            let found = evidence_survival(rankings, rule, evidence, budgets);
            // nothing where no head sees any
            for at in found.into_iter().filter(|at| !at.kept.is_nan()) {
                let x = at.budget as f64;
                self.push(series, (KEPT, label), x, at.kept);
                self.push(series, (LOST, label), x, at.lost_everywhere);
                let place = |panel| SeriesPlace {
                    panel,
                    series: label,
                    x,
                };
                series.bound(place(KEPT), (0.0, at.most_kept));
                series.bound(place(LOST), (at.least_lost, 1.0));
            }
        };
        let truth = &self.measured.truth.rankings;
        push(DECODE_LABEL, truth, KeepRule::default(), &budgets);
        for window in self.windows(job) {
            for observed in window.observations() {
                let is_its = |budget: &usize| {
                    let at = window.at(*budget);
                    at.is_some_and(|at| at.label == observed.label)
                };
                let own: Vec<usize> = budgets.iter().copied().filter(is_its).collect();
                let rankings = &observed.ranked.rankings;
                push(&window.label, rankings, observed.keep_rule, &own);
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

    /// The metric at the budget, or the divergence, of every head.
    pub fn add_heads(&self, job: &FigureJob<'_>, kl: bool, sums: &mut HeadSums) -> Result<()> {
        for window in self.windows(job) {
            let numbers = match kl {
                true => HeadNumbers {
                    heads: window.comparison.heads,
                    values: self.divergence(job, window)?,
                    ceilings: None,
                },
                false => match job.numbers_of(window) {
                    Some(numbers) => numbers,
                    None => continue,
                },
            };
            sums.add(self.content, &window.label, &numbers);
        }
        Ok(())
    }

    fn divergence(&self, job: &FigureJob<'_>, window: &MeasuredWindow) -> Result<Vec<f64>> {
        let truth = &self.measured.truth.importance;
        let agreement = agreement_by_head(truth, &window.ranked.importance, job.options.exempt)?;
        Ok(agreement.iter().map(|agreement| agreement.kl).collect())
    }
}

/// Share of some tokens that the window's rule keeps, as a mean over the chosen heads whose layers see any of them.
fn kept_share(
    job: &FigureJob<'_>,
    window: &MeasuredWindow,
    evidence: &Range<usize>,
    budget: usize,
) -> f64 {
    let rankings = &window.ranked.rankings;
    let heads = rankings.heads();
    let forced = window.keep_rule.at(budget);
    let shares = (0..rankings.layers() * heads).map(|index| {
        let (layer, head) = (index / heads, index % heads);
        let seen = evidence.start.max(rankings.first_visible(layer))..evidence.end;
        if seen.is_empty() || !job.heads.has(layer, head) {
            return f64::NAN;
        }
        let kept = selection(rankings, layer, head, forced, budget);
        let of_seen = kept.get(seen.clone()).unwrap_or_default();
        of_seen.iter().filter(|kept| **kept).count() as f64 / seen.len() as f64
    });
    job.heads.mean(shares, heads)
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
