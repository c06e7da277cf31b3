//! Maps over all samples of a session, as the read lane makes them.

use std::path::PathBuf;

use anyhow::Result;
use kvlens_analysis::needle::NeedleGrids;
use kvlens_analysis::statistics::{HeadDifference, HeadWinner};
use kvlens_analysis::statistics::{best_by_head, paired_differences_by_head};
use kvlens_analysis::{Budget, Compare, Comparison, Metric, SampleGroup};

use super::data::OpenedSession;
use super::needle_maps::NeedleMaps;
use super::state::Choices;
use crate::jobs::left_out::LeftOut;
use crate::measurement::head_values::HeadValues;
use crate::measurement::needle::add_needle;
use crate::measurement::{MeasureOptions, MeasuredSample};

/// Resampling starts from the same number everywhere.
const SEED: u64 = 0;

/// What is gathered from the samples.
#[derive(Clone, Debug, PartialEq)]
pub struct GatheredKey {
    /// The session's folder.
    pub path: PathBuf,
    /// Differs each time that a session is opened.
    pub opened: u64,
    /// Finished samples of the session: a capture may add to them.
    pub samples: usize,
    /// How to measure.
    pub options: MeasureOptions,
    /// The number.
    pub metric: Metric,
    /// The budget.
    pub budget: Budget,
}

impl GatheredKey {
    /// What a session's maps are made of under the choices.
    #[must_use]
    pub fn of(session: &OpenedSession, choices: &Choices) -> Self {
        Self {
            path: session.info.path.clone(),
            opened: session.opened,
            samples: session.info.samples.len(),
            options: choices.measure,
            metric: choices.metric,
            budget: choices.budget,
        }
    }

    /// Whether it is of the same session and choices, perhaps of fewer samples: maps that can be shown until those of
    /// all samples are there.
    #[must_use]
    pub fn is_shown_for(&self, wanted: &Self) -> bool {
        let samples = wanted.samples;
        *wanted
            == Self {
                samples,
                ..self.clone()
            }
    }
}

/// What is made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionMapsKey {
    /// What is gathered.
    pub gathered: GatheredKey,
    /// Windows that can win.
    pub windows: Vec<String>,
    /// A window, and the one that is taken off it.
    pub pair: Option<[String; 2]>,
}

/// The numbers of all samples, and those of the windows' ceilings where methods are compared.
#[derive(Clone, Debug)]
pub struct GatheredValues {
    gathered: HeadValues,
    ceilings: Option<HeadValues>,
    needles: NeedleGrids,
    budget: Budget,
    /// Samples that could not be read or measured.
    pub left_out: LeftOut,
}

impl GatheredValues {
    /// Nothing yet, of a model of L layers and H query heads.
    #[must_use]
    pub fn new(shape: [usize; 2], wanted: &GatheredKey) -> Self {
        let none = || HeadValues::new(shape, wanted.metric, wanted.budget);
        Self {
            gathered: none(),
            ceilings: (wanted.options.compare == Compare::Methods).then(none),
            needles: NeedleGrids::default(),
            budget: wanted.budget,
            left_out: LeftOut::default(),
        }
    }

    /// Adds a sample that was measured at [`Self::budgets`].
    pub fn add(&mut self, sample: &MeasuredSample) {
        self.gathered.add(sample);
        self.add_needle(sample);
        if let Some(ceilings) = &mut self.ceilings {
            ceilings.add(&with_ceilings(sample));
        }
    }

    /// What the sample says of every window, if it is one of a needle grid.
    fn add_needle(&mut self, sample: &MeasuredSample) {
        let record = &sample.record;
        let group = SampleGroup {
            model: String::new(),
            task: record.task.clone(),
            question_place: record.question_place.map(|place| place.to_string()),
        };
        let windows = sample.windows.iter();
        let windows = windows.map(|window| (window.label.as_str(), &window.comparison));
        let (needles, budgets) = (&mut self.needles, [self.budget]);
        add_needle(needles, (&group, &record.id), record, windows, &budgets);
    }

    /// The budgets in tokens that a prompt of T tokens is measured at.
    #[must_use]
    pub fn budgets(&self, prompt_tokens: usize) -> Vec<usize> {
        self.gathered.budgets(prompt_tokens)
    }

    /// Samples that count.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.gathered.samples()
    }
}

