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
    /// [`bootstrap_interval`] of the mean recall over samples, cut to 0..=1; none of fewer than two.
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
            recall_interval: bootstrap_interval(&recalls, seed)
                .map(|interval| interval.within(0.0, 1.0)),
            hit_rate: over_samples(|sample| sample.hit_rate),
            mass_of_oracle: over_samples(|sample| sample.mass_of_oracle),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::{BudgetCurves, HeadComparison};
    use crate::importance::HeadKind;

    /// Ten prompt tokens, one layer; `recalls` of each head at a budget of one and of two tokens.
    fn comparison(recalls: &[[f32; 2]]) -> Comparison {
        let head = |recall: &[f32; 2]| HeadComparison {
            curves: BudgetCurves {
                recall: recall.to_vec(),
                hit_rate: vec![0.5, 1.0],
                jaccard: vec![0.0, 0.0],
                mass: vec![0.0, 0.0],
                mass_of_oracle: vec![0.25, 0.75],
            },
            recall_auc: 0.0,
        };
        Comparison {
            layers: 1,
            heads: recalls.len(),
            head_kind: HeadKind::Query,
            prompt_tokens: 10,
            budgets: vec![1, 2],
            by_head: recalls.iter().map(head).collect(),
        }
    }

    #[test]
    fn each_line_is_a_mean_over_samples_of_means_over_heads() {
        let mut summary = Summary::new(&[Budget::Fraction(0.2), Budget::Tokens(1)]);
        summary
            .add("end", "last:32", &comparison(&[[0.0, 0.5], [0.5, 1.0]]))
            .unwrap();
        summary
            .add("start", "last:32", &comparison(&[[0.25, 0.25]]))
            .unwrap();
        summary
            .add("end", "laq", &comparison(&[[1.0, 1.0]]))
            .unwrap();
        summary
            .add("end", "last:32", &comparison(&[[0.0, 0.25]]))
            .unwrap();
        let rows = summary.rows(1);
        let lines: Vec<(&str, &str, String, usize, f64)> = rows
            .iter()
            .map(|r| {
                (
                    r.task.as_str(),
                    r.window.as_str(),
                    r.budget.to_string(),
                    r.samples,
                    r.recall,
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                ("end", "last:32", "20%".to_owned(), 2, 0.5),
                ("end", "last:32", "1".to_owned(), 2, 0.125),
                ("end", "laq", "20%".to_owned(), 1, 1.0),
                ("end", "laq", "1".to_owned(), 1, 1.0),
                ("start", "last:32", "20%".to_owned(), 1, 0.25),
                ("start", "last:32", "1".to_owned(), 1, 0.25),
            ]
        );
        assert_eq!((rows[0].hit_rate, rows[0].mass_of_oracle), (1.0, 0.75));
        assert_eq!((rows[1].hit_rate, rows[1].mass_of_oracle), (0.5, 0.25));
        // Two samples a quarter apart from their mean say nothing: Student's interval reaches 3.2 to each side.
        assert_eq!(
            rows[0].recall_interval,
            Some(Interval {
                low: 0.0,
                high: 1.0
            })
        );
        assert_eq!(rows[2].recall_interval, None);
    }

    #[test]
    fn a_comparison_without_the_budget_is_refused_and_leaves_no_line() {
        let mut summary = Summary::new(&[Budget::Tokens(1), Budget::Tokens(5)]);
        let refused = summary.add("end", "last:32", &comparison(&[[0.0, 0.0]]));
        assert_eq!(refused, Err(AnalysisError::BudgetNotCompared { budget: 5 }));
        assert!(summary.rows(1).is_empty());
    }
}
