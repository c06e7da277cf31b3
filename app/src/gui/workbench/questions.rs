//! Asks the worker what the views in sight lack.

use super::Workbench;
use crate::gui::layout::Pane;
use crate::gui::question_choices::DriftPart;
use crate::gui::questions::{AskedSample, Question, QuestionKind, budgets_to_ask, drift, places};
use crate::gui::worker::Request;

/// What was asked last.
#[derive(Default)]
pub(super) struct AskedQuestions {
    drift: Option<AskedCurves>,
    places: Option<AskedCurves>,
}

/// A question whose answer holds for some budgets.
#[derive(Clone, Copy)]
struct AskedCurves {
    shown_version: u64,
    /// Queries of the swept window; 0 for a question that has none.
    width: usize,
    budget_tokens: usize,
}

impl AskedCurves {
    /// Whether this has to be asked after an earlier question, whose answer holds for the `known` budgets. Of
    /// a long prompt not all budgets are known; a new one waits for the job before, which a drag of the budget
    /// would otherwise never let come to an end.
    fn is_due(self, earlier: Option<Self>, known: Option<&[usize]>, is_running: bool) -> bool {
        let Some(earlier) = earlier else {
            return true;
        };
        if (earlier.shown_version, earlier.width) != (self.shown_version, self.width) {
            return true;
        }
        let is_lacking = known.is_some_and(|known| !known.contains(&self.budget_tokens));
        is_lacking && !is_running && earlier.budget_tokens != self.budget_tokens
    }
}

impl Workbench {
    /// Asks what the views in sight lack, and renews what follows from the answers.
    pub(super) fn refresh_questions(&mut self) {
        if self.layout.is_visible(Pane::Drift) {
            match self.settings.choices.drift.part {
                DriftPart::Steps | DriftPart::Horizons => self.ask_drift(),
                DriftPart::Places => self.ask_places(),
            }
            if let Some(session) = &self.data.session {
                let (choices, answers) = (&self.settings.choices, &self.data.answers);
                self.derived.refresh_drift(&session.info, choices, answers);
            }
        }
    }

    /// Puts a question that a button asked for, or puts it again after it was cancelled.
    pub(super) fn ask_again(&mut self, kind: QuestionKind) {
        match kind {
            QuestionKind::Drift => self.asked.drift = None,
            QuestionKind::Places => self.asked.places = None,
        }
    }

    fn ask_drift(&mut self) {
        let Some(sample) = self.asked_sample() else {
            return;
        };
        let wanted = AskedCurves {
            shown_version: sample.shown.version,
            width: 0,
            budget_tokens: self.derived.budget_tokens(),
        };
        let answer = self.data.answers.drift.as_ref();
        let known = answer
            .filter(|answer| answer.shown_version == wanted.shown_version)
            .map(|answer| answer.budgets.as_slice());
        let is_running = self.is_asking(QuestionKind::Drift);
        if wanted.is_due(self.asked.drift, known, is_running) {
            self.asked.drift = Some(wanted);
            let budgets = self.budgets_to_ask(&sample, drift::numbers_per_budget(&sample));
            self.put(QuestionKind::Drift, Question::Drift { sample, budgets });
        }
    }

    fn ask_places(&mut self) {
        let Some(sample) = self.asked_sample() else {
            return;
        };
        let width = self.settings.choices.drift.sweep_width;
        let wanted = AskedCurves {
            shown_version: sample.shown.version,
            width,
            budget_tokens: self.derived.budget_tokens(),
        };
        let answer = self.data.answers.places.as_ref();
        let known = answer
            .filter(|answer| (answer.shown_version, answer.width) == (wanted.shown_version, width))
            .map(|answer| answer.budgets.as_slice());
        let is_running = self.is_asking(QuestionKind::Places);
        if wanted.is_due(self.asked.places, known, is_running) {
            self.asked.places = Some(wanted);
            let budgets = self.budgets_to_ask(&sample, places::numbers_per_budget(&sample, width));
            let question = Question::Places {
                sample,
                width,
                budgets,
            };
            self.put(QuestionKind::Places, question);
        }
    }

    /// Asks, instead of an earlier question of the same kind.
    fn put(&mut self, kind: QuestionKind, question: Question) {
        let title = kind.job_title();
        for job in self.data.jobs.iter().filter(|job| job.title == title) {
            job.cancel.cancel();
        }
        self.ask(
            title.to_owned(),
            false,
            Request::Question(Box::new(question)),
        );
    }

    fn is_asking(&self, kind: QuestionKind) -> bool {
        let mut jobs = self.data.jobs.iter();
        jobs.any(|job| job.title == kind.job_title() && !job.cancel.is_cancelled())
    }

    fn asked_sample(&self) -> Option<AskedSample> {
        let session = self.data.session.as_ref()?;
        let shown = session.shown.as_ref()?;
        (!shown.sample.windows.is_empty()).then(|| AskedSample {
            path: session.info.path.clone(),
            shown: shown.clone(),
        })
    }

    fn budgets_to_ask(&self, sample: &AskedSample, numbers_per_budget: usize) -> Vec<usize> {
        budgets_to_ask(
            sample.shown.sample.record.prompt_ids.len(),
            numbers_per_budget,
            self.derived.budgets(),
            self.derived.budget_tokens(),
        )
    }
}
