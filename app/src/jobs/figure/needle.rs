//! Cells of needle grids.

use kvlens_analysis::SampleGroup;
use kvlens_analysis::figure::FigureRow;
use kvlens_analysis::needle::{NeedleCell, NeedleGrid, NeedleGrids, NeedleMean, NeedleValues};

use super::data::FigureJob;
use super::groups::{joined, panel_names};
use super::samples::Sampled;
use crate::jobs::SEED;
use crate::measurement::needle::{needle_place, needle_values};

/// The panel of what the model answered.
const SCORE: &str = "score of the answers (full cache)";

impl Sampled<'_> {
    /// What the sample says of each window at the figure's budget, if it is one of a grid.
    pub fn add_needle(&self, job: &FigureJob<'_>, group: &SampleGroup, grids: &mut NeedleGrids) {
        let record = &self.captured.record;
        let Some(place) = needle_place(record) else {
            return;
        };
        let budget = job.budget.tokens(record.prompt_ids.len());
        for window in job.in_order(&self.measured.windows, |window| &window.label) {
            let heads = window.comparison.heads;
            let mean = |values: &[f64]| job.heads.mean(values.iter().copied(), heads);
            if let Some(values) = needle_values(record, &window.comparison, budget, mean) {
                let sample = (self.content, place);
                let evicted_score = job.scores.of(self.content, &window.label, job.budget);
                let values = NeedleValues {
                    evicted_score,
                    ..values
                };
                grids.add(group, job.budget, sample, (&window.label, values));
            }
        }
    }
}

/// For each group a panel of the answers' scores, and for each window what it keeps of the needle, its recall and, where
/// caches were evicted by it, the scores of the answers after that.
pub fn needle_rows(grids: &NeedleGrids) -> Vec<FigureRow> {
    let groups: Vec<&SampleGroup> = grids.grids().iter().map(|grid| &grid.group).collect();
    let names = panel_names(&groups);
    let grids = grids.grids().iter().zip(names);
    grids.flat_map(|(grid, name)| rows(grid, &name)).collect()
}

fn rows(grid: &NeedleGrid, group: &str) -> Vec<FigureRow> {
    let cells = grid.cells(SEED);
    let mut rows = Vec::new();
    let mut panel = |name: &str, window: &str, value: fn(&NeedleCell<'_>) -> Option<NeedleMean>| {
        let of_window = cells.iter().filter(|cell| cell.window == window);
        let panel = joined(&[name, group]);
        rows.extend(of_window.map(|cell| row(&panel, name, cell, value(cell))));
    };
    if let Some(first) = grid.windows().first() {
        panel(SCORE, first, |cell| cell.score);
    }
    for window in grid.windows() {
        panel(&format!("{window}: evidence kept"), window, |cell| {
            cell.evidence_kept
        });
        panel(&format!("{window}: recall"), window, |cell| cell.recall);
        if cells
            .iter()
            .any(|cell| cell.window == window && cell.evicted_score.is_some())
        {
            let name = format!("{window}: score after eviction");
            panel(&name, window, |cell| cell.evicted_score);
        }
    }
    rows
}

fn row(panel: &str, series: &str, cell: &NeedleCell<'_>, mean: Option<NeedleMean>) -> FigureRow {
    let interval = mean.and_then(|mean| mean.interval);
    let (value, samples) = mean.map_or((f64::NAN, 0), |mean| (mean.mean, mean.samples));
    let place = (cell.place.length as f64, Some(cell.place.depth));
    FigureRow {
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
        ..FigureRow::at((panel, series), place, value, samples)
    }
}
