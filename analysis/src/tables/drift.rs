//! `drift.parquet`: recall of single decode steps and of the decode stage up to a horizon.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, text};
use super::sample::{SampleContext, sample_columns};
use super::writer::Table;
use crate::importance::HeadKind;

/// One head of one window at one budget, for one step or horizon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftRow<'a> {
    /// The sample.
    pub sample: &'a SampleContext,
    /// Label of the window as it was typed.
    pub window: &'a str,
    /// Layer, from 0.
    pub layer: u32,
    /// Head within the layer, from 0.
    pub head: u32,
    /// What the head stands for.
    pub head_kind: HeadKind,
    /// `step` for one decode step alone, `horizon` for all up to it.
    pub part: &'a str,
    /// The step, or the last one of the horizon, counted from 1.
    pub step: u32,
    /// The budget in tokens.
    pub budget_tokens: u32,
    /// Recall of that part of the decode stage.
    pub recall: f64,
}

impl Columnar for DriftRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = sample_columns(rows, |row| row.sample);
        columns.extend([
            text("window", rows, |row| row.window),
            count("layer", rows, |row| row.layer),
            count("head", rows, |row| row.head),
            text("head_kind", rows, |row| row.head_kind.name()),
            text("part", rows, |row| row.part),
            count("step", rows, |row| row.step),
            count("budget_tokens", rows, |row| row.budget_tokens),
            number("recall", rows, |row| row.recall),
        ]);
        columns
    }
}

/// `drift.parquet`: one row per head, step or horizon, and budget of each window.
#[derive(Debug)]
pub enum DriftTable {}

impl Table for DriftTable {
    type Row<'a> = DriftRow<'a>;
    const FILE_NAME: &'static str = "drift.parquet";
}
