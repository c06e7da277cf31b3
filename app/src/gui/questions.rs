//! Questions beyond the measurement of a sample: what is asked, how the lanes answer, and the answers.
//!
//! A view that lacks an answer only shows that it does. [`super::workbench`] asks for it while the view is in
//! sight, or when a button says so; a lane answers part by part, so that a long answer can be seen growing.

pub mod decode_cache;
pub mod drift;
pub mod fidelity;
pub mod places;
pub mod profile;
pub mod queries;
pub mod session_curves;

use std::path::PathBuf;
use std::sync::Arc;

use kvlens_sessions::CapturedSample;

use super::attention_picture::{AttentionKey, AttentionPicture};
use super::data::{SamplePlace, Shown};
use super::lanes::{JobKey, Reporter, Samples};
use super::query::{Awaited, Query};
use super::session_maps::{SessionMaps, SessionMapsKey};
use decode_cache::DecodeCacheAnswer;
use drift::{DriftAnswer, DriftOfWindow};
use fidelity::{EvictedSession, FidelityPart, FidelityResults};
use places::PlacesAnswer;
use profile::ProfileAnswer;
use queries::{InterventionsAnswer, QueriesAnswer};
use session_curves::{SessionCurves, SessionCurvesKey};

/// The sample that a question is about.
#[derive(Clone, Debug)]
pub struct AskedSample {
    /// The session's folder.
    pub path: PathBuf,
    /// The sample as it was measured.
    pub shown: Shown,
}

impl AskedSample {
    /// Its tensors.
    fn load(&self, samples: &Samples) -> anyhow::Result<Arc<CapturedSample>> {
        samples.load(&samples.session(&self.path)?, self.shown.index)
    }
}

/// What a session alone can answer.
#[derive(Clone, Debug)]
pub enum Question {
    /// When windows foresee: recall by decode step and horizon, at budgets in tokens.
    Drift {
        /// The sample.
        sample: AskedSample,
        /// Budgets, each in 1..=T.
        key: CurvesKey,
        /// Windows that are done already: the first ones of the sample.
        known: Vec<Arc<DriftOfWindow>>,
    },
    /// Where a window foresees: recall by the place of a window, at budgets in tokens.
    Places {
        /// The sample.
        sample: AskedSample,
        /// Width of the window, and budgets, each in 1..=T.
        key: CurvesKey,
    },
    /// How well the cache is ranked while it decodes, at budgets in tokens.
    DecodeCache {
        /// The sample.
        sample: AskedSample,
        /// Steps from one ranking to the next as the width, and budgets, each in 1..=T.
        key: CurvesKey,
    },
    /// How alike the windows' queries are to those of the decode stage.
    Queries {
        /// The sample.
        sample: SamplePlace,
    },
    /// Curves of every sample of a session, those that are known already among them.
    SessionCurves(SessionCurves),
    /// What every head is like, with overlaps at budgets in tokens.
    Profile {
        /// The sample.
        sample: AskedSample,
        /// Budgets, each in 1..=T.
        key: CurvesKey,
    },
}

impl Question {
    /// Its name.
    #[must_use]
    pub fn kind(&self) -> QuestionKind {
        match self {
            Self::Drift { .. } => QuestionKind::Drift,
            Self::Places { .. } => QuestionKind::Places,
            Self::DecodeCache { .. } => QuestionKind::DecodeCache,
            Self::Queries { .. } => QuestionKind::Queries,
            Self::Profile { .. } => QuestionKind::Profile,
            Self::SessionCurves(_) => QuestionKind::SessionCurves,
        }
    }
}

/// Names of questions, for commands and for the jobs that answer them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum QuestionKind {
    /// [`Question::Drift`].
    Drift,
    /// [`Question::Places`].
    Places,
    /// [`Question::DecodeCache`].
    DecodeCache,
    /// [`Question::Queries`].
    Queries,
    /// [`Question::Profile`].
    Profile,
    /// [`Question::SessionCurves`].
    SessionCurves,
    /// [`queries::InterventionsQuestion`].
    Interventions,
    /// [`fidelity::FidelityQuestion`].
    Fidelity,
}

impl QuestionKind {
    /// What its job is called.
    #[must_use]
    pub fn job_title(self) -> &'static str {
        match self {
            Self::Drift => "Measuring the drift",
            Self::Places => "Sweeping a window",
            Self::DecodeCache => "Ranking the decoding cache",
            Self::Queries => "Comparing queries",
            Self::Profile => "Profiling the heads",
            Self::SessionCurves => "Averaging all samples",
            Self::Interventions => "Running the interventions",
            Self::Fidelity => "Measuring fidelity",
        }
    }
}

