//! `difference.parquet`: two windows on the same samples, head by head, with interval and corrected tests.

use polars::prelude::Column;

use super::columns::{Columnar, count, flag, number, optional_number, text};
use super::writer::Table;
use crate::budget::Budget;
use crate::comparison::{Metric, same};
use crate::error::AnalysisError;
use crate::importance::HeadKind;
use crate::statistics::{HeadDifference, Verdict};

/// What a map of heads over several samples is about.
#[derive(Debug, Clone, PartialEq)]
pub struct MapContext {
    /// Name of the model.
    pub model: String,
    /// Name of the task or of the group of tasks.
    pub task: String,
    /// The metric.
    pub metric: Metric,
    /// The budget as it was typed; each sample's own tokens for a percentage.
    pub budget: Budget,
    /// Number of samples.
    pub samples: u32,
    /// Heads per layer.
    pub heads: u32,
    /// What a head stands for.
    pub head_kind: HeadKind,
}

impl MapContext {
    pub(super) fn place(&self, index: usize) -> (u32, u32) {
        let index = index as u32;
        (index / self.heads, index % self.heads)
    }

    /// Refuses a map whose heads do not fill whole layers.
    pub(super) fn check(&self, heads: usize) -> Result<(), AnalysisError> {
        match heads.checked_rem(self.heads as usize) {
            Some(0) => Ok(()),
            Some(_) => same("heads", self.heads as usize, heads),
            None => Err(AnalysisError::Empty { what: "heads" }),
        }
    }
}

/// The columns model, task, metric, budget (as typed), samples.
pub(super) fn map_columns<'a, R>(
    rows: &'a [R],
    map: impl Fn(&'a R) -> (&'a MapContext, &'a str),
) -> Vec<Column> {
    vec![
        text("model", rows, |row| &map(row).0.model),
        text("task", rows, |row| &map(row).0.task),
        text("metric", rows, |row| map(row).0.metric.column()),
        text("budget", rows, |row| map(row).1),
        count("samples", rows, |row| map(row).0.samples),
    ]
}

/// One head of a pair of windows.
#[derive(Debug, Clone, PartialEq)]
pub struct DifferenceRow<'a> {
    /// What the map is about.
    pub map: &'a MapContext,
    /// The budget in words.
    pub budget: String,
    /// Label of the first window.
    pub first: &'a str,
    /// Label of the second window.
    pub second: &'a str,
    /// Layer, from 0.
    pub layer: u32,
    /// Head within the layer, from 0.
    pub head: u32,
    /// The difference and its corrected p-values.
    pub difference: HeadDifference,
}

/// The rows of one pair of windows, by layer, then head.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the heads do not fill whole layers.
pub fn difference_rows<'a>(
    map: &'a MapContext,
    first: &'a str,
    second: &'a str,
    differences: &[HeadDifference],
) -> Result<Vec<DifferenceRow<'a>>, AnalysisError> {
    map.check(differences.len())?;
    Ok(differences
        .iter()
        .enumerate()
        .map(|(index, &difference)| {
            let (layer, head) = map.place(index);
            DifferenceRow {
                map,
                budget: map.budget.to_string(),
                first,
                second,
                layer,
                head,
                difference,
            }
        })
        .collect())
}

impl Columnar for DifferenceRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = map_columns(rows, |row| (row.map, &row.budget));
        let interval = |row: &Self| row.difference.difference.interval;
        columns.extend([
            text("first", rows, |row| row.first),
            text("second", rows, |row| row.second),
            count("layer", rows, |row| row.layer),
            count("head", rows, |row| row.head),
            text("head_kind", rows, |row| row.map.head_kind.name()),
            number("difference", rows, |row| row.difference.difference.mean),
            optional_number("low", rows, |row| {
                interval(row).map(|interval| interval.low)
            }),
            optional_number("high", rows, |row| {
                interval(row).map(|interval| interval.high)
            }),
            number("p", rows, |row| row.difference.difference.p),
            number("p_holm", rows, |row| row.difference.p_holm),
            number("p_bh", rows, |row| row.difference.p_benjamini_hochberg),
            flag("resolved", rows, |row| {
                row.difference.difference.verdict != Verdict::NotResolved
            }),
        ]);
        columns
    }
}

/// `difference.parquet`: one row per head of each pair of windows.
#[derive(Debug)]
pub enum DifferenceTable {}

impl Table for DifferenceTable {
    type Row<'a> = DifferenceRow<'a>;
    const FILE_NAME: &'static str = "difference.parquet";
}
