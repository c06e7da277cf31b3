//! Cells of maps.

use std::collections::BTreeSet;

use kvlens_analysis::collection::{Contrast, HeadShape};
use kvlens_analysis::figure::FigureRow;
use kvlens_analysis::{Collection, SampleGroup};

use super::groups::{joined, panel_names};
use crate::jobs::SEED;

/// Sums over samples of a number of every head, by window.
#[derive(Debug, Default)]
pub struct HeadSums {
    windows: Vec<WindowSums>,
}

#[derive(Debug)]
struct WindowSums {
    label: String,
    heads: usize,
    /// By content.
    samples: BTreeSet<String>,
    sums: Vec<f64>,
    /// Of the ceilings; none where there are none.
    ceilings: Option<Vec<f64>>,
}

/// What a map shows of one window on one sample.
#[derive(Debug, Clone)]
pub struct HeadNumbers {
    /// Heads per layer.
    pub heads: usize,
    /// `[L, heads]`, NaN where undefined.
    pub values: Vec<f64>,
    /// Of the decode stage's own rows, where methods are compared.
    pub ceilings: Option<Vec<f64>>,
}

impl HeadSums {
    /// Adds a sample, named by its content; a copy counts once. Values of another shape than the first one's are a
    /// window of their own.
    pub fn add(&mut self, sample: &str, label: &str, numbers: &HeadNumbers) {
        let HeadNumbers {
            heads,
            values,
            ceilings,
        } = numbers;
        let known = self.windows.iter().position(|window| {
            window.label == label && window.heads == *heads && window.sums.len() == values.len()
        });
        let index = known.unwrap_or_else(|| {
            self.windows.push(WindowSums {
                label: label.to_owned(),
                heads: *heads,
                samples: BTreeSet::new(),
                sums: vec![0.0; values.len()],
                ceilings: ceilings.as_ref().map(|all| vec![0.0; all.len()]),
            });
            self.windows.len() - 1
        });
        let window = &mut self.windows[index];
        if !window.samples.insert(sample.to_owned()) {
            return;
        }
        add_all(&mut window.sums, values);
        if let (Some(sums), Some(ceilings)) = (&mut window.ceilings, ceilings) {
            add_all(sums, ceilings);
        }
    }

    /// A panel of cells for each window, whose ceiling stands in the panel's name.
    pub fn rows(&self, group: &str) -> Vec<FigureRow> {
        let cells = self.windows.iter().flat_map(|window| {
            let samples = window.samples.len();
            let mean = move |sum: f64| sum / samples as f64;
            let ceiling = window.ceilings.as_ref().and_then(|sums| {
                let defined = sums.iter().map(|&sum| mean(sum));
                kvlens_analysis::statistics::mean(defined.filter(|ceiling| !ceiling.is_nan()))
            });
            let name = with_ceilings(&window.label, &[ceiling]);
            let panel = joined(&[&name, group]);
            window.sums.iter().enumerate().map(move |(index, &sum)| {
                let place = (index / window.heads, index % window.heads);
                let ceilings = window.ceilings.as_ref();
                let ceiling = ceilings.and_then(|sums| sums.get(index));
                FigureRow {
                    ceiling: ceiling.map(|&sum| mean(sum)),
                    ..cell(&panel, &window.label, place, mean(sum), samples)
                }
            })
        });
        cells.collect()
    }
}

