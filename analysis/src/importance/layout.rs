//! The checks of what an importance is made from.

use super::ReducedHead;
use crate::error::AnalysisError;

/// The dimensions that all reduced heads share.
pub(super) struct Layout {
    pub(super) query_heads: usize,
    pub(super) prompt_tokens: usize,
}

impl Layout {
    pub(super) fn of(
        heads_by_layer: &[Vec<ReducedHead>],
        kv_heads: usize,
    ) -> Result<Self, AnalysisError> {
        let first_layer = heads_by_layer
            .first()
            .ok_or(AnalysisError::Empty { what: "layers" })?;
        let first_head = first_layer
            .first()
            .ok_or(AnalysisError::Empty { what: "heads" })?;
        let layout = Self {
            query_heads: first_layer.len(),
            prompt_tokens: first_head.scores.len(),
        };
        if layout.prompt_tokens == 0 {
            return Err(AnalysisError::Empty {
                what: "prompt tokens",
            });
        }
        if kv_heads == 0 || !layout.query_heads.is_multiple_of(kv_heads) {
            return Err(AnalysisError::Grouping {
                query_heads: layout.query_heads,
                kv_heads,
            });
        }
        for (layer, heads) in heads_by_layer.iter().enumerate() {
            layout.check_layer(layer, heads)?;
        }
        Ok(layout)
    }

    fn check_layer(&self, layer: usize, heads: &[ReducedHead]) -> Result<(), AnalysisError> {
        if heads.len() != self.query_heads {
            return Err(AnalysisError::HeadCount {
                layer,
                expected: self.query_heads,
                found: heads.len(),
            });
        }
        for (head, reduced) in heads.iter().enumerate() {
            if reduced.scores.len() != self.prompt_tokens {
                return Err(AnalysisError::HeadLength {
                    layer,
                    head,
                    expected: self.prompt_tokens,
                    found: reduced.scores.len(),
                });
            }
            check_finite(&reduced.scores, layer, head)?;
        }
        Ok(())
    }
}

/// Refuses a score that is not finite.
pub(super) fn check_finite(scores: &[f32], layer: usize, head: usize) -> Result<(), AnalysisError> {
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(()),
        Some(token) => Err(AnalysisError::NotFinite {
            layer,
            head,
            token,
            value: scores[token].to_string(),
        }),
    }
}

/// Refuses anything but one first visible token for each layer.
pub(super) fn check_first_visible(
    first_visible: &[usize],
    layers: usize,
) -> Result<(), AnalysisError> {
    if first_visible.len() == layers {
        return Ok(());
    }
    Err(AnalysisError::Length {
        what: "the first visible tokens of an importance",
        dimensions: format!("[layers {layers}]"),
        expected: layers,
        found: first_visible.len(),
    })
}
