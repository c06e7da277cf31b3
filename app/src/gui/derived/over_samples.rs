//! Curves over samples: means and 95 % intervals, the numbers of the figure `recall`.

use std::collections::HashMap;
use std::sync::Arc;

use kvlens_analysis::figure::palette::repeat;
use kvlens_analysis::figure::{CHANCE, SeriesPlace, SeriesSamples};
use kvlens_analysis::statistics::mean;
use kvlens_analysis::{Metric, SampleGroup, distinct};

use super::Derived;
use crate::gui::data::OpenedSession;
use crate::gui::query::{Pool, Query};
use crate::gui::questions::Answers;
use crate::gui::questions::session_curves::{SampleCurves, SessionCurves, SessionCurvesKey};
use crate::gui::state::{Choices, CurvesOver};
use crate::jobs::SEED;
use crate::jobs::left_out::LeftOut;

/// A metric of every window over samples.
#[derive(Clone, Debug, PartialEq)]
pub struct OverSamples {
    /// The metric.
    pub metric: Metric,
    /// Samples that the means are over, copies once; over a whole session the documents, each of which counts once by the
    /// mean of its samples, wherever their questions stand.
    pub counted: usize,
    /// Whether they are documents.
    pub are_documents: bool,
    /// Samples that were looked at, and those that there are.
    pub looked_at: [usize; 2],
    /// Samples of the session that could not be read or measured.
    pub left_out: LeftOut,
    /// The windows, and chance where the metric is recall.
    pub curves: Vec<CurveOverSamples>,
}

/// One window over samples. It has the budgets that all of the samples have, as the figure's curves do.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveOverSamples {
    /// The window, or chance.
    pub label: String,
    /// How many windows of the same method stand before it.
    pub repeat: usize,
    /// In tokens, ascending.
    pub budgets: Vec<usize>,
    /// Mean over samples of the means over heads.
    pub mean: Vec<f64>,
    /// Its 95 % interval; NaN where there are too few samples for one.
    pub low: Vec<f64>,
    /// Its upper end.
    pub high: Vec<f64>,
    /// Mean of the window's ceiling, where methods are compared.
    pub ceiling: Option<Vec<f64>>,
}

impl CurveOverSamples {
    /// The place of the budget that is nearest.
    #[must_use]
    pub fn nearest(&self, budget: usize) -> Option<usize> {
        let budgets = self.budgets.iter().enumerate();
        let nearest = budgets.min_by_key(|(_, known)| known.abs_diff(budget));
        nearest.map(|(at, _)| at)
    }
}

impl OverSamples {
    /// The curve of a window.
    #[must_use]
    pub fn curve(&self, label: &str) -> Option<&CurveOverSamples> {
        self.curves.iter().find(|curve| curve.label == label)
    }
}

/// Version of the samples' curves, the metric, and the group that it is over; none for all.
pub(super) type OverSamplesKey = (u64, Metric, Option<SampleGroup>);

impl Derived {
    /// Renews the curves over samples.
    pub fn refresh_over_samples(
        &mut self,
        pool: &Pool,
        session: &OpenedSession,
        choices: &Choices,
        answers: &Answers,
    ) {
        let wanted = SessionCurvesKey::of(session, choices);
        let held = answers.session_curves.held();
        let held = held.filter(|(known, _)| **known == wanted);
        let (Some((_, curves)), Some(shown)) = (held, &session.shown) else {
            self.over_samples = Query::default();
            return;
        };
        let record = &shown.sample.record;
        let group = SampleGroup {
            model: String::new(),
            task: record.task.clone(),
            question_place: record.question_place.map(|place| place.to_string()),
        };
        let group = (choices.curves_over == CurvesOver::Group).then_some(group);
        let version = answers.session_curves.version();
        let key = (version, choices.metric, group.clone());
        let (curves, metric) = (Arc::clone(curves), choices.metric);
        self.over_samples.in_pool(pool, key, move |_| {
            over_samples(&curves, metric, group.as_ref())
        });
    }

    /// No view of them is in sight.
    pub fn let_over_samples_go(&mut self) {
        self.over_samples.let_go();
    }

    /// The curves over samples, as far as these were measured.
    #[must_use]
    pub fn over_samples(&self) -> Option<&OverSamples> {
        self.over_samples.value()
    }
}

/// Samples by what they count as, in the order of the first of each.
fn by<'a>(
    samples: impl Iterator<Item = &'a Arc<SampleCurves>>,
    unit_of: fn(&SampleCurves) -> &str,
) -> Vec<(&'a str, Vec<&'a SampleCurves>)> {
    let mut units: Vec<(&str, Vec<&SampleCurves>)> = Vec::new();
    // never iterated
    let mut known = HashMap::new();
    for sample in samples {
        let (unit, next) = (unit_of(sample), units.len());
        let index = *known.entry(unit).or_insert(next);
        if index == next {
            units.push((unit, Vec::new()));
        }
        units[index].1.push(sample);
    }
    units
}

