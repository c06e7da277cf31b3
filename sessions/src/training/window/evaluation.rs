//! How windows do on prompts that nothing was trained on.

use kvlens_analysis::{Comparison, ComparisonInput, ForcedKeep, Metric, Rankings, compare};

use super::curve::{Baseline, HeldOutGroup};
use super::examples::{Examples, Prepared};
use super::plan::BUDGETS;
use crate::model::Model;
use crate::prefill::{Prefilled, RunControl};
use crate::training::threads::Threads;
use crate::windows::ObservationWindow;
use crate::{CancelFlag, SessionError};

/// The held-out prompts, group after group.
pub(super) struct HeldOut<'a> {
    pub(super) model: &'a Model,
    pub(super) examples: Examples<'a>,
    pub(super) groups: Vec<HeldOutGroup>,
}

impl HeldOut<'_> {
    /// Recall of a window by group and budget: the mean over prompts of the mean over layers and heads.
    pub(super) fn recall(
        &self,
        window: &dyn ObservationWindow,
        threads: &Threads,
        cancel: &CancelFlag,
    ) -> Result<Vec<Vec<f32>>, SessionError> {
        let indices: Vec<usize> = (0..self.examples.count()).collect();
        let of_prompts = threads.map(&indices, |&index| {
            self.examples.with(index, cancel, |prepared| {
                self.recall_of(window, prepared, cancel)
            })
        })?;
        let mut of_prompts = of_prompts.into_iter();
        Ok(self
            .groups
            .iter()
            .map(|group| {
                let members: Vec<Vec<f64>> = of_prompts.by_ref().take(group.prompts).collect();
                mean_by_budget(&members)
            })
            .collect())
    }

    /// Recall of windows that are not trained.
    pub(super) fn baselines(
        &self,
        windows: &[Box<dyn ObservationWindow>],
        threads: &Threads,
        cancel: &CancelFlag,
    ) -> Result<Vec<Baseline>, SessionError> {
        windows
            .iter()
            .map(|window| {
                Ok(Baseline {
                    window: window.label().to_owned(),
                    recall: self.recall(window.as_ref(), threads, cancel)?,
                })
            })
            .collect()
    }

    fn recall_of(
        &self,
        window: &dyn ObservationWindow,
        prepared: &Prepared,
        cancel: &CancelFlag,
    ) -> Result<Vec<f64>, SessionError> {
        let comparison =
            prepared.locked(|prefilled| self.compare(window, prefilled, prepared, cancel))?;
        Ok((0..BUDGETS.len())
            .map(|budget| comparison.mean(Metric::Recall, budget))
            .collect())
    }

    fn compare(
        &self,
        window: &dyn ObservationWindow,
        prefilled: &mut Prefilled,
        prepared: &Prepared,
        cancel: &CancelFlag,
    ) -> Result<Comparison, SessionError> {
        let mut control = RunControl {
            cancel,
            on_tokens: &mut |_, _| {},
        };
        let observed = window.observe(self.model, prefilled, &mut control)?;
        let keys = prefilled.keys_for_scoring(self.model)?;
        let importance = keys.importance(&observed, observed.scoring(), observed.forced_keep())?;
        let nothing_exempt = ForcedKeep::default();
        let tokens = importance.prompt_tokens();
        Ok(compare(ComparisonInput {
            oracle: &Rankings::of(&prepared.oracle, nothing_exempt)?,
            window: &Rankings::of(&importance, nothing_exempt)?,
            oracle_mass: &prepared.oracle,
            forced_keep: observed.forced_keep(),
            budgets: &BUDGETS.map(|budget| budget.tokens(tokens)),
        })?)
    }
}

fn mean_by_budget(prompts: &[Vec<f64>]) -> Vec<f32> {
    (0..BUDGETS.len())
        .map(|budget| {
            let sum: f64 = prompts.iter().filter_map(|prompt| prompt.get(budget)).sum();
            (sum / prompts.len().max(1) as f64) as f32
        })
        .collect()
}