/// The sample with every window's ceiling in the window's place.
fn with_ceilings(sample: &MeasuredSample) -> MeasuredSample {
    let mut sample = sample.clone();
    for window in &mut sample.windows {
        if let Some(ceiling) = &window.ceiling {
            window.comparison = Comparison::clone(ceiling);
        }
    }
    sample
}

/// Means over samples, and what can be said of them.
#[derive(Clone, Debug)]
pub struct SessionMaps {
    /// What was asked for.
    pub key: SessionMapsKey,
    /// L and H.
    pub shape: [usize; 2],
    /// Samples that the means are over.
    pub samples: usize,
    /// Documents that they are of, each of which counts once, wherever its question stands.
    pub documents: usize,
    /// Samples that do not count: shorter than the budget, or without one of the windows.
    pub skipped: usize,
    /// Samples that could not be read or measured.
    pub left_out: LeftOut,
    /// Finished samples of the session.
    pub total: usize,
    /// Labels and means of all windows, `[L * H]`.
    pub means: Vec<(String, Vec<f64>)>,
    /// Means of their ceilings in the same order, `[L * H]`; empty where queries are compared.
    pub ceilings: Vec<Vec<f64>>,
    /// Grids of samples that have a length and a depth, one for each task and place of the question.
    pub needles: Vec<NeedleMaps>,
    /// The best of [`SessionMapsKey::windows`] in every head; empty until all samples are in, and without windows.
    pub winners: Vec<Option<HeadWinner>>,
    /// First less second of [`SessionMapsKey::pair`] in every head; empty until all samples are in.
    pub differences: Vec<Option<HeadDifference>>,
}

impl SessionMaps {
    /// The means so far.
    ///
    /// # Errors
    /// No samples yet; numbers that are not finite.
    pub fn means(key: SessionMapsKey, gathered: &GatheredValues, total: usize) -> Result<Self> {
        let GatheredValues {
            gathered,
            ceilings,
            needles,
            left_out,
            ..
        } = gathered;
        let values = gathered.of(gathered.windows())?;
        let ceilings = match ceilings {
            Some(ceilings) => Some(ceilings.of(gathered.windows())?),
            None => None,
        };
        let windows = 0..gathered.windows().len();
        let mean_of = |(place, label): (usize, &String)| (label.clone(), values.head_means(place));
        Ok(Self {
            key,
            shape: [gathered.layers, gathered.query_heads],
            samples: gathered.samples(),
            documents: gathered.documents(),
            skipped: gathered.skipped(),
            left_out: left_out.clone(),
            total,
            means: gathered.windows().iter().enumerate().map(mean_of).collect(),
            ceilings: ceilings.map_or_else(Vec::new, |values| {
                windows.map(|window| values.head_means(window)).collect()
            }),
            needles: needles.grids().iter().map(NeedleMaps::of).collect(),
            winners: Vec::new(),
            differences: Vec::new(),
        })
    }

    /// Means, winners and differences of everything.
    ///
    /// # Errors
    /// As [`SessionMaps::means`], and refusals of the statistics.
    pub fn complete(key: SessionMapsKey, gathered: &GatheredValues, total: usize) -> Result<Self> {
        let values = &gathered.gathered;
        let winners = match key.windows.is_empty() {
            true => Vec::new(),
            false => {
                let higher_is_better = key.gathered.metric.higher_is_better();
                best_by_head(&values.of(&key.windows)?, higher_is_better, SEED)?
            }
        };
        let differences = match &key.pair {
            Some(pair) => paired_differences_by_head(&values.of(pair)?, 0, 1, SEED)?,
            None => Vec::new(),
        };
        Ok(Self {
            winners,
            differences,
            ..Self::means(key, gathered, total)?
        })
    }

    /// Whether every sample was looked at.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.samples + self.skipped + self.left_out.count() == self.total
    }

    /// Means of one window.
    #[must_use]
    pub fn mean_of(&self, label: &str) -> Option<&[f64]> {
        let found = self.means.iter().find(|(known, _)| known == label)?;
        Some(&found.1)
    }

    /// Means of one window's ceiling; empty where queries are compared.
    #[must_use]
    pub fn ceiling_of(&self, label: &str) -> &[f64] {
        let place = self.means.iter().position(|(known, _)| known == label);
        let ceiling = place.and_then(|place| self.ceilings.get(place));
        ceiling.map_or(&[], Vec::as_slice)
    }
}
