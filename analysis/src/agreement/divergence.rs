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
    Ok(Divergences::of(oracle, window).kl)
}

/// Jensen-Shannon divergence in nats, 0..=ln 2: the mean divergence of both sides, scaled to sum 1,
/// from their average. It is the square of SciPy's `jensenshannon`. NaN as for [`kl`].
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ, [`AnalysisError::NotANumber`] for a score that is not finite.
pub fn js(oracle: &[f32], window: &[f32]) -> Result<f64, AnalysisError> {
    comparable(oracle, window)?;
    Ok(Divergences::of(oracle, window).js)
}

/// Total variation distance `0.5 sum |p - q|` of both sides scaled to sum 1, 0..=1: the largest share of
/// attention by which the two can differ on any set of tokens. NaN as for [`kl`].
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the lengths differ, [`AnalysisError::NotANumber`] for a score that is not finite.
pub fn total_variation(oracle: &[f32], window: &[f32]) -> Result<f64, AnalysisError> {
    comparable(oracle, window)?;
    Ok(Divergences::of(oracle, window).total_variation)
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

/// The three measures of distributions, which share a sweep over the tokens.
pub(super) struct Divergences {
    pub(super) kl: f64,
    pub(super) js: f64,
    pub(super) total_variation: f64,
}

impl Divergences {
    const UNDEFINED: Self = Self {
        kl: f64::NAN,
        js: f64::NAN,
        total_variation: f64::NAN,
    };

    /// Of two sides of finite scores, equally many.
    pub(super) fn of(oracle: &[f32], window: &[f32]) -> Self {
        let (Some(oracle_mass), Some(window_mass)) = (mass(oracle), mass(window)) else {
            return Self::UNDEFINED;
        };
        let (mut kl, mut js, mut distance) = (0.0, 0.0, 0.0);
        for (&p, &q) in oracle.iter().zip(window) {
            let (p, q) = (f64::from(p) / oracle_mass, f64::from(q) / window_mass);
            let middle = 0.5 * (p + q);
            kl += relative_entropy(p, q);
            js += relative_entropy(p, middle) + relative_entropy(q, middle);
            distance += (p - q).abs();
        }
        Self {
            kl: kl.max(0.0),
            // Rounding may leave a divergence of equal sides a hair below zero, and carry two distributions
            // without a common token a hair past a distance of 1.
            js: (0.5 * js).max(0.0),
            total_variation: (0.5 * distance).min(1.0),
        }
    }
}

/// The sum of scores that can be read as shares of it: none is negative, not all are zero.
fn mass(scores: &[f32]) -> Option<f64> {
    let sum: f64 = scores.iter().map(|&score| f64::from(score)).sum();
    let proper = sum > 0.0 && scores.iter().all(|&score| score >= 0.0);
    proper.then_some(sum)
}

fn relative_entropy(p: f64, q: f64) -> f64 {
    if p == 0.0 { 0.0 } else { p * (p / q).ln() }
}
