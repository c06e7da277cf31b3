//! `allocation.parquet`: the same total budget shared out over layers and heads in several ways.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, text};
use super::sample::{SampleContext, sample_columns};
use super::writer::Table;
use crate::allocation::AllocatedHead;
use crate::importance::HeadKind;

/// One head of one window under one allocation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AllocationRow<'a> {
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
    /// `uniform`, `pyramid` or `head-adaptive`.
    pub allocation: &'a str,
    /// The uniform budget that is shared out, in tokens a head.
    pub budget_tokens: u32,
    /// What the head gets and keeps.
    pub kept: AllocatedHead,
}

impl Columnar for AllocationRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = sample_columns(rows, |row| row.sample);
        columns.extend([
            text("window", rows, |row| row.window),
            count("layer", rows, |row| row.layer),
            count("head", rows, |row| row.head),
            text("head_kind", rows, |row| row.head_kind.name()),
            text("allocation", rows, |row| row.allocation),
            count("budget_tokens", rows, |row| row.budget_tokens),
            count("tokens", rows, |row| row.kept.tokens as u32),
            number("recall", rows, |row| row.kept.recall),
            number("hit_rate", rows, |row| row.kept.hit_rate),
            number("selected_mass", rows, |row| row.kept.selected_mass),
        ]);
        columns
    }
}

/// `allocation.parquet`: one row per head, allocation and budget of each window.
#[derive(Debug)]
pub enum AllocationTable {}

impl Table for AllocationTable {
    type Row<'a> = AllocationRow<'a>;
    const FILE_NAME: &'static str = "allocation.parquet";
}
