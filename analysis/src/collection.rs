//! Many samples of many windows, gathered sample by sample for means, differences and winners.
//!
//! Samples are averaged within a group (model, task, place of the question) whatever session they come from.
//! Windows are paired sample by sample: by a key that the caller gives, equal only where two sessions ran
//! the same prompt to the same decode stage.
//!
//! What is kept of a sample is one number per window, budget and head, so the samples themselves may be
//! larger than memory: 1,000 samples of 1,024 heads, 8 windows and 6 budgets are 200 MB.

use crate::budget::Budget;
use crate::comparison::{Comparison, Metric};
use crate::error::AnalysisError;
use crate::importance::HeadKind;

mod means;
mod pairs;
#[cfg(test)]
mod tests;

pub use means::GroupSummary;
pub use pairs::{PairedMap, WinnerMap};

/// What samples are averaged together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleGroup {
    /// Name of the model.
    pub model: String,
    /// Name of the task.
    pub task: String,
    /// Where the question stands, when the data say.
    pub question_place: Option<String>,
}

/// Equal for two samples whose windows may be paired.
pub type SampleKey = String;

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
}

/// Samples gathered so far.
#[derive(Debug, Clone)]
pub struct Collection {
    budgets: Vec<Budget>,
    /// How many of the budgets, from the first on, have maps of heads.
    mapped: usize,
    metric: Metric,
    groups: Vec<GroupSamples>,
}

/// The samples of one group.
#[derive(Debug, Clone)]
pub struct GroupSamples {
    /// What they have in common.
    pub group: SampleGroup,
    /// Prompt tokens of every sample, in the order of coming; a sample of two sessions counts twice.
    pub prompt_tokens: Vec<usize>,
    windows: Vec<WindowSamples>,
}

#[derive(Debug, Clone)]
struct WindowSamples {
    label: String,
    score_kind: String,
    shape: HeadShape,
    samples: Vec<SamplePoints>,
}

#[derive(Debug, Clone)]
struct SamplePoints {
    key: SampleKey,
    /// By budget; none where the budget does not apply to the prompt.
    points: Vec<Option<Point>>,
}

#[derive(Debug, Clone)]
struct Point {
    /// Means over the heads, in the order of [`Metric::ALL`].
    means: [f64; Metric::ALL.len()],
    /// The collection's metric, `[L, heads]`; empty at a budget without maps.
    by_head: Vec<f64>,
}

impl Collection {
    /// Nothing yet. Means are taken of every metric at each of the budgets and of `more_budgets`; differences,
    /// winners and maps of heads of `metric` alone, at `budgets`.
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
            groups: Vec::new(),
        }
    }

    /// Every budget as it was typed.
    pub fn budgets(&self) -> &[Budget] {
        &self.budgets
    }

    /// The budgets of differences, winners and maps.
    pub fn mapped_budgets(&self) -> &[Budget] {
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

    /// Adds a sample of `prompt_tokens` tokens.
    pub fn add(
        &mut self,
        group: &SampleGroup,
        key: &str,
        prompt_tokens: usize,
        windows: &[CollectedWindow<'_>],
    ) {
        let (budgets, mapped, metric) = (self.budgets.clone(), self.mapped, self.metric);
        let known = self.groups.iter().position(|entry| entry.group == *group);
        let index = known.unwrap_or_else(|| {
            self.groups.push(GroupSamples {
                group: group.clone(),
                prompt_tokens: Vec::new(),
                windows: Vec::new(),
            });
            self.groups.len() - 1
        });
        let entry = &mut self.groups[index];
        entry.prompt_tokens.push(prompt_tokens);
        for window in windows {
            let points = budgets
                .iter()
                .enumerate()
                .map(|(index, &budget)| {
                    Point::of(
                        window.comparison,
                        budget,
                        (index < mapped).then_some(metric),
                    )
                })
                .collect();
            entry.window(window).push(key, points);
        }
    }

    /// The first window's label of the first group; none before a sample came.
    pub fn first_window(&self) -> Option<&str> {
        let window = self.groups.first()?.windows.first()?;
        Some(&window.label)
    }
}

impl GroupSamples {
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
                samples: Vec::new(),
            });
            self.windows.len() - 1
        });
        &mut self.windows[index]
    }
}

impl WindowSamples {
    /// A second sample of the same key (the same capture twice) is a sample of its own.
    fn push(&mut self, key: &str, points: Vec<Option<Point>>) {
        let repeats = self.samples.iter().filter(|sample| {
            let rest = sample.key.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
        });
        let key = match repeats.count() {
            0 => key.to_owned(),
            count => format!("{key}#{}", count + 1),
        };
        self.samples.push(SamplePoints { key, points });
    }

    /// The sample of a key; `near` is where it probably stands.
    fn find(&self, key: &str, near: usize) -> Option<&SamplePoints> {
        self.samples
            .get(near)
            .filter(|sample| sample.key == key)
            .or_else(|| self.samples.iter().find(|sample| sample.key == key))
    }
}

impl SamplePoints {
    fn point(&self, budget: usize) -> Option<&Point> {
        self.points.get(budget)?.as_ref()
    }
}

impl Point {
    fn of(comparison: &Comparison, budget: Budget, mapped: Option<Metric>) -> Option<Self> {
        if matches!(budget, Budget::Tokens(tokens) if tokens > comparison.prompt_tokens) {
            return None;
        }
        let tokens = budget.tokens(comparison.prompt_tokens);
        let index = comparison.budget_index(tokens).ok()?;
        Some(Self {
            means: Metric::ALL.map(|metric| comparison.mean(metric, index)),
            by_head: mapped.map_or_else(Vec::new, |metric| comparison.metric_map(metric, index)),
        })
    }
}

/// The place of a metric in [`Point::means`].
fn place_of(metric: Metric) -> usize {
    Metric::ALL
        .iter()
        .position(|known| *known == metric)
        .unwrap_or_default()
}

/// What a caller passes on when values of several samples cannot be put side by side.
type Collected<V> = Result<V, AnalysisError>;
