//! Rank correlations. Undefined (NaN), as in SciPy, when one side is constant or has fewer than two values.

use super::comparable;
use super::sorted::Sorted;
use crate::error::AnalysisError;

/// Spearman's rank correlation: Pearson's of the ranks, tied values sharing the mean of their ranks.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ, [`AnalysisError::NotANumber`] for a score that is not finite.
pub fn spearman(left: &[f32], right: &[f32]) -> Result<f64, AnalysisError> {
    comparable(left, right)?;
    Ok(spearman_of(&Sorted::of(left), &Sorted::of(right)))
}

pub(super) fn spearman_of(left: &Sorted<'_>, right: &Sorted<'_>) -> f64 {
    let (left, right) = (left.average_ranks(), right.average_ranks());
    let middle = 0.5 * (left.len() as f64 - 1.0);
    let (mut product, mut left_square, mut right_square) = (0.0, 0.0, 0.0);
    for (l, r) in left.iter().zip(&right) {
        let (l, r) = (l - middle, r - middle);
        product += l * r;
        left_square += l * l;
        right_square += r * r;
    }
    correlation(product, left_square, right_square)
}

/// Kendall's tau-b by Knight's algorithm (JASA 61, 1966), O(n log n): sort by the left side, then count
/// the exchanges of a merge sort by the right side.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ, [`AnalysisError::NotANumber`] for a score that is not finite.
pub fn kendall(left: &[f32], right: &[f32]) -> Result<f64, AnalysisError> {
    comparable(left, right)?;
    Ok(kendall_of(&Sorted::of(left), &Sorted::of(right)))
}

pub(super) fn kendall_of(left: &Sorted<'_>, right: &Sorted<'_>) -> f64 {
    let all = pairs_of(left.order().len());
    let by_token = right.dense_ranks();
    let mut right_ranks: Vec<u32> = left
        .order()
        .iter()
        .map(|&token| by_token[token as usize])
        .collect();
    let (mut left_ties, mut joint_ties, mut start) = (0, 0, 0);
    for tied in left.ties() {
        let run = &mut right_ranks[start..start + tied.len()];
        run.sort_unstable();
        left_ties += pairs_of(run.len());
        joint_ties += tied_pairs(run);
        start += tied.len();
    }
    let discordant = sort_counting_exchanges(&mut right_ranks);
    let right_ties = tied_pairs(&right_ranks);
    let untied = all + joint_ties - left_ties - right_ties;
    let concordant_less_discordant = untied as f64 - 2.0 * discordant as f64;
    correlation(
        concordant_less_discordant,
        (all - left_ties) as f64,
        (all - right_ties) as f64,
    )
}

/// A covariance over the root of two variances, held within -1..=1 against rounding and exact at both ends; NaN for a
/// variance of zero.
fn correlation(product: f64, left_square: f64, right_square: f64) -> f64 {
    if left_square == 0.0 || right_square == 0.0 {
        return f64::NAN;
    }
    (product / (left_square * right_square).sqrt()).clamp(-1.0, 1.0)
}

fn pairs_of(count: usize) -> u64 {
    let count = count as u64;
    count * count.saturating_sub(1) / 2
}

/// Pairs of equal ranks among sorted ones.
fn tied_pairs(sorted: &[u32]) -> u64 {
    let runs = sorted.chunk_by(|a, b| a == b);
    runs.map(|run| pairs_of(run.len())).sum()
}

/// Sorts ascending and counts the pairs that stood in strictly descending order.
fn sort_counting_exchanges(ranks: &mut [u32]) -> u64 {
    let mut buffer = ranks.to_vec();
    let mut exchanges = 0;
    let mut width = 1;
    while width < ranks.len() {
        for (block, merged) in ranks.chunks(2 * width).zip(buffer.chunks_mut(2 * width)) {
            let (left, right) = block.split_at(width.min(block.len()));
            exchanges += merge_counting_exchanges(left, right, merged);
        }
        ranks.copy_from_slice(&buffer);
        width *= 2;
    }
    exchanges
}

fn merge_counting_exchanges(left: &[u32], right: &[u32], merged: &mut [u32]) -> u64 {
    let (mut l, mut r, mut exchanges) = (0, 0, 0);
    for slot in merged {
        let take_left = match (left.get(l), right.get(r)) {
            (Some(a), Some(b)) => a <= b,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if take_left {
            *slot = left[l];
            l += 1;
        } else {
            *slot = right[r];
            r += 1;
            exchanges += (left.len() - l) as u64;
        }
    }
    exchanges
}
