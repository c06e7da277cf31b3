//! Cells of maps.

use kvlens_analysis::Collection;
use kvlens_analysis::figure::FigureRow;

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
    samples: u32,
    sums: Vec<f64>,
}

impl HeadSums {
    /// Adds a sample; values of another shape than the first one's are a window of their own.
    pub fn add(&mut self, label: &str, heads: usize, values: &[f64]) {
        let known = self.windows.iter().position(|window| {
            window.label == label && window.heads == heads && window.sums.len() == values.len()
        });
        let index = known.unwrap_or_else(|| {
            self.windows.push(WindowSums {
                label: label.to_owned(),
                heads,
                samples: 0,
                sums: vec![0.0; values.len()],
            });
            self.windows.len() - 1
        });
        let window = &mut self.windows[index];
        window.samples += 1;
        for (sum, value) in window.sums.iter_mut().zip(values) {
            *sum += value;
        }
    }

    /// A panel of cells for each window.
    pub fn rows(&self, group: &str) -> Vec<FigureRow> {
        let cells = self.windows.iter().flat_map(|window| {
            let panel = joined(&[&window.label, group]);
            window.sums.iter().enumerate().map(move |(index, sum)| {
                let value = sum / f64::from(window.samples);
                cell(
                    &panel,
                    &window.label,
                    (index / window.heads, index % window.heads),
                    value,
                    window.samples,
                )
            })
        });
        cells.collect()
    }
}

fn cell(
    panel: &str,
    series: &str,
    (layer, head): (usize, usize),
    value: f64,
    samples: u32,
) -> FigureRow {
    FigureRow {
        panel: panel.to_owned(),
        series: series.to_owned(),
        x: head as f64,
        y: Some(layer as f64),
        value,
        low: None,
        high: None,
        samples,
        resolved: None,
    }
}

/// Each of `windows` less `against`, with the 95 % interval of every head. A head is resolved where the
/// interval excludes zero and the p-value, corrected over the map by Benjamini and Hochberg, is at most 0.05.
///
/// # Errors
/// Refusals of the statistics.
pub fn difference_rows(
    collection: &Collection,
    windows: &[String],
    against: &str,
) -> anyhow::Result<Vec<FigureRow>> {
    let pairs = collection.differences(Some(against), true, SEED);
    let groups: Vec<_> = collection
        .groups()
        .iter()
        .map(|entry| &entry.group)
        .collect();
    let names = panel_names(&groups);
    let mut rows = Vec::new();
    for pair in pairs {
        let pair = pair?;
        let Some(shape) = pair.shape else { continue };
        if windows.iter().all(|label| label != pair.first) {
            continue;
        }
        let group = groups.iter().position(|group| *group == pair.group);
        let group = group
            .and_then(|index| names.get(index))
            .map_or("", String::as_str);
        let panel = joined(&[&format!("{} less {}", pair.first, pair.second), group]);
        for (index, head) in pair.by_head.iter().enumerate() {
            let interval = head.difference.interval;
            let place = (index / shape.heads, index % shape.heads);
            rows.push(FigureRow {
                low: interval.map(|interval| interval.low),
                high: interval.map(|interval| interval.high),
                resolved: Some(head.is_resolved()),
                ..cell(
                    &panel,
                    pair.first,
                    place,
                    head.difference.mean,
                    pair.samples as u32,
                )
            });
        }
    }
    Ok(rows)
}

/// The winner of every head, with its margin over the runner-up as the value.
///
/// # Errors
/// Refusals of the statistics.
pub fn winner_rows(collection: &Collection) -> anyhow::Result<Vec<FigureRow>> {
    let maps = collection.winners(SEED).collect::<Result<Vec<_>, _>>()?;
    let groups: Vec<_> = collection
        .groups()
        .iter()
        .map(|entry| &entry.group)
        .collect();
    let names = panel_names(&groups);
    let mut rows = Vec::new();
    for map in &maps {
        let group = groups.iter().position(|group| *group == map.group);
        let group = group
            .and_then(|index| names.get(index))
            .map_or("", String::as_str);
        let several = maps.iter().filter(|other| other.group == map.group).count() > 1;
        let kind = if several {
            map.shape.head_kind.name()
        } else {
            ""
        };
        let panel = joined(&[group, kind]);
        for (index, winner) in map.winners.iter().enumerate() {
            let Some(label) = map.windows.get(winner.winner) else {
                continue;
            };
            let place = (index / map.shape.heads, index % map.shape.heads);
            rows.push(FigureRow {
                low: winner.interval.map(|interval| interval.low),
                high: winner.interval.map(|interval| interval.high),
                resolved: Some(winner.resolved),
                ..cell(&panel, label, place, winner.margin, map.samples as u32)
            });
        }
    }
    Ok(rows)
}
