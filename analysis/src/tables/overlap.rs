//! `overlap.parquet`: what each window foresees at each budget, per head.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, text};
use super::sample::{SampleContext, sample_columns};
use super::writer::Table;
use crate::budget::Budget;
use crate::comparison::{Comparison, Metric};
use crate::error::AnalysisError;
use crate::importance::HeadKind;

/// One head of one window at one budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverlapRow<'a> {
    /// The sample.
    pub sample: &'a SampleContext,
    /// Label of the window as it was typed.
    pub window: &'a str,
    /// Layer, from 0.
    pub layer: u32,
    /// Head within the layer, from 0.
    pub head: u32,
    /// What the head stands for.
    pub head_kind: HeadKind,
    /// The budget in tokens of this prompt.
    pub budget_tokens: u32,
    /// The budget as a share: the one typed for a percentage, otherwise of the tokens used.
    pub budget_fraction: f64,
    /// [`Metric::Recall`].
    pub recall: f64,
    /// [`Metric::HitRate`].
    pub hit_rate: f64,
    /// [`Metric::Jaccard`].
    pub jaccard: f64,
    /// [`Metric::Mass`].
    pub mass: f64,
    /// [`Metric::MassOfOracle`].
    pub mass_of_oracle: f64,
    /// What the window's scores are.
    pub score_kind: &'a str,
}

/// The rows of a comparison at the budgets that were typed, by layer, head, then budget.
///
/// # Errors
/// [`AnalysisError::BudgetNotCompared`] for a budget that the comparison has no point at.
pub fn overlap_rows<'a>(
    sample: &'a SampleContext,
    window: &'a str,
    score_kind: &'a str,
    comparison: &Comparison,
    budgets: &[Budget],
) -> Result<Vec<OverlapRow<'a>>, AnalysisError> {
    let points: Vec<(Budget, usize)> = budgets
        .iter()
        .map(|budget| {
            Ok((
                *budget,
                comparison.budget_index(budget.tokens(comparison.prompt_tokens))?,
            ))
        })
        .collect::<Result<_, AnalysisError>>()?;
    let mut rows = Vec::with_capacity(comparison.by_head.len() * points.len());
    for (index, head) in comparison.by_head.iter().enumerate() {
        rows.extend(points.iter().map(|&(budget, point)| {
            let value = |metric| head.curves.of(metric)[point];
            OverlapRow {
                sample,
                window,
                layer: (index / comparison.heads) as u32,
                head: (index % comparison.heads) as u32,
                head_kind: comparison.head_kind,
                budget_tokens: comparison.budgets[point] as u32,
                budget_fraction: budget.fraction(comparison.prompt_tokens),
                recall: value(Metric::Recall),
                hit_rate: value(Metric::HitRate),
                jaccard: value(Metric::Jaccard),
                mass: value(Metric::Mass),
                mass_of_oracle: value(Metric::MassOfOracle),
                score_kind,
            }
        }));
    }
    Ok(rows)
}

impl Columnar for OverlapRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = sample_columns(rows, |row| row.sample);
        columns.extend([
            text("window", rows, |row| row.window),
            count("layer", rows, |row| row.layer),
            count("head", rows, |row| row.head),
            text("head_kind", rows, |row| row.head_kind.name()),
            count("budget_tokens", rows, |row| row.budget_tokens),
            number("budget_fraction", rows, |row| row.budget_fraction),
            number("recall", rows, |row| row.recall),
            number("hit_rate", rows, |row| row.hit_rate),
            number("jaccard", rows, |row| row.jaccard),
            number("mass", rows, |row| row.mass),
            number("mass_of_oracle", rows, |row| row.mass_of_oracle),
            text("score_kind", rows, |row| row.score_kind),
        ]);
        columns
    }
}

/// `overlap.parquet`: one row per head and budget of each window.
#[derive(Debug)]
pub enum OverlapTable {}

impl Table for OverlapTable {
    type Row<'a> = OverlapRow<'a>;
    const FILE_NAME: &'static str = "overlap.parquet";
}
