//! What eviction does to the output: the model run again on evicted caches, sample by sample.

use std::path::PathBuf;
use std::sync::Arc;

use kvlens_analysis::{Budget, SampleGroup};
use kvlens_sessions::model::ModelSource;
use kvlens_sessions::{SampleRecord, Session};

use super::Answer;
use crate::gui::data::OpenedSession;
use crate::gui::lanes::{Event, Meter, ModelLane, Reporter};
use crate::jobs::Watch;
use crate::jobs::failure::is_cancelled;
use crate::jobs::fidelity::SampleEvictions;
use crate::jobs::found_sessions::sample_key;
use crate::measurement::MeasureOptions;
use crate::measurement::allocations::AllocationKind;
use crate::measurement::fidelity::figures::Figures;
use crate::measurement::fidelity::{EvictionPlan, WindowOutcome};

/// What is measured together: results of another session or scoring are others.
#[derive(Clone, Debug, PartialEq)]
pub struct EvictedSession {
    /// The session's folder.
    pub path: PathBuf,
    /// Differs each time that a session is opened.
    pub opened: u64,
    /// How windows and truth are scored and ranked.
    pub options: MeasureOptions,
}

impl EvictedSession {
    /// The session with the scoring of its sample on show.
    #[must_use]
    pub fn of(session: &OpenedSession) -> Option<Self> {
        Some(Self {
            path: session.info.path.clone(),
            opened: session.opened,
            options: session.shown.as_ref()?.options,
        })
    }
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct FidelityQuestion {
    /// The session and the scoring.
    pub of: EvictedSession,
    /// The samples, by their numbers among the finished ones.
    pub samples: Vec<usize>,
    /// Each once.
    pub budgets: Vec<Budget>,
    /// Labels of the windows to evict by.
    pub windows: Vec<String>,
    /// Where the model may be if it is no longer where the session found it.
    pub elsewhere: Option<ModelSource>,
}

/// One window of one sample, or the oracle, or the full cache.
#[derive(Clone, Debug)]
pub struct FidelityPart {
    /// What it is of.
    pub of: EvictedSession,
    /// Its numbers.
    pub points: Vec<FidelityPoint>,
    /// Whether everything that was asked for is measured.
    pub is_last: bool,
}

/// What is known of an evicted sample.
#[derive(Clone, Debug, PartialEq)]
pub struct EvictedSample {
    /// What it is averaged within.
    pub group: SampleGroup,
    /// Equal for copies of the sample.
    pub content: String,
    /// T.
    pub prompt_tokens: usize,
}

impl EvictedSample {
    fn of(session: &Session, record: &SampleRecord) -> Self {
        Self {
            group: group_of(&session.manifest().model.name, record),
            content: sample_key(session, record).content,
            prompt_tokens: record.prompt_ids.len(),
        }
    }
}

/// What a sample is averaged within.
#[must_use]
pub fn group_of(model: &str, record: &SampleRecord) -> SampleGroup {
    SampleGroup {
        model: model.to_owned(),
        task: record.task.clone(),
        question_place: record.question_place.map(|place| place.to_string()),
    }
}

/// One eviction.
#[derive(Clone, Debug, PartialEq)]
pub struct FidelityPoint {
    /// Number of the sample among the finished ones.
    pub index: usize,
    /// The sample.
    pub sample: Arc<EvictedSample>,
    /// Label of the window, `decode` for the oracle, `full` for the cache that is not evicted.
    pub label: String,
    /// The budget as it was asked for.
    pub budget: Budget,
    /// The budget on the sample's prompt.
    pub budget_tokens: usize,
    /// What came of it.
    pub figures: Figures,
    /// What the model then says.
    pub generated: Arc<str>,
}

/// Everything that was measured of a session under one scoring.
#[derive(Clone, Debug, Default)]
pub struct FidelityResults {
    /// In the order in which they came; each sample, window and budget once.
    pub points: Arc<Vec<FidelityPoint>>,
}

impl FidelityResults {
    /// Takes in what was measured; what was measured again takes the place of what was.
    pub fn add(&mut self, new: Vec<FidelityPoint>) {
        let points = Arc::make_mut(&mut self.points);
        for point in new {
            points.retain(|known| {
                (known.index, &known.label, known.budget)
                    != (point.index, &point.label, point.budget)
            });
            points.push(point);
        }
    }
}

pub(in crate::gui) fn answer(
    lane: &mut ModelLane,
    question: &FidelityQuestion,
    reporter: &Reporter<'_>,
) -> anyhow::Result<()> {
    let session = reporter.samples.session(&question.of.path)?;
    let model = lane.session_model(&session, question.elsewhere.as_ref(), reporter)?;
    let mut meter = Meter::new(reporter);
    let plan = EvictionPlan {
        options: question.of.options,
        allocation: AllocationKind::Uniform,
        decode: None,
        join_final_budgets: true,
    };
    let is_wanted = |label: &str| question.windows.iter().any(|wanted| wanted == label);
    let mut done = 0;
    let mut measure_all = || -> anyhow::Result<()> {
        for (number, &index) in question.samples.iter().enumerate() {
            reporter.cancel.check()?;
            let captured = reporter.samples.load(&session, index)?;
            meter.sample(number, question.samples.len(), &captured.record.id);
            let evictions = SampleEvictions::new(&session, &captured, &question.budgets);
            for budget in evictions.left_out() {
                (reporter.event)(Event::Warning(format!(
                    "The budget of {budget} tokens is left out for {}, whose prompt has {}",
                    captured.record.id,
                    captured.record.prompt_ids.len()
                )));
            }
            let sample = Arc::new(EvictedSample::of(&session, &captured.record));
            let mut answer = |outcome: WindowOutcome| {
                reporter.answer(Answer::Fidelity(part(question, index, &sample, &outcome)));
            };
            evictions.run(
                &plan,
                model,
                is_wanted,
                &mut answer,
                &mut meter,
                reporter.cancel,
            )?;
            done += 1;
        }
        Ok(())
    };
    match measure_all() {
        Err(error) if is_cancelled(&error) => {
            let outcome = format!(
                "Cancelled after {done} of {} samples; what was measured is kept",
                question.samples.len()
            );
            (reporter.event)(Event::Cancelled { outcome });
            Ok(())
        }
        outcome => {
            outcome?;
            reporter.answer(Answer::Fidelity(FidelityPart {
                of: question.of.clone(),
                points: Vec::new(),
                is_last: true,
            }));
            Ok(())
        }
    }
}

fn part(
    question: &FidelityQuestion,
    index: usize,
    sample: &Arc<EvictedSample>,
    outcome: &WindowOutcome,
) -> FidelityPart {
    let points = outcome.by_budget.iter().map(|evicted| FidelityPoint {
        index,
        sample: Arc::clone(sample),
        label: outcome.label.clone(),
        budget: evicted.budget,
        budget_tokens: evicted.budget_tokens,
        figures: Figures::of(evicted),
        generated: evicted.generated.as_str().into(),
    });
    FidelityPart {
        of: question.of.clone(),
        points: points.collect(),
        is_last: false,
    }
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::fidelity::MeanFidelity;

    use super::*;
    use crate::measurement::fidelity::Foreseen;

    fn point(label: &str, kl: f64) -> FidelityPoint {
        let figures = Figures {
            foreseen: Foreseen {
                recall: 0.5,
                method_recall: 0.5,
                kept_recall: 0.5,
                hit_rate: 0.5,
                kept_mass: 0.5,
                output_error: f64::NAN,
            },
            fidelity: MeanFidelity { kl, agreement: 1.0 },
            answer_nll: None,
            score: None,
        };
        FidelityPoint {
            index: 0,
            sample: Arc::new(EvictedSample {
                group: SampleGroup {
                    model: "demo".to_owned(),
                    task: "facts".to_owned(),
                    question_place: None,
                },
                content: "a".to_owned(),
                prompt_tokens: 100,
            }),
            label: label.to_owned(),
            budget: Budget::Fraction(0.1),
            budget_tokens: 10,
            figures,
            generated: "text".into(),
        }
    }

    #[test]
    fn a_second_measurement_replaces_the_first_of_the_same_window() {
        let mut results = FidelityResults::default();
        results.add(vec![point("last:32", 1.0)]);
        results.add(vec![point("last:32", 2.0), point("laq", 3.0)]);
        let found: Vec<(&str, f64)> = results
            .points
            .iter()
            .map(|point| (point.label.as_str(), point.figures.fidelity.kl))
            .collect();
        assert_eq!(found, [("last:32", 2.0), ("laq", 3.0)]);
    }
}
