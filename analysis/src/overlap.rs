//! How many tokens the top B of two rankings share, at every budget B from one pass.
//!
//! A token lies in both top-B sets when the larger of its two ranks is below B, so a histogram of that
//! larger rank and its running sum give the overlap at all budgets.

/// Tokens that the top B of two rankings share, for B in 0..=N, from the tokens of one of them, best first, and
/// their rank in the other.
pub(crate) fn overlap_along(order: &[u32], rank: &[u32]) -> Vec<u32> {
    let places = order.iter().zip(0..);
    let larger_ranks = places.map(|(&token, place)| rank[token as usize].max(place));
    running_overlap(order.len(), larger_ranks)
}

/// Tokens that have a larger rank below B, for B in 0..=N, from the larger rank of each token; ranks of N and above
/// are below no such B.
pub(crate) fn running_overlap(
    rankable: usize,
    larger_ranks: impl Iterator<Item = u32>,
) -> Vec<u32> {
    let mut overlap = vec![0; rankable + 1];
    for larger in larger_ranks {
        if let Some(added) = overlap.get_mut((larger as usize).saturating_add(1)) {
            *added += 1;
        }
    }
    let mut sum = 0;
    for shared in &mut overlap {
        sum += *shared;
        *shared = sum;
    }
    overlap
}

/// Whether a budget asks a question: where it is not below the number of rankable tokens, every top holds all of
/// them, whatever the scores say.
pub(crate) fn is_defined(budget: usize, rankable: usize) -> bool {
    0 < budget && budget < rankable
}

/// A number of tokens as a share of a budget.
pub(crate) fn share_of(budget: usize, tokens: u32) -> f64 {
    f64::from(tokens) / budget as f64
}
