//! `winner.parquet`: which window wins in each head, by how much, and how stable that is over samples.

use polars::prelude::Column;

use super::columns::{Columnar, count, flag, number, optional_number, optional_text, text};
use super::difference::{MapContext, map_columns};
use super::writer::Table;
use crate::comparison::same;
use crate::error::AnalysisError;
use crate::statistics::{HeadStability, HeadWinner};

/// One head of a map of winners.
#[derive(Debug, Clone, PartialEq)]
pub struct WinnerRow<'a> {
    /// What the map is about.
    pub map: &'a MapContext,
    /// The budget in words.
    pub budget: String,
    /// Layer, from 0.
    pub layer: u32,
    /// Head within the layer, from 0.
    pub head: u32,
    /// Label of the winner.
    pub window: &'a str,
    /// Label of the runner-up.
    pub runner_up: Option<&'a str>,
    /// Means, margin and tests.
    pub winner: HeadWinner,
    /// Label of the window that is best in most samples.
    pub usual_best: &'a str,
    /// How far samples agree.
    pub stability: HeadStability,
}

/// The rows of one map, by layer, then head; `windows` are the labels in the order of the values.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when winners and stability differ in heads or do not fill whole layers,
/// [`AnalysisError::OutOfBounds`] for a winner without a label.
pub fn winner_rows<'a>(
    map: &'a MapContext,
    windows: &[&'a str],
    winners: &[HeadWinner],
    stability: &[HeadStability],
) -> Result<Vec<WinnerRow<'a>>, AnalysisError> {
    map.check(winners.len())?;
    same("heads", winners.len(), stability.len())?;
    let label = |window: usize| {
        windows
            .get(window)
            .copied()
            .ok_or(AnalysisError::OutOfBounds {
                what: "the index of a window",
                bounds: "below the number of labels",
                value: window.to_string(),
            })
    };
    winners
        .iter()
        .zip(stability)
        .enumerate()
        .map(|(index, (&winner, &stability))| {
            let (layer, head) = map.place(index);
            Ok(WinnerRow {
                map,
                budget: map.budget.to_string(),
                layer,
                head,
                window: label(winner.winner)?,
                runner_up: winner.runner_up.map(label).transpose()?,
                winner,
                usual_best: label(stability.best)?,
                stability,
            })
        })
        .collect()
}

impl Columnar for WinnerRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let mut columns = map_columns(rows, |row| (row.map, &row.budget));
        let interval = |row: &Self| row.winner.interval;
        columns.extend([
            count("layer", rows, |row| row.layer),
            count("head", rows, |row| row.head),
            text("head_kind", rows, |row| row.map.head_kind.name()),
            text("window", rows, |row| row.window),
            number("mean", rows, |row| row.winner.mean),
            optional_text("runner_up", rows, |row| row.runner_up),
            number("margin", rows, |row| row.winner.margin),
            optional_number("low", rows, |row| {
                interval(row).map(|interval| interval.low)
            }),
            optional_number("high", rows, |row| {
                interval(row).map(|interval| interval.high)
            }),
            number("p", rows, |row| row.winner.p),
            number("p_bh", rows, |row| row.winner.p_corrected),
            flag("resolved", rows, |row| row.winner.resolved),
            text("usual_best", rows, |row| row.usual_best),
            number("usual_best_share", rows, |row| row.stability.share),
            number("concordance", rows, |row| row.stability.concordance),
            optional_text("question_place", rows, |row| {
                row.map.question_place.as_deref()
            }),
        ]);
        columns
    }
}

/// `winner.parquet`: one row per head.
#[derive(Debug)]
pub enum WinnerTable {}

impl Table for WinnerTable {
    type Row<'a> = WinnerRow<'a>;
    const FILE_NAME: &'static str = "winner.parquet";
}
