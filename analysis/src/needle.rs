//! A needle grid: what samples of one asked length and depth say together, window by window.

use std::collections::BTreeMap;

use crate::budget::Budget;
use crate::collection::SampleGroup;
use crate::statistics::{Interval, mean, mean_interval};

/// What no value of a cell can leave.
const BOUNDS: (f64, f64) = (0.0, 1.0);

/// Samples of needle grids, gathered by group and budget.
#[derive(Debug, Clone, Default)]
pub struct NeedleGrids {
    grids: Vec<NeedleGrid>,
}

/// The grid of a group at a budget.
#[derive(Debug, Clone)]
pub struct NeedleGrid {
    /// What its samples have in common.
    pub group: SampleGroup,
    /// The budget that windows keep.
    pub budget: Budget,
    /// Labels of the windows in the order in which they first came.
    windows: Vec<String>,
    /// By window, asked length and the bits of the depth, which are in its order; then by sample.
    cells: BTreeMap<(usize, usize, u64), BTreeMap<String, NeedleValues>>,
}

/// Where a sample belongs in a grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeedlePlace {
    /// Tokens that the generator was asked for.
    pub length: usize,
    /// Where the needle lies, from 0 at the start of the document to 1 at its end.
    pub depth: f64,
}

/// What one sample says; none where it cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NeedleValues {
    /// Task score of what the model answered from the full cache, 0..=1.
    pub score: Option<f64>,
    /// Task score of what it answers from the cache that the window evicted, 0..=1; only of samples that were evicted.
    pub evicted_score: Option<f64>,
    /// Share of the needle's tokens that the window's rule keeps, 0..=1: a mean over heads.
    pub evidence_kept: Option<f64>,
    /// Recall of the decode stage, 0..=1: a mean over heads.
    pub recall: Option<f64>,
}

/// A mean over samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeedleMean {
    /// The mean.
    pub mean: f64,
    /// Its 95 % interval over samples.
    pub interval: Option<Interval>,
    /// Samples in it.
    pub samples: usize,
}

/// A cell of a grid for one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeedleCell<'a> {
    /// Label of the window.
    pub window: &'a str,
    /// Which cell.
    pub place: NeedlePlace,
    /// Samples of the cell; each content once.
    pub samples: usize,
    /// Of [`NeedleValues::score`].
    pub score: Option<NeedleMean>,
    /// Of [`NeedleValues::evicted_score`].
    pub evicted_score: Option<NeedleMean>,
    /// Of [`NeedleValues::evidence_kept`].
    pub evidence_kept: Option<NeedleMean>,
    /// Of [`NeedleValues::recall`].
    pub recall: Option<NeedleMean>,
}

impl NeedleGrids {
    /// Adds what a sample, named by its content, says of a window at a budget. A copy of the sample says nothing.
    pub fn add(
        &mut self,
        group: &SampleGroup,
        budget: Budget,
        (sample, place): (&str, NeedlePlace),
        (window, values): (&str, NeedleValues),
    ) {
        let is_it = |grid: &NeedleGrid| grid.group == *group && grid.budget == budget;
        let known = self.grids.iter().position(is_it);
        let index = known.unwrap_or_else(|| {
            self.grids.push(NeedleGrid {
                group: group.clone(),
                budget,
                windows: Vec::new(),
                cells: BTreeMap::new(),
            });
            self.grids.len() - 1
        });
        if let Some(grid) = self.grids.get_mut(index) {
            grid.add(sample, place, window, values);
        }
    }

    /// The grids, groups in the order in which they first came, then budgets.
    pub fn grids(&self) -> &[NeedleGrid] {
        &self.grids
    }
}

impl NeedleGrid {
    fn add(&mut self, sample: &str, place: NeedlePlace, window: &str, values: NeedleValues) {
        let known = self.windows.iter().position(|label| label == window);
        let index = known.unwrap_or_else(|| {
            self.windows.push(window.to_owned());
            self.windows.len() - 1
        });
        // of numbers that are not negative the bits are in their order; 0 may come as -0
        let depth = (place.depth.max(0.0) + 0.0).to_bits();
        let cell = self.cells.entry((index, place.length, depth)).or_default();
        cell.entry(sample.to_owned()).or_insert(values);
    }

    /// Labels of the windows in the order in which they first came.
    pub fn windows(&self) -> &[String] {
        &self.windows
    }

