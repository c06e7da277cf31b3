//! Two sides held against each other on what they share: windows on the same sample, places of the question in
//! the same document, models on the same prompt.

use std::collections::{HashMap, HashSet};

use super::points::{Point, head_values};
use super::{Collected, Collection, GroupSamples, HeadShape, SampleKey, WindowSamples};
use crate::budget::Budget;
use crate::comparison::Metric;
use crate::statistics::{
    HeadDifference, PairedDifference, mean, paired_difference, paired_differences_by_head,
};

/// What the two sides of a pair differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contrast {
    /// The window; the samples are the same.
    Window,
    /// The place of the question in the same document, for one window, model and task.
    QuestionPlace,
    /// The model on the same prompt, for one window, task and place of the question.
    Model,
}

impl Contrast {
    /// Every contrast, in the order of the table.
    pub const ALL: [Self; 3] = [Self::Window, Self::QuestionPlace, Self::Model];

    /// The contrast as the tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::QuestionPlace => "question_place",
            Self::Model => "model",
        }
    }

    /// What must be equal for two samples to be a pair.
    fn unit(self, key: &SampleKey) -> Option<&str> {
        match self {
            Self::Window => Some(&key.content),
            Self::QuestionPlace => key.document.as_deref(),
            Self::Model => Some(&key.prompt),
        }
    }
}

/// The first side minus the second at one budget, on the samples that both have.
#[derive(Debug, Clone)]
pub struct PairedMap<'a> {
    /// What the sides differ in.
    pub contrast: Contrast,
    /// The model of both; none where models differ.
    pub model: Option<&'a str>,
    /// The task of both.
    pub task: &'a str,
    /// Where the question stands in both; none where places differ or the data do not say.
    pub question_place: Option<&'a str>,
    /// The window of both; none where windows differ.
    pub window: Option<&'a str>,
    /// The metric.
    pub metric: Metric,
    /// The budget as it was typed.
    pub budget: Budget,
    /// The first side: label of the window, place of the question or name of the model.
    pub first: &'a str,
    /// The second side, which is taken off the first.
    pub second: &'a str,
    /// Number of samples that both sides have a value of.
    pub samples: usize,
    /// Of the means over all heads.
    pub overall: PairedDifference,
    /// The heads, where both sides have the same.
    pub shape: Option<HeadShape>,
    /// `[L, heads]`, none for a head that is undefined in any of the samples; empty where the two have other
    /// heads, where models differ (their heads have nothing to do with each other), or where maps were not asked
    /// for.
    pub by_head: Vec<Option<HeadDifference>>,
}

/// One side of a comparison: a window of a group, and what it is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) entry: &'a GroupSamples,
    pub(super) window: &'a WindowSamples,
    pub(super) name: &'a str,
}

/// Two sides and what they differ in.
#[derive(Debug, Clone, Copy)]
struct Pair<'a> {
    contrast: Contrast,
    sides: [Side<'a>; 2],
}

impl Collection {
    /// Every pair of a contrast, by group, pair, then budget; budgets at which a pair shares no sample are left
    /// out. Each is made when it is asked for, so that whoever asks can stop in between.
    ///
    /// * [`Contrast::Window`]: every other window minus the window `against` (or every later one minus every
    ///   earlier one, without it).
    /// * [`Contrast::QuestionPlace`]: `start` minus every other place, and otherwise the place that came first minus
    ///   the later ones.
    /// * [`Contrast::Model`]: every later model minus every earlier one, of samples whose prompt is the same.
    ///
    /// Where several samples of a side are one document, or one prompt, the first that came is paired, so that no
    /// pair counts twice.
    ///
    /// # Errors
    /// Each may be refused by the statistics underneath.
    pub fn differences<'a>(
        &'a self,
        contrast: Contrast,
        against: Option<&str>,
        maps: bool,
        seed: u64,
    ) -> impl Iterator<Item = Collected<PairedMap<'a>>> + use<'a> {
        let pairs = match contrast {
            Contrast::Window => self.window_pairs(against),
            Contrast::QuestionPlace => self.place_pairs(),
            Contrast::Model => self.model_pairs(),
        };
        pairs.into_iter().flat_map(move |pair| {
            let budgets = self.mapped_budgets().iter().copied().enumerate();
            budgets.filter_map(move |budget| self.difference(pair, budget, maps, seed).transpose())
        })
    }

    fn difference<'a>(
        &'a self,
        pair: Pair<'a>,
        (index, budget): (usize, Budget),
        maps: bool,
        seed: u64,
    ) -> Collected<Option<PairedMap<'a>>> {
        let Pair { contrast, sides } = pair;
        let shared = shared_points(&sides, contrast, index);
        let [first, second] = sides;
        let comparable = first.window.shape == second.window.shape && contrast != Contrast::Model;
        let means = shared_means(&shared, self.metric, comparable);
        if means[0].is_empty() {
            return Ok(None);
        }
        let by_head = match maps && comparable {
            true => paired_differences_by_head(&head_values(&shared, self.metric)?, 0, 1, seed)?,
            false => Vec::new(),
        };
        let group = &first.entry.group;
        let same = |other: Contrast| contrast != other;
        Ok(Some(PairedMap {
            contrast,
            model: same(Contrast::Model).then_some(group.model.as_str()),
            task: &group.task,
            question_place: group
                .question_place
                .as_deref()
                .filter(|_| same(Contrast::QuestionPlace)),
            window: same(Contrast::Window).then_some(first.window.label.as_str()),
            metric: self.metric,
            budget,
            first: first.name,
            second: second.name,
            samples: means[0].len(),
            overall: paired_difference(&means[0], &means[1], Some(self.metric.bounds()), seed)?,
            shape: comparable.then_some(first.window.shape),
            by_head,
        }))
    }

    fn window_pairs(&self, against: Option<&str>) -> Vec<Pair<'_>> {
        let mut pairs = Vec::new();
        for entry in &self.groups {
            let windows = || entry.windows.iter().enumerate();
            for (index, second) in windows() {
                let firsts = windows().filter(|(other, first)| match against {
                    Some(label) => second.label == label && first.label != label,
                    None => *other > index,
                });
                pairs.extend(firsts.map(|(_, first)| Pair {
                    contrast: Contrast::Window,
                    sides: [first, second].map(|window| Side {
                        entry,
                        window,
                        name: &window.label,
                    }),
                }));
            }
        }
        pairs
    }

    fn place_pairs(&self) -> Vec<Pair<'_>> {
        let mut pairs = Vec::new();
        for (index, earlier) in self.groups.iter().enumerate() {
            for later in self.groups.iter().skip(index + 1) {
                let (one, other) = (&earlier.group, &later.group);
                let places = (
                    one.question_place.as_deref(),
                    other.question_place.as_deref(),
                );
                let (Some(place), Some(other_place)) = places else {
                    continue;
                };
                if (&one.model, &one.task) != (&other.model, &other.task) {
                    continue;
                }
                let sides = match other_place {
                    "start" => [(later, other_place), (earlier, place)],
                    _ => [(earlier, place), (later, other_place)],
                };
                pairs.extend(same_windows(Contrast::QuestionPlace, sides));
            }
        }
        pairs
    }

    fn model_pairs(&self) -> Vec<Pair<'_>> {
        let mut pairs = Vec::new();
        for (index, earlier) in self.groups.iter().enumerate() {
            for later in self.groups.iter().skip(index + 1) {
                let (one, other) = (&earlier.group, &later.group);
                let same = one.task == other.task && one.question_place == other.question_place;
                if same && one.model != other.model {
                    let sides = [(later, other.model.as_str()), (earlier, one.model.as_str())];
                    pairs.extend(same_windows(Contrast::Model, sides));
                }
            }
        }
        pairs
    }
}

