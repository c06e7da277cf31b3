//! Scores of prompt tokens that a window gives without queries.

use std::fmt;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::SessionError;
use crate::model::on_cpu;

/// What a score is, so that nobody takes a rank or a norm for attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScoreKind {
    /// Attention weights of the window's rows.
    Attention,
    /// Sum of the attention of all prompt rows.
    AccumulatedAttention,
    /// Attention that queries of a fitted distribution would pay, times the value's norm.
    ExpectedAttention,
    /// Position alone.
    Position,
    /// Norm of the key.
    KeyNorm,
    /// Drawn by chance.
    Random,
    /// Places in the rankings of other windows.
    Rank,
    /// What another program made, whatever it is.
    FromFile,
}

impl ScoreKind {
    /// The word that tables use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::AccumulatedAttention => "accumulated-attention",
            Self::ExpectedAttention => "expected-attention",
            Self::Position => "position",
            Self::KeyNorm => "key-norm",
            Self::Random => "random",
            Self::Rank => "rank",
            Self::FromFile => "from-file",
        }
    }

    /// Whether the scores are attention weights that the model itself computed.
    pub fn is_attention(self) -> bool {
        matches!(self, Self::Attention | Self::AccumulatedAttention)
    }
}

impl fmt::Display for ScoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One score for each layer, head and prompt token, best highest.
#[derive(Debug, Clone)]
pub struct TokenScores {
    kind: ScoreKind,
    scores: Tensor,
}

impl TokenScores {
    /// `scores` is `[L, heads, T]`: one head for the whole layer, one for each key/value head, or one for
    /// each query head.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] for another number of dimensions.
    pub fn new(kind: ScoreKind, scores: &Tensor) -> Result<Self, SessionError> {
        scores.dims3()?;
        Ok(Self {
            kind,
            scores: on_cpu(scores)?.to_dtype(DType::F32)?,
        })
    }

    /// What the scores are.
    pub fn kind(&self) -> ScoreKind {
        self.kind
    }

    /// `[L, heads, T]`, f32, on the CPU; heads as in [`for_query_head`](Self::for_query_head).
    pub fn tensor(&self) -> &Tensor {
        &self.scores
    }

    /// The scores `[T]` that hold for one of `query_heads` query heads: its own, those of its key/value
    /// head, or those of the layer.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] for a layer or a head that is not there.
    pub fn for_query_head(
        &self,
        layer: usize,
        head: usize,
        query_heads: usize,
    ) -> Result<Vec<f32>, SessionError> {
        let (_, heads, _) = self.scores.dims3()?;
        let own = head * heads / query_heads.max(1);
        Ok(self.scores.get(layer)?.get(own)?.to_vec1()?)
    }

    /// Bytes of the scores.
    pub fn bytes(&self) -> usize {
        self.scores.elem_count() * self.scores.dtype().size_in_bytes()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn every_query_head_finds_the_scores_that_hold_for_it() {
        let tensor = Tensor::new(&[[[0.0_f32, 1.0], [2.0, 3.0]]], &Device::Cpu).unwrap();
        let by_kv_head = TokenScores::new(ScoreKind::KeyNorm, &tensor).unwrap();
        let of = |head| by_kv_head.for_query_head(0, head, 4).unwrap();
        assert_eq!(
            [of(0), of(1), of(2), of(3)],
            [[0.0, 1.0], [0.0, 1.0], [2.0, 3.0], [2.0, 3.0]]
        );
        let of_layer = TokenScores::new(ScoreKind::Position, &tensor.narrow(1, 0, 1).unwrap());
        assert_eq!(
            of_layer.unwrap().for_query_head(0, 3, 4).unwrap(),
            [0.0, 1.0]
        );
    }
}
