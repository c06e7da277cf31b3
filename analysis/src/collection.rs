//! Many samples of many windows, gathered sample by sample for means, differences and winners.
//!
//! The unit of counting is the prompt with its decode stage, by content: a copy of a sample, or the same sample
//! in another session, is one sample and is named as a duplicate. Samples are averaged within a group (model,
//! task, place of the question) whatever session they come from.
//!
//! What is kept of a sample is one number per window, budget and head, so the samples themselves may be
//! larger than memory: 1,000 samples of 1,024 heads, 8 windows and 6 budgets are 400 MB.

use std::collections::{BTreeMap, HashMap};

use crate::budget::Budget;
use crate::comparison::{Comparison, Metric};
use crate::error::AnalysisError;
use crate::importance::HeadKind;

mod duplicates;
mod means;
mod pairs;
mod points;
#[cfg(test)]
mod tests;
mod winners;

pub use duplicates::Duplicate;
pub use means::GroupSummary;
pub use pairs::{Contrast, PairedMap};
pub use winners::WinnerMap;

use points::Point;

/// What samples are averaged together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SampleGroup {
    /// Name of the model.
    pub model: String,
    /// Name of the task.
    pub task: String,
    /// Where the question stands, when the data say.
    pub question_place: Option<String>,
}

/// What a sample is, so that copies are counted once and samples that belong together are paired.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SampleKey {
    /// Equal for the same prompt with the same decode stage by the same model: a hash of the prompt's and the
    /// decode stage's token ids and of the model.
    pub content: String,
    /// Equal for the same document and question, wherever the question stands; none where the data do not say.
    pub document: Option<String>,
    /// Equal for the same prompt in letters, whatever model reads it: a hash of its text.
    pub prompt: String,
}

/// A sample on its way into a collection.
#[derive(Debug, Clone, Copy)]
pub struct CollectedSample<'a> {
    /// What it is.
    pub key: &'a SampleKey,
    /// Name of its session.
    pub session: &'a str,
    /// Its id there.
    pub sample: &'a str,
    /// Prompt tokens, T.
    pub prompt_tokens: usize,
}

/// The heads of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadShape {
    /// Number of layers.
    pub layers: usize,
    /// Heads per layer.
    pub heads: usize,
    /// What a head stands for.
    pub head_kind: HeadKind,
}

/// One window of a sample.
#[derive(Debug, Clone, Copy)]
pub struct CollectedWindow<'a> {
    /// The window as it was typed.
    pub label: &'a str,
    /// What its scores are.
    pub score_kind: &'a str,
    /// Its metrics; budgets that it was not compared at, or that are larger than the prompt, are left out.
    pub comparison: &'a Comparison,
    /// Where methods are compared: the decode stage's own rows under the window's scoring, against the same truth.
    pub ceiling: Option<&'a Comparison>,
}

/// Samples gathered so far.
#[derive(Debug, Clone)]
pub struct Collection {
    budgets: Vec<Budget>,
    /// How many of the budgets, from the first on, have maps of heads.
    mapped: usize,
    metric: Metric,
    is_truth: bool,
    groups: Vec<GroupSamples>,
    duplicates: Vec<Duplicate>,
}

/// The samples of one group.
#[derive(Debug, Clone)]
pub struct GroupSamples {
    /// What they have in common.
    pub group: SampleGroup,
    /// Prompt tokens of every sample, in the order of coming; each content once.
    pub prompt_tokens: Vec<usize>,
    /// By sample.
    keys: Vec<SampleKey>,
    /// Index of a sample by its content.
    by_content: HashMap<String, usize>,
    windows: Vec<WindowSamples>,
}

#[derive(Debug, Clone)]
struct WindowSamples {
    label: String,
    score_kind: String,
    shape: HeadShape,
    /// By index of the sample within the group.
    samples: BTreeMap<usize, SamplePoints>,
}

#[derive(Debug, Clone)]
struct SamplePoints {
    session: String,
    sample: String,
    /// By budget; none where the budget does not apply to the prompt.
    points: Vec<Option<Point>>,
}

impl Collection {
    /// Nothing yet. Means are taken of every metric at each of the budgets, at `more_budgets` of what papers give at
    /// budgets of their own ([`Metric::KeptRecall`], [`Metric::HitRate`]); differences, winners and maps of heads of
    /// `metric` alone, at `budgets`.
    pub fn new(budgets: &[Budget], more_budgets: &[Budget], metric: Metric) -> Self {
        let mut all = budgets.to_vec();
        for budget in more_budgets {
            if !all.contains(budget) {
                all.push(*budget);
            }
        }
        Self {
            budgets: all,
            mapped: budgets.len(),
            metric,
            is_truth: false,
            groups: Vec::new(),
            duplicates: Vec::new(),
        }
    }

