//! The numbers of the printed table: one line per task, window and budget.

use crate::budget::Budget;
use crate::comparison::{Comparison, Metric};
use crate::error::AnalysisError;
use crate::statistics::{Interval, bootstrap_interval, mean};

/// Collects samples, one comparison at a time; keeps three numbers per sample, window and budget.
#[derive(Debug, Clone)]
pub struct Summary {
    budgets: Vec<Budget>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone)]
struct Group {
    task: String,
    window: String,
    /// `[budgets][samples]`.
    samples: Vec<Vec<SampleMeans>>,
}

/// Means over the layers and heads of one sample.
#[derive(Debug, Clone, Copy)]
struct SampleMeans {
    recall: f64,
    hit_rate: f64,
    mass_of_oracle: f64,
}

/// One line: means over samples, each sample the mean over its layers and heads.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryRow {
    /// Label of the task group.
    pub task: String,
    /// Label of the window as it was typed.
    pub window: String,
    /// The budget as it was typed.
    pub budget: Budget,
    /// Number of samples.
    pub samples: usize,
    /// Mean [`Metric::Recall`].
    pub recall: f64,
    /// 95 % bootstrap interval of the mean recall over samples; none of fewer than two samples.
    pub recall_interval: Option<Interval>,
    /// Mean [`Metric::HitRate`].
    pub hit_rate: f64,
    /// Mean [`Metric::MassOfOracle`].
    pub mass_of_oracle: f64,
}

impl Summary {
    /// A summary at these budgets, without samples yet.
    pub fn new(budgets: &[Budget]) -> Self {
        Self {
            budgets: budgets.to_vec(),
            groups: Vec::new(),
        }
    }

    /// Adds one sample of a window to its task group. The comparison must have a point at each budget.
    ///
    /// # Errors
    /// [`AnalysisError::BudgetNotCompared`] for a budget that the comparison has no point at.
    pub fn add(
        &mut self,
        task: &str,
        window: &str,
        comparison: &Comparison,
    ) -> Result<(), AnalysisError> {
        let means: Vec<SampleMeans> = self
            .budgets
            .iter()
            .map(|budget| {
                let point = comparison.budget_index(budget.tokens(comparison.prompt_tokens))?;
                Ok(SampleMeans {
                    recall: comparison.mean(Metric::Recall, point),
                    hit_rate: comparison.mean(Metric::HitRate, point),
                    mass_of_oracle: comparison.mean(Metric::MassOfOracle, point),
                })
            })
            .collect::<Result<_, AnalysisError>>()?;
        for (samples, means) in self.group(task, window).samples.iter_mut().zip(means) {
            samples.push(means);
        }
        Ok(())
    }

    /// The lines: tasks and windows in the order in which they were first added, then budgets as given.
    ///
    /// Every interval draws with the same seed, so windows of equally many samples are resampled alike.
    pub fn rows(&self, seed: u64) -> Vec<SummaryRow> {
        let mut tasks: Vec<&str> = Vec::new();
        for group in &self.groups {
            if !tasks.contains(&group.task.as_str()) {
                tasks.push(&group.task);
            }
        }
        tasks
            .into_iter()
            .flat_map(|task| self.groups.iter().filter(move |group| group.task == task))
            .flat_map(|group| {
                let budgets = self.budgets.iter().zip(&group.samples);
                budgets.map(move |(&budget, samples)| group.row(budget, samples, seed))
            })
            .collect()
    }

    fn group(&mut self, task: &str, window: &str) -> &mut Group {
        let known = self
            .groups
            .iter()
            .position(|group| group.task == task && group.window == window);
        let index = known.unwrap_or_else(|| {
            self.groups.push(Group {
                task: task.to_owned(),
                window: window.to_owned(),
                samples: vec![Vec::new(); self.budgets.len()],
            });
            self.groups.len() - 1
        });
        &mut self.groups[index]
    }
}

impl Group {
    fn row(&self, budget: Budget, samples: &[SampleMeans], seed: u64) -> SummaryRow {
        let over_samples =
            |value: fn(&SampleMeans) -> f64| mean(samples.iter().map(value)).unwrap_or(f64::NAN);
        let recalls: Vec<f64> = samples.iter().map(|sample| sample.recall).collect();
        SummaryRow {
            task: self.task.clone(),
            window: self.window.clone(),
            budget,
            samples: samples.len(),
            recall: over_samples(|sample| sample.recall),
            recall_interval: bootstrap_interval(&recalls, seed),
            hit_rate: over_samples(|sample| sample.hit_rate),
            mass_of_oracle: over_samples(|sample| sample.mass_of_oracle),
        }
    }
}
