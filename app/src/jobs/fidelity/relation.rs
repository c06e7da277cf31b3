//! Whether what was foreseen tells what became of the output: correlations over samples and over windows.

use anyhow::Result;
use kvlens_analysis::fidelity::BudgetCorrelations;
use kvlens_analysis::statistics::Interval;
use kvlens_analysis::tables::RecallFidelityRow;
use kvlens_analysis::{Budget, SampleGroup};

use crate::jobs::SEED;
use crate::jobs::measure::clamped;
use crate::measurement::fidelity::figures::Figure;
use crate::measurement::fidelity::summary::Evictions;

/// What a correlation runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over<'a> {
    /// The samples of one window.
    Samples(&'a str),
    /// The windows of each sample; the figure is the mean over samples.
    Windows,
    /// The windows' means over samples.
    WindowMeans,
}

/// One correlation.
#[derive(Debug, Clone, Copy)]
pub struct Relation<'a> {
    /// Model, task and place of the question.
    pub group: &'a SampleGroup,
    /// The budget as it was typed.
    pub budget: Budget,
    /// What it runs over.
    pub over: Over<'a>,
    /// What was foreseen.
    pub foreseen: Figure,
    /// What became of the output.
    pub changed: Figure,
    windows: usize,
    samples: usize,
    /// Spearman's correlation; NaN where there is none.
    pub spearman: f64,
    /// Of a mean over samples.
    pub interval: Option<Interval>,
}

impl<'a> Relation<'a> {
    /// Its row of the table.
    pub fn row(&self) -> RecallFidelityRow<'a> {
        let (over, window) = match self.over {
            Over::Samples(window) => ("samples", Some(window)),
            Over::Windows => ("windows", None),
            Over::WindowMeans => ("window means", None),
        };
        RecallFidelityRow {
            model: &self.group.model,
            task: &self.group.task,
            question_place: self.group.question_place.as_deref(),
            budget: self.budget,
            over,
            window,
            foreseen: self.foreseen.column(),
            changed: self.changed.column(),
            windows: clamped(self.windows),
            samples: clamped(self.samples),
            spearman: Some(self.spearman),
            interval: self.interval,
        }
    }
}

/// Every correlation of every group, by what was foreseen and what changed.
///
/// # Errors
/// An infinite figure.
pub fn relations(evictions: &Evictions) -> Result<Vec<Relation<'_>>> {
    let mut all = Vec::new();
    for foreseen in Figure::FORESEEN {
        for changed in Figure::CHANGED {
            for part in evictions.correlations(foreseen, changed, SEED)? {
                add(&mut all, evictions, (foreseen, changed), &part);
            }
        }
    }
    Ok(all)
}

/// Over the samples of every window, over windows, and of the windows' means.
fn add<'a>(
    all: &mut Vec<Relation<'a>>,
    evictions: &'a Evictions,
    (foreseen, changed): (Figure, Figure),
    part: &BudgetCorrelations<'a, usize>,
) {
    let Some(entry) = evictions.groups().get(part.group) else {
        return;
    };
    let blank = Relation {
        group: &entry.group,
        budget: part.budget,
        over: Over::Windows,
        foreseen,
        changed,
        windows: part.windows.len(),
        samples: part.samples,
        spearman: f64::NAN,
        interval: None,
    };
    let of_windows = part.windows.iter().zip(&part.over_samples);
    all.extend(of_windows.map(|(&window, &spearman)| Relation {
        over: Over::Samples(window),
        windows: 1,
        spearman,
        ..blank
    }));
    all.extend(part.over_windows.map(|over| Relation {
        samples: over.samples,
        spearman: over.spearman,
        interval: over.interval,
        ..blank
    }));
    all.extend(part.of_means.map(|spearman| Relation {
        over: Over::WindowMeans,
        spearman,
        ..blank
    }));
}
