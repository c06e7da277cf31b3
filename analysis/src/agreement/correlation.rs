//! Rank correlations. Undefined (NaN), as in SciPy, when one side is constant or has fewer than two values.

use super::comparable;
use super::exchanges::descending_pairs;
use super::sorted::Sorted;
use crate::error::AnalysisError;

/// Spearman's rank correlation: Pearson's of the ranks, tied values sharing the mean of their ranks.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ, [`AnalysisError::NotANumber`] for a score that is not finite.
pub fn spearman(left: &[f32], right: &[f32]) -> Result<f64, AnalysisError> {
    comparable(left, right)?;
    Ok(spearman_of(
        &Sorted::of_scores(left),
        &Sorted::of_scores(right),
    ))
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

/// Kendall's tau-b as by Knight (JASA 61, 1966): sort by the left side, then count the pairs that the right
/// side has in the opposite order.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ, [`AnalysisError::NotANumber`] for a score that is not finite.
pub fn kendall(left: &[f32], right: &[f32]) -> Result<f64, AnalysisError> {
    comparable(left, right)?;
    Ok(kendall_of(
        &Sorted::of_scores(left),
        &Sorted::of_scores(right),
    ))
}

pub(super) fn kendall_of(left: &Sorted<'_>, right: &Sorted<'_>) -> f64 {
    let all = pairs_of(left.order().len());
    let by_token = right.first_ranks();
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
    tell_ties_apart(&mut right_ranks);
    let discordant = descending_pairs(&right_ranks);
    let right_ties: u64 = right.ties().map(|tied| pairs_of(tied.len())).sum();
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

/// Gives tied ranks, which are the first of their places, all of these places in the order in which they stand.
fn tell_ties_apart(ranks: &mut [u32]) {
    let mut taken = vec![0; ranks.len()];
    for rank in ranks {
        let earlier = &mut taken[*rank as usize];
        *rank += *earlier;
        *earlier += 1;
    }
}