/// What some samples say of one curve at one budget, by their mean.
struct Point<'a> {
    label: &'a str,
    budget: usize,
    value: f64,
    ceiling: Option<f64>,
}

/// The points of every curve that all of the samples have.
fn points<'a>(samples: &[&'a SampleCurves], metric: Metric) -> Vec<Point<'a>> {
    let Some(first) = samples.first() else {
        return Vec::new();
    };
    let labels = first.windows.iter().map(|window| window.label.as_str());
    let chance = (metric == Metric::Recall).then_some(CHANCE);
    let mut points = Vec::new();
    for label in labels.chain(chance) {
        for &budget in &first.budgets {
            let found = samples
                .iter()
                .map(|sample| value(sample, label, budget, metric));
            let Some(found) = found.collect::<Option<Vec<_>>>() else {
                continue;
            };
            let defined = found
                .iter()
                .map(|(value, _)| *value)
                .filter(|value| !value.is_nan());
            let ceilings: Option<Vec<f64>> = found.iter().map(|(_, ceiling)| *ceiling).collect();
            points.push(Point {
                label,
                budget,
                value: mean(defined).unwrap_or(f64::NAN),
                ceiling: ceilings.and_then(mean),
            });
        }
    }
    points
}

/// A curve's value and ceiling in one sample; none where it does not have the budget or the window.
fn value(
    sample: &SampleCurves,
    label: &str,
    budget: usize,
    metric: Metric,
) -> Option<(f64, Option<f64>)> {
    let at = sample.budgets.binary_search(&budget).ok()?;
    if label == CHANCE {
        return Some((*sample.chance.get(at)?, None));
    }
    let window = sample.windows.iter().find(|window| window.label == label)?;
    let ceiling = window
        .ceiling(metric)
        .and_then(|ceiling| ceiling.get(at).copied());
    let ceiling = ceiling.filter(|ceiling| !ceiling.is_nan());
    Some((*window.of(metric).get(at)?, ceiling))
}

fn over_samples(
    curves: &SessionCurves,
    metric: Metric,
    group: Option<&SampleGroup>,
) -> OverSamples {
    let mut series = SeriesSamples::default();
    let is_in = |of: &SampleGroup| group.is_none_or(|group| group == of);
    let samples = curves.samples.iter().filter(|sample| is_in(&sample.group));
    let units = match group {
        Some(_) => by(samples, |sample| &sample.content),
        None => by(samples, |sample| &sample.document),
    };
    let differ =
        |samples: &[&SampleCurves]| distinct(samples.iter().map(|one| &one.content)).len() > 1;
    let are_documents = units.iter().any(|(_, samples)| differ(samples));
    for (unit, samples) in &units {
        for point in points(samples, metric) {
            let place = SeriesPlace {
                panel: "",
                series: point.label,
                x: point.budget as f64,
            };
            series.push(unit, place, point.value, point.ceiling);
        }
    }
    let rows = series.rows(Some((0.0, 1.0)), SEED);
    let most = |label: &str| {
        let same = rows.iter().filter(|row| row.series == label);
        same.map(|row| row.samples).max().unwrap_or(0)
    };
    let mut labels: Vec<&str> = rows.iter().map(|row| row.series.as_str()).collect();
    labels.dedup();
    let curve = |(index, label): (usize, &&str)| {
        let most = most(label);
        // a curve over other samples at each point would mix its shape with theirs
        let points = rows
            .iter()
            .filter(|row| row.series == **label && row.samples == most);
        let points: Vec<_> = points.collect();
        let side = |number: fn(&kvlens_analysis::figure::FigureRow) -> f64| {
            points.iter().map(|row| number(row)).collect::<Vec<f64>>()
        };
        let has_ceiling = points.iter().any(|row| row.ceiling.is_some());
        CurveOverSamples {
            label: (**label).to_owned(),
            repeat: repeat(&labels, index),
            budgets: points.iter().map(|row| row.x as usize).collect(),
            mean: side(|row| row.value),
            low: side(|row| row.low.unwrap_or(f64::NAN)),
            high: side(|row| row.high.unwrap_or(f64::NAN)),
            ceiling: has_ceiling.then(|| side(|row| row.ceiling.unwrap_or(f64::NAN))),
        }
    };
    OverSamples {
        metric,
        are_documents,
        counted: labels.iter().map(|label| most(label)).max().unwrap_or(0) as usize,
        looked_at: [curves.looked_at, curves.key.samples],
        left_out: curves.left_out.clone(),
        curves: labels.iter().enumerate().map(curve).collect(),
    }
}
