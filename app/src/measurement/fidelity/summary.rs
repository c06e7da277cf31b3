//! Evictions of many samples: means over samples, and whether what was foreseen tells what changed. Always within a
//! group (model, task, place of the question) and at one budget.

use anyhow::Result;
use kvlens_analysis::fidelity::{
    BudgetCorrelations, Eviction, EvictionMean, eviction_correlations, eviction_means,
};
use kvlens_analysis::{Budget, SampleGroup};
use kvlens_sessions::windows::DECODE_LABEL;

use super::figures::{Figure, Figures};
use super::{FULL_LABEL, WindowOutcome};

/// Samples that are averaged together.
#[derive(Clone, Debug, PartialEq)]
pub struct EvictedGroup {
    /// Which they are.
    pub group: SampleGroup,
    /// T of each, by content: a copy counts once.
    pub prompt_tokens: Vec<usize>,
    contents: Vec<String>,
}

/// One eviction of one sample.
#[derive(Clone, Debug)]
struct EvictionRecord {
    /// Index of the group.
    group: usize,
    content: String,
    window: String,
    budget: Budget,
    figures: Figures,
}

/// Whether a figure compares something with itself: all of the full cache but how right its answer is, and the recall of
/// the decode stage.
fn is_by_definition(window: &str, figure: Figure) -> bool {
    match window {
        FULL_LABEL => !matches!(figure, Figure::AnswerNll | Figure::Score),
        DECODE_LABEL => figure == Figure::Recall,
        _ => false,
    }
}

/// Everything so far.
#[derive(Clone, Debug, Default)]
pub struct Evictions {
    groups: Vec<EvictedGroup>,
    records: Vec<EvictionRecord>,
}

impl Evictions {
    /// The groups in the order in which they came. Means and correlations name them by index.
    #[must_use]
    pub fn groups(&self) -> &[EvictedGroup] {
        &self.groups
    }

    /// Labels of a group's windows in the order in which they came: the full cache and the decode stage first, where
    /// they are there.
    #[must_use]
    pub fn windows(&self, group: usize) -> Vec<&str> {
        let mut labels: Vec<&str> = Vec::new();
        for record in self.records.iter().filter(|record| record.group == group) {
            if !labels.contains(&record.window.as_str()) {
                labels.push(&record.window);
            }
        }
        labels
    }

    /// Adds what became of a sample. `content` is equal for copies
    /// ([`SampleKey::content`](kvlens_analysis::SampleKey)). The full cache counts at every budget that applies to the
    /// sample.
    pub fn add(
        &mut self,
        group: &SampleGroup,
        content: &str,
        prompt_tokens: usize,
        windows: &[WindowOutcome],
    ) {
        let mut budgets: Vec<Budget> = Vec::new();
        for outcome in windows
            .iter()
            .filter(|window| window.label != FULL_LABEL)
            .flat_map(|window| &window.by_budget)
        {
            if !budgets.contains(&outcome.budget) {
                budgets.push(outcome.budget);
            }
        }
        for window in windows {
            let is_full = window.label == FULL_LABEL;
            for outcome in &window.by_budget {
                let own = [outcome.budget];
                let at = if is_full { &budgets[..] } else { &own };
                for &budget in at {
                    let figures = Figures::of(outcome);
                    self.push(
                        group,
                        (content, prompt_tokens),
                        &window.label,
                        budget,
                        figures,
                    );
                }
            }
        }
    }

    /// Adds one eviction of a sample, which is its content and T.
    pub fn push(
        &mut self,
        group: &SampleGroup,
        (content, prompt_tokens): (&str, usize),
        window: &str,
        budget: Budget,
        figures: Figures,
    ) {
        let known = self.groups.iter().position(|known| known.group == *group);
        let index = known.unwrap_or(self.groups.len());
        if index == self.groups.len() {
            self.groups.push(EvictedGroup {
                group: group.clone(),
                prompt_tokens: Vec::new(),
                contents: Vec::new(),
            });
        }
        let entry = &mut self.groups[index];
        if entry.contents.iter().all(|known| known != content) {
            entry.contents.push(content.to_owned());
            entry.prompt_tokens.push(prompt_tokens);
        }
        self.records.push(EvictionRecord {
            group: index,
            content: content.to_owned(),
            window: window.to_owned(),
            budget,
            figures,
        });
    }