    /// The same for the truth compared with itself: what is 1 by definition has no interval.
    #[must_use]
    pub fn of_the_truth(self) -> Self {
        Self {
            is_truth: true,
            ..self
        }
    }

    /// Every budget as it was typed.
    pub fn budgets(&self) -> &[Budget] {
        &self.budgets
    }

    /// The budgets of differences, winners and maps.
    pub(crate) fn mapped_budgets(&self) -> &[Budget] {
        &self.budgets[..self.mapped]
    }

    /// The metric of the maps.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The groups in the order in which they first came.
    pub fn groups(&self) -> &[GroupSamples] {
        &self.groups
    }

    /// Samples that came again and were not counted again, in the order of coming.
    pub fn duplicates(&self) -> &[Duplicate] {
        &self.duplicates
    }

    /// The first window's label of the first group; none before a sample came.
    pub fn first_window(&self) -> Option<&str> {
        let window = self.groups.first()?.windows.first()?;
        Some(&window.label)
    }

    /// Adds a sample with its windows. A window that the same content already has is not counted again; see
    /// [`Self::duplicates`].
    pub fn add(
        &mut self,
        group: &SampleGroup,
        sample: CollectedSample<'_>,
        windows: &[CollectedWindow<'_>],
    ) {
        let (budgets, mapped, metric) = (&self.budgets, self.mapped, self.metric);
        let points = |window: &CollectedWindow<'_>| -> Vec<Option<Point>> {
            let budgets = budgets.iter().enumerate();
            let point = |(index, &budget)| {
                let map = (index < mapped).then_some(metric);
                Point::of(window, budget, map)
            };
            budgets.map(point).collect()
        };
        let known = self.groups.iter().position(|entry| entry.group == *group);
        let index = known.unwrap_or(self.groups.len());
        if index == self.groups.len() {
            self.groups.push(GroupSamples::new(group.clone()));
        }
        let entry = &mut self.groups[index];
        let unit = entry.unit(sample);
        for window in windows {
            let new = SamplePoints {
                session: sample.session.to_owned(),
                sample: sample.sample.to_owned(),
                points: points(window),
            };
            let samples = &mut entry.window(window).samples;
            match samples.get(&unit) {
                None => drop(samples.insert(unit, new)),
                Some(first) => Duplicate::add(&mut self.duplicates, window.label, first, &new),
            }
        }
    }
}

impl GroupSamples {
    fn new(group: SampleGroup) -> Self {
        Self {
            group,
            prompt_tokens: Vec::new(),
            keys: Vec::new(),
            by_content: HashMap::new(),
            windows: Vec::new(),
        }
    }

    /// Labels and score kinds of the windows in the order in which they first came, each label once.
    pub fn windows(&self) -> Vec<(&str, &str)> {
        let mut labels: Vec<(&str, &str)> = Vec::new();
        for window in &self.windows {
            if labels.iter().all(|(label, _)| *label != window.label) {
                labels.push((&window.label, &window.score_kind));
            }
        }
        labels
    }

    /// The index of a sample, which is a new one where its content is.
    fn unit(&mut self, sample: CollectedSample<'_>) -> usize {
        if let Some(&known) = self.by_content.get(&sample.key.content) {
            return known;
        }
        let new = self.keys.len();
        self.by_content.insert(sample.key.content.clone(), new);
        self.keys.push(sample.key.clone());
        self.prompt_tokens.push(sample.prompt_tokens);
        new
    }

    fn window(&mut self, window: &CollectedWindow<'_>) -> &mut WindowSamples {
        let comparison = window.comparison;
        let shape = HeadShape {
            layers: comparison.layers,
            heads: comparison.heads,
            head_kind: comparison.head_kind,
        };
        let known = self
            .windows
            .iter()
            .position(|entry| entry.label == window.label && entry.shape == shape);
        let index = known.unwrap_or_else(|| {
            self.windows.push(WindowSamples {
                label: window.label.to_owned(),
                score_kind: window.score_kind.to_owned(),
                shape,
                samples: BTreeMap::new(),
            });
            self.windows.len() - 1
        });
        &mut self.windows[index]
    }
}

impl WindowSamples {
    /// Every sample that a budget applies to, by index within the group.
    fn at(&self, budget: usize) -> impl Iterator<Item = (usize, &Point)> {
        let samples = self.samples.iter();
        samples
            .filter_map(move |(&unit, sample)| Some((unit, sample.points.get(budget)?.as_ref()?)))
    }
}

/// What a caller passes on when values of several samples cannot be put side by side.
type Collected<V> = Result<V, AnalysisError>;
