//! What an eviction does to the output: next-token distributions on the full and on the evicted cache, and how
//! recall relates to the difference.
//!
//! Logits are `f32` of a vocabulary of V tokens; everything is computed in `f64` after subtracting the largest
//! logit, and logarithms are natural.

mod evictions;
mod relation;

pub use evictions::{
    BudgetCorrelations, Eviction, EvictionMean, eviction_correlations, eviction_means,
};
pub use relation::{
    MeanCorrelation, correlation_of_means, correlation_over_samples, correlation_over_windows,
};

use crate::comparison::same;
use crate::error::{AnalysisError, finite};
use crate::statistics::mean;

/// One step of a continuation on the evicted cache against the same step on the full cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepFidelity {
    /// Kullback-Leibler divergence `sum p ln(p / q)` of the full cache's next-token distribution `p` from the
    /// evicted cache's `q`, in nats, 0 or more.
    pub kl: f64,
    /// Whether both find the same token most likely.
    pub agrees: bool,
}

/// Means over the steps of a continuation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanFidelity {
    /// Of [`StepFidelity::kl`], in nats.
    pub kl: f64,
    /// Share of the steps that agree, 0..=1.
    pub agreement: f64,
}

impl MeanFidelity {
    /// NaN of no steps.
    pub fn of(steps: &[StepFidelity]) -> Self {
        let agreeing = steps.iter().map(|step| f64::from(u8::from(step.agrees)));
        Self {
            kl: mean(steps.iter().map(|step| step.kl)).unwrap_or(f64::NAN),
            agreement: mean(agreeing).unwrap_or(f64::NAN),
        }
    }
}

/// Compares the next-token distributions of one step, given as logits `[V]` on the full and the evicted cache.
///
/// # Errors
/// [`AnalysisError::Empty`] for no logits, [`AnalysisError::Mismatch`] for different numbers of them,
/// [`AnalysisError::NotANumber`] for one that is not finite.
pub fn step_fidelity(full: &[f32], evicted: &[f32]) -> Result<StepFidelity, AnalysisError> {
    same("numbers of logits", full.len(), evicted.len())?;
    let (p, q) = (LogSoftmax::of(full)?, LogSoftmax::of(evicted)?);
    let kl: f64 = full
        .iter()
        .zip(evicted)
        .map(|(&full, &evicted)| {
            let log_p = p.of_logit(full);
            log_p.exp() * (log_p - q.of_logit(evicted))
        })
        .sum();
    Ok(StepFidelity {
        // rounding may leave equal distributions a hair below zero
        kl: kl.max(0.0),
        agrees: p.top == q.top,
    })
}

/// The most likely token of logits `[V]`; of equals the lower one.
///
/// # Errors
/// [`AnalysisError::Empty`] for no logits, [`AnalysisError::NotANumber`] for one that is not finite.
pub fn top_token(logits: &[f32]) -> Result<u32, AnalysisError> {
    finite("a logit", logits, |token| format!("token {token}"))?;
    let mut best: Option<(u32, f32)> = None;
    for (token, &logit) in (0_u32..).zip(logits) {
        if best.is_none_or(|(_, largest)| logit > largest) {
            best = Some((token, logit));
        }
    }
    let (top, _) = best.ok_or(AnalysisError::Empty { what: "logits" })?;
    Ok(top)
}

/// `-ln p` of a token under the softmax of logits `[V]`, in nats. The mean over the tokens of a text is the
/// logarithm of its perplexity.
///
/// # Errors
/// As [`top_token`], and [`AnalysisError::OutOfBounds`] for a token that has no logit.
pub fn negative_log_likelihood(logits: &[f32], token: u32) -> Result<f64, AnalysisError> {
    let softmax = LogSoftmax::of(logits)?;
    let logit = logits
        .get(token as usize)
        .ok_or_else(|| AnalysisError::OutOfBounds {
            what: "a token",
            bounds: "inside the vocabulary",
            value: token.to_string(),
        })?;
    Ok(-softmax.of_logit(*logit))
}

/// What turns logits into logarithms of probabilities.
struct LogSoftmax {
    top: u32,
    largest: f64,
    log_sum: f64,
}

impl LogSoftmax {
    fn of(logits: &[f32]) -> Result<Self, AnalysisError> {
        let top = top_token(logits)?;
        let largest = f64::from(logits[top as usize]);
        let sum: f64 = logits
            .iter()
            .map(|&logit| (f64::from(logit) - largest).exp())
            .sum();
        Ok(Self {
            top,
            largest,
            log_sum: sum.ln(),
        })
    }

    fn of_logit(&self, logit: f32) -> f64 {
        f64::from(logit) - self.largest - self.log_sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_is_that_of_scipy() {
        // scipy.special.rel_entr(softmax(a), softmax(b)).sum()
        let (a, b) = ([1.0, 2.0, 0.5, -1.0], [0.5, 1.0, 2.0, -3.0]);
        let step = step_fidelity(&a, &b).unwrap();
        assert!(
            (step.kl - 0.551_679_987_054_288_9).abs() < 1e-12,
            "{}",
            step.kl
        );
        assert!(!step.agrees);
        // -scipy.special.log_softmax(a)[3]
        let nll = negative_log_likelihood(&a, 3).unwrap();
        assert!((nll - 3.495_181_898_085_856).abs() < 1e-12, "{nll}");
    }

    #[test]
    fn equal_logits_and_shifted_ones_are_the_same_distribution() {
        let logits = [0.25, 80.0, -40.0, 79.5];
        assert_eq!(
            step_fidelity(&logits, &logits).unwrap(),
            StepFidelity {
                kl: 0.0,
                agrees: true
            }
        );
        let shifted = logits.map(|logit| logit - 64.0);
        let step = step_fidelity(&logits, &shifted).unwrap();
        assert!(step.kl < 1e-12 && step.agrees, "{step:?}");
    }

    #[test]
    fn logits_too_large_for_an_exponential_are_no_trouble() {
        let nll = negative_log_likelihood(&[3e38, 0.0, 3e38], 0).unwrap();
        assert!((nll - 2.0_f64.ln()).abs() < 1e-12, "{nll}");
    }

    #[test]
    fn means_run_over_steps() {
        let step = |kl, agrees| StepFidelity { kl, agrees };
        let steps = [
            step(0.5, true),
            step(1.0, false),
            step(0.0, true),
            step(0.5, true),
        ];
        let found = MeanFidelity::of(&steps);
        assert_eq!((found.kl, found.agreement), (0.5, 0.75));
    }

    #[test]
    fn of_equal_logits_the_lower_token_is_the_top() {
        assert_eq!(top_token(&[0.0, 3.0, 3.0]), Ok(1));
        assert!(
            step_fidelity(&[0.0, 3.0, 3.0], &[0.0, 3.0, 2.0])
                .unwrap()
                .agrees
        );
        assert!(
            !step_fidelity(&[0.0, 3.0, 3.0], &[0.0, 2.0, 3.0])
                .unwrap()
                .agrees
        );
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        assert!(top_token(&[]).is_err());
        assert!(top_token(&[1.0, f32::NAN]).is_err());
        assert!(step_fidelity(&[1.0], &[f32::INFINITY]).is_err());
        assert!(step_fidelity(&[1.0], &[1.0, 2.0]).is_err());
        assert!(negative_log_likelihood(&[1.0], 1).is_err());
    }
}