fn add_all(sums: &mut [f64], values: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

/// A name with the ceilings behind it, where they are known.
pub fn with_ceilings(name: &str, ceilings: &[Option<f64>]) -> String {
    let known: Vec<String> = ceilings
        .iter()
        .flatten()
        .map(|ceiling| format!("{ceiling:.2}"))
        .collect();
    match known.as_slice() {
        [] => name.to_owned(),
        [one] => format!("{name} (ceiling {one})"),
        several => format!("{name} (ceilings {})", several.join(", ")),
    }
}

fn cell(
    panel: &str,
    series: &str,
    (layer, head): (usize, usize),
    value: f64,
    samples: usize,
) -> FigureRow {
    let place = (head as f64, Some(layer as f64));
    FigureRow::at((panel, series), place, value, samples)
}

/// Each of `windows` minus `against`, with the 95 % interval of every head. A head is resolved where the
/// interval excludes zero and the p-value, corrected over the map by Benjamini and Hochberg, is at most 0.05; equivalent
/// where the interval lies within the margin, if there is one.
///
/// # Errors
/// Refusals of the statistics.
pub fn difference_rows(
    collection: &Collection,
    windows: &[String],
    against: &str,
    margin: Option<f64>,
) -> anyhow::Result<Vec<FigureRow>> {
    let names = Names::of(collection);
    let mut rows = Vec::new();
    for pair in collection.differences(Contrast::Window, Some(against), true, SEED) {
        let pair = pair?;
        let Some(shape) = pair.shape else { continue };
        if windows.iter().all(|label| label != pair.first) {
            continue;
        }
        let is_of = |group: &SampleGroup| {
            let place = group.question_place.as_deref();
            pair.model == Some(group.model.as_str())
                && (pair.task, pair.question_place) == (group.task.as_str(), place)
        };
        let (group, name) = names.find(is_of);
        let ceilings = [pair.first, pair.second].map(|label| ceiling(collection, group, label));
        let pairing = format!("{} minus {}", pair.first, pair.second);
        let panel = joined(&[&with_ceilings(&pairing, &ceilings), name]);
        for (index, head) in pair.by_head.iter().enumerate() {
            let interval = head.and_then(|head| head.difference.interval);
            let value = head.map_or(f64::NAN, |head| head.difference.mean);
            rows.push(FigureRow {
                low: interval.map(|interval| interval.low),
                high: interval.map(|interval| interval.high),
                resolved: head.map(|head| head.is_resolved()),
                equivalent: head
                    .zip(margin)
                    .map(|(head, margin)| head.difference.is_equivalent(margin)),
                ..cell(&panel, pair.first, place(shape, index), value, pair.samples)
            });
        }
    }
    Ok(rows)
}

/// The winner of every head, with its lead over the runner-up as the value; none where it is undefined. Equivalent where
/// the lead lies within the margin, if there is one.
///
/// # Errors
/// Refusals of the statistics.
pub fn winner_rows(collection: &Collection, margin: Option<f64>) -> anyhow::Result<Vec<FigureRow>> {
    let maps = collection.winners(SEED).collect::<Result<Vec<_>, _>>()?;
    let names = Names::of(collection);
    let mut rows = Vec::new();
    for map in &maps {
        let (_, panel) = names.find(|group| group == map.group);
        for (index, winner) in map.winners.iter().enumerate() {
            let label = winner.and_then(|winner| map.windows.get(winner.winner).copied());
            let interval = winner.and_then(|winner| winner.interval);
            let lead = winner.map_or(f64::NAN, |winner| winner.margin);
            rows.push(FigureRow {
                low: interval.map(|interval| interval.low),
                high: interval.map(|interval| interval.high),
                ceiling: label.and_then(|label| ceiling(collection, Some(map.group), label)),
                resolved: winner.map(|winner| winner.resolved),
                equivalent: winner
                    .zip(margin)
                    .map(|(winner, margin)| winner.is_equivalent(margin)),
                ..cell(
                    panel,
                    label.unwrap_or_default(),
                    place(map.shape, index),
                    lead,
                    map.samples,
                )
            });
        }
    }
    Ok(rows)
}

fn place(shape: HeadShape, index: usize) -> (usize, usize) {
    let heads = shape.heads.max(1);
    (index / heads, index % heads)
}

/// The ceiling of a window in a group, at the budget and of the metric of the maps.
fn ceiling(collection: &Collection, group: Option<&SampleGroup>, label: &str) -> Option<f64> {
    let summaries = collection.summaries(collection.metric(), SEED);
    let found = summaries
        .iter()
        .find(|found| Some(found.group) == group && found.window == label);
    found?.ceiling
}

/// The groups with what tells each from the others.
struct Names<'a>(Vec<(&'a SampleGroup, String)>);

impl<'a> Names<'a> {
    fn of(collection: &'a Collection) -> Self {
        let groups = collection.groups().iter().map(|entry| &entry.group);
        let groups: Vec<&SampleGroup> = groups.collect();
        let names = panel_names(&groups);
        Self(groups.into_iter().zip(names).collect())
    }

    fn find(&self, is_it: impl Fn(&SampleGroup) -> bool) -> (Option<&'a SampleGroup>, &str) {
        let found = self.0.iter().find(|(group, _)| is_it(group));
        found.map_or((None, ""), |(group, name)| (Some(group), name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_count_once_and_the_ceiling_stands_in_the_panel() {
        let mut sums = HeadSums::default();
        let numbers = |values: [f64; 2]| HeadNumbers {
            heads: 2,
            values: values.to_vec(),
            ceilings: Some(vec![0.5, f64::NAN]),
        };
        sums.add("a", "last:8", &numbers([0.25, f64::NAN]));
        sums.add("b", "last:8", &numbers([0.75, 0.5]));
        sums.add("b", "last:8", &numbers([0.0, 0.0]));
        let rows = sums.rows("facts");
        assert_eq!(rows[0].panel, "last:8 (ceiling 0.50), facts");
        assert_eq!(
            (rows[0].value, rows[0].ceiling, rows[0].samples),
            (0.5, Some(0.5), 2)
        );
        assert!(rows[1].value.is_nan());
    }
}
