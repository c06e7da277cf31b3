//! Asks the lanes what the views in sight lack.

use std::collections::BTreeSet;

use kvlens_sessions::model::ModelSource;

use super::Workbench;
use crate::gui::attention_picture::AttentionKey;
use crate::gui::data::SamplePlace;
use crate::gui::lanes::{JobKey, ModelRequest, ReadRequest};
use crate::gui::question_choices::DriftPart;
use crate::gui::questions::fidelity::{EvictedSession, FidelityQuestion};
use crate::gui::questions::queries::InterventionsQuestion;
use crate::gui::questions::session_curves::{SessionCurves, SessionCurvesKey};
use crate::gui::questions::{
    AskedSample, CurvesKey, Question, QuestionKind, budgets_to_ask, decode_cache, drift, places,
    profile,
};
use crate::gui::session_maps::{GatheredKey, SessionMapsKey};
use crate::gui::state::{MapKind, MapScope};
use crate::gui::views::Need;
use crate::jobs::left_out::LeftOut;

/// Long questions that views ask by themselves.
const OF_THEMSELVES: [QuestionKind; 5] = [
    QuestionKind::Drift,
    QuestionKind::Places,
    QuestionKind::DecodeCache,
    QuestionKind::Profile,
    QuestionKind::SessionCurves,
];

impl Workbench {
    /// Asks what the views in sight lack, and renews what follows from the answers.
    pub(super) fn refresh_questions(&mut self, needs: &BTreeSet<Need>) {
        if needs.contains(&Need::Attention) {
            self.ask_attention();
        }
        if needs.contains(&Need::SessionMaps) {
            self.ask_maps();
        }
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
        if needs.contains(&Need::Profile) {
            self.ask_profile();
        }
        if needs.contains(&Need::OverSamples) {
            self.ask_session_curves();
            let (choices, answers) = (&self.settings.choices, &self.data.answers);
            if let Some(session) = &self.data.session {
                self.derived
                    .refresh_over_samples(&self.pool, session, choices, answers);
            }
        } else {
            self.derived.let_over_samples_go();
        }
        if needs.contains(&Need::DecodeCache) {
            self.ask_decode_cache();
            if let Some(session) = &self.data.session {
                let (choices, answers) = (&self.settings.choices, &self.data.answers);
                let info = &session.info;
                self.derived
                    .refresh_decode_cache(&self.pool, info, choices, answers);
            }
        } else {
            self.derived.let_decode_cache_go();
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
            QuestionKind::Drift
            | QuestionKind::Places
            | QuestionKind::Queries
            | QuestionKind::DecodeCache
            | QuestionKind::Profile
            | QuestionKind::SessionCurves => {
                self.retry(&JobKey::Question(kind));
            }
            QuestionKind::Interventions => self.ask_interventions(),
            QuestionKind::Fidelity => self.ask_fidelity(),
        }
    }

    /// Lets the next frame ask again for what a job was to answer.
    pub(super) fn retry(&mut self, key: &JobKey) {
        if let Some(query) = self.data.answers.of_mut(key) {
            query.retry();
        }
    }

    fn ask_attention(&mut self) {
        let Some(session) = &self.data.session else {
            return;
        };
        let window = self.derived.observation.as_deref();
        let wanted = AttentionKey::wanted(session, &self.settings.choices, window);
        if let Some(key) = wanted
            && self.data.answers.attention.from_lane(&key)
        {
            self.ask(ReadRequest::Attention(key));
        }
    }

    /// Asks for maps over all samples. More samples of a running capture wait for the job before, which would otherwise
    /// never come to an end.
    fn ask_maps(&mut self) {
        let Some(mut key) = self.wanted_maps() else {
            return;
        };
        let coming = self.data.answers.maps.coming_key();
        if let Some(coming) = coming
            && coming.gathered.is_shown_for(&key.gathered)
        {
            key.gathered.samples = coming.gathered.samples;
        }
        if self.data.answers.maps.from_lane(&key) {
            self.ask(ReadRequest::CompareSamples(Box::new(key)));
        }
    }

    fn wanted_maps(&self) -> Option<SessionMapsKey> {
        let choices = &self.settings.choices;
        let session = self.data.session.as_ref()?;
        let sample = &session.shown.as_ref()?.sample;
        if choices.map_scope != MapScope::Session {
            return None;
        }
        let window = self.derived.window.clone()?;
        let minus = self.derived.minus.clone();
        let budget = self.derived.budget_tokens();
        let known = sample.windows.iter();
        let known = known.filter(|window| window.at(budget).is_some());
        let labels = known.map(|window| window.label.clone());
        Some(SessionMapsKey {
            gathered: GatheredKey::of(session, choices),
            windows: labels
                .filter(|label| !choices.hidden_windows.contains(label))
                .collect(),
            pair: minus
                .filter(|_| choices.map_kind == MapKind::Window)
                .map(|minus| [window, minus]),
        })
    }

