//! `agreement.parquet`: how well each window's scores agree with the oracle's, without a budget.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, text};
use super::sample::{SampleContext, sample_columns};
use super::writer::Table;
use crate::agreement::Agreement;
use crate::comparison::{Comparison, same};
use crate::error::AnalysisError;
use crate::importance::{HeadKind, Importance};

/// One head of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AgreementRow<'a> {
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
    /// Correlations and divergences; NaN where one is undefined.
    pub agreement: Agreement,
    /// Area under recall over all budgets on a logarithmic axis.
    pub recall_auc: f64,
    /// Mean share of the window rows' attention that falls on the prompt.
    pub prompt_share: f64,
    /// What the window's scores are.
    pub score_kind: &'a str,
}

/// The rows of one window, by layer, then head: its agreement and comparison with the oracle and its
/// importance, all of the same heads.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the three differ in layers or heads.
pub fn agreement_rows<'a>(
    sample: &'a SampleContext,
    window: &'a str,
    score_kind: &'a str,
    agreement: &[Agreement],
    comparison: &Comparison,
    importance: &Importance,
) -> Result<Vec<AgreementRow<'a>>, AnalysisError> {
    same("layers", comparison.layers, importance.layers())?;
    same("heads", comparison.heads, importance.heads())?;
    same(
        "heads of the agreement",
        comparison.by_head.len(),
        agreement.len(),
    )?;
    let rows = agreement.iter().zip(&comparison.by_head).enumerate();
    Ok(rows
        .map(|(index, (&agreement, compared))| {
            let (layer, head) = (index / comparison.heads, index % comparison.heads);
            AgreementRow {
                sample,
                window,
                layer: layer as u32,
                head: head as u32,
                head_kind: comparison.head_kind,
                agreement,
                recall_auc: compared.recall_auc,
                prompt_share: f64::from(importance.prompt_share(layer, head)),
                score_kind,
            }
        })
        .collect())
}

impl Columnar for AgreementRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = sample_columns(rows, |row| row.sample);
        columns.extend([
            text("window", rows, |row| row.window),
            count("layer", rows, |row| row.layer),
            count("head", rows, |row| row.head),
            text("head_kind", rows, |row| row.head_kind.name()),
            number("spearman", rows, |row| row.agreement.spearman),
            number("kendall", rows, |row| row.agreement.kendall),
            number("kl", rows, |row| row.agreement.kl),
            number("js", rows, |row| row.agreement.js),
            number("cosine", rows, |row| row.agreement.cosine),
            number("recall_auc", rows, |row| row.recall_auc),
            number("prompt_share", rows, |row| row.prompt_share),
            number("rbo", rows, |row| row.agreement.rbo),
            number("total_variation", rows, |row| row.agreement.total_variation),
            text("score_kind", rows, |row| row.score_kind),
        ]);
        columns
    }
}

/// `agreement.parquet`: one row per head of each window.
#[derive(Debug)]
pub enum AgreementTable {}

impl Table for AgreementTable {
    type Row<'a> = AgreementRow<'a>;
    const FILE_NAME: &'static str = "agreement.parquet";
}
