//! `fidelity.parquet`: what evicting by each window's ranking does to the output, at each budget.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, optional_number, text};
use super::sample::{SampleContext, sample_columns};
use super::writer::Table;
use crate::allocation::AllocatedMeans;
use crate::fidelity::MeanFidelity;
use crate::importance::HeadKind;

/// One eviction of one sample, or the full cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FidelityRow<'a> {
    /// The sample.
    pub sample: &'a SampleContext,
    /// Label of the window as it was typed, `decode` for the oracle, `full` for the cache that is not evicted.
    pub window: &'a str,
    /// What the heads are that each keep tokens of their own.
    pub head_kind: HeadKind,
    /// How the budget was shared out over heads: `uniform`, `pyramid` or `head-adaptive`.
    pub allocation: &'a str,
    /// The budget in tokens of this prompt; with forced-keep tokens counted, the mean over heads.
    pub budget_tokens: u32,
    /// The budget as a share: the one typed for a percentage, otherwise of the tokens used.
    pub budget_fraction: f64,
    /// What the eviction foresaw of the decode stage.
    pub foreseen: AllocatedMeans,
    /// Teacher-forced steps that were compared.
    pub steps: u32,
    /// Means over those steps.
    pub fidelity: MeanFidelity,
    /// Mean negative log-likelihood of the reference answer's tokens in nats, when the data has an answer.
    pub answer_nll: Option<f64>,
    /// Task score in 0..=1 of the greedy generation, when the task can be scored.
    pub score: Option<f64>,
    /// The text of that generation.
    pub generated: &'a str,
}

impl Columnar for FidelityRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = sample_columns(rows, |row| row.sample);
        columns.extend([
            text("window", rows, |row| row.window),
            text("head_kind", rows, |row| row.head_kind.name()),
            text("allocation", rows, |row| row.allocation),
            count("budget_tokens", rows, |row| row.budget_tokens),
            number("budget_fraction", rows, |row| row.budget_fraction),
            number("recall", rows, |row| row.foreseen.recall),
            number("hit_rate", rows, |row| row.foreseen.hit_rate),
            number("kept_mass", rows, |row| row.foreseen.selected_mass),
            count("steps", rows, |row| row.steps),
            number("kl", rows, |row| row.fidelity.kl),
            number("agreement", rows, |row| row.fidelity.agreement),
            optional_number("answer_nll", rows, |row| row.answer_nll),
            optional_number("score", rows, |row| row.score),
            text("generated", rows, |row| row.generated),
        ]);
        columns
    }
}

/// `fidelity.parquet`: one row per window and budget of each sample, and one for the full cache.
#[derive(Debug)]
pub enum FidelityTable {}

impl Table for FidelityTable {
    type Row<'a> = FidelityRow<'a>;
    const FILE_NAME: &'static str = "fidelity.parquet";
}
