//! Where windows rank the tokens that the decode stage ranks here or there, counted over samples.

use std::collections::HashSet;

use kvlens_analysis::figure::FigureRow;
use kvlens_analysis::rank_density::RankDensity;

use super::groups::joined;
use super::heads::HeadChoice;
use crate::measurement::{MeasuredSample, MeasuredWindow};

/// Bins of a rank.
const BINS: usize = 24;

/// Counts of one group of samples, by window.
#[derive(Debug, Default)]
pub struct Densities {
    windows: Vec<WindowDensity>,
    /// Content and window of everything that was counted.
    seen: HashSet<(String, String)>,
}

#[derive(Debug)]
struct WindowDensity {
    label: String,
    samples: usize,
    density: RankDensity,
}

impl Densities {
    /// Counts the tokens of the chosen heads of a sample, named by its content; a copy counts once. The bins are those of
    /// `longest` tokens.
    pub fn add(
        &mut self,
        content: &str,
        sample: &MeasuredSample,
        window: &MeasuredWindow,
        heads: &HeadChoice,
        longest: usize,
    ) {
        if !self.seen.insert((content.to_owned(), window.label.clone())) {
            return;
        }
        let known = self
            .windows
            .iter()
            .position(|known| known.label == window.label);
        let index = known.unwrap_or_else(|| {
            self.windows.push(WindowDensity {
                label: window.label.clone(),
                samples: 0,
                density: RankDensity::new(longest, BINS),
            });
            self.windows.len() - 1
        });
        let entry = &mut self.windows[index];
        entry.samples += 1;
        let (truth, own) = (&sample.truth.rankings, &window.ranked.rankings);
        for layer in 0..truth.layers() {
            for head in (0..truth.heads()).filter(|&head| heads.has(layer, head)) {
                entry
                    .density
                    .add(truth.rank(layer, head), own.rank(layer, head));
            }
        }
    }

    /// A panel of cells for each window: by the decode stage's bin the shares of its tokens in the window's bins.
    pub fn rows(&self, group: &str) -> Vec<FigureRow> {
        let cells = self.windows.iter().flat_map(|window| {
            let panel = joined(&[&window.label, group]);
            let bins = window.density.bins();
            let shares = window.density.shares().into_iter().enumerate();
            shares.map(move |(cell, share)| {
                let names = (panel.as_str(), window.label.as_str());
                let place = ((cell / bins) as f64, Some((cell % bins) as f64));
                FigureRow::at(names, place, f64::from(share), window.samples)
            })
        });
        cells.collect()
    }
}

/// The first rank of each bin, counted from 1.
pub fn bin_names(longest: usize) -> Vec<String> {
    let density = RankDensity::new(longest, BINS);
    let first = (0..density.bins()).map(|bin| (density.ranks(bin).start + 1).to_string());
    first.collect()
}
