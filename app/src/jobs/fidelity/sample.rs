//! Evicting by the windows of one sample.

use anyhow::{Context, Result};
use kvlens_analysis::Budget;
use kvlens_sessions::model::Model;
use kvlens_sessions::{CapturedSample, Session};

use crate::jobs::budgets::SampleBudgets;
use crate::jobs::{Cancel, Watch};
use crate::measurement::fidelity::{EvictionPlan, Outcomes, SampleRun};

/// A sample with the budgets that its prompt can hold.
pub struct SampleEvictions<'a> {
    session: &'a Session,
    captured: &'a CapturedSample,
    budgets: SampleBudgets,
}

impl<'a> SampleEvictions<'a> {
    /// Of a sample of the session.
    #[must_use]
    pub fn new(session: &'a Session, captured: &'a CapturedSample, budgets: &[Budget]) -> Self {
        let tokens = captured.record.prompt_ids.len();
        Self {
            session,
            captured,
            budgets: SampleBudgets::new(budgets, tokens),
        }
    }

    /// Budgets that are larger than the prompt.
    #[must_use]
    pub fn left_out(&self) -> &[Budget] {
        &self.budgets.left_out
    }

    /// Evicts by the oracle and by every window that is wanted, and gives each outcome as soon as it is there. What is
    /// known of an earlier run is not made again.
    ///
    /// # Errors
    /// What the model or the numerics refuse; a cancel.
    pub fn run(
        &self,
        plan: &EvictionPlan,
        model: &Model,
        is_wanted: impl Fn(&str) -> bool,
        outcomes: &mut dyn Outcomes,
        watch: &mut dyn Watch,
        cancel: &Cancel,
    ) -> Result<()> {
        let decode = &self.session.manifest().plan.decode;
        let record = &self.captured.record;
        SampleRun::begin(plan, decode, model, record, cancel, watch)
            .and_then(|run| {
                run.run_some(self.captured, &self.budgets.applying, is_wanted, outcomes)
            })
            .with_context(|| format!("sample '{}'", record.id))
    }
}
