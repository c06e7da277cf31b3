//! What eviction did to the output, by window and budget: means over the samples that were measured.

use kvlens_analysis::Budget;
use kvlens_analysis::fidelity::correlation_over_samples;
use kvlens_analysis::statistics::{Interval, bootstrap_interval, mean};
use kvlens_sessions::windows::DECODE_LABEL;

use super::{Derived, repeat};
use crate::gui::question_choices::{FidelityChoices, FidelityMetric};
use crate::gui::questions::fidelity::{FidelityPoint, FidelityResults};
use crate::measurement::fidelity::FULL_LABEL;
use crate::measurement::fidelity::collected::Figures;

/// Fixes the draws of the bootstrap, as those of the tables.
const SEED: u64 = 0;

impl FidelityMetric {
    /// The figure of one eviction; none where the data have no answer, or no score.
    #[must_use]
    pub fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::Divergence => Some(figures.fidelity.kl),
            Self::Agreement => Some(figures.fidelity.agreement),
            Self::AnswerNll => figures.answer_nll,
            Self::Score => figures.score,
        }
    }

    /// The largest value that it can have.
    #[must_use]
    pub fn largest(self) -> f64 {
        match self {
            Self::Divergence | Self::AnswerNll => f64::INFINITY,
            Self::Agreement | Self::Score => 1.0,
        }
    }
}

/// A window at one budget.
#[derive(Clone, Debug)]
pub struct FidelityMean {
    /// The budget as it was asked for.
    pub budget: Budget,
    /// The budget in tokens, mean over the samples.
    pub budget_tokens: f64,
    /// Samples that have the metric.
    pub samples: usize,
    /// Mean over them.
    pub value: f64,
    /// Of that mean, over samples; none of a single one.
    pub interval: Option<Interval>,
    /// Mean recall of what the cache kept.
    pub recall: f64,
}

/// A window, or the oracle.
#[derive(Clone, Debug)]
pub struct FidelityCurve {
    /// Its label.
    pub label: String,
    /// How many windows of the same method stand before it.
    pub repeat: usize,
    /// Whether the decode stage itself chose what to keep.
    pub is_oracle: bool,
    /// By ascending budget.
    pub points: Vec<FidelityMean>,
}

/// One metric of everything that was measured.
#[derive(Clone, Debug, Default)]
pub struct FidelityCurves {
    /// The windows in the sample's order, the oracle first.
    pub curves: Vec<FidelityCurve>,
    /// The metric of the cache that is not evicted, mean over samples.
    pub full: Option<f64>,
    /// Samples that were measured, wholly or in part.
    pub samples: usize,
    /// Spearman's correlation of recall and metric over the windows' points; NaN where there is none.
    pub spearman: f64,
}

pub(super) type FidelityKey = (u64, FidelityMetric, Option<usize>, u64);

impl Derived {
    /// Renews what the fidelity view draws. `shown` is the open sample and its version.
    pub fn refresh_fidelity(
        &mut self,
        choices: &FidelityChoices,
        shown: (usize, u64),
        results: &FidelityResults,
        answers_version: u64,
    ) {
        let (index, shown_version) = shown;
        let only = (!choices.all_samples).then_some(index);
        let key = (answers_version, choices.metric, only, shown_version);
        let labels: Vec<String> = self.bands().iter().map(|band| band.label.clone()).collect();
        self.fidelity.renew(key, |_| {
            let counts = |point: &&FidelityPoint| only.is_none_or(|only| point.index == only);
            let points: Vec<&FidelityPoint> = results.points.iter().filter(counts).collect();
            curves(&points, &labels, choices.metric)
        });
    }

    /// The curves, as far as they were measured.
    #[must_use]
    pub fn fidelity(&self) -> Option<&FidelityCurves> {
        self.fidelity.get()
    }
}

fn curves(points: &[&FidelityPoint], labels: &[String], metric: FidelityMetric) -> FidelityCurves {
    let of = |label: &str| -> Vec<&FidelityPoint> {
        let all = points.iter().copied();
        all.filter(|point| point.label == label).collect()
    };
    let names: Vec<&str> = labels.iter().map(String::as_str).collect();
    let windows = names
        .iter()
        .enumerate()
        .map(|(index, label)| FidelityCurve {
            label: (*label).to_owned(),
            repeat: repeat(&names, index),
            is_oracle: false,
            points: means(&of(label), metric),
        });
    let oracle = FidelityCurve {
        label: DECODE_LABEL.to_owned(),
        repeat: 0,
        is_oracle: true,
        points: means(&of(DECODE_LABEL), metric),
    };
    let curves: Vec<FidelityCurve> = std::iter::once(oracle)
        .chain(windows)
        .filter(|curve| !curve.points.is_empty())
        .collect();
    let full = of(FULL_LABEL);
    let full = full.iter().filter_map(|point| metric.of(&point.figures));
    let mut samples: Vec<usize> = points.iter().map(|point| point.index).collect();
    samples.sort_unstable();
    samples.dedup();
    FidelityCurves {
        spearman: correlation(&curves),
        full: mean(full),
        samples: samples.len(),
        curves,
    }
}

