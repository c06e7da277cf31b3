//! Which window wins in each head, and the maps of single windows.

use super::pairs::{Contrast, Side, shared_points};
use super::points::head_values;
use super::{Collected, Collection, GroupSamples, HeadShape, SampleGroup};
use crate::budget::Budget;
use crate::comparison::Metric;
use crate::statistics::{HeadStability, HeadWinner, best_by_head, stability_by_head};

/// The winners of one group at one budget, among windows of the same heads.
#[derive(Debug, Clone)]
pub struct WinnerMap<'a> {
    /// The group.
    pub group: &'a SampleGroup,
    /// The metric.
    pub metric: Metric,
    /// The budget as it was typed.
    pub budget: Budget,
    /// Labels of the windows that take part.
    pub windows: Vec<&'a str>,
    /// Number of samples that all of them share.
    pub samples: usize,
    /// The heads.
    pub shape: HeadShape,
    /// `[L, heads]`; none for a head that is undefined for any window in any of the samples.
    pub winners: Vec<Option<HeadWinner>>,
    /// `[L, heads]`; none for the same heads.
    pub stability: Vec<Option<HeadStability>>,
}

impl Collection {
    /// The winner of every head, by group, kind of heads, then budget, on the samples that all windows of
    /// those heads share; where fewer than two windows share a sample there is no map. Each is made when it is
    /// asked for.
    ///
    /// # Errors
    /// Each may be refused by the statistics underneath.
    pub fn winners(&self, seed: u64) -> impl Iterator<Item = Collected<WinnerMap<'_>>> {
        let shapes = self.groups.iter().flat_map(|entry| {
            let shapes = entry.shapes().into_iter();
            shapes.map(move |shape| (entry, shape))
        });
        shapes.flat_map(move |(entry, shape)| {
            let budgets = self.mapped_budgets().iter().copied().enumerate();
            budgets.filter_map(move |budget| self.winner(entry, shape, budget, seed).transpose())
        })
    }

    fn winner<'a>(
        &'a self,
        entry: &'a GroupSamples,
        shape: HeadShape,
        (index, budget): (usize, Budget),
        seed: u64,
    ) -> Collected<Option<WinnerMap<'a>>> {
        let sides: Vec<Side<'_>> = entry
            .sides()
            .filter(|side| side.window.shape == shape)
            .collect();
        let shared = shared_points(&sides, Contrast::Window, index);
        let samples = shared.first().map_or(0, Vec::len);
        if sides.len() < 2 || samples == 0 {
            return Ok(None);
        }
        let values = head_values(&shared, self.metric)?;
        let winners = best_by_head(&values, self.metric.higher_is_better(), seed)?;
        Ok(Some(WinnerMap {
            group: &entry.group,
            metric: self.metric,
            budget,
            windows: sides.iter().map(|side| side.name).collect(),
            samples,
            shape,
            winners,
            stability: stability_by_head(&values),
        }))
    }

    /// The map of one window: the mean over samples of every head, `[L, heads]`, for each group that has
    /// the window at that budget (an index into `mapped_budgets`). NaN for a head that is undefined in
    /// any of the samples.
    ///
    /// # Errors
    /// As [`WindowValues::new`](crate::statistics::WindowValues::new).
    pub fn head_means(
        &self,
        window: &str,
        budget: usize,
    ) -> Collected<Vec<(&SampleGroup, HeadShape, Vec<f64>)>> {
        let mut maps = Vec::new();
        for entry in &self.groups {
            for side in entry.sides().filter(|side| side.name == window) {
                let shared = shared_points(&[side], Contrast::Window, budget);
                if shared.first().is_some_and(|points| !points.is_empty()) {
                    let means = head_values(&shared, self.metric)?.head_means(0);
                    maps.push((&entry.group, side.window.shape, means));
                }
            }
        }
        Ok(maps)
    }
}

impl GroupSamples {
    fn sides(&self) -> impl Iterator<Item = Side<'_>> {
        self.windows.iter().map(move |window| Side {
            entry: self,
            window,
            name: &window.label,
        })
    }

    /// The kinds of heads of its windows, each once.
    fn shapes(&self) -> Vec<HeadShape> {
        let mut shapes = Vec::new();
        for window in &self.windows {
            if !shapes.contains(&window.shape) {
                shapes.push(window.shape);
            }
        }
        shapes
    }
}
