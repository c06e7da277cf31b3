//! `agreement.parquet`: how well each window's scores agree with the oracle's, without a budget.

use super::declare::table;
use super::sample::SampleContext;
use super::window_head::{WindowContext, WindowHead};
use crate::agreement::Agreement;
use crate::comparison::{Comparison, HeadComparison, same};
use crate::error::AnalysisError;

table! {
    AgreementTable in "agreement.parquet", one row per "window and head";
    /// One head of one window.
    #[derive(Copy)]
    AgreementRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// The head.
        head: WindowHead<'a>,
        /// What was compared: `queries` (one scoring for all windows) or `methods` (each as published).
        compare: &'a str,
        /// What the window's scores are: `attention`, or what stands in its place.
        score_kind: &'a str,
        /// Spearman's rank correlation with the oracle's scores, -1..=1.
        spearman: Option<f64>,
        /// Kendall's tau-b, -1..=1.
        kendall: Option<f64>,
        /// Rank-biased overlap, 0..=1.
        rbo: Option<f64>,
        /// Kullback-Leibler divergence of the oracle from the window in nats.
        kl: Option<f64>,
        /// Jensen-Shannon divergence in nats, 0..=ln 2.
        js: Option<f64>,
        /// Total variation distance, 0..=1.
        total_variation: Option<f64>,
        /// Cosine of the two score vectors.
        cosine: Option<f64>,
        /// Area under recall over budgets on a logarithmic axis, as a share of it.
        recall_auc: Option<f64>,
        /// Mean share of the window rows' attention that falls on the prompt.
        prompt_share: Option<f64>,
    }
}

/// The rows of one window, by layer, then head: its agreement and comparison with the oracle and its
/// prompt shares ([`Importance::prompt_shares`](crate::Importance::prompt_shares)), all of the same heads.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the three differ in heads.
pub fn agreement_rows<'a>(
    context: WindowContext<'a>,
    agreement: &[Agreement],
    comparison: &Comparison,
    prompt_shares: &[f32],
) -> Result<Vec<AgreementRow<'a>>, AnalysisError> {
    let compared = comparison.by_head.len();
    same("heads of the agreement", compared, agreement.len())?;
    same("heads of the importance", compared, prompt_shares.len())?;
    let heads = agreement.iter().zip(&comparison.by_head);
    let rows = heads.zip(prompt_shares).enumerate();
    type Head<'h> = ((&'h Agreement, &'h HeadComparison), &'h f32);
    let row = |(index, ((agreement, compared), prompt_share)): (usize, Head<'_>)| AgreementRow {
        sample: context.sample,
        head: WindowHead::at(
            context.window,
            index,
            comparison.heads,
            comparison.head_kind,
        ),
        compare: context.compare,
        score_kind: context.score_kind,
        spearman: Some(agreement.spearman),
        kendall: Some(agreement.kendall),
        rbo: Some(agreement.rbo),
        kl: Some(agreement.kl),
        js: Some(agreement.js),
        total_variation: Some(agreement.total_variation),
        cosine: Some(agreement.cosine),
        recall_auc: Some(compared.recall_auc),
        prompt_share: Some(f64::from(*prompt_share)),
    };
    Ok(rows.map(row).collect())
}
