//! `place.parquet`: recall of a window of W consecutive queries against the place where it sits.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, text};
use super::sample::{SampleContext, sample_columns};
use super::writer::Table;
use crate::importance::HeadKind;

/// One head at one place and budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlaceRow<'a> {
    /// The sample.
    pub sample: &'a SampleContext,
    /// Queries of the window.
    pub width: u32,
    /// Layer, from 0.
    pub layer: u32,
    /// Head within the layer, from 0.
    pub head: u32,
    /// What the head stands for.
    pub head_kind: HeadKind,
    /// Position of the window's last query; `prompt_tokens - 1` is the last of the prompt.
    pub last_position: u32,
    /// The budget in tokens.
    pub budget_tokens: u32,
    /// Recall of the decode stage.
    pub recall: f64,
    /// Share of the decode stage's top tokens that lie at or before the window.
    pub visible: f64,
}

impl Columnar for PlaceRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = sample_columns(rows, |row| row.sample);
        columns.extend([
            count("width", rows, |row| row.width),
            count("layer", rows, |row| row.layer),
            count("head", rows, |row| row.head),
            text("head_kind", rows, |row| row.head_kind.name()),
            count("last_position", rows, |row| row.last_position),
            count("budget_tokens", rows, |row| row.budget_tokens),
            number("recall", rows, |row| row.recall),
            number("visible", rows, |row| row.visible),
        ]);
        columns
    }
}

/// `place.parquet`: one row per head, place and budget.
#[derive(Debug)]
pub enum PlaceTable {}

impl Table for PlaceTable {
    type Row<'a> = PlaceRow<'a>;
    const FILE_NAME: &'static str = "place.parquet";
}
