//! `evidence.parquet`: what becomes of the tokens that the answer needs.

use super::declare::table;
use super::sample::SampleContext;
use super::window_head::count;
use crate::budget::Budget;
use crate::evidence::EvidenceSurvival;

table! {
    EvidenceTable in "evidence.parquet", one row per "sample with evidence, window and budget";
    /// The needed tokens of one sample under one window's rule at one budget.
    #[derive(Copy)]
    EvidenceRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// Label of the window as it was typed; `decode` for the decode stage itself.
        window: &'a str,
        /// What was compared: `queries` (one scoring for all windows) or `methods` (each as published).
        compare: &'a str,
        /// The budget as it was typed.
        budget: Budget,
        /// The budget in tokens of this prompt.
        budget_tokens: u32,
        /// Tokens that the answer needs and that any layer sees.
        evidence_tokens: u32,
        /// Share of them that a head keeps by the window's rule, in the mean over heads.
        kept: Option<f64>,
        /// Share of them that no head of any layer keeps: the global eviction ratio.
        lost_everywhere: Option<f64>,
    }
}

/// The rows of one window on a sample; `budgets` are those of the survivals, in their order.
pub fn evidence_rows<'a>(
    sample: &'a SampleContext,
    (window, compare): (&'a str, &'a str),
    evidence_tokens: usize,
    budgets: &[Budget],
    survivals: &[EvidenceSurvival],
) -> Vec<EvidenceRow<'a>> {
    let points = budgets.iter().zip(survivals);
    points
        .map(|(&budget, survival)| EvidenceRow {
            sample,
            window,
            compare,
            budget,
            budget_tokens: count(survival.budget),
            evidence_tokens: count(evidence_tokens),
            kept: Some(survival.kept),
            lost_everywhere: Some(survival.lost_everywhere),
        })
        .collect()
}
