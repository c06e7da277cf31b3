//! Rank correlations. Undefined (NaN), as in SciPy, when one side is constant or has fewer than two values.

use crate::comparison::same;
use crate::error::AnalysisError;
use crate::order::descending;

/// Spearman's rank correlation: Pearson's of the ranks, tied values sharing the mean of their ranks.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ.
pub fn spearman(left: &[f32], right: &[f32]) -> Result<f64, AnalysisError> {
    same("lengths", left.len(), right.len())?;
    let (left, right) = (average_ranks(left), average_ranks(right));
    let middle = 0.5 * (left.len() as f64 - 1.0);
    let (mut product, mut left_square, mut right_square) = (0.0, 0.0, 0.0);
    for (l, r) in left.iter().zip(&right) {
        let (l, r) = (l - middle, r - middle);
        product += l * r;
        left_square += l * l;
        right_square += r * r;
    }
    Ok(correlation(product, left_square, right_square))
}

/// Kendall's tau-b by Knight's algorithm, O(n log n): sort by the left side, then count the exchanges
/// of a merge sort by the right side.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ.
pub fn kendall(left: &[f32], right: &[f32]) -> Result<f64, AnalysisError> {
    same("lengths", left.len(), right.len())?;
    let mut pairs: Vec<(u32, u32)> = dense_ranks(left)
        .into_iter()
        .zip(dense_ranks(right))
        .collect();
    pairs.sort_unstable();
    let all = pairs_of(pairs.len());
    let left_ties = tied_pairs(pairs.chunk_by(|a, b| a.0 == b.0));
    let joint_ties = tied_pairs(pairs.chunk_by(|a, b| a == b));
    let mut right_ranks: Vec<u32> = pairs.into_iter().map(|pair| pair.1).collect();
    let discordant = sort_counting_exchanges(&mut right_ranks);
    let right_ties = tied_pairs(right_ranks.chunk_by(|a, b| a == b));
    let untied = all + joint_ties - left_ties - right_ties;
    let concordant_less_discordant = untied as f64 - 2.0 * discordant as f64;
    Ok(correlation(
        concordant_less_discordant,
        (all - left_ties) as f64,
        (all - right_ties) as f64,
    ))
}

/// A covariance over the root of two variances, held within -1..=1 against rounding and exact at both ends; NaN for a
/// variance of zero.
fn correlation(product: f64, left_square: f64, right_square: f64) -> f64 {
    if left_square == 0.0 || right_square == 0.0 {
        return f64::NAN;
    }
    (product / (left_square * right_square).sqrt()).clamp(-1.0, 1.0)
}

/// Zero-based ranks from the largest score down, tied scores sharing the mean of their places.
fn average_ranks(scores: &[f32]) -> Vec<f64> {
    let order = descending(scores);
    let mut ranks = vec![0.0; scores.len()];
    let mut place = 0;
    for tied in runs_of_equals(&order, scores) {
        let rank = place as f64 + 0.5 * (tied.len() as f64 - 1.0);
        for &token in tied {
            ranks[token as usize] = rank;
        }
        place += tied.len();
    }
    ranks
}

/// Ranks from the largest score down without gaps: tied scores share one, the next gets one more.
fn dense_ranks(scores: &[f32]) -> Vec<u32> {
    let order = descending(scores);
    let mut ranks = vec![0; scores.len()];
    for (rank, tied) in runs_of_equals(&order, scores).enumerate() {
        for &token in tied {
            ranks[token as usize] = rank as u32;
        }
    }
    ranks
}

fn runs_of_equals<'a>(order: &'a [u32], scores: &'a [f32]) -> impl Iterator<Item = &'a [u32]> {
    order.chunk_by(|&a, &b| scores[a as usize] == scores[b as usize])
}

fn pairs_of(count: usize) -> u64 {
    let count = count as u64;
    count * count.saturating_sub(1) / 2
}

fn tied_pairs<'a, P: 'a>(runs: impl Iterator<Item = &'a [P]>) -> u64 {
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
