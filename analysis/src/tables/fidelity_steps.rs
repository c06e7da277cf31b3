//! `fidelity_steps.parquet`: every teacher-forced step on an evicted cache against the full one.

use polars::prelude::Column;

use super::columns::{Columnar, count, flag, number, text};
use super::sample::{SampleContext, sample_columns};
use super::writer::Table;
use crate::fidelity::StepFidelity;

/// One step of one eviction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FidelityStepRow<'a> {
    /// The sample.
    pub sample: &'a SampleContext,
    /// Label of the window as it was typed, or `decode`.
    pub window: &'a str,
    /// The budget in tokens of this prompt.
    pub budget_tokens: u32,
    /// The budget as a share, as in [`FidelityRow`](super::FidelityRow).
    pub budget_fraction: f64,
    /// Step i is generated token i, fed back at position T + i; the distribution compared is of the next token.
    pub step: u32,
    /// Id of the token that was fed.
    pub token_id: u32,
    /// The comparison.
    pub fidelity: StepFidelity,
}

impl Columnar for FidelityStepRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = sample_columns(rows, |row| row.sample);
        columns.extend([
            text("window", rows, |row| row.window),
            count("budget_tokens", rows, |row| row.budget_tokens),
            number("budget_fraction", rows, |row| row.budget_fraction),
            count("step", rows, |row| row.step),
            count("token_id", rows, |row| row.token_id),
            number("kl", rows, |row| row.fidelity.kl),
            flag("agrees", rows, |row| row.fidelity.agrees),
        ]);
        columns
    }
}

/// `fidelity_steps.parquet`: one row per step of each window and budget.
#[derive(Debug)]
pub enum FidelityStepsTable {}

impl Table for FidelityStepsTable {
    type Row<'a> = FidelityStepRow<'a>;
    const FILE_NAME: &'static str = "fidelity_steps.parquet";
}
