//! Whether what was foreseen tells what became of the output: correlations over samples and over windows.

use anyhow::Result;
use kvlens_analysis::fidelity::{
    correlation_of_means, correlation_over_samples, correlation_over_windows,
};
use kvlens_analysis::statistics::Interval;
use kvlens_analysis::tables::RecallFidelityRow;
use kvlens_sessions::windows::DECODE_LABEL;

use crate::jobs::measure::clamped;
use crate::measurement::fidelity::FULL_LABEL;
use crate::measurement::fidelity::collected::{Collected, Figures, GroupFigures, WindowFigures};

/// Fixes the draws of the bootstrap.
const SEED: u64 = 0;

/// What was foreseen, by its column.
pub const FORESEEN: [&str; 3] = ["recall", "hit_rate", "kept_mass"];

/// What became of the output, by its column.
const CHANGED: [&str; 4] = ["kl", "agreement", "answer_nll", "score"];

/// What a correlation runs over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// The samples of one window.
    Samples(String),
    /// The windows of each sample; the figure is the mean over samples.
    Windows,
    /// The windows' means over samples.
    WindowMeans,
}

/// One correlation.
#[derive(Debug, Clone)]
pub struct Relation {
    session: String,
    model: String,
    /// Task and place of the question; none for all prompts of the session.
    group: Option<(String, Option<&'static str>)>,
    /// The budget as it was typed.
    pub budget: String,
    /// What it runs over.
    pub over: Over,
    /// One of [`FORESEEN`].
    pub foreseen: &'static str,
    /// `kl`, `agreement`, `answer_nll` or `score`.
    pub changed: &'static str,
    windows: usize,
    samples: usize,
    /// Spearman's correlation; NaN where there is none.
    pub spearman: f64,
    /// Of a mean over samples.
    pub interval: Option<Interval>,
}

impl Relation {
    /// Its row of the table.
    pub fn row(&self) -> RecallFidelityRow<'_> {
        let (over, window) = match &self.over {
            Over::Samples(window) => ("samples", Some(window.as_str())),
            Over::Windows => ("windows", None),
            Over::WindowMeans => ("window means", None),
        };
        RecallFidelityRow {
            session: &self.session,
            model: &self.model,
            task: self.group.as_ref().map(|(task, _)| task.as_str()),
            question_place: self.group.as_ref().and_then(|(_, place)| *place),
            budget: &self.budget,
            over,
            window,
            foreseen: self.foreseen,
            changed: self.changed,
            windows: clamped(self.windows),
            samples: clamped(self.samples),
            spearman: self.spearman,
            interval: self.interval,
        }
    }
}

/// Every correlation of every group and, for a session of several groups, of all its prompts together.
///
/// # Errors
/// When a figure is no number.
pub fn relations(collected: &Collected) -> Result<Vec<Relation>> {
    let mut all = Vec::new();
    for group in &collected.groups {
        add_group(&mut all, collected, group, true)?;
    }
    for group in whole_sessions(collected) {
        add_group(&mut all, collected, &group, false)?;
    }
    Ok(all)
}

/// The correlations of one group.
///
/// # Errors
/// When a figure is no number.
pub fn relations_of(collected: &Collected, group: &GroupFigures) -> Result<Vec<Relation>> {
    let mut found = Vec::new();
    add_group(&mut found, collected, group, true)?;
    Ok(found)
}

/// The prompts of each session that has several groups.
fn whole_sessions(collected: &Collected) -> Vec<GroupFigures> {
    let mut sessions: Vec<(usize, GroupFigures)> = Vec::new();
    for group in &collected.groups {
        let known = sessions
            .iter_mut()
            .find(|(_, session)| session.group.session == group.group.session);
        match known {
            Some((groups, session)) => {
                *groups += 1;
                session.join(group);
            }
            None => sessions.push((1, group.clone())),
        }
    }
    let several = sessions.into_iter().filter(|(groups, _)| *groups > 1);
    several.map(|(_, session)| session).collect()
}

