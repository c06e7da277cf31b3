//! What eviction did to the output, by window and budget: means over the samples of one group, and whether recall
//! foretells it at each budget.

use std::sync::Arc;

use kvlens_analysis::fidelity::{BudgetCorrelations, EvictionMean};
use kvlens_analysis::figure::palette::repeat;
use kvlens_analysis::statistics::{Interval, mean};
use kvlens_analysis::{Budget, SampleGroup};
use kvlens_sessions::windows::DECODE_LABEL;

use super::Derived;
use crate::gui::data::Shown;
use crate::gui::query::Pool;
use crate::gui::question_choices::{FidelityChoices, FidelityMetric};
use crate::gui::questions::Answers;
use crate::gui::questions::fidelity::FidelityPoint;
use crate::measurement::fidelity::FULL_LABEL;
use crate::measurement::fidelity::figures::Figure;
use crate::measurement::fidelity::summary::Evictions;

/// Fixes the draws of the bootstrap, as those of the tables.
const SEED: u64 = 0;

impl FidelityMetric {
    /// The figure that it is.
    #[must_use]
    pub fn figure(self) -> Figure {
        match self {
            Self::Divergence => Figure::Kl,
            Self::Agreement => Figure::Agreement,
            Self::AnswerNll => Figure::AnswerNll,
            Self::Score => Figure::Score,
        }
    }

