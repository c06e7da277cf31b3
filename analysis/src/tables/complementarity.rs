//! `complementarity.parquet`: what one window keeps of the oracle's top tokens that another misses.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, text};
use super::sample::{SampleContext, sample_columns};
use super::writer::Table;
use crate::comparison::same;
use crate::complementarity::Complementarity;
use crate::error::AnalysisError;
use crate::importance::HeadKind;
use crate::ranking::Rankings;

/// One head of a pair of windows at one budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComplementarityRow<'a> {
    /// The sample.
    pub sample: &'a SampleContext,
    /// Label of the first window.
    pub first: &'a str,
    /// Label of the second window.
    pub second: &'a str,
    /// Layer, from 0.
    pub layer: u32,
    /// Head within the layer, from 0.
    pub head: u32,
    /// What the head stands for.
    pub head_kind: HeadKind,
    /// The shares.
    pub split: Complementarity,
}

/// The rows of one pair of windows, by layer, head, then budget; `ranked` is any of the rankings compared.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the heads are not those of the rankings.
pub fn complementarity_rows<'a>(
    sample: &'a SampleContext,
    first: &'a str,
    second: &'a str,
    ranked: &Rankings,
    by_head: &[Vec<Complementarity>],
) -> Result<Vec<ComplementarityRow<'a>>, AnalysisError> {
    same("heads", ranked.layers() * ranked.heads(), by_head.len())?;
    let rows = by_head.iter().enumerate().flat_map(|(index, splits)| {
        splits.iter().map(move |&split| ComplementarityRow {
            sample,
            first,
            second,
            layer: (index / ranked.heads()) as u32,
            head: (index % ranked.heads()) as u32,
            head_kind: ranked.head_kind(),
            split,
        })
    });
    Ok(rows.collect())
}

impl Columnar for ComplementarityRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = sample_columns(rows, |row| row.sample);
        columns.extend([
            text("first", rows, |row| row.first),
            text("second", rows, |row| row.second),
            count("layer", rows, |row| row.layer),
            count("head", rows, |row| row.head),
            text("head_kind", rows, |row| row.head_kind.name()),
            count("budget_tokens", rows, |row| row.split.budget as u32),
            number("both", rows, |row| row.split.both),
            number("first_only", rows, |row| row.split.first_only),
            number("second_only", rows, |row| row.split.second_only),
            number("neither", rows, |row| row.split.neither),
            count("union_tokens", rows, |row| row.split.union_tokens as u32),
        ]);
        columns
    }
}

/// `complementarity.parquet`: one row per head and budget of each pair of windows.
#[derive(Debug)]
pub enum ComplementarityTable {}

impl Table for ComplementarityTable {
    type Row<'a> = ComplementarityRow<'a>;
    const FILE_NAME: &'static str = "complementarity.parquet";
}
