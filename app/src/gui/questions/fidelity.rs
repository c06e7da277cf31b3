//! What eviction does to the output: the model run again on evicted caches, sample by sample.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvlens_analysis::{Budget, SampleGroup};
use kvlens_sessions::model::ModelSource;
use kvlens_sessions::{SampleRecord, Session};

use super::Answer;
use crate::gui::lanes::{Event, Meter, ModelLane, Reporter};
use crate::jobs::Watch;
use crate::jobs::failure::is_cancelled;
use crate::jobs::fidelity::SampleEvictions;
use crate::jobs::found_sessions::sample_key;
use crate::measurement::MeasureOptions;
use crate::measurement::allocations::AllocationKind;
use crate::measurement::fidelity::figures::Figures;
use crate::measurement::fidelity::{EvictionPlan, WindowOutcome};

/// What to measure.
#[derive(Clone, Debug)]
pub struct FidelityQuestion {
    /// The session's folder.
    pub path: PathBuf,
    /// The samples, by their numbers among the finished ones.
    pub samples: Vec<usize>,
    /// How to score and rank.
    pub options: MeasureOptions,
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
    /// The session's folder.
    pub path: PathBuf,
    /// How it was scored.
    pub options: MeasureOptions,
    /// Its numbers.
    pub points: Vec<FidelityPoint>,
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
    /// The session's folder.
    pub path: PathBuf,
    /// How it was scored.
    pub options: MeasureOptions,
    /// In the order in which they came; each sample, window and budget once.
    pub points: Arc<Vec<FidelityPoint>>,
}

impl FidelityResults {
    /// Takes in what was measured; results of another session or scoring make room for it.
    pub fn take(&mut self, part: FidelityPart) {
        if !self.is_of(&part.path, &part.options) {
            *self = Self {
                path: part.path,
                options: part.options,
                points: Arc::default(),
            };
        }
        let points = Arc::make_mut(&mut self.points);
        for point in part.points {
            points.retain(|known| {
                (known.index, &known.label, known.budget)
                    != (point.index, &point.label, point.budget)
            });
            points.push(point);
        }
    }

    /// Whether these are of a session under a scoring.
    #[must_use]
    pub fn is_of(&self, path: &Path, options: &MeasureOptions) -> bool {
        self.path == path && self.options == *options
    }
}

pub(in crate::gui) fn answer(
    lane: &mut ModelLane,
    question: &FidelityQuestion,
    reporter: &Reporter<'_>,
) -> anyhow::Result<()> {
    let session = reporter.samples.session(&question.path)?;
    let model = lane.session_model(&session, question.elsewhere.as_ref(), reporter)?;
    let mut meter = Meter::new(reporter);
    let plan = EvictionPlan {
        options: question.options,
        allocation: AllocationKind::Uniform,
        decode: None,
        join_final_budgets: false,
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
        outcome => outcome,
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
        path: question.path.clone(),
        options: question.options,
        points: points.collect(),
    }
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::fidelity::MeanFidelity;

    use super::*;
    use crate::measurement::fidelity::Foreseen;

    fn part_of(path: &str, kl: f64) -> FidelityPart {
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
        FidelityPart {
            path: PathBuf::from(path),
            options: MeasureOptions::default(),
            points: vec![FidelityPoint {
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
                label: "last:32".to_owned(),
                budget: Budget::Fraction(0.1),
                budget_tokens: 10,
                figures,
                generated: "text".into(),
            }],
        }
    }

    #[test]
    fn a_second_measurement_replaces_the_first_and_another_session_everything() {
        let mut results = FidelityResults::default();
        results.take(part_of("a", 1.0));
        results.take(part_of("a", 2.0));
        assert_eq!(results.points.len(), 1);
        assert_eq!(results.points[0].figures.fidelity.kl, 2.0);
        let mut other = part_of("b", 3.0);
        other.points[0].label = "laq".to_owned();
        results.take(other);
        assert_eq!(results.points.len(), 1);
        assert_eq!(results.points[0].label, "laq");
    }
}
