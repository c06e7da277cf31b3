//! Agreement of two scorings of the same tokens, without a budget.

use rayon::prelude::*;

use crate::comparison::same;
use crate::error::AnalysisError;
use crate::importance::Importance;
use crate::tokens::ForcedKeep;

mod correlation;
mod divergence;

pub use correlation::{kendall, spearman};
pub use divergence::{cosine, js, kl};

/// Every budget-free measure of one head, over the rankable tokens.
///
/// NaN where a measure is undefined; each function says when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// [`spearman`], -1..=1.
    pub spearman: f64,
    /// [`kendall`], -1..=1.
    pub kendall: f64,
    /// [`kl`] of the oracle from the window in nats, 0 or more.
    pub kl: f64,
    /// [`js`] in nats, 0..=ln 2.
    pub js: f64,
    /// [`cosine`], 0..=1 for attention.
    pub cosine: f64,
}

impl Agreement {
    /// The measures of one head's scores, given for the rankable tokens only.
    ///
    /// # Errors
    /// [`AnalysisError::Mismatch`] when the lengths differ.
    pub fn of(oracle: &[f32], window: &[f32]) -> Result<Self, AnalysisError> {
        Ok(Self {
            spearman: spearman(oracle, window)?,
            kendall: kendall(oracle, window)?,
            kl: kl(oracle, window)?,
            js: js(oracle, window)?,
            cosine: cosine(oracle, window)?,
        })
    }
}

/// The measures of every head, `[L, heads]`, over the tokens that are not exempt.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the sides differ in layers, heads or tokens.
pub fn agreement_by_head(
    oracle: &Importance,
    window: &Importance,
    exempt: ForcedKeep,
) -> Result<Vec<Agreement>, AnalysisError> {
    same("layers", oracle.layers(), window.layers())?;
    same("heads", oracle.heads(), window.heads())?;
    same("head kinds", oracle.head_kind(), window.head_kind())?;
    same(
        "prompt tokens",
        oracle.prompt_tokens(),
        window.prompt_tokens(),
    )?;
    let rankable = exempt.rest(oracle.prompt_tokens());
    oracle
        .by_head()
        .zip(window.by_head())
        .map(|(oracle, window)| Agreement::of(&oracle[rankable.clone()], &window[rankable.clone()]))
        .collect()
}
