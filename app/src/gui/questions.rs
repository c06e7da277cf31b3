//! Questions beyond the measurement of a sample: what is asked, how the lanes answer, and the answers.
//!
//! A view that lacks an answer only shows that it does. [`super::workbench`] asks for it while the view is in
//! sight, or when a button says so; a lane answers part by part, so that a long answer can be seen growing.

pub mod drift;
pub mod fidelity;
pub mod places;
pub mod queries;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use kvlens_sessions::CapturedSample;

use super::data::Shown;
use super::lanes::{JobKey, Reporter, Samples};
use drift::{DriftAnswer, DriftOfWindow};
use fidelity::{FidelityPart, FidelityResults};
use places::PlacesAnswer;
use queries::{InterventionsAnswer, QueriesAnswer};

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
        /// Ascending, each in 1..=T.
        budgets: Vec<usize>,
        /// Windows that are done already: the first ones of the sample.
        known: Vec<Arc<DriftOfWindow>>,
    },
    /// Where a window foresees: recall by the place of a window, at budgets in tokens.
    Places {
        /// The sample.
        sample: AskedSample,
        /// W: queries of the window.
        width: usize,
        /// Ascending, each in 1..=T.
        budgets: Vec<usize>,
    },
    /// How alike the windows' queries are to those of the decode stage.
    Queries {
        /// The session's folder.
        path: PathBuf,
        /// Number among the finished samples.
        index: usize,
    },
}

impl Question {
    /// Its name.
    #[must_use]
    pub fn kind(&self) -> QuestionKind {
        match self {
            Self::Drift { .. } => QuestionKind::Drift,
            Self::Places { .. } => QuestionKind::Places,
            Self::Queries { .. } => QuestionKind::Queries,
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
    /// [`Question::Queries`].
    Queries,
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
            Self::Queries => "Comparing queries",
            Self::Interventions => "Running the interventions",
            Self::Fidelity => "Measuring fidelity",
        }
    }
}

/// An answer, or what is known of it so far.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Question::Drift`].
    Drift(Arc<DriftAnswer>),
    /// To [`Question::Places`].
    Places(Arc<PlacesAnswer>),
    /// To [`Question::Queries`].
    Queries(Arc<QueriesAnswer>),
    /// To [`queries::InterventionsQuestion`].
    Interventions(Arc<InterventionsAnswer>),
    /// To [`fidelity::FidelityQuestion`].
    Fidelity(FidelityPart),
}

/// The latest answer to each question.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// To [`Question::Drift`].
    pub drift: Option<Arc<DriftAnswer>>,
    /// To [`Question::Places`].
    pub places: Option<Arc<PlacesAnswer>>,
    /// To [`Question::Queries`].
    pub queries: Option<Arc<QueriesAnswer>>,
    /// To [`queries::InterventionsQuestion`].
    pub interventions: Option<Arc<InterventionsAnswer>>,
    /// To every [`fidelity::FidelityQuestion`] about the session.
    pub fidelity: FidelityResults,
    /// Why a job had no result when it was asked for last.
    pub failures: BTreeMap<JobKey, String>,
    /// Grows with every answer.
    pub version: u64,
}

impl Answers {
    /// Takes an answer in.
    pub fn take(&mut self, answer: Answer) {
        self.version += 1;
        match answer {
            Answer::Drift(answer) => self.drift = Some(answer),
            Answer::Places(answer) => self.places = Some(answer),
            Answer::Queries(answer) => self.queries = Some(answer),
            Answer::Interventions(answer) => self.interventions = Some(answer),
            Answer::Fidelity(part) => self.fidelity.take(part),
        }
    }
}

/// Answers a question, on the read lane.
pub(super) fn answer(question: Question, reporter: &Reporter<'_>) -> anyhow::Result<()> {
    match question {
        Question::Drift {
            sample,
            budgets,
            known,
        } => drift::answer(&sample, &budgets, known, reporter),
        Question::Places {
            sample,
            width,
            budgets,
        } => places::answer(&sample, width, budgets, reporter),
        Question::Queries { path, index } => queries::answer(path, index, reporter),
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
}
