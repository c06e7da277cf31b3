//! `recall_fidelity.parquet`: whether what a window foresees tells what its eviction does to the output.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, optional_number, optional_text, text};
use super::writer::Table;
use crate::statistics::Interval;

/// One correlation of what was foreseen with how the output changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecallFidelityRow<'a> {
    /// Name of the session.
    pub session: &'a str,
    /// Name of the model.
    pub model: &'a str,
    /// The task; none for all prompts of the session together.
    pub task: Option<&'a str>,
    /// Where the question stands, where that is known; none for all prompts together.
    pub question_place: Option<&'a str>,
    /// The budget as it was typed.
    pub budget: &'a str,
    /// What the correlation runs over: `samples`, `windows` or `window means`.
    pub over: &'a str,
    /// Label of the window, where the correlation runs over the samples of one.
    pub window: Option<&'a str>,
    /// What was foreseen: `recall`, `hit_rate` or `kept_mass`.
    pub foreseen: &'a str,
    /// What became of the output: `kl`, `agreement`, `answer_nll` or `score`.
    pub changed: &'a str,
    /// Windows that the figure rests on; the oracle and the full cache are not among them.
    pub windows: u32,
    /// Samples that the figure rests on.
    pub samples: u32,
    /// Spearman's correlation; NaN where one side has no order.
    pub spearman: f64,
    /// 95 % interval over samples, where the figure is a mean over them.
    pub interval: Option<Interval>,
}

impl Columnar for RecallFidelityRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        vec![
            text("session", rows, |row| row.session),
            text("model", rows, |row| row.model),
            optional_text("task", rows, |row| row.task),
            optional_text("question_place", rows, |row| row.question_place),
            text("budget", rows, |row| row.budget),
            text("over", rows, |row| row.over),
            optional_text("window", rows, |row| row.window),
            text("foreseen", rows, |row| row.foreseen),
            text("changed", rows, |row| row.changed),
            count("windows", rows, |row| row.windows),
            count("samples", rows, |row| row.samples),
            number("spearman", rows, |row| row.spearman),
            optional_number("low", rows, |row| row.interval.map(|interval| interval.low)),
            optional_number("high", rows, |row| {
                row.interval.map(|interval| interval.high)
            }),
        ]
    }
}

/// `recall_fidelity.parquet`: one row per correlation.
#[derive(Debug)]
pub enum RecallFidelityTable {}

impl Table for RecallFidelityTable {
    type Row<'a> = RecallFidelityRow<'a>;
    const FILE_NAME: &'static str = "recall_fidelity.parquet";
}
