//! Curves of every sample of a session over some heads: what means and intervals over samples are made of.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use kvlens_analysis::{Metric, SampleGroup};
use kvlens_sessions::windows::final_part;
use kvlens_sessions::{CapturedSample, Session};

use super::Answer;
use crate::gui::data::{OpenedSession, Progress};
use crate::gui::derived::{HeadGrid, chance, selected};
use crate::gui::lanes::Reporter;
use crate::gui::state::{Choices, HeadAddress};
use crate::jobs::figure::curve_budgets;
use crate::jobs::found_sessions::sample_key;
use crate::jobs::left_out::LeftOut;
use crate::measurement::{MeasureOptions, MeasuredSample, MeasuredWindow, measure_sample};

/// What the curves are of.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionCurvesKey {
    /// The session's folder.
    pub path: PathBuf,
    /// Differs each time that a session is opened.
    pub opened: u64,
    /// Finished samples of the session: a capture may add to them.
    pub samples: usize,
    /// How to measure.
    pub options: MeasureOptions,
    /// Heads that the means of each sample are over; all without any.
    pub heads: BTreeSet<HeadAddress>,
}

impl SessionCurvesKey {
    /// Of a session under the choices.
    #[must_use]
    pub fn of(session: &OpenedSession, choices: &Choices) -> Self {
        Self {
            path: session.info.path.clone(),
            opened: session.opened,
            samples: session.info.samples.len(),
            options: choices.measure,
            heads: choices.heads.clone(),
        }
    }
}

/// The curves of the samples so far.
#[derive(Clone, Debug)]
pub struct SessionCurves {
    /// What was asked.
    pub key: SessionCurvesKey,
    /// In the order of the session.
    pub samples: Vec<Arc<SampleCurves>>,
    /// Samples that were looked at, with those whose decode stage lacks the oracle's steps and those left out.
    pub looked_at: usize,
    /// Samples that could not be read or measured.
    pub left_out: LeftOut,
}

impl SessionCurves {
    /// Whether every sample was looked at.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.looked_at >= self.key.samples
    }
}

/// One sample, in the mean over heads.
#[derive(Clone, Debug)]
pub struct SampleCurves {
    /// Equal for copies, which count once.
    pub content: String,
    /// Equal for samples that differ in where the question stands; by content where the data do not say the document.
    pub document: String,
    /// Task, and where the question stands; the model is the session's.
    pub group: SampleGroup,
    /// Budgets in tokens, ascending: those of the figure.
    pub budgets: Vec<usize>,
    /// In the order of the session.
    pub windows: Vec<WindowCurves>,
    /// Recall that a random ranking is expected to reach, `[budgets]`.
    pub chance: Vec<f64>,
}

/// One window of a sample.
#[derive(Clone, Debug)]
pub struct WindowCurves {
    /// Its label.
    pub label: String,
    /// `[Metric::ALL][budgets]`; NaN where undefined.
    by_metric: Vec<Vec<f64>>,
    /// The same of its ceiling, where methods are compared.
    ceilings: Option<Vec<Vec<f64>>>,
}

impl WindowCurves {
    /// A metric at every budget.
    #[must_use]
    pub fn of(&self, metric: Metric) -> &[f64] {
        pick(&self.by_metric, metric)
    }

    /// The same of the ceiling.
    #[must_use]
    pub fn ceiling(&self, metric: Metric) -> Option<&[f64]> {
        self.ceilings.as_ref().map(|all| pick(all, metric))
    }
}

fn pick(all: &[Vec<f64>], metric: Metric) -> &[f64] {
    let mut known = Metric::ALL.into_iter().zip(all);
    let found = known.find(|(known, _)| *known == metric);
    found.map_or(&[], |(_, values)| values)
}

pub(super) fn answer(mut curves: SessionCurves, reporter: &Reporter<'_>) -> anyhow::Result<()> {
    let session = reporter.samples.session(&curves.key.path)?;
    let total = session.sample_count();
    for index in curves.looked_at..total {
        reporter.cancel.check()?;
        (reporter.progress)(Progress {
            stage: "Curves of all samples".to_owned(),
            sample: Some((index + 1, total)),
            ..Progress::default()
        });
        let captured = reporter.samples.load_to_measure(&session, index);
        match captured.and_then(|captured| sample_curves(&session, &captured, &curves.key)) {
            Ok(found) => curves.samples.extend(found.map(Arc::new)),
            Err(error) => reporter.leave_out(&mut curves.left_out, (&session, index), error)?,
        }
        curves.looked_at = index + 1;
        reporter.answer(Answer::SessionCurves(Arc::new(curves.clone())));
    }
    Ok(())
}

/// None of a sample whose decode stage lacks the oracle's steps.
fn sample_curves(
    session: &Session,
    captured: &CapturedSample,
    key: &SessionCurvesKey,
) -> anyhow::Result<Option<SampleCurves>> {
    if key.options.oracle_steps(captured.oracle().rows()).is_err() {
        return Ok(None);
    }
    let own = captured.windows().iter();
    let own = own.filter_map(|window| Some(final_part(window.label())?.budget));
    let own: Vec<_> = own.collect();
    let budgets = |tokens: usize| {
        let mut budgets = curve_budgets(tokens);
        budgets.extend(own.iter().map(|budget| budget.tokens(tokens)));
        budgets.retain(|budget| *budget <= tokens);
        budgets.sort_unstable();
        budgets.dedup();
        budgets
    };
    let measured = measure_sample(captured, &key.options, budgets)?.joined();
    let shape = &session.manifest().shape;
    let grid = HeadGrid {
        layers: shape.layers,
        query_heads: shape.query_heads,
    };
    let record = &captured.record;
    let sample = sample_key(session, record);
    Ok(Some(SampleCurves {
        document: sample.document.unwrap_or_else(|| sample.content.clone()),
        content: sample.content,
        group: SampleGroup {
            model: String::new(),
            task: record.task.clone(),
            question_place: record.question_place.map(|place| place.to_string()),
        },
        ..means(&measured, grid, &key.heads)
    }))
}

/// Means over the heads, without what names the sample.
fn means(
    measured: &MeasuredSample,
    grid: HeadGrid,
    selection: &BTreeSet<HeadAddress>,
) -> SampleCurves {
    let first = measured.windows.first().map(|window| &window.comparison);
    let of_window = |window: &MeasuredWindow| {
        let heads = selected(&window.comparison, grid, selection);
        let all = |comparison: &kvlens_analysis::Comparison| -> Vec<Vec<f64>> {
            let metrics = Metric::ALL.into_iter();
            metrics
                .map(|metric| comparison.band(metric, &heads).mean)
                .collect()
        };
        WindowCurves {
            label: window.label.clone(),
            by_metric: all(&window.comparison),
            ceilings: window.ceiling.as_deref().map(all),
        }
    };
    SampleCurves {
        content: String::new(),
        document: String::new(),
        group: SampleGroup {
            model: String::new(),
            task: String::new(),
            question_place: None,
        },
        budgets: first.map_or_else(Vec::new, |comparison| comparison.budgets.clone()),
        windows: measured.windows.iter().map(of_window).collect(),
        chance: first.map_or_else(Vec::new, |comparison| {
            chance(comparison, &selected(comparison, grid, selection))
        }),
    }
}
