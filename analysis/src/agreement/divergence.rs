//! Measures of two sets of scores as vectors and, scaled to sum 1, as distributions.

use super::comparable;
use crate::error::AnalysisError;

/// Kullback-Leibler divergence `sum p ln(p / q)` of the oracle `p` from the window `q` in nats, both
/// scaled to sum 1.
///
/// Infinite when the window gives zero to a token that the oracle does not; a token to which the oracle
/// gives zero adds nothing. NaN when a side holds a negative score or no mass at all.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ, [`AnalysisError::NotANumber`] for a score that is not finite.
pub fn kl(oracle: &[f32], window: &[f32]) -> Result<f64, AnalysisError> {
    comparable(oracle, window)?;
    let (Some(oracle), Some(window)) = (Distribution::of(oracle), Distribution::of(window)) else {
        return Ok(f64::NAN);
    };
    Ok(oracle
        .iter()
        .zip(window.iter())
        .map(|(p, q)| relative_entropy(p, q))
        .sum())
}

/// Jensen-Shannon divergence in nats, 0..=ln 2: the mean divergence of both sides, scaled to sum 1,
/// from their average. It is the square of SciPy's `jensenshannon`. NaN as for [`kl`].
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ, [`AnalysisError::NotANumber`] for a score that is not finite.
pub fn js(oracle: &[f32], window: &[f32]) -> Result<f64, AnalysisError> {
    comparable(oracle, window)?;
    let (Some(oracle), Some(window)) = (Distribution::of(oracle), Distribution::of(window)) else {
        return Ok(f64::NAN);
    };
    let sum: f64 = oracle
        .iter()
        .zip(window.iter())
        .map(|(p, q)| {
            let middle = 0.5 * (p + q);
            relative_entropy(p, middle) + relative_entropy(q, middle)
        })
        .sum();
    // Rounding may leave a divergence of equal sides a hair below zero.
    Ok((0.5 * sum).max(0.0))
}

/// Total variation distance `0.5 sum |p - q|` of both sides scaled to sum 1, 0..=1: the largest share of
/// attention by which the two can differ on any set of tokens. NaN as for [`kl`].
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ, [`AnalysisError::NotANumber`] for a score that is not finite.
pub fn total_variation(oracle: &[f32], window: &[f32]) -> Result<f64, AnalysisError> {
    comparable(oracle, window)?;
    let (Some(oracle), Some(window)) = (Distribution::of(oracle), Distribution::of(window)) else {
        return Ok(f64::NAN);
    };
    let sum: f64 = oracle
        .iter()
        .zip(window.iter())
        .map(|(p, q)| (p - q).abs())
        .sum();
    // Rounding may carry two distributions without a common token a hair past 1.
    Ok((0.5 * sum).min(1.0))
}

/// Cosine of the angle between two score vectors; NaN when one of them is zero throughout.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ, [`AnalysisError::NotANumber`] for a score that is not finite.
pub fn cosine(oracle: &[f32], window: &[f32]) -> Result<f64, AnalysisError> {
    comparable(oracle, window)?;
    let (mut product, mut oracle_square, mut window_square) = (0.0, 0.0, 0.0);
    for (&p, &q) in oracle.iter().zip(window) {
        let (p, q) = (f64::from(p), f64::from(q));
        product += p * q;
        oracle_square += p * p;
        window_square += q * q;
    }
    if oracle_square == 0.0 || window_square == 0.0 {
        return Ok(f64::NAN);
    }
    Ok((product / (oracle_square * window_square).sqrt()).clamp(-1.0, 1.0))
}

/// Scores without a negative one, read as shares of their sum.
struct Distribution<'a> {
    scores: &'a [f32],
    sum: f64,
}

impl<'a> Distribution<'a> {
    fn of(scores: &'a [f32]) -> Option<Self> {
        let sum: f64 = scores.iter().map(|&score| f64::from(score)).sum();
        let proper = sum > 0.0 && scores.iter().all(|&score| score >= 0.0);
        proper.then_some(Self { scores, sum })
    }

    fn iter(&self) -> impl Iterator<Item = f64> {
        self.scores.iter().map(|&score| f64::from(score) / self.sum)
    }
}

fn relative_entropy(p: f64, q: f64) -> f64 {
    if p == 0.0 { 0.0 } else { p * (p / q).ln() }
}