/// Over windows and budgets, without the oracle, which would have the best of both by what it is.
fn correlation(curves: &[FidelityCurve]) -> f64 {
    let windows = curves.iter().filter(|curve| !curve.is_oracle);
    let points = windows.flat_map(|curve| &curve.points);
    let (recall, value): (Vec<f64>, Vec<f64>) =
        points.map(|point| (point.recall, point.value)).unzip();
    correlation_over_samples(&recall, &value).unwrap_or(f64::NAN)
}

/// Of one window, by ascending budget.
fn means(points: &[&FidelityPoint], metric: FidelityMetric) -> Vec<FidelityMean> {
    let mut budgets: Vec<Budget> = Vec::new();
    for point in points {
        if !budgets.contains(&point.budget) {
            budgets.push(point.budget);
        }
    }
    let mut found: Vec<FidelityMean> = budgets
        .into_iter()
        .filter_map(|budget| {
            let own = points.iter().filter(|point| point.budget == budget);
            let measured: Vec<_> = own
                .filter_map(|point| Some((*point, metric.of(&point.figures)?)))
                .collect();
            let values: Vec<f64> = measured.iter().map(|(_, value)| *value).collect();
            let tokens = measured.iter().map(|(point, _)| point.budget_tokens as f64);
            let recalls = measured
                .iter()
                .map(|(point, _)| point.figures.foreseen.recall);
            Some(FidelityMean {
                budget,
                budget_tokens: mean(tokens)?,
                samples: values.len(),
                value: mean(values.iter().copied())?,
                interval: bootstrap_interval(&values, SEED)
                    .map(|interval| interval.within(0.0, metric.largest())),
                recall: mean(recalls)?,
            })
        })
        .collect();
    found.sort_by(|left, right| left.budget_tokens.total_cmp(&right.budget_tokens));
    found
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::allocation::AllocatedMeans;
    use kvlens_analysis::fidelity::MeanFidelity;

    use super::*;

    fn point(index: usize, label: &str, tokens: usize, recall: f64, kl: f64) -> FidelityPoint {
        FidelityPoint {
            index,
            label: label.to_owned(),
            budget: Budget::Tokens(tokens),
            budget_tokens: tokens,
            figures: Figures {
                foreseen: AllocatedMeans {
                    recall,
                    hit_rate: recall,
                    selected_mass: recall,
                },
                fidelity: MeanFidelity { kl, agreement: 1.0 },
                answer_nll: None,
                score: None,
            },
        }
    }

    #[test]
    fn points_are_means_over_samples_and_the_oracle_stays_out_of_the_correlation() {
        let all = [
            point(0, "last", 64, 0.5, 1.0),
            point(1, "last", 64, 0.7, 3.0),
            point(0, "last", 8, 0.1, 6.0),
            point(0, "decode", 8, 1.0, 9.0),
            point(0, "full", 100, 1.0, 0.0),
        ];
        let points: Vec<&FidelityPoint> = all.iter().collect();
        let labels = ["last".to_owned(), "laq".to_owned()];
        let found = curves(&points, &labels, FidelityMetric::Divergence);
        let names: Vec<&str> = found
            .curves
            .iter()
            .map(|curve| curve.label.as_str())
            .collect();
        assert_eq!(names, ["decode", "last"]);
        let last = &found.curves[1].points;
        assert_eq!((last[0].value, last[1].value), (6.0, 2.0));
        assert_eq!((last[0].samples, last[1].samples), (1, 2));
        assert!(last[0].interval.is_none() && last[1].interval.is_some());
        assert!((last[1].recall - 0.6).abs() < 1e-12);
        assert_eq!((found.full, found.samples), (Some(0.0), 2));
        assert_eq!(found.spearman, -1.0);
        let without = curves(&points, &labels, FidelityMetric::Score);
        assert!(without.curves.is_empty() && without.spearman.is_nan());
    }
}