    /// The largest value that it can have.
    #[must_use]
    pub fn largest(self) -> f64 {
        self.figure().bounds().1
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
    /// Mean recall of the window's queries.
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

/// Whether the windows that foresee more change the output less, at one budget.
#[derive(Clone, Debug, PartialEq)]
pub struct FidelityCorrelation {
    /// The budget as it was asked for.
    pub budget: Budget,
    /// Windows that are put in order.
    pub windows: usize,
    /// Spearman's correlation over the windows of a sample, mean over samples.
    pub spearman: f64,
    /// Of that mean; none of a single sample.
    pub interval: Option<Interval>,
    /// Samples that have a correlation.
    pub samples: usize,
}

/// One metric of what was measured, of one group of samples.
#[derive(Clone, Debug, Default)]
pub struct FidelityCurves {
    /// The groups that were measured, of those samples that are to be shown.
    pub groups: Vec<SampleGroup>,
    /// The group that the curves are of.
    pub group: Option<SampleGroup>,
    /// The windows in the sample's order, the oracle first.
    pub curves: Vec<FidelityCurve>,
    /// The metric of the cache that is not evicted, mean over samples.
    pub full: Option<f64>,
    /// Samples of the group that were measured, wholly or in part.
    pub samples: usize,
    /// By ascending budget; none where the group has a single window.
    pub correlations: Vec<FidelityCorrelation>,
    /// What was measured of the sample on show, in the order in which it came.
    pub of_shown: Vec<FidelityPoint>,
}

pub(super) type FidelityKey = (u64, FidelityMetric, Option<usize>, Option<SampleGroup>, u64);

impl Derived {
    /// Renews what the fidelity view draws of the session of the model of that name.
    pub fn refresh_fidelity(
        &mut self,
        pool: &Pool,
        choices: &FidelityChoices,
        (shown, model): (&Shown, &str),
        answers: &Answers,
    ) {
        let (only, metric) = (
            (!choices.all_samples).then_some(shown.index),
            choices.metric,
        );
        let wanted = match choices.all_samples {
            true => choices.group.clone().or_else(|| shown.group(model)),
            false => shown.group(model),
        };
        let key = (
            answers.fidelity.version(),
            metric,
            only,
            wanted.clone(),
            shown.version,
        );
        let index = shown.index;
        let sample = Arc::clone(&shown.sample);
        let results = answers.fidelity.value();
        let points = results.map_or_else(Arc::default, |results| Arc::clone(&results.points));
        self.fidelity.in_pool(pool, key, move |_| {
            let of_shown = points.iter().filter(|point| point.index == index);
            let of_shown = of_shown.cloned().collect();
            let windows = sample.windows.iter();
            let labels: Vec<&str> = windows.map(|window| window.label.as_str()).collect();
            let counts = |point: &&FidelityPoint| only.is_none_or(|only| point.index == only);
            let points: Vec<&FidelityPoint> = points.iter().filter(counts).collect();
            FidelityCurves {
                of_shown,
                ..curves(&points, &labels, metric, wanted)
            }
        });
    }

    /// No view of it is in sight.
    pub fn let_fidelity_go(&mut self) {
        self.fidelity.let_go();
    }

    /// The curves, as far as they were measured.
    #[must_use]
    pub fn fidelity(&self) -> Option<&FidelityCurves> {
        self.fidelity.value()
    }
}

fn curves(
    points: &[&FidelityPoint],
    labels: &[&str],
    metric: FidelityMetric,
    wanted: Option<SampleGroup>,
) -> FidelityCurves {
    let mut evictions = Evictions::default();
    for point in points {
        let sample = &point.sample;
        let content = (sample.content.as_str(), sample.prompt_tokens);
        evictions.push(
            &sample.group,
            content,
            &point.label,
            point.budget,
            point.figures,
        );
    }
    let mut groups = evictions.groups().iter();
    let Some(place) = groups
        .position(|known| Some(&known.group) == wanted.as_ref())
        .or((!points.is_empty()).then_some(0))
    else {
        return FidelityCurves::default();
    };
    let groups: Vec<SampleGroup> = evictions
        .groups()
        .iter()
        .map(|known| known.group.clone())
        .collect();
    let group = groups.get(place).cloned();
    let points: Vec<&FidelityPoint> = points
        .iter()
        .copied()
        .filter(|point| Some(&point.sample.group) == group.as_ref())
        .collect();
    let means = evictions.means(metric.figure(), SEED);
    let means: Vec<&EvictionMean<'_, usize>> =
        means.iter().filter(|mean| mean.group == place).collect();
    let windows = labels
        .iter()
        .enumerate()
        .map(|(index, label)| FidelityCurve {
            label: (*label).to_owned(),
            repeat: repeat(labels, index),
            is_oracle: false,
            points: points_of(label, &means, &points),
        });
    let oracle = FidelityCurve {
        label: DECODE_LABEL.to_owned(),
        repeat: 0,
        is_oracle: true,
        points: points_of(DECODE_LABEL, &means, &points),
    };
    let full = means.iter().find(|mean| mean.window == FULL_LABEL);
    FidelityCurves {
        curves: std::iter::once(oracle)
            .chain(windows)
            .filter(|curve| !curve.points.is_empty())
            .collect(),
        full: full.map(|mean| mean.changed),
        samples: evictions
            .groups()
            .get(place)
            .map_or(0, |known| known.prompt_tokens.len()),
        correlations: correlations(&evictions, place, metric, &points),
        groups,
        group,
        of_shown: Vec::new(),
    }
}

/// Of one window, by ascending budget.
fn points_of(
    label: &str,
    means: &[&EvictionMean<'_, usize>],
    points: &[&FidelityPoint],
) -> Vec<FidelityMean> {
    let of_window = means.iter().filter(|mean| mean.window == label);
    let mut found: Vec<FidelityMean> = of_window
        .map(|mean| FidelityMean {
            budget: mean.budget,
            budget_tokens: mean_tokens(mean.budget, points),
            samples: mean.samples,
            value: mean.changed,
            interval: mean.interval,
            recall: mean.foreseen,
        })
        .collect();
    found.sort_by(|left, right| left.budget_tokens.total_cmp(&right.budget_tokens));
    found
}

/// The budget in tokens, mean over the samples that have it.
fn mean_tokens(budget: Budget, points: &[&FidelityPoint]) -> f64 {
    let mut prompts: Vec<(&str, usize)> = Vec::new();
    for point in points.iter().filter(|point| point.budget == budget) {
        if prompts
            .iter()
            .all(|(content, _)| *content != point.sample.content)
        {
            prompts.push((&point.sample.content, point.budget_tokens));
        }
    }
    mean(prompts.iter().map(|(_, tokens)| *tokens as f64)).unwrap_or(f64::NAN)
}

fn correlations(
    evictions: &Evictions,
    place: usize,
    metric: FidelityMetric,
    points: &[&FidelityPoint],
) -> Vec<FidelityCorrelation> {
    let found = evictions.correlations(Figure::Recall, metric.figure(), SEED);
    let of_budget = |part: &BudgetCorrelations<'_, usize>| {
        let over_windows = part.over_windows?;
        (over_windows.samples > 0).then_some(FidelityCorrelation {
            budget: part.budget,
            windows: part.windows.len(),
            spearman: over_windows.spearman,
            interval: over_windows.interval,
            samples: over_windows.samples,
        })
    };
    let mut found: Vec<FidelityCorrelation> = found
        .unwrap_or_default()
        .iter()
        .filter(|part| part.group == place)
        .filter_map(of_budget)
        .collect();
    found.sort_by(|left, right| {
        mean_tokens(left.budget, points).total_cmp(&mean_tokens(right.budget, points))
    });
    found
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::fidelity::MeanFidelity;

    use super::*;
    use crate::gui::questions::fidelity::EvictedSample;
    use crate::measurement::fidelity::Foreseen;
    use crate::measurement::fidelity::figures::Figures;

    fn group(place: &str) -> SampleGroup {
        SampleGroup {
            model: "demo".to_owned(),
            task: "facts".to_owned(),
            question_place: Some(place.to_owned()),
        }
    }

    /// Samples with an odd number have the question at the start.
    fn point(index: usize, label: &str, tokens: usize, recall: f64, kl: f64) -> FidelityPoint {
        FidelityPoint {
            index,
            sample: Arc::new(EvictedSample {
                group: group(if index.is_multiple_of(2) {
                    "end"
                } else {
                    "start"
                }),
                content: index.to_string(),
                prompt_tokens: 500,
            }),
            label: label.to_owned(),
            budget: Budget::Tokens(tokens),
            budget_tokens: tokens,
            figures: Figures {
                foreseen: Foreseen {
                    recall,
                    method_recall: recall,
                    kept_recall: recall,
                    hit_rate: recall,
                    kept_mass: recall,
                    output_error: f64::NAN,
                },
                fidelity: MeanFidelity { kl, agreement: 1.0 },
                answer_nll: None,
                score: None,
            },
            generated: "".into(),
        }
    }

    fn found(all: &[FidelityPoint], metric: FidelityMetric, place: &str) -> FidelityCurves {
        let points: Vec<&FidelityPoint> = all.iter().collect();
        curves(
            &points,
            &["last", "laq", "random"],
            metric,
            Some(group(place)),
        )
    }

    #[test]
    fn points_are_means_over_the_samples_of_one_place_of_the_question() {
        let all = [
            point(0, "last", 64, 0.5, 1.0),
            point(2, "last", 64, 0.7, 3.0),
            point(1, "last", 64, 0.1, 50.0),
            point(0, "last", 8, 0.1, 6.0),
            point(0, "decode", 8, 1.0, 9.0),
            point(0, "full", 100, 1.0, 0.0),
        ];
        let end = found(&all, FidelityMetric::Divergence, "end");
        let names: Vec<&str> = end
            .curves
            .iter()
            .map(|curve| curve.label.as_str())
            .collect();
        assert_eq!(names, ["decode", "last"]);
        let last = &end.curves[1].points;
        assert_eq!((last[0].value, last[1].value), (6.0, 2.0));
        assert_eq!((last[0].samples, last[1].samples), (1, 2));
        assert!(last[0].interval.is_none() && last[1].interval.is_some());
        assert!((last[1].recall - 0.6).abs() < 1e-12);
        assert_eq!((end.full, end.samples), (Some(0.0), 2));
        assert_eq!(end.groups, [group("end"), group("start")]);
        let start = found(&all, FidelityMetric::Divergence, "start");
        assert_eq!((start.curves[0].points[0].value, start.samples), (50.0, 1));
        let without = found(&all, FidelityMetric::Score, "end");
        assert!(without.curves.is_empty() && without.correlations.is_empty());
    }

    #[test]
    fn a_lone_window_has_no_correlation_and_several_have_one_for_each_budget() {
        // pooled over the budgets, each of these windows by itself would have -1
        let random = [
            point(0, "random", 8, 0.1, 6.0),
            point(0, "random", 64, 0.4, 1.0),
            point(0, "decode", 8, 1.0, 0.1),
            point(0, "decode", 64, 1.0, 0.0),
        ];
        let lone = found(&random, FidelityMetric::Divergence, "end");
        assert!(lone.correlations.is_empty(), "{:?}", lone.correlations);
        let mut several = random.to_vec();
        several.push(point(0, "laq", 8, 0.5, 2.0));
        several.push(point(0, "laq", 64, 0.6, 2.0));
        let found = found(&several, FidelityMetric::Divergence, "end").correlations;
        let told: Vec<(Budget, usize, f64)> = found
            .iter()
            .map(|part| (part.budget, part.windows, part.spearman))
            .collect();
        let (small, large) = (Budget::Tokens(8), Budget::Tokens(64));
        assert_eq!(told, [(small, 2, -1.0), (large, 2, 1.0)]);
    }
}
