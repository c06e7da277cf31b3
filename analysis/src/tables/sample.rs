//! What names a sample in every table, and the table of the samples themselves.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, optional_number, optional_text, text};
use super::writer::Table;

/// The leading columns of every row: which sample of which session it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleContext {
    /// Name of the session.
    pub session: String,
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub dataset: String,
    /// Name of the task.
    pub task: String,
    /// Id of the sample.
    pub sample: String,
    /// Prompt tokens, `T`.
    pub prompt_tokens: u32,
    /// Generated tokens that were fed back.
    pub decode_tokens: u32,
}

/// The columns session, model, dataset, task and sample.
pub(super) fn name_columns<'a, R>(
    rows: &'a [R],
    sample: impl Fn(&'a R) -> &'a SampleContext,
) -> Vec<Column> {
    vec![
        text("session", rows, |row| &sample(row).session),
        text("model", rows, |row| &sample(row).model),
        text("dataset", rows, |row| &sample(row).dataset),
        text("task", rows, |row| &sample(row).task),
        text("sample", rows, |row| &sample(row).sample),
    ]
}

/// [`name_columns`], then prompt_tokens and decode_tokens.
pub(super) fn sample_columns<'a, R>(
    rows: &'a [R],
    sample: impl Fn(&'a R) -> &'a SampleContext,
) -> Vec<Column> {
    let mut columns = name_columns(rows, &sample);
    columns.push(count("prompt_tokens", rows, |row| {
        sample(row).prompt_tokens
    }));
    columns.push(count("decode_tokens", rows, |row| {
        sample(row).decode_tokens
    }));
    columns
}

/// One sample: what went in and what came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRow<'a> {
    /// The sample.
    pub sample: &'a SampleContext,
    /// The prompt's text.
    pub prompt: &'a str,
    /// The text that the model generated.
    pub generated: &'a str,
    /// Reference answer, when the data has one.
    pub answer: Option<&'a str>,
    /// Task score in 0..=1, when the task can be scored.
    pub score: Option<f64>,
    /// Wall time of the sample's capture in seconds.
    pub seconds: f64,
}

impl Columnar for SampleRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = sample_columns(rows, |row| row.sample);
        columns.extend([
            text("prompt", rows, |row| row.prompt),
            text("generated", rows, |row| row.generated),
            optional_text("answer", rows, |row| row.answer),
            optional_number("score", rows, |row| row.score),
            number("seconds", rows, |row| row.seconds),
        ]);
        columns
    }
}

/// `samples.parquet`: one row per sample.
#[derive(Debug)]
pub enum SamplesTable {}

impl Table for SamplesTable {
    type Row<'a> = SampleRow<'a>;
    const FILE_NAME: &'static str = "samples.parquet";
    /// A row holds a whole prompt, which may be half a megabyte.
    const ROW_GROUP_ROWS: usize = 64;
}
