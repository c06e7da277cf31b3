//! Maps over all samples of a session, as the read lane makes them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use kvlens_analysis::statistics::{HeadDifference, HeadWinner};
use kvlens_analysis::statistics::{paired_differences_by_head, winners_by_head};
use kvlens_analysis::{Budget, Metric};

use super::state::Choices;
use crate::measurement::MeasureOptions;
use crate::measurement::head_values::HeadValues;

/// Resampling starts from the same number everywhere.
const SEED: u64 = 0;

/// What is gathered from the samples.
#[derive(Clone, Debug, PartialEq)]
pub struct GatheredKey {
    /// The session's folder.
    pub path: PathBuf,
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
    pub fn of(session: &Path, choices: &Choices) -> Self {
        Self {
            path: session.to_owned(),
            options: choices.measure,
            metric: choices.metric,
            budget: choices.budget,
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

/// Means over samples, and what can be said of them.
#[derive(Clone, Debug)]
pub struct SessionMaps {
    /// What was asked for.
    pub key: SessionMapsKey,
    /// L and H.
    pub shape: [usize; 2],
    /// Samples that the means are over.
    pub samples: usize,
    /// Samples that do not count: shorter than the budget, or without one of the windows.
    pub skipped: usize,
    /// Finished samples of the session.
    pub total: usize,
    /// Labels and means of all windows, `[L * H]`.
    pub means: Vec<(String, Vec<f32>)>,
    /// The best of [`SessionMapsKey::windows`] in every head; empty until all samples are in, and without windows.
    pub winners: Vec<HeadWinner>,
    /// First less second of [`SessionMapsKey::pair`] in every head; empty until all samples are in.
    pub differences: Vec<HeadDifference>,
}

impl SessionMaps {
    /// The means so far.
    ///
    /// # Errors
    /// No samples yet; numbers that are not finite.
    pub fn means(key: SessionMapsKey, gathered: &HeadValues, total: usize) -> Result<Self> {
        let values = gathered.of(gathered.windows())?;
        let mean_of = |(place, label): (usize, &String)| {
            let means = values.head_means(place);
            let means = means.into_iter().map(|value| value as f32).collect();
            (label.clone(), means)
        };
        Ok(Self {
            key,
            shape: [gathered.layers, gathered.query_heads],
            samples: gathered.samples(),
            skipped: gathered.skipped(),
            total,
            means: gathered.windows().iter().enumerate().map(mean_of).collect(),
            winners: Vec::new(),
            differences: Vec::new(),
        })
    }

    /// Means, winners and differences of everything.
    ///
    /// # Errors
    /// As [`SessionMaps::means`], and refusals of the statistics.
    pub fn complete(key: SessionMapsKey, gathered: &HeadValues, total: usize) -> Result<Self> {
        let winners = match key.windows.is_empty() {
            true => Vec::new(),
            false => winners_by_head(&gathered.of(&key.windows)?, SEED)?,
        };
        let differences = match &key.pair {
            Some(pair) => paired_differences_by_head(&gathered.of(pair)?, 0, 1, SEED)?,
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
        self.samples + self.skipped == self.total
    }

    /// Means of one window.
    #[must_use]
    pub fn mean_of(&self, label: &str) -> Option<&[f32]> {
        let found = self.means.iter().find(|(known, _)| known == label)?;
        Some(&found.1)
    }
}
