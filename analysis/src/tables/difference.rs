//! `difference.parquet`: two windows on the same samples, head by head, with interval and corrected tests.

use polars::prelude::Column;

use super::columns::{
    Columnar, count, flag, number, optional_count, optional_number, optional_text, text,
};
use super::writer::Table;
use crate::budget::Budget;
use crate::comparison::{Metric, same};
use crate::error::AnalysisError;
use crate::importance::HeadKind;
use crate::statistics::{HeadDifference, PairedDifference, Verdict};

/// `head_kind` of a row that is about the means over all heads.
const ALL_HEADS: &str = "all";

/// What a map of heads over several samples is about.
#[derive(Debug, Clone, PartialEq)]
pub struct MapContext {
    /// Name of the model.
    pub model: String,
    /// Name of the task or of the group of tasks.
    pub task: String,
    /// Where the question stands, when the data say.
    pub question_place: Option<String>,
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
    /// Layer, from 0; none for the means over all heads.
    pub layer: Option<u32>,
    /// Head within the layer, from 0; none for the means over all heads.
    pub head: Option<u32>,
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
                layer: Some(layer),
                head: Some(head),
                difference,
            }
        })
        .collect())
}

/// The row of the means over all heads, which is one test and needs no correction.
pub fn overall_difference_row<'a>(
    map: &'a MapContext,
    first: &'a str,
    second: &'a str,
    difference: PairedDifference,
) -> DifferenceRow<'a> {
    DifferenceRow {
        map,
        budget: map.budget.to_string(),
        first,
        second,
        layer: None,
        head: None,
        difference: HeadDifference {
            difference,
            p_holm: difference.p,
            p_benjamini_hochberg: difference.p,
        },
    }
}

impl Columnar for DifferenceRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = map_columns(rows, |row| (row.map, &row.budget));
        let interval = |row: &Self| row.difference.difference.interval;
        columns.extend([
            text("first", rows, |row| row.first),
            text("second", rows, |row| row.second),
            optional_count("layer", rows, |row| row.layer),
            optional_count("head", rows, |row| row.head),
            text("head_kind", rows, |row| match row.head {
                Some(_) => row.map.head_kind.name(),
                None => ALL_HEADS,
            }),
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
            flag("resolved", rows, |row| match row.head {
                // one of many, whose p-values are corrected for that
                Some(_) => row.difference.is_resolved(),
                None => row.difference.difference.verdict != Verdict::NotResolved,
            }),
            optional_text("question_place", rows, |row| {
                row.map.question_place.as_deref()
            }),
        ]);
        columns
    }
}

/// `difference.parquet`: one row per head of each pair of windows, and one for the means over all heads.
#[derive(Debug)]
pub enum DifferenceTable {}

impl Table for DifferenceTable {
    type Row<'a> = DifferenceRow<'a>;
    const FILE_NAME: &'static str = "difference.parquet";
}
