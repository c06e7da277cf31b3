//! How windows do on prompts that nothing was trained on.

use kvlens_analysis::{Compare, ForcedKeep, OracleTops, ScoringOverrides, SideScoring, statistics};

use super::curve::{Baseline, HeldOutGroup};
use super::examples::{Examples, Prepared};
use super::plan::BUDGETS;
use crate::model::Model;
use crate::prefill::{Prefilled, RunControl};
use crate::training::threads::Threads;
use crate::windows::ReadyWindow;
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
        window: &ReadyWindow,
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
        windows: &[ReadyWindow],
        threads: &Threads,
        cancel: &CancelFlag,
    ) -> Result<Vec<Baseline>, SessionError> {
        windows
            .iter()
            .map(|window| {
                Ok(Baseline {
                    window: window.label().to_owned(),
                    recall: self.recall(window, threads, cancel)?,
                })
            })
            .collect()
    }

    fn recall_of(
        &self,
        window: &ReadyWindow,
        prepared: &Prepared,
        cancel: &CancelFlag,
    ) -> Result<Vec<f64>, SessionError> {
        let by_head = prepared
            .locked(|prefilled| self.recall_by_head(window, prefilled, prepared, cancel))?;
        Ok((0..BUDGETS.len())
            .map(|budget| {
                // a layer that sees fewer tokens than the budget says nothing
                let heads = by_head.iter().map(|recall| recall[budget]);
                let heads = heads.filter(|recall| !recall.is_nan());
                statistics::mean(heads).unwrap_or(f64::NAN)
            })
            .collect())
    }

    fn recall_by_head(
        &self,
        window: &ReadyWindow,
        prefilled: &mut Prefilled,
        prepared: &Prepared,
        cancel: &CancelFlag,
    ) -> Result<Vec<Vec<f64>>, SessionError> {
        let mut control = RunControl {
            cancel,
            on_tokens: &mut |_, _| {},
        };
        let observed = window.observe(self.model, prefilled, &mut control)?;
        let keys = prefilled.keys_for_scoring(self.model)?;
        let importance = keys.importance(&observed, scored_alike())?;
        let budgets = BUDGETS.map(|budget| budget.tokens(importance.prompt_tokens()));
        let truth = OracleTops::of(&prepared.truth, ForcedKeep::default(), &budgets)?;
        Ok(truth.recall_by_head(&importance)?)
    }
}

/// Every window and the decode stage are scored alike, as `kvlens measure` does where it compares queries.
pub(super) fn scored_alike() -> SideScoring {
    Compare::Queries.truth(ScoringOverrides::default())
}

fn mean_by_budget(prompts: &[Vec<f64>]) -> Vec<f32> {
    (0..BUDGETS.len())
        .map(|budget| {
            let sum: f64 = prompts.iter().filter_map(|prompt| prompt.get(budget)).sum();
            (sum / prompts.len().max(1) as f64) as f32
        })
        .collect()
}