    /// Means over samples of a figure, by group, window and budget. What is as it is by definition has no interval.
    #[must_use]
    pub fn means(&self, figure: Figure, seed: u64) -> Vec<EvictionMean<'_, usize>> {
        let rows: Vec<Eviction<'_, usize>> = self.rows(Figure::Recall, figure).collect();
        let means = eviction_means(&rows, Some(figure.bounds()), seed).into_iter();
        means
            .map(|mean| EvictionMean {
                interval: mean
                    .interval
                    .filter(|_| !is_by_definition(mean.window, figure)),
                ..mean
            })
            .collect()
    }

    /// How two figures go together, by group and budget, without the decode stage and the full cache. A lone window has
    /// correlations over its samples alone.
    ///
    /// # Errors
    /// An infinite figure.
    pub fn correlations(
        &self,
        foreseen: Figure,
        changed: Figure,
        seed: u64,
    ) -> Result<Vec<BudgetCorrelations<'_, usize>>> {
        let judged = |row: &Eviction<'_, usize>| ![FULL_LABEL, DECODE_LABEL].contains(&row.window);
        let rows: Vec<Eviction<'_, usize>> = self.rows(foreseen, changed).filter(judged).collect();
        Ok(eviction_correlations(&rows, seed)?)
    }

    fn rows(&self, foreseen: Figure, changed: Figure) -> impl Iterator<Item = Eviction<'_, usize>> {
        self.records.iter().map(move |record| Eviction {
            group: record.group,
            sample: &record.content,
            window: &record.window,
            budget: record.budget,
            foreseen: foreseen.of(&record.figures),
            changed: changed.of(&record.figures),
        })
    }
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::HeadKind;
    use kvlens_analysis::fidelity::MeanFidelity;

    use super::super::{Foreseen, Outcome};
    use super::*;

    fn outcome(budget: Budget, kl: f64) -> Outcome {
        let recall = 1.0 / (1.0 + kl);
        Outcome {
            budget,
            budget_tokens: 0,
            foreseen: Foreseen {
                recall,
                method_recall: 0.5,
                kept_recall: 0.5,
                hit_rate: f64::NAN,
                kept_mass: 0.5,
                output_error: f64::NAN,
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

    fn group(place: &str) -> SampleGroup {
        SampleGroup {
            model: "demo".to_owned(),
            task: "facts".to_owned(),
            question_place: Some(place.to_owned()),
        }
    }

    fn full() -> WindowOutcome {
        window(FULL_LABEL, vec![outcome(Budget::Fraction(1.0), 0.0)])
    }

    #[test]
    fn a_budget_that_a_prompt_cannot_hold_counts_for_no_window_of_it_and_a_copy_counts_once() {
        let (small, large) = (Budget::Tokens(8), Budget::Tokens(800));
        let mut evictions = Evictions::default();
        let both = || vec![outcome(small, 1.0), outcome(large, 0.5)];
        evictions.add(&group("end"), "a", 1000, &[full(), window("laq", both())]);
        evictions.add(&group("end"), "a", 1000, &[full(), window("laq", both())]);
        let one = vec![outcome(small, 3.0)];
        evictions.add(&group("end"), "b", 100, &[full(), window("laq", one)]);
        assert_eq!(evictions.groups()[0].prompt_tokens, [1000, 100]);
        assert_eq!(evictions.windows(0), [FULL_LABEL, "laq"]);
        let means = evictions.means(Figure::Kl, 1);
        let told: Vec<(&str, String, usize, f64)> = means
            .iter()
            .map(|mean| {
                (
                    mean.window,
                    mean.budget.to_string(),
                    mean.samples,
                    mean.changed,
                )
            })
            .collect();
        let line = |window, budget: &str, samples, kl| (window, budget.to_owned(), samples, kl);
        assert_eq!(
            told,
            [
                line(FULL_LABEL, "8", 2, 0.0),
                line(FULL_LABEL, "800", 1, 0.0),
                line("laq", "8", 2, 2.0),
                line("laq", "800", 1, 0.5),
            ]
        );
        // agreement is 1 everywhere here, and of the full cache by definition
        let agreement = evictions.means(Figure::Agreement, 1);
        let with_interval = |label| {
            let found = agreement.iter().find(|mean| mean.window == label).unwrap();
            found.interval.is_some()
        };
        assert!(with_interval("laq") && !with_interval(FULL_LABEL));
        assert!(
            evictions.means(Figure::HitRate, 1).is_empty(),
            "undefined in every sample"
        );
        assert!(evictions.means(Figure::Score, 1).is_empty());
    }

    #[test]
    fn places_and_budgets_are_correlated_apart_and_a_lone_window_is_not() {
        let budgets = [Budget::Tokens(8), Budget::Tokens(64)];
        let mut evictions = Evictions::default();
        let add = |evictions: &mut Evictions, place: &str, windows: &[(&str, f64)]| {
            for sample in ["a", "b"] {
                let windows = windows.iter().map(|&(label, kl)| {
                    let [small, large] = budgets;
                    window(label, vec![outcome(small, kl), outcome(large, kl / 8.0)])
                });
                let decode = window(DECODE_LABEL, vec![outcome(budgets[0], 0.1)]);
                let all: Vec<WindowOutcome> = [full(), decode].into_iter().chain(windows).collect();
                evictions.add(&group(place), sample, 1000, &all);
            }
        };
        add(&mut evictions, "end", &[("last", 2.0), ("laq", 1.0)]);
        add(&mut evictions, "start", &[("random", 3.0)]);
        let found = evictions
            .correlations(Figure::Recall, Figure::Kl, 1)
            .unwrap();
        let told: Vec<(usize, String, Vec<&str>, Option<f64>)> = found
            .iter()
            .map(|part| {
                let budget = part.budget.to_string();
                (part.group, budget, part.windows.clone(), part.of_means)
            })
            .collect();
        let line = |group, budget: &str, windows: &[&'static str], means| {
            (group, budget.to_owned(), windows.to_vec(), means)
        };
        assert_eq!(
            told,
            [
                line(0, "8", &["last", "laq"], Some(-1.0)),
                line(0, "64", &["last", "laq"], Some(-1.0)),
                line(1, "8", &["random"], None),
                line(1, "64", &["random"], None),
            ]
        );
    }
}
