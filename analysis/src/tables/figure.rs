//! The data beside a figure: everything that it shows, and nothing else.

use polars::prelude::Column;

use super::columns::{Columnar, count, number, optional_flag, optional_number, text};
use super::writer::Table;
use crate::figure::FigureRow;

impl Columnar for FigureRow {
    fn columns(rows: &[Self]) -> Vec<Column> {
        vec![
            text("panel", rows, |row| &row.panel),
            text("series", rows, |row| &row.series),
            number("x", rows, |row| row.x),
            optional_number("y", rows, |row| row.y),
            number("value", rows, |row| row.value),
            optional_number("low", rows, |row| row.low),
            optional_number("high", rows, |row| row.high),
            count("samples", rows, |row| row.samples),
            optional_flag("resolved", rows, |row| row.resolved),
        ]
    }
}

/// `figure.parquet`, which is given the figure's own name: one row per point, bar or cell.
#[derive(Debug)]
pub enum FigureTable {}

impl Table for FigureTable {
    type Row<'a> = FigureRow;
    const FILE_NAME: &'static str = "figure.parquet";
}
