//! Where the window ranks the tokens that the oracle ranks here or there.

use kvlens_analysis::rank_density::RankDensity;

use crate::measurement::{MeasuredSample, MeasuredWindow};

/// Bins of a rank on one side of the view of rank agreement.
const RANK_BINS: usize = 24;

/// Where the window ranks the tokens that the oracle ranks here or there, over the selected heads.
#[derive(Clone, Debug)]
pub struct RankAgreement {
    /// The bins.
    pub density: RankDensity,
    /// `[bins, bins]`, see [`RankDensity::shares`].
    pub shares: Vec<f64>,
    /// Heads that were counted.
    pub heads: usize,
    /// Differs whenever the values do.
    pub version: u64,
}

pub(super) fn rank_agreement(
    sample: &MeasuredSample,
    window: &MeasuredWindow,
    heads: &[(usize, usize)],
    version: u64,
) -> RankAgreement {
    let (truth, window) = (&sample.truth.rankings, &window.ranked.rankings);
    let rankable = heads.iter().map(|(layer, _)| truth.rankable_tokens(*layer));
    let mut density = RankDensity::new(rankable.max().unwrap_or(0), RANK_BINS);
    for &(layer, head) in heads {
        density.add(truth.rank(layer, head), window.rank(layer, head));
    }
    RankAgreement {
        shares: density.shares().into_iter().map(f64::from).collect(),
        density,
        heads: heads.len(),
        version,
    }
}