    /// The asked lengths, ascending.
    pub fn lengths(&self) -> Vec<usize> {
        let mut lengths: Vec<usize> = self.cells.keys().map(|(_, length, _)| *length).collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    /// The depths, ascending.
    pub fn depths(&self) -> Vec<f64> {
        let mut bits: Vec<u64> = self.cells.keys().map(|(_, _, depth)| *depth).collect();
        bits.sort_unstable();
        bits.dedup();
        bits.into_iter().map(f64::from_bits).collect()
    }

    /// Names of the samples of a cell of any window.
    pub fn samples(&self, length: usize, depth: f64) -> Vec<&str> {
        let depth = depth.to_bits();
        let cells =
            (0..self.windows.len()).filter_map(|window| self.cells.get(&(window, length, depth)));
        let mut names: Vec<&str> = cells.flat_map(BTreeMap::keys).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The mean of a value over the samples of a cell; NaN where none has it.
    pub fn mean(
        &self,
        window: &str,
        length: usize,
        depth: f64,
        value: fn(&NeedleValues) -> Option<f64>,
    ) -> f64 {
        let window = self.windows.iter().position(|label| label == window);
        let cell = window.and_then(|window| self.cells.get(&(window, length, depth.to_bits())));
        let values = cell.into_iter().flat_map(BTreeMap::values);
        let defined = values.filter_map(value).filter(|value| !value.is_nan());
        mean(defined).unwrap_or(f64::NAN)
    }

    /// Every cell of every window, by window, length and depth. `seed` fixes the draws of the bootstrap.
    pub fn cells(&self, seed: u64) -> Vec<NeedleCell<'_>> {
        let cells = self.cells.iter().map(|((window, length, depth), samples)| {
            let mean_of = |value: fn(&NeedleValues) -> Option<f64>| {
                NeedleMean::of(samples.values().filter_map(value), seed)
            };
            NeedleCell {
                window: self.windows.get(*window).map_or("", String::as_str),
                place: NeedlePlace {
                    length: *length,
                    depth: f64::from_bits(*depth),
                },
                samples: samples.len(),
                score: mean_of(|values| values.score),
                evicted_score: mean_of(|values| values.evicted_score),
                evidence_kept: mean_of(|values| values.evidence_kept),
                recall: mean_of(|values| values.recall),
            }
        });
        cells.collect()
    }
}

impl NeedleMean {
    fn of(values: impl Iterator<Item = f64>, seed: u64) -> Option<Self> {
        let values: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
        Some(Self {
            mean: mean(values.iter().copied())?,
            interval: mean_interval(&values, Some(BOUNDS), seed),
            samples: values.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(task: &str) -> SampleGroup {
        SampleGroup {
            model: "demo".to_owned(),
            task: task.to_owned(),
            question_place: Some("end".to_owned()),
        }
    }

    fn values(score: f64, evidence_kept: f64) -> NeedleValues {
        NeedleValues {
            score: Some(score),
            evicted_score: None,
            evidence_kept: Some(evidence_kept),
            recall: Some(f64::NAN),
        }
    }

    #[test]
    fn cells_are_means_over_samples_and_copies_count_once() {
        let mut grids = NeedleGrids::default();
        let budget = Budget::Tokens(64);
        let mut add = |sample: &str, length, depth, window: &str, values| {
            let place = NeedlePlace { length, depth };
            grids.add(&group("niah"), budget, (sample, place), (window, values));
        };
        add("a", 2048, 1.0, "last:8", values(1.0, 0.25));
        add("b", 2048, 1.0, "last:8", values(0.0, 0.75));
        add("b", 2048, 1.0, "last:8", values(1.0, 1.0));
        add("c", 1024, -0.0, "last:8", values(1.0, 1.0));
        add("c", 1024, 0.0, "laq:n=8", values(1.0, 0.5));
        assert_eq!(grids.grids().len(), 1);
        let grid = &grids.grids()[0];
        assert_eq!(grid.windows(), ["last:8", "laq:n=8"]);
        assert_eq!(grid.lengths(), [1024, 2048]);
        assert_eq!(grid.depths(), [0.0, 1.0]);
        let cells = grid.cells(0);
        let found: Vec<_> = cells
            .iter()
            .map(|cell| {
                let kept = cell.evidence_kept.map(|kept| kept.mean);
                (cell.window, cell.place.length, cell.samples, kept)
            })
            .collect();
        assert_eq!(
            found,
            [
                ("last:8", 1024, 1, Some(1.0)),
                ("last:8", 2048, 2, Some(0.5)),
                ("laq:n=8", 1024, 1, Some(0.5)),
            ]
        );
        assert_eq!(cells[1].score.map(|score| score.mean), Some(0.5));
        assert_eq!(cells[1].recall, None);
        let kept =
            |length, depth| grid.mean("last:8", length, depth, |values| values.evidence_kept);
        assert_eq!(kept(2048, 1.0), 0.5);
        assert!(kept(2048, 0.0).is_nan());
        assert_eq!(grid.samples(2048, 1.0), ["a", "b"]);
        assert!(grid.samples(2048, 0.0).is_empty());
    }

    #[test]
    fn other_groups_and_budgets_have_grids_of_their_own() {
        let mut grids = NeedleGrids::default();
        let place = NeedlePlace {
            length: 512,
            depth: 0.5,
        };
        for (task, budget) in [("niah", 8), ("niah", 16), ("vt", 8), ("niah", 8)] {
            let of_sample = ("a", place);
            let window = ("last:8", NeedleValues::default());
            grids.add(&group(task), Budget::Tokens(budget), of_sample, window);
        }
        assert_eq!(grids.grids().len(), 3);
    }
}
