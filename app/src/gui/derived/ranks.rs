//! Where the window ranks the tokens that the oracle ranks here or there.

use kvlens_analysis::rank_density::RankDensity;

use crate::measurement::MeasuredWindow;

/// Bins of a rank on one side of the view of rank agreement.
const RANK_BINS: usize = 24;

/// Where the window ranks the tokens that the oracle ranks here or there, over the selected heads.
#[derive(Clone, Debug)]
pub struct RankAgreement {
    /// The bins.
    pub density: RankDensity,
    /// `[bins, bins]`, see [`RankDensity::shares`].
    pub shares: Vec<f32>,
    /// Heads that were counted.
    pub heads: usize,
    /// Differs whenever the values do.
    pub version: u64,
}

pub(super) fn rank_agreement(
    window: &MeasuredWindow,
    heads: &[(usize, usize)],
    version: u64,
) -> RankAgreement {
    let mut density = RankDensity::new(window.rankings.rankable_tokens(), RANK_BINS);
    for &(layer, head) in heads {
        density.add(
            window.oracle_rankings.rank(layer, head),
            window.rankings.rank(layer, head),
        );
    }
    RankAgreement {
        shares: density.shares(),
        density,
        heads: heads.len(),
        version,
    }
}