    fn ask_drift(&mut self) {
        let Some(sample) = self.asked_sample() else {
            return;
        };
        let query = &self.data.answers.drift;
        let of = (sample.shown.version, 0);
        let key = CurvesKey::wanted(query, of, self.derived.budget_tokens(), || {
            self.budgets_to_ask(&sample, drift::numbers_per_budget(&sample))
        });
        if self.data.answers.drift.from_lane(&key) {
            let held = self.data.answers.drift.held();
            let held = held.filter(|(known, _)| **known == key);
            let known = held.map_or_else(Vec::new, |(_, answer)| answer.windows.clone());
            self.put(Question::Drift { sample, key, known });
        }
    }

    fn ask_places(&mut self) {
        let Some(sample) = self.asked_sample() else {
            return;
        };
        let query = &self.data.answers.places;
        let width = self.settings.choices.drift.sweep_width;
        let of = (sample.shown.version, width);
        let key = CurvesKey::wanted(query, of, self.derived.budget_tokens(), || {
            self.budgets_to_ask(&sample, places::numbers_per_budget(&sample, width))
        });
        if self.data.answers.places.from_lane(&key) {
            self.put(Question::Places { sample, key });
        }
    }

    fn ask_profile(&mut self) {
        let Some(sample) = self.asked_sample() else {
            return;
        };
        let of = (sample.shown.version, 0);
        let query = &self.data.answers.profile;
        let key = CurvesKey::wanted(query, of, self.derived.budget_tokens(), || {
            self.budgets_to_ask(&sample, profile::numbers_per_budget(&sample))
        });
        if self.data.answers.profile.from_lane(&key) {
            self.put(Question::Profile { sample, key });
        }
    }

    /// Asks for the curves of every sample, and goes on with those that are known.
    fn ask_session_curves(&mut self) {
        let Some(session) = &self.data.session else {
            return;
        };
        let key = SessionCurvesKey::of(session, &self.settings.choices);
        if self.data.answers.session_curves.from_lane(&key) {
            let held = self.data.answers.session_curves.held();
            let held = held.filter(|(known, _)| **known == key);
            let known = held.map(|(_, known)| SessionCurves::clone(known));
            let known = known.unwrap_or(SessionCurves {
                key,
                samples: Vec::new(),
                looked_at: 0,
                left_out: LeftOut::default(),
            });
            self.put(Question::SessionCurves(known));
        }
    }

    fn ask_decode_cache(&mut self) {
        let Some(sample) = self.asked_sample() else {
            return;
        };
        let query = &self.data.answers.decode_cache;
        let every = self.settings.choices.decode_cache.every;
        let of = (sample.shown.version, every);
        let key = CurvesKey::wanted(query, of, self.derived.budget_tokens(), || {
            self.budgets_to_ask(&sample, decode_cache::numbers_per_budget(&sample, every))
        });
        if self.data.answers.decode_cache.from_lane(&key) {
            self.put(Question::DecodeCache { sample, key });
        }
    }

    fn ask_queries(&mut self) {
        if let Some(sample) = self.sample_place()
            && self.data.answers.queries.from_lane(&sample)
        {
            self.put(Question::Queries { sample });
        }
    }

    fn ask_interventions(&mut self) {
        if let Some(sample) = self.sample_place() {
            self.data.answers.interventions.ask(sample.clone());
            self.ask(ModelRequest::Interventions(InterventionsQuestion {
                sample,
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
        let (Some(shown), Some(of)) = (&session.shown, EvictedSession::of(session)) else {
            return;
        };
        let windows = shown.sample.windows.iter().map(|window| &window.label);
        let is_shown = |label: &&String| !choices.hidden_windows.contains(*label);
        let question = FidelityQuestion {
            of: of.clone(),
            samples: match choices.fidelity.all_samples {
                true => (0..session.info.samples.len()).collect(),
                false => vec![shown.index],
            },
            budgets,
            windows: windows.filter(is_shown).cloned().collect(),
            elsewhere: self.model_of_panel(),
        };
        self.data.answers.fidelity.ask(of);
        self.ask(ModelRequest::Fidelity(Box::new(question)));
    }

    /// The session and the number of the open sample.
    fn sample_place(&self) -> Option<SamplePlace> {
        self.data.session.as_ref()?.place()
    }

    /// What the capture panel names as the model, for a session whose own has moved.
    fn model_of_panel(&self) -> Option<ModelSource> {
        let typed = self.settings.capture.model.trim();
        (!typed.is_empty()).then(|| ModelSource::from(typed.to_owned()))
    }

    /// Lets a request of another kind go first: what views ask for by themselves is stopped, and asked again
    /// behind it. The read lane is one thread, and whoever clicks should not wait for a long sweep.
    pub(super) fn give_way(&mut self) {
        for kind in OF_THEMSELVES {
            let key = JobKey::Question(kind);
            if self.data.is_asking(&key) {
                self.stop_job(&key);
                self.retry(&key);
            }
        }
    }

    /// Asks, instead of an earlier question of the same kind.
    fn put(&mut self, question: Question) {
        if !OF_THEMSELVES.contains(&question.kind()) {
            self.give_way();
        }
        self.ask(ReadRequest::Question(Box::new(question)));
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