/// An answer, or what is known of it so far.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The attention of one head.
    Attention(Arc<AttentionPicture>),
    /// Maps over the samples so far.
    Maps(Arc<SessionMaps>),
    /// To [`Question::Drift`].
    Drift(Arc<DriftAnswer>),
    /// To [`Question::Places`].
    Places(Arc<PlacesAnswer>),
    /// To [`Question::DecodeCache`].
    DecodeCache(Arc<DecodeCacheAnswer>),
    /// To [`Question::Queries`].
    Queries(Arc<QueriesAnswer>),
    /// To [`Question::Profile`].
    Profile(Arc<ProfileAnswer>),
    /// To [`Question::SessionCurves`], as far as it is.
    SessionCurves(Arc<SessionCurves>),
    /// To [`queries::InterventionsQuestion`].
    Interventions(Arc<InterventionsAnswer>),
    /// To [`fidelity::FidelityQuestion`].
    Fidelity(FidelityPart),
}

/// What a question about curves is asked of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurvesKey {
    /// Version of the measured sample.
    pub shown_version: u64,
    /// Queries of the swept window, or steps from one ranking to the next; 0 for a question that has neither.
    pub width: usize,
    /// Budgets in tokens, ascending.
    pub budgets: Vec<usize>,
}

impl CurvesKey {
    /// Whether it is of the same sample and window, whatever the budgets.
    fn is_of(&self, shown_version: u64, width: usize) -> bool {
        (self.shown_version, self.width) == (shown_version, width)
    }

    /// The key to ask for: one that is known and has the budget, or that is on its way, which a drag of the budget would
    /// otherwise never let come to an end; else one for these budgets.
    #[must_use]
    pub fn wanted<V>(
        query: &Query<Self, V>,
        (shown_version, width): (u64, usize),
        budget_tokens: usize,
        budgets: impl FnOnce() -> Vec<usize>,
    ) -> Self {
        let mut known = query.known_keys();
        let known = known
            .find(|key| key.is_of(shown_version, width) && key.budgets.contains(&budget_tokens));
        let coming = query.coming_key();
        let coming = coming.filter(|key| key.is_of(shown_version, width));
        known.or(coming).cloned().unwrap_or_else(|| Self {
            shown_version,
            width,
            budgets: budgets(),
        })
    }
}

/// What the lanes said beyond the measurement of a sample: the latest answer to each question, and how it stands with
/// the one that is wanted.
#[derive(Default)]
pub struct Answers {
    /// The attention of one head.
    pub attention: Query<AttentionKey, Arc<AttentionPicture>>,
    /// Maps over all samples.
    pub maps: Query<SessionMapsKey, Arc<SessionMaps>>,
    /// To [`Question::Drift`].
    pub drift: Query<CurvesKey, Arc<DriftAnswer>>,
    /// To [`Question::Places`].
    pub places: Query<CurvesKey, Arc<PlacesAnswer>>,
    /// To [`Question::DecodeCache`].
    pub decode_cache: Query<CurvesKey, Arc<DecodeCacheAnswer>>,
    /// To [`Question::Queries`].
    pub queries: Query<SamplePlace, Arc<QueriesAnswer>>,
    /// To [`Question::Profile`].
    pub profile: Query<CurvesKey, Arc<ProfileAnswer>>,
    /// To [`Question::SessionCurves`].
    pub session_curves: Query<SessionCurvesKey, Arc<SessionCurves>>,
    /// To [`queries::InterventionsQuestion`].
    pub interventions: Query<SamplePlace, Arc<InterventionsAnswer>>,
    /// To every [`fidelity::FidelityQuestion`] about the session under one scoring.
    pub fidelity: Query<EvictedSession, FidelityResults>,
}

