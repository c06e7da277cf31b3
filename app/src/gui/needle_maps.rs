//! Needle grids of a session as maps, the start of the document on top.

use kvlens_analysis::needle::{NeedleGrid, NeedleValues};
use kvlens_analysis::statistics::mean;

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
    /// Ids of the samples of each cell, `[depths, lengths]`.
    pub samples: Vec<Vec<String>>,
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
        let samples = depths.iter().flat_map(|&depth| {
            let of_cell = move |&length: &usize| grid.samples(length, depth);
            lengths.iter().map(of_cell)
        });
        let samples: Vec<Vec<String>> = samples
            .map(|ids| ids.into_iter().map(str::to_owned).collect())
            .collect();
        Self {
            samples,
            name: format!("{}{asked}", grid.group.task),
            score: map(first, |values| values.score),
            windows: windows.collect(),
            lengths,
            depths,
        }
    }

    /// Mean scores after a window's eviction, `[depths, lengths]`, of samples by their ids; none where no sample was
    /// evicted by it.
    #[must_use]
    pub fn scores_after(
        &self,
        window: &str,
        score_of: impl Fn(&str, &str) -> Option<f64>,
    ) -> Option<Vec<f64>> {
        let of_cell = |ids: &Vec<String>| {
            let scores = ids.iter().filter_map(|id| score_of(id, window));
            mean(scores).unwrap_or(f64::NAN)
        };
        let map: Vec<f64> = self.samples.iter().map(of_cell).collect();
        map.iter().any(|score| !score.is_nan()).then_some(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_after_eviction_are_means_over_the_samples_of_a_cell() {
        let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
        let maps = NeedleMaps {
            name: "niah".to_owned(),
            lengths: vec![512, 1024],
            depths: vec![0.0],
            score: Vec::new(),
            windows: Vec::new(),
            samples: vec![ids(&["a", "b"]), ids(&["c"])],
        };
        let scores = [("a", 1.0), ("b", 0.5)];
        let score_of = |id: &str, window: &str| {
            let known = scores.iter().find(|(known, _)| *known == id);
            known
                .filter(|_| window == "last:8")
                .map(|(_, score)| *score)
        };
        let after = maps.scores_after("last:8", score_of).unwrap();
        assert!(after[0] == 0.75 && after[1].is_nan(), "{after:?}");
        assert_eq!(maps.scores_after("random", score_of), None);
    }
}
