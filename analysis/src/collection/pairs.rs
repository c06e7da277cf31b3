//! Windows held against each other on the samples that they share.

use super::{Collected, Collection, GroupSamples, HeadShape, Point, SampleGroup, WindowSamples};
use super::{Metric, place_of};
use crate::budget::Budget;
use crate::statistics::{
    HeadDifference, HeadStability, HeadWinner, PairedDifference, WindowValues, paired_difference,
    paired_differences_by_head, stability_by_head, winners_by_head,
};

/// Two windows of a group at one budget, on the samples that both have.
#[derive(Debug, Clone)]
pub struct PairedMap<'a> {
    /// The group.
    pub group: &'a SampleGroup,
    /// The metric.
    pub metric: Metric,
    /// The budget as it was typed.
    pub budget: Budget,
    /// Label of the first window.
    pub first: &'a str,
    /// Label of the second window, which is taken off the first.
    pub second: &'a str,
    /// Number of samples.
    pub samples: usize,
    /// Of the means over all heads.
    pub overall: PairedDifference,
    /// The heads, where both windows have the same.
    pub shape: Option<HeadShape>,
    /// `[L, heads]`; empty where the two have other heads, or where maps were not asked for.
    pub by_head: Vec<HeadDifference>,
}

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
    /// `[L, heads]`.
    pub winners: Vec<HeadWinner>,
    /// `[L, heads]`.
    pub stability: Vec<HeadStability>,
}

/// One question of the collection, about one group and budget.
#[derive(Clone, Copy)]
struct Place<'a> {
    entry: &'a GroupSamples,
    budget: (usize, Budget),
}

impl Collection {
    /// Every other window less the window `against` (or every later one less every earlier one, without
    /// it), by group, pair, then budget; budgets at which a pair shares no sample are left out. Each is made
    /// when it is asked for, so that whoever asks can stop in between.
    ///
    /// # Errors
    /// Each may be refused by the statistics underneath.
    pub fn differences(
        &self,
        against: Option<&str>,
        maps: bool,
        seed: u64,
    ) -> impl Iterator<Item = Collected<PairedMap<'_>>> {
        let pairs = self.groups.iter().flat_map(move |entry| {
            let pairs = entry.pairs(against).into_iter();
            pairs.map(move |pair| (entry, pair))
        });
        pairs.flat_map(move |(entry, (first, second))| {
            self.places(entry).filter_map(move |place| {
                self.difference(place, first, second, maps, seed)
                    .transpose()
            })
        })
    }

    /// A group at every budget that has maps.
    fn places<'a>(&'a self, entry: &'a GroupSamples) -> impl Iterator<Item = Place<'a>> {
        let budgets = self.mapped_budgets().iter().copied().enumerate();
        budgets.map(move |budget| Place { entry, budget })
    }

    fn difference<'a>(
        &'a self,
        place: Place<'a>,
        first: &'a WindowSamples,
        second: &'a WindowSamples,
        maps: bool,
        seed: u64,
    ) -> Collected<Option<PairedMap<'a>>> {
        let shared = shared_points(&[first, second], place.budget.0);
        let samples = shared.first().map_or(0, Vec::len);
        if samples == 0 {
            return Ok(None);
        }
        let metric = place_of(self.metric);
        let means = |window: usize| -> Vec<f64> {
            let points = shared.get(window).into_iter().flatten();
            points.map(|point| point.means[metric]).collect()
        };
        let shape = (first.shape == second.shape).then_some(first.shape);
        let by_head = match maps && shape.is_some() {
            true => paired_differences_by_head(&values(&shared)?, 0, 1, seed)?,
            false => Vec::new(),
        };
        Ok(Some(PairedMap {
            group: &place.entry.group,
            metric: self.metric,
            budget: place.budget.1,
            first: &first.label,
            second: &second.label,
            samples,
            overall: paired_difference(&means(0), &means(1), seed)?,
            shape,
            by_head,
        }))
    }

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
            self.places(entry)
                .filter_map(move |place| self.winner(place, shape, seed).transpose())
        })
    }

    fn winner<'a>(
        &'a self,
        Place { entry, budget }: Place<'a>,
        shape: HeadShape,
        seed: u64,
    ) -> Collected<Option<WinnerMap<'a>>> {
        let of_shape = entry.windows.iter().filter(|window| window.shape == shape);
        let windows: Vec<&WindowSamples> = of_shape.collect();
        let shared = shared_points(&windows, budget.0);
        let samples = shared.first().map_or(0, Vec::len);
        if windows.len() < 2 || samples == 0 {
            return Ok(None);
        }
        let values = values(&shared)?;
        Ok(Some(WinnerMap {
            group: &entry.group,
            metric: self.metric,
            budget: budget.1,
            windows: windows.iter().map(|window| window.label.as_str()).collect(),
            samples,
            shape,
            winners: winners_by_head(&values, seed)?,
            stability: stability_by_head(&values),
        }))
    }

    /// The map of one window: the mean over samples of every head, `[L, heads]`, for each group that has
    /// the window at that budget (an index into [`Self::mapped_budgets`]).
    pub fn head_means(
        &self,
        window: &str,
        budget: usize,
    ) -> Collected<Vec<(&SampleGroup, HeadShape, Vec<f64>)>> {
        let mut maps = Vec::new();
        for entry in &self.groups {
            for found in entry.windows.iter().filter(|known| known.label == window) {
                let shared = shared_points(&[found], budget);
                if shared.first().is_some_and(|points| !points.is_empty()) {
                    let means = values(&shared)?.head_means(0);
                    maps.push((&entry.group, found.shape, means));
                }
            }
        }
        Ok(maps)
    }
}

impl GroupSamples {
    fn pairs(&self, against: Option<&str>) -> Vec<(&WindowSamples, &WindowSamples)> {
        let mut pairs = Vec::new();
        for (index, second) in self.windows.iter().enumerate() {
            match against {
                Some(label) if second.label != label => {}
                Some(label) => {
                    let others = self.windows.iter().filter(|window| window.label != label);
                    pairs.extend(others.map(|first| (first, second)));
                }
                None => {
                    let later = self.windows.iter().skip(index + 1);
                    pairs.extend(later.map(|first| (first, second)));
                }
            }
        }
        pairs
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

/// Of each window, the points at a budget of the samples that all of them have, in the first one's order.
fn shared_points<'a>(windows: &[&'a WindowSamples], budget: usize) -> Vec<Vec<&'a Point>> {
    let mut shared: Vec<Vec<&Point>> = vec![Vec::new(); windows.len()];
    let Some((first, others)) = windows.split_first() else {
        return shared;
    };
    for (near, sample) in first.samples.iter().enumerate() {
        let of_others = others.iter().map(|other| {
            other
                .find(&sample.key, near)
                .and_then(|other| other.point(budget))
        });
        let row: Option<Vec<&Point>> = std::iter::once(sample.point(budget))
            .chain(of_others)
            .collect();
        for (points, point) in shared.iter_mut().zip(row.into_iter().flatten()) {
            points.push(point);
        }
    }
    shared
}

/// The maps of shared samples as `[windows, samples, heads]`.
fn values(shared: &[Vec<&Point>]) -> Collected<WindowValues> {
    let samples = shared.first().map_or(0, Vec::len);
    let heads = shared
        .first()
        .and_then(|points| points.first())
        .map_or(0, |point| point.by_head.len());
    let all = shared
        .iter()
        .flatten()
        .flat_map(|point| &point.by_head)
        .copied()
        .collect();
    WindowValues::new(shared.len(), samples, heads, all)
}