/// Windows of two groups with the same label and the same kind of heads.
fn same_windows<'a>(
    contrast: Contrast,
    [(first, first_name), (second, second_name)]: [(&'a GroupSamples, &'a str); 2],
) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for window in &first.windows {
        let others = second.windows.iter().filter(|other| {
            other.label == window.label && other.shape.head_kind == window.shape.head_kind
        });
        pairs.extend(others.map(|other| Pair {
            contrast,
            sides: [
                Side {
                    entry: first,
                    window,
                    name: first_name,
                },
                Side {
                    entry: second,
                    window: other,
                    name: second_name,
                },
            ],
        }));
    }
    pairs
}

/// Of each side, the points at a budget of the samples that all of them have, in the first one's order.
pub(super) fn shared_points<'a>(
    sides: &[Side<'a>],
    contrast: Contrast,
    budget: usize,
) -> Vec<Vec<&'a Point>> {
    let mut shared: Vec<Vec<&Point>> = vec![Vec::new(); sides.len()];
    let Some((first, others)) = sides.split_first() else {
        return shared;
    };
    let others: Vec<HashMap<&str, &Point>> = others
        .iter()
        .map(|side| {
            let mut by_unit = HashMap::new();
            for (unit, point) in side.units(contrast, budget) {
                by_unit.entry(unit).or_insert(point);
            }
            by_unit
        })
        .collect();
    let mut seen = HashSet::new();
    for (unit, point) in first.units(contrast, budget) {
        let of_others = others.iter().map(|other| other.get(unit).copied());
        let row: Option<Vec<&Point>> = std::iter::once(Some(point)).chain(of_others).collect();
        let Some(row) = row.filter(|_| seen.insert(unit)) else {
            continue;
        };
        for (points, point) in shared.iter_mut().zip(row) {
            points.push(point);
        }
    }
    shared
}

impl<'a> Side<'a> {
    /// The samples that a budget applies to, by what makes them a pair.
    fn units(
        self,
        contrast: Contrast,
        budget: usize,
    ) -> impl Iterator<Item = (&'a str, &'a Point)> {
        let keys = &self.entry.keys;
        let samples = self.window.at(budget);
        samples.filter_map(move |(unit, point)| Some((contrast.unit(keys.get(unit)?)?, point)))
    }
}

/// Means over heads of both sides, of the samples in which both have one; over the heads that are defined on both
/// sides, where the two have the same heads.
fn shared_means(shared: &[Vec<&Point>], metric: Metric, same_heads: bool) -> [Vec<f64>; 2] {
    let [Some(firsts), Some(seconds)] = [shared.first(), shared.get(1)] else {
        return [Vec::new(), Vec::new()];
    };
    let means = |first: &Point, second: &Point| match same_heads {
        true => {
            let heads = first.by_head.iter().zip(&second.by_head);
            let (firsts, seconds): (Vec<f64>, Vec<f64>) = heads
                .filter(|(first, second)| !first.is_nan() && !second.is_nan())
                .unzip();
            Some((mean(firsts)?, mean(seconds)?))
        }
        false => Some((first.mean(metric)?.mean, second.mean(metric)?.mean)),
    };
    let samples = firsts.iter().zip(seconds);
    let (firsts, seconds) = samples
        .filter_map(|(first, second)| means(first, second))
        .unzip();
    [firsts, seconds]
}