impl Answers {
    /// Takes an answer in.
    pub fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Attention(picture) => {
                self.attention.take(picture.key.clone(), picture, true);
            }
            Answer::Maps(maps) => {
                let is_whole = maps.is_complete();
                self.maps.take(maps.key.clone(), maps, is_whole);
            }
            Answer::Drift(answer) => {
                let is_whole = answer.windows.len() == answer.asked_windows;
                self.drift.take(answer.key.clone(), answer, is_whole);
            }
            Answer::Places(answer) => self.places.take(answer.key.clone(), answer, true),
            Answer::DecodeCache(answer) => {
                self.decode_cache.take(answer.key.clone(), answer, true);
            }
            Answer::Queries(answer) => self.queries.take(answer.sample.clone(), answer, true),
            Answer::Profile(answer) => self.profile.take(answer.key.clone(), answer, true),
            Answer::SessionCurves(curves) => {
                let is_whole = curves.is_complete();
                self.session_curves
                    .take(curves.key.clone(), curves, is_whole);
            }
            Answer::Interventions(answer) => {
                self.interventions.take(answer.sample.clone(), answer, true);
            }
            Answer::Fidelity(part) => {
                let FidelityPart {
                    of,
                    points,
                    is_last,
                } = part;
                self.fidelity.grow(of, is_last, |known| known.add(points));
            }
        }
    }

    /// The query that a job answers, if it answers one.
    fn of(&self, key: &JobKey) -> Option<&dyn Awaited> {
        Some(match key {
            JobKey::Attention => &self.attention,
            JobKey::CompareSamples => &self.maps,
            JobKey::Question(QuestionKind::Drift) => &self.drift,
            JobKey::Question(QuestionKind::Places) => &self.places,
            JobKey::Question(QuestionKind::DecodeCache) => &self.decode_cache,
            JobKey::Question(QuestionKind::Queries) => &self.queries,
            JobKey::Question(QuestionKind::Profile) => &self.profile,
            JobKey::Question(QuestionKind::SessionCurves) => &self.session_curves,
            JobKey::Question(QuestionKind::Interventions) => &self.interventions,
            JobKey::Question(QuestionKind::Fidelity) => &self.fidelity,
            _ => return None,
        })
    }

    /// The same, to be told what became of the job.
    pub fn of_mut(&mut self, key: &JobKey) -> Option<&mut dyn Awaited> {
        Some(match key {
            JobKey::Attention => &mut self.attention,
            JobKey::CompareSamples => &mut self.maps,
            JobKey::Question(QuestionKind::Drift) => &mut self.drift,
            JobKey::Question(QuestionKind::Places) => &mut self.places,
            JobKey::Question(QuestionKind::DecodeCache) => &mut self.decode_cache,
            JobKey::Question(QuestionKind::Queries) => &mut self.queries,
            JobKey::Question(QuestionKind::Profile) => &mut self.profile,
            JobKey::Question(QuestionKind::SessionCurves) => &mut self.session_curves,
            JobKey::Question(QuestionKind::Interventions) => &mut self.interventions,
            JobKey::Question(QuestionKind::Fidelity) => &mut self.fidelity,
            _ => return None,
        })
    }

    /// Why a job had no result when it was asked for last.
    #[must_use]
    pub fn failure(&self, key: &JobKey) -> Option<&str> {
        self.of(key)?.failure()
    }
}

/// Answers a question, on the read lane.
pub(super) fn answer(question: Question, reporter: &Reporter<'_>) -> anyhow::Result<()> {
    match question {
        Question::Drift { sample, key, known } => drift::answer(&sample, key, known, reporter),
        Question::Places { sample, key } => places::answer(&sample, key, reporter),
        Question::DecodeCache { sample, key } => decode_cache::answer(&sample, key, reporter),
        Question::Queries { sample } => queries::answer(sample, reporter),
        Question::Profile { sample, key } => profile::answer(&sample, key, reporter),
        Question::SessionCurves(known) => session_curves::answer(known, reporter),
    }
}

/// Numbers that an answer may hold: 64 MiB of them.
const MOST_NUMBERS: usize = 8 << 20;

/// The budgets to ask for at once. As many of a prompt's budgets as an answer has room for, so that the budget
/// can be dragged without asking again, and always the wanted one.
#[must_use]
pub fn budgets_to_ask(
    prompt_tokens: usize,
    numbers_per_budget: usize,
    all: &[usize],
    wanted: usize,
) -> Vec<usize> {
    let room = MOST_NUMBERS / numbers_per_budget.max(1);
    let mut budgets = match kvlens_analysis::BudgetGrid::new(prompt_tokens, room) {
        Ok(grid) if room < all.len() => grid.tokens().to_vec(),
        _ => all.to_vec(),
    };
    if let Err(place) = budgets.binary_search(&wanted) {
        budgets.insert(place, wanted);
    }
    budgets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_budget_is_asked_for_where_there_is_room_and_the_wanted_one_always() {
        let all: Vec<usize> = (1..=1000).collect();
        assert_eq!(budgets_to_ask(1000, 1000, &all, 100), all);
        let few = budgets_to_ask(1000, MOST_NUMBERS / 20, &all, 777);
        assert!(few.len() <= 21, "{few:?}");
        assert!(few.contains(&777) && few.contains(&1) && few.contains(&1000));
        assert!(few.is_sorted());
        assert!(budgets_to_ask(1000, usize::MAX, &all, 777).contains(&777));
    }

    #[test]
    fn a_drag_of_the_budget_lets_the_running_job_end_and_asks_no_second_time_for_what_is_here() {
        let mut query: Query<CurvesKey, ()> = Query::default();
        let wanted = |query: &Query<CurvesKey, ()>, version, budget| {
            CurvesKey::wanted(query, (version, 0), budget, || vec![budget])
        };
        let first = wanted(&query, 1, 8);
        assert_eq!(first.budgets, [8]);
        assert!(query.from_lane(&first));
        assert_eq!(wanted(&query, 1, 16), first, "it is on its way");
        assert_eq!(wanted(&query, 2, 16).budgets, [16], "another sample is not");
        query.take(first.clone(), (), true);
        assert_eq!(wanted(&query, 1, 8), first);
        assert_eq!(wanted(&query, 1, 16).budgets, [16]);
    }
}
