//! Needle grids, length by depth: what windows keep of the needle, and what the model answers after their evictions.

use super::declare::table;
use super::window_head::count;
use crate::budget::Budget;
use crate::needle::NeedleGrid;
use crate::statistics::Interval;

table! {
    NeedleTable in "needle.parquet", one row per "group, budget, window, asked length and depth; written where samples have both";
    /// One cell of a grid.
    #[derive(Copy)]
    NeedleRow<'a> {
        /// Name of the model.
        model: &'a str,
        /// Name of the task.
        task: &'a str,
        /// Where the question stands; missing where the data do not say.
        question_place: Option<&'a str>,
        /// Label of the window as it was typed.
        window: &'a str,
        /// What was compared: `queries` or `methods`.
        compare: &'a str,
        /// The budget as it was typed.
        budget: Budget,
        /// Tokens that the generator was asked for.
        asked_length: u32,
        /// Where the needle lies, from 0 at the start of the document to 1 at its end.
        depth: f64,
        /// Samples of the cell; contents, so that copies count once.
        samples: u32,
        /// Mean task score of what the model answered from the full cache, the same for every window.
        score: Option<f64>,
        /// Mean recall over heads, then samples.
        recall: Option<f64>,
        /// Mean share of the needle's tokens that the window's rule keeps, over heads, then samples.
        evidence_kept: Option<f64>,
        /// Of `evidence_kept`, over samples.
        interval: Option<Interval>,
    }
}

table! {
    FidelityNeedleTable in "fidelity_needle.parquet", one row per "group, window, budget, asked length and depth; none where samples have no asked length and depth";
    /// One cell of a grid after an eviction.
    #[derive(Copy)]
    FidelityNeedleRow<'a> {
        /// Name of the model.
        model: &'a str,
        /// Name of the task.
        task: &'a str,
        /// Where the question stands; missing where the data do not say.
        question_place: Option<&'a str>,
        /// Label of the window as it was typed; `decode` is the decode stage itself, `full` the cache that is not
        /// evicted.
        window: &'a str,
        /// The budget as it was typed.
        budget: Budget,
        /// Tokens that the generator was asked for.
        asked_length: u32,
        /// Where the needle lies, from 0 at the start of the document to 1 at its end.
        depth: f64,
        /// Samples of the cell; contents, so that copies count once.
        samples: u32,
        /// Mean task score of what the model answered from the evicted cache.
        score: Option<f64>,
        /// Of `score`, over samples.
        interval: Option<Interval>,
    }
}

/// The rows of a grid of evictions. `seed` fixes the draws of the bootstrap.
pub fn fidelity_needle_rows(grid: &NeedleGrid, seed: u64) -> Vec<FidelityNeedleRow<'_>> {
    let cells = grid.cells(seed).into_iter();
    cells
        .map(|cell| FidelityNeedleRow {
            model: &grid.group.model,
            task: &grid.group.task,
            question_place: grid.group.question_place.as_deref(),
            window: cell.window,
            budget: grid.budget,
            asked_length: count(cell.place.length),
            depth: cell.place.depth,
            samples: count(cell.samples),
            score: cell.evicted_score.map(|score| score.mean),
            interval: cell.evicted_score.and_then(|score| score.interval),
        })
        .collect()
}

/// The rows of a grid of a run that compared `queries` or `methods`. `seed` fixes the draws of the bootstrap.
pub fn needle_rows<'a>(grid: &'a NeedleGrid, compare: &'a str, seed: u64) -> Vec<NeedleRow<'a>> {
    let cells = grid.cells(seed).into_iter();
    cells
        .map(|cell| NeedleRow {
            model: &grid.group.model,
            task: &grid.group.task,
            question_place: grid.group.question_place.as_deref(),
            window: cell.window,
            compare,
            budget: grid.budget,
            asked_length: count(cell.place.length),
            depth: cell.place.depth,
            samples: count(cell.samples),
            score: cell.score.map(|score| score.mean),
            recall: cell.recall.map(|recall| recall.mean),
            evidence_kept: cell.evidence_kept.map(|kept| kept.mean),
            interval: cell.evidence_kept.and_then(|kept| kept.interval),
        })
        .collect()
}
