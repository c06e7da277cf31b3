//! The figures of all samples, by group, window and budget: what the printed text and the correlations are made of.

use kvlens_analysis::Budget;
use kvlens_analysis::fidelity::MeanFidelity;
use kvlens_datasets::QuestionPlace;

use super::{FULL_LABEL, Foreseen, Outcome, WindowOutcome};

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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// What was foreseen.
    pub foreseen: Foreseen,
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
    /// Of an eviction, without its steps and its text.
    pub fn of(outcome: &Outcome) -> Self {
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

#[cfg(test)]
mod tests {
    use kvlens_analysis::HeadKind;

    use super::*;

    fn outcome(budget: Budget, kl: f64) -> Outcome {
        Outcome {
            budget,
            budget_tokens: 0,
            foreseen: Foreseen {
                recall: 0.5,
                method_recall: 0.5,
                kept_recall: 0.5,
                hit_rate: 0.5,
                kept_mass: 0.5,
            },
            steps: Vec::new(),
            fidelity: MeanFidelity { kl, agreement: 1.0 },
            answer_nll: None,
            score: None,
            generated: String::new(),
        }
    }

    fn window(label: &str, by_budget: Vec<Outcome>) -> WindowOutcome {
        WindowOutcome {
            label: label.to_owned(),
            head_kind: HeadKind::Query,
            by_budget,
        }
    }

    fn group(task: &str) -> Group {
        Group {
            session: "s".to_owned(),
            model: "demo".to_owned(),
            task: task.to_owned(),
            question_place: None,
        }
    }

    #[test]
    fn a_budget_that_a_prompt_cannot_hold_counts_for_no_window_of_it() {
        let (small, large) = (Budget::Tokens(8), Budget::Tokens(800));
        let mut collected = Collected::new(&[small, large]);
        let full = || window(FULL_LABEL, vec![outcome(Budget::Fraction(1.0), 0.0)]);
        let both = vec![outcome(small, 1.0), outcome(large, 0.5)];
        collected.add(group("a"), 1000, &[full(), window("laq", both)]);
        let one = vec![outcome(small, 3.0)];
        collected.add(group("a"), 100, &[full(), window("laq", one)]);
        let entry = &collected.groups[0];
        assert_eq!(entry.prompt_tokens, [1000, 100]);
        let kl = |window: usize, budget: usize| -> Vec<f64> {
            let samples = entry.windows[window].by_budget[budget].iter();
            samples.map(|figures| figures.fidelity.kl).collect()
        };
        assert_eq!((kl(0, 0), kl(0, 1)), (vec![0.0, 0.0], vec![0.0]));
        assert_eq!((kl(1, 0), kl(1, 1)), (vec![1.0, 3.0], vec![0.5]));
    }

    #[test]
    fn groups_stay_apart_until_they_are_joined() {
        let budget = Budget::Tokens(8);
        let mut collected = Collected::new(&[budget]);
        for (task, kl) in [("a", 1.0), ("b", 2.0), ("a", 3.0)] {
            let windows = [window("laq", vec![outcome(budget, kl)])];
            collected.add(group(task), 100, &windows);
        }
        let mut whole = collected.groups[0].clone();
        assert_eq!(whole.windows[0].by_budget[0].len(), 2);
        whole.join(&collected.groups[1]);
        let samples = &whole.windows[0].by_budget[0];
        let kl: Vec<f64> = samples.iter().map(|figures| figures.fidelity.kl).collect();
        assert_eq!((kl, whole.prompt_tokens.len()), (vec![1.0, 3.0, 2.0], 3));
    }
}