fn add_group(
    all: &mut Vec<Relation>,
    collected: &Collected,
    group: &GroupFigures,
    is_group: bool,
) -> Result<()> {
    let windows: Vec<&WindowFigures> = group
        .windows
        .iter()
        .filter(|window| ![FULL_LABEL, DECODE_LABEL].contains(&window.label.as_str()))
        .collect();
    for (index, budget) in collected.budgets.iter().enumerate() {
        for (foreseen, changed) in FORESEEN
            .into_iter()
            .flat_map(|foreseen| CHANGED.map(|changed| (foreseen, changed)))
        {
            let pair = Pair::of(&windows, index, foreseen, changed);
            if pair.samples() == 0 {
                continue;
            }
            let blank = Relation {
                session: group.group.session.clone(),
                model: group.group.model.clone(),
                group: is_group.then(|| {
                    let place = group.group.question_place.map(|place| place.label());
                    (group.group.task.clone(), place)
                }),
                budget: budget.to_string(),
                over: Over::Windows,
                foreseen,
                changed,
                windows: windows.len(),
                samples: pair.samples(),
                spearman: f64::NAN,
                interval: None,
            };
            pair.add_to(all, &windows, &blank)?;
        }
    }
    Ok(())
}

/// Both sides of a correlation, `[windows][samples]`, of the samples that have both.
struct Pair {
    foreseen: Vec<Vec<f64>>,
    changed: Vec<Vec<f64>>,
}

impl Pair {
    fn of(windows: &[&WindowFigures], budget: usize, foreseen: &str, changed: &str) -> Self {
        let mut pair = Self {
            foreseen: Vec::with_capacity(windows.len()),
            changed: Vec::with_capacity(windows.len()),
        };
        for window in windows {
            let samples = window.by_budget.get(budget).into_iter().flatten();
            let both = samples.filter_map(|figures| {
                Some((
                    foreseen_figure(figures, foreseen),
                    changed_figure(figures, changed)?,
                ))
            });
            let (foreseen, changed) = both.unzip();
            pair.foreseen.push(foreseen);
            pair.changed.push(changed);
        }
        pair
    }

    fn samples(&self) -> usize {
        self.foreseen.first().map_or(0, Vec::len)
    }

    /// Over the samples of every window, over windows, and of the windows' means.
    fn add_to(
        &self,
        all: &mut Vec<Relation>,
        windows: &[&WindowFigures],
        blank: &Relation,
    ) -> Result<()> {
        let by_window = self.foreseen.iter().zip(&self.changed);
        for (window, (foreseen, changed)) in windows.iter().zip(by_window) {
            all.push(Relation {
                over: Over::Samples(window.label.clone()),
                windows: 1,
                spearman: correlation_over_samples(foreseen, changed)?,
                ..blank.clone()
            });
        }
        let over_windows = correlation_over_windows(&self.foreseen, &self.changed, SEED)?;
        all.push(Relation {
            samples: over_windows.samples,
            spearman: over_windows.spearman,
            interval: over_windows.interval,
            ..blank.clone()
        });
        all.push(Relation {
            over: Over::WindowMeans,
            spearman: correlation_of_means(&self.foreseen, &self.changed)?,
            ..blank.clone()
        });
        Ok(())
    }
}

fn foreseen_figure(figures: &Figures, column: &str) -> f64 {
    match column {
        "recall" => figures.foreseen.recall,
        "hit_rate" => figures.foreseen.hit_rate,
        _ => figures.foreseen.selected_mass,
    }
}

fn changed_figure(figures: &Figures, column: &str) -> Option<f64> {
    match column {
        "kl" => Some(figures.fidelity.kl),
        "agreement" => Some(figures.fidelity.agreement),
        "answer_nll" => figures.answer_nll,
        _ => figures.score,
    }
}
