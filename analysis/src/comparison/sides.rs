//! What two sides must have in common to be compared.

use crate::error::AnalysisError;
use crate::importance::{HeadKind, Importance};
use crate::ranking::Rankings;

/// The heads and tokens of one side of a comparison.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    layers: usize,
    heads: usize,
    head_kind: HeadKind,
    prompt_tokens: usize,
    /// `[L]`.
    first_visible: Vec<usize>,
}

impl From<&Importance> for Side {
    fn from(importance: &Importance) -> Self {
        let layers = 0..importance.layers();
        Self {
            layers: importance.layers(),
            heads: importance.heads(),
            head_kind: importance.head_kind(),
            prompt_tokens: importance.prompt_tokens(),
            first_visible: layers
                .map(|layer| importance.first_visible(layer))
                .collect(),
        }
    }
}

impl From<&Rankings> for Side {
    fn from(rankings: &Rankings) -> Self {
        let layers = 0..rankings.layers();
        Self {
            layers: rankings.layers(),
            heads: rankings.heads(),
            head_kind: rankings.head_kind(),
            prompt_tokens: rankings.prompt_tokens(),
            first_visible: layers.map(|layer| rankings.first_visible(layer)).collect(),
        }
    }
}

impl Side {
    /// Refuses a window of other heads or other tokens.
    pub(crate) fn check(&self, window: impl Into<Self>) -> Result<(), AnalysisError> {
        let window = window.into();
        same("layers", self.layers, window.layers)?;
        same("heads", self.heads, window.heads)?;
        same("head kinds", self.head_kind, window.head_kind)?;
        same("prompt tokens", self.prompt_tokens, window.prompt_tokens)?;
        for (truth, window) in self.first_visible.iter().zip(&window.first_visible) {
            same("first visible tokens", truth, window)?;
        }
        Ok(())
    }
}

/// Refuses rankings of other heads or other tokens.
pub(crate) fn same_heads(truth: &Rankings, window: &Rankings) -> Result<(), AnalysisError> {
    Side::from(truth).check(window)?;
    let (of_truth, of_window) = (truth.exempt(), window.exempt());
    same("exempt sinks", of_truth.sinks, of_window.sinks)?;
    same("exempt recent tokens", of_truth.recent, of_window.recent)
}

/// Refuses two sides that differ in a property.
pub(crate) fn same<P: PartialEq + ToString>(
    what: &'static str,
    truth: P,
    window: P,
) -> Result<(), AnalysisError> {
    if truth == window {
        return Ok(());
    }
    Err(AnalysisError::Mismatch {
        what,
        oracle: truth.to_string(),
        window: window.to_string(),
    })
}
