//! `cost.parquet`: what each window takes beyond the prefill that all share.

use polars::prelude::Column;

use super::columns::{Columnar, count, large_count, number, text};
use super::sample::{SampleContext, sample_columns};
use super::writer::Table;

/// The cost of one window on one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostRow<'a> {
    /// The sample.
    pub sample: &'a SampleContext,
    /// Label of the window as it was typed.
    pub window: &'a str,
    /// Rows that the window observes with.
    pub rows: u32,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Floating-point operations.
    pub flops: f64,
    /// Tokens that were run beyond the prompt.
    pub extra_tokens: u32,
    /// Bytes held beyond the prompt's cache at the worst moment.
    pub peak_bytes: u64,
    /// What the window's scores are: `attention`, or what stands in its place.
    pub score_kind: &'a str,
}

impl Columnar for CostRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = sample_columns(rows, |row| row.sample);
        columns.extend([
            text("window", rows, |row| row.window),
            count("rows", rows, |row| row.rows),
            number("seconds", rows, |row| row.seconds),
            number("flops", rows, |row| row.flops),
            count("extra_tokens", rows, |row| row.extra_tokens),
            large_count("peak_bytes", rows, |row| row.peak_bytes),
            text("score_kind", rows, |row| row.score_kind),
        ]);
        columns
    }
}

/// `cost.parquet`: one row per window.
#[derive(Debug)]
pub enum CostTable {}

impl Table for CostTable {
    type Row<'a> = CostRow<'a>;
    const FILE_NAME: &'static str = "cost.parquet";
}
