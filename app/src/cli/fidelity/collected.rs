//! The figures of all samples, by group, window and budget: what the printed text and the correlations are made of.

use kvlens_analysis::Budget;
use kvlens_analysis::allocation::AllocatedMeans;
use kvlens_analysis::fidelity::MeanFidelity;
use kvlens_datasets::QuestionPlace;

use super::sample::{FULL_LABEL, Outcome, WindowOutcome};

/// What samples are averaged together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name of the session.
    pub session: String,
    /// Name of its model.
    pub model: String,
    /// The samples' task.
    pub task: String,
    /// Where their question stands.
    pub question_place: Option<QuestionPlace>,
}

/// One eviction of one sample.
#[derive(Clone, Copy)]
pub struct Figures {
    /// What was foreseen.
    pub foreseen: AllocatedMeans,
    /// What became of the next tokens' distributions.
    pub fidelity: MeanFidelity,
    /// What became of the reference answer's likelihood.
    pub answer_nll: Option<f64>,
    /// What became of the task.
    pub score: Option<f64>,
}

/// Samples that are averaged together.
#[derive(Clone)]
pub struct GroupFigures {
    /// Which they are.
    pub group: Group,
    /// T of each.
    pub prompt_tokens: Vec<usize>,
    /// In the order of the outcomes: the full cache, the oracle, the windows.
    pub windows: Vec<WindowFigures>,
}

/// One window of a group.
#[derive(Clone)]
pub struct WindowFigures {
    /// Its label.
    pub label: String,
    /// `[budgets][samples]`; a budget that a prompt cannot hold has no figures of it.
    pub by_budget: Vec<Vec<Figures>>,
}

/// Everything so far.
pub struct Collected {
    /// The budgets as they were typed.
    pub budgets: Vec<Budget>,
    /// In the order in which they came.
    pub groups: Vec<GroupFigures>,
}

impl Figures {
    fn of(outcome: &Outcome) -> Self {
        Self {
            foreseen: outcome.foreseen,
            fidelity: outcome.fidelity,
            answer_nll: outcome.answer_nll,
            score: outcome.score,
        }
    }
}

impl Collected {
    /// No samples yet.
    pub fn new(budgets: &[Budget]) -> Self {
        Self {
            budgets: budgets.to_vec(),
            groups: Vec::new(),
        }
    }

    /// Adds a sample. The full cache counts at every budget that applies to the sample.
    pub fn add(&mut self, group: Group, prompt_tokens: usize, windows: &[WindowOutcome]) {
        let budgets = self.budgets.clone();
        let entry = self.entry(group);
        entry.prompt_tokens.push(prompt_tokens);
        let applying = |budget: &Budget| {
            let mut outcomes = windows.iter().flat_map(|window| &window.by_budget);
            outcomes.any(|outcome| outcome.budget == *budget)
        };
        for window in windows {
            let figures = entry.window(&window.label, budgets.len());
            for (budget, samples) in budgets.iter().zip(figures) {
                let mut outcomes = window.by_budget.iter();
                let found = match window.label.as_str() {
                    FULL_LABEL => outcomes.next().filter(|_| applying(budget)),
                    _ => outcomes.find(|outcome| outcome.budget == *budget),
                };
                samples.extend(found.map(Figures::of));
            }
        }
    }

    fn entry(&mut self, group: Group) -> &mut GroupFigures {
        let known = self.groups.iter().position(|entry| entry.group == group);
        let index = known.unwrap_or_else(|| {
            self.groups.push(GroupFigures {
                group,
                prompt_tokens: Vec::new(),
                windows: Vec::new(),
            });
            self.groups.len() - 1
        });
        &mut self.groups[index]
    }
}

impl GroupFigures {
    /// Takes in the samples of another group of the same windows and budgets.
    pub fn join(&mut self, other: &Self) {
        self.prompt_tokens.extend(&other.prompt_tokens);
        for window in &other.windows {
            let joined = self.window(&window.label, window.by_budget.len());
            for (samples, others) in joined.iter_mut().zip(&window.by_budget) {
                samples.extend(others);
            }
        }
    }

    fn window(&mut self, label: &str, budgets: usize) -> &mut Vec<Vec<Figures>> {
        let known = self.windows.iter().position(|window| window.label == label);
        let index = known.unwrap_or_else(|| {
            self.windows.push(WindowFigures {
                label: label.to_owned(),
                by_budget: vec![Vec::new(); budgets],
            });
            self.windows.len() - 1
        });
        &mut self.windows[index].by_budget
    }
}
