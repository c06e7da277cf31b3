//! `query.parquet`: how alike the queries of each window are to those of the decode stage.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, optional_number, text};
use super::sample::{SampleContext, sample_columns};
use super::writer::Table;

/// One query head of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueryRow<'a> {
    /// The sample.
    pub sample: &'a SampleContext,
    /// Label of the window as it was typed.
    pub window: &'a str,
    /// Layer, from 0.
    pub layer: u32,
    /// Query head within the layer, from 0.
    pub head: u32,
    /// Pairs of rows that the means are over.
    pub rows: u32,
    /// Mean position of the window's rows less that of the decode steps that they are paired with.
    pub position_gap: f64,
    /// Mean cosine before the rotary embedding, where the session says which it was.
    pub cosine_before_rotation: Option<f64>,
    /// Mean cosine after it.
    pub cosine_after_rotation: f64,
}

impl Columnar for QueryRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = sample_columns(rows, |row| row.sample);
        columns.extend([
            text("window", rows, |row| row.window),
            count("layer", rows, |row| row.layer),
            count("head", rows, |row| row.head),
            count("rows", rows, |row| row.rows),
            number("position_gap", rows, |row| row.position_gap),
            optional_number("cosine_before_rotation", rows, |row| {
                row.cosine_before_rotation
            }),
            number("cosine_after_rotation", rows, |row| {
                row.cosine_after_rotation
            }),
        ]);
        columns
    }
}

/// `query.parquet`: one row per query head of each window that has queries.
#[derive(Debug)]
pub enum QueryTable {}

impl Table for QueryTable {
    type Row<'a> = QueryRow<'a>;
    const FILE_NAME: &'static str = "query.parquet";
}
