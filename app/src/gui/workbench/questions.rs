//! Asks the lanes what the views in sight lack.

use std::collections::BTreeSet;
use std::path::PathBuf;

use kvlens_sessions::model::ModelSource;

use super::Workbench;
use crate::gui::lanes::{JobKey, ModelRequest, ReadRequest, Request};
use crate::gui::question_choices::DriftPart;
use crate::gui::questions::fidelity::FidelityQuestion;
use crate::gui::questions::queries::InterventionsQuestion;
use crate::gui::questions::{AskedSample, Question, QuestionKind, budgets_to_ask, drift, places};
use crate::gui::views::Need;

/// What was asked last.
#[derive(Default)]
pub(super) struct AskedQuestions {
    drift: Option<AskedCurves>,
    places: Option<AskedCurves>,
    queries: Option<(PathBuf, usize)>,
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
    pub(super) fn refresh_questions(&mut self, needs: &BTreeSet<Need>) {
        if needs.contains(&Need::Drift) || needs.contains(&Need::Places) {
            match self.settings.choices.drift.part {
                DriftPart::Steps | DriftPart::Horizons => self.ask_drift(),
                DriftPart::Places => self.ask_places(),
            }
            if let Some(session) = &self.data.session {
                let (choices, answers) = (&self.settings.choices, &self.data.answers);
                let info = &session.info;
                self.derived
                    .refresh_drift(&self.pool, info, choices, answers);
            }
        } else {
            self.derived.let_drift_go();
        }
        if needs.contains(&Need::Queries) {
            self.ask_queries();
            let heads = &self.settings.choices.heads;
            self.derived
                .refresh_queries(&self.pool, heads, &self.data.answers);
        } else {
            self.derived.let_queries_go();
        }
        if needs.contains(&Need::Fidelity)
            && let Some(session) = &self.data.session
            && let Some(shown) = &session.shown
        {
            let shown = (shown, session.info.model.as_str());
            let (choices, answers) = (&self.settings.choices.fidelity, &self.data.answers);
            self.derived
                .refresh_fidelity(&self.pool, choices, shown, answers);
        } else {
            self.derived.let_fidelity_go();
        }
    }

    /// Puts a question that a button asked for, or puts it again after it was cancelled.
    pub(super) fn ask_again(&mut self, kind: QuestionKind) {
        match kind {
            QuestionKind::Drift => self.asked.drift = None,
            QuestionKind::Places => self.asked.places = None,
            QuestionKind::Queries => self.asked.queries = None,
            QuestionKind::Interventions => self.ask_interventions(),
            QuestionKind::Fidelity => self.ask_fidelity(),
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
        let is_here = answer.is_some_and(|answer| {
            known.is_some_and(|known| known.contains(&wanted.budget_tokens))
                && answer.windows.len() == answer.asked_windows
        });
        if !is_here && wanted.is_due(self.asked.drift, known, is_running) {
            self.asked.drift = Some(wanted);
            let budgets = self.budgets_to_ask(&sample, drift::numbers_per_budget(&sample));
            let answer = self.data.answers.drift.as_ref().filter(|answer| {
                answer.shown_version == wanted.shown_version && answer.budgets == budgets
            });
            let question = Question::Drift {
                known: answer.map_or_else(Vec::new, |answer| answer.windows.clone()),
                sample,
                budgets,
            };
            self.put(question);
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
            self.put(question);
        }
    }

    fn ask_queries(&mut self) {
        let Some(sample) = self.sample_place() else {
            return;
        };
        let answer = self.data.answers.queries.as_ref();
        let is_here = answer.is_some_and(|it| (&it.path, it.index) == (&sample.0, sample.1));
        if !is_here && self.asked.queries.as_ref() != Some(&sample) {
            self.asked.queries = Some(sample.clone());
            let (path, index) = sample;
            self.put(Question::Queries { path, index });
        }
    }

    fn ask_interventions(&mut self) {
        if let Some((path, index)) = self.sample_place() {
            self.put_to_model(ModelRequest::Interventions(InterventionsQuestion {
                path,
                index,
                elsewhere: self.model_of_panel(),
            }));
        }
    }

    /// Asks for the windows whose curves are shown.
    fn ask_fidelity(&mut self) {
        let choices = &self.settings.choices;
        let (Some(session), Ok(budgets)) = (&self.data.session, choices.fidelity.parsed_budgets())
        else {
            return;
        };
        let Some(shown) = &session.shown else {
            return;
        };
        let windows = shown.sample.windows.iter().map(|window| &window.label);
        let is_shown = |label: &&String| !choices.hidden_windows.contains(*label);
        let question = FidelityQuestion {
            path: session.info.path.clone(),
            samples: match choices.fidelity.all_samples {
                true => (0..session.info.samples.len()).collect(),
                false => vec![shown.index],
            },
            options: shown.options,
            budgets,
            windows: windows.filter(is_shown).cloned().collect(),
            elsewhere: self.model_of_panel(),
        };
        self.put_to_model(ModelRequest::Fidelity(Box::new(question)));
    }

    /// The session and the number of the open sample.
    fn sample_place(&self) -> Option<(PathBuf, usize)> {
        let session = self.data.session.as_ref()?;
        Some((session.info.path.clone(), session.shown.as_ref()?.index))
    }

    /// What the capture panel names as the model, for a session whose own has moved.
    fn model_of_panel(&self) -> Option<ModelSource> {
        let typed = self.settings.capture.model.trim();
        (!typed.is_empty()).then(|| ModelSource::from(typed.to_owned()))
    }

    /// Lets a request of another kind go first: what views ask for by themselves is stopped, and asked again
    /// behind it. The read lane is one thread, and whoever clicks should not wait for a long sweep.
    pub(super) fn give_way(&mut self) {
        for kind in [QuestionKind::Drift, QuestionKind::Places] {
            let key = JobKey::Question(kind);
            if self.data.is_asking(&key) {
                self.stop_job(&key);
                match kind {
                    QuestionKind::Drift => self.asked.drift = None,
                    _ => self.asked.places = None,
                }
            }
        }
    }

    /// Asks, instead of an earlier question of the same kind.
    fn put(&mut self, question: Question) {
        if !matches!(question.kind(), QuestionKind::Drift | QuestionKind::Places) {
            self.give_way();
        }
        self.put_anew(ReadRequest::Question(Box::new(question)).into());
    }

    fn put_to_model(&mut self, request: ModelRequest) {
        self.put_anew(request.into());
    }

    fn put_anew(&mut self, request: Request) {
        self.data.answers.failures.remove(&request.key());
        self.ask(request);
    }

    fn is_asking(&self, kind: QuestionKind) -> bool {
        self.data.is_asking(&JobKey::Question(kind))
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
