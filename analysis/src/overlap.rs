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

/// Tokens that have a larger rank below B, for B in 0..=N, from the larger rank of each of N tokens.
pub(crate) fn running_overlap(tokens: usize, larger_ranks: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut overlap = vec![0; tokens + 1];
    for larger in larger_ranks {
        overlap[larger as usize + 1] += 1;
    }
    let mut sum = 0;
    for shared in &mut overlap {
        sum += *shared;
        *shared = sum;
    }
    overlap
}

/// The share of a top-B set that the running overlap says is shared; a budget past all tokens means all.
pub(crate) fn recall(overlap: &[u32], budget: usize) -> f32 {
    let top = budget.min(overlap.len() - 1);
    share(f64::from(overlap[top]), top as f64) as f32
}

/// A part of a whole; all of it when the whole is nothing.
pub(crate) fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 1.0 } else { part / whole }
}
