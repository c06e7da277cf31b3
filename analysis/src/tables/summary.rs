//! `summary.parquet`: means over the samples of a group, with intervals; what the printed tables show.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, optional_number, optional_text, text};
use super::writer::Table;
use crate::collection::GroupSummary;

/// A summary with its budget in words.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryRow<'a> {
    summary: GroupSummary<'a>,
    budget: String,
}

impl<'a> From<GroupSummary<'a>> for SummaryRow<'a> {
    fn from(summary: GroupSummary<'a>) -> Self {
        Self {
            budget: summary.budget.to_string(),
            summary,
        }
    }
}

impl Columnar for SummaryRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let interval = |row: &Self| row.summary.interval;
        vec![
            text("model", rows, |row| &row.summary.group.model),
            text("task", rows, |row| &row.summary.group.task),
            optional_text("question_place", rows, |row| {
                row.summary.group.question_place.as_deref()
            }),
            text("window", rows, |row| row.summary.window),
            text("score_kind", rows, |row| row.summary.score_kind),
            text("metric", rows, |row| row.summary.metric.column()),
            text("budget", rows, |row| &row.budget),
            count("samples", rows, |row| row.summary.samples as u32),
            number("mean", rows, |row| row.summary.mean),
            optional_number("low", rows, |row| interval(row).map(|ends| ends.low)),
            optional_number("high", rows, |row| interval(row).map(|ends| ends.high)),
        ]
    }
}

/// `summary.parquet`: one row per group, window, metric and budget.
#[derive(Debug)]
pub enum SummaryTable {}

impl Table for SummaryTable {
    type Row<'a> = SummaryRow<'a>;
    const FILE_NAME: &'static str = "summary.parquet";
}
