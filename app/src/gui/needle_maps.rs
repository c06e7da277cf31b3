//! Needle grids of a session as maps, the start of the document on top.

use kvlens_analysis::needle::{NeedleGrid, NeedleValues};

/// The grid of one task and place of the question at the budget of the maps.
#[derive(Clone, Debug, PartialEq)]
pub struct NeedleMaps {
    /// Task, and where its question stands.
    pub name: String,
    /// Asked lengths, ascending: the columns.
    pub lengths: Vec<usize>,
    /// Depths, descending, because maps are drawn from the bottom up: the rows.
    pub depths: Vec<f64>,
    /// Score of the answers from the full cache, `[depths, lengths]`, NaN where there is none.
    pub score: Vec<f64>,
    /// By window, in the order of the session.
    pub windows: Vec<NeedleWindow>,
}

/// What one window does in every cell, `[depths, lengths]`.
#[derive(Clone, Debug, PartialEq)]
pub struct NeedleWindow {
    /// Its label.
    pub label: String,
    /// Share of the needle's tokens that its rule keeps.
    pub evidence_kept: Vec<f64>,
    /// Recall of the decode stage.
    pub recall: Vec<f64>,
}

impl NeedleMaps {
    /// Of a grid.
    #[must_use]
    pub fn of(grid: &NeedleGrid) -> Self {
        let place = grid.group.question_place.as_deref();
        let asked = place.map_or(String::new(), |place| format!(", question at {place}"));
        let lengths = grid.lengths();
        let mut depths = grid.depths();
        depths.reverse();
        let map = |window: &str, value: fn(&NeedleValues) -> Option<f64>| -> Vec<f64> {
            let cells = depths.iter().flat_map(|&depth| {
                let mean = move |&length: &usize| grid.mean(window, length, depth, value);
                lengths.iter().map(mean)
            });
            cells.collect()
        };
        let windows = grid.windows().iter().map(|label| NeedleWindow {
            label: label.clone(),
            evidence_kept: map(label, |values| values.evidence_kept),
            recall: map(label, |values| values.recall),
        });
        let first = grid.windows().first().map_or("", String::as_str);
        Self {
            name: format!("{}{asked}", grid.group.task),
            score: map(first, |values| values.score),
            windows: windows.collect(),
            lengths,
            depths,
        }
    }
}
