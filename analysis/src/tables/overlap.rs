//! `overlap.parquet`: what each window foresees at each budget, per head.

use super::declare::table;
use super::sample::SampleContext;
use super::window_head::{WindowContext, WindowHead, count};
use crate::budget::Budget;
use crate::comparison::{Comparison, HeadComparison, Metric, same};
use crate::error::AnalysisError;

table! {
    OverlapTable in "overlap.parquet", one row per "window, head and budget";
    /// One head of one window at one budget.
    #[derive(Copy)]
    OverlapRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// The head.
        head: WindowHead<'a>,
        /// What was compared: `queries` (one scoring for all windows) or `methods` (each as published).
        compare: &'a str,
        /// What the window's scores are: `attention`, or what stands in its place.
        score_kind: &'a str,
        /// The budget as it was typed.
        budget: Budget,
        /// The budget in tokens of this prompt.
        budget_tokens: u32,
        /// The budget as a share: the one typed for a percentage, otherwise of the tokens used.
        budget_fraction: f64,
        /// Tokens that the layer can rank: the prompt's without exempt ones and those behind a sliding window.
        visible_tokens: u32,
        /// Share of the oracle's top B among the window's top B; undefined, as all metrics, where B is not below
        /// visible_tokens.
        recall: Option<f64>,
        /// Share of the decode stage's top B that the window's eviction rule keeps.
        kept_recall: Option<f64>,
        /// Recall over whole selections: the window's forced-keep tokens count for both sides.
        hit_rate: Option<f64>,
        /// Tokens in both top-B sets over tokens in either.
        jaccard: Option<f64>,
        /// Decode attention on the prompt that the window's top B keeps.
        mass: Option<f64>,
        /// The same as a share of the most that B tokens can hold.
        mass_of_oracle: Option<f64>,
        /// Share of the tokens needed for the answer that are kept, where the data name them.
        evidence_kept: Option<f64>,
        /// Recall of the decode stage's own rows under the window's scoring, where methods are compared.
        ceiling: Option<f64>,
        /// Relative error of the head's attention output, in the mean over decode steps, when only what the window's
        /// rule keeps and the generated tokens are attended to; missing in sessions without values.
        output_error: Option<f64>,
    }
}

/// The rows of a comparison at the budgets that were typed, by layer, head, then budget. `ceiling` is that of the
/// decode stage's own rows under the window's scoring, where methods are compared.
///
/// # Errors
/// [`AnalysisError::BudgetNotCompared`] for a budget that either comparison has no point at,
/// [`AnalysisError::Mismatch`] when the two differ in heads.
pub fn overlap_rows<'a>(
    context: WindowContext<'a>,
    comparison: &Comparison,
    ceiling: Option<&Comparison>,
    budgets: &[Budget],
) -> Result<Vec<OverlapRow<'a>>, AnalysisError> {
    if let Some(ceiling) = ceiling {
        let heads = (comparison.by_head.len(), ceiling.by_head.len());
        same("heads of the ceiling", heads.0, heads.1)?;
    }
    let points = budgets
        .iter()
        .map(|&budget| point(comparison, ceiling, budget))
        .collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::with_capacity(comparison.by_head.len() * points.len());
    for (index, compared) in comparison.by_head.iter().enumerate() {
        let head = WindowHead::at(
            context.window,
            index,
            comparison.heads,
            comparison.head_kind,
        );
        rows.extend(points.iter().map(|&(budget, at, ceiling)| OverlapRow {
            sample: context.sample,
            head,
            compare: context.compare,
            score_kind: context.score_kind,
            budget,
            budget_tokens: count(comparison.budgets[at]),
            budget_fraction: budget.fraction(comparison.prompt_tokens),
            visible_tokens: count(comparison.rankable_tokens[index / comparison.heads]),
            recall: value(compared, Metric::Recall, at),
            kept_recall: value(compared, Metric::KeptRecall, at),
            hit_rate: value(compared, Metric::HitRate, at),
            jaccard: value(compared, Metric::Jaccard, at),
            mass: value(compared, Metric::Mass, at),
            mass_of_oracle: value(compared, Metric::MassOfOracle, at),
            evidence_kept: value(compared, Metric::EvidenceKept, at),
            ceiling:
                ceiling.and_then(|(ceiling, at)| {
                    value(ceiling.by_head.get(index)?, Metric::Recall, at)
                }),
            output_error: value(compared, Metric::OutputError, at),
        }));
    }
    Ok(rows)
}

/// A budget and where both comparisons have it.
type Point<'c> = (Budget, usize, Option<(&'c Comparison, usize)>);

fn point<'c>(
    comparison: &Comparison,
    ceiling: Option<&'c Comparison>,
    budget: Budget,
) -> Result<Point<'c>, AnalysisError> {
    let tokens = budget.tokens(comparison.prompt_tokens);
    let ceiling = ceiling
        .map(|ceiling| Ok::<_, AnalysisError>((ceiling, ceiling.budget_index(tokens)?)))
        .transpose()?;
    Ok((budget, comparison.budget_index(tokens)?, ceiling))
}

/// A metric at a point; NaN, which becomes a missing cell, where it is undefined.
fn value(head: &HeadComparison, metric: Metric, point: usize) -> Option<f64> {
    head.curves.of(metric).get(point).copied()
}
