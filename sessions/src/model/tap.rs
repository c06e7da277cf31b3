//! Looking at a run through the layers while it goes on.

use candle_core::Tensor;

use crate::{CancelFlag, SessionError};

/// Takes what it wants of each layer of a run. The run itself gives contexts only.
pub(crate) trait LayerTap {
    /// Once a layer's queries are rotated and its keys are in the cache.
    ///
    /// # Errors
    /// Whatever is to end the run.
    fn rows(&mut self, _rows: &TappedRows<'_>) -> Result<(), SessionError> {
        Ok(())
    }

    /// Whether [`weights`](Self::weights) is to be called; a kernel that writes no weights down is then not used.
    fn wants_weights(&self) -> bool {
        false
    }

    /// For each block of a layer's rows, in their order.
    ///
    /// # Errors
    /// Whatever is to end the run.
    fn weights(&mut self, _block: &TappedWeights<'_>) -> Result<(), SessionError> {
        Ok(())
    }
}

/// Queries of a layer.
pub(crate) struct TappedRows<'a> {
    pub(crate) layer: usize,
    /// Index of the first row in the cache, or behind it.
    pub(crate) first_index: usize,
    /// `[H, R, D]`, after rotation.
    pub(crate) queries: &'a Tensor,
}

/// Attention weights of a block of a layer's rows, as the model uses them.
pub(crate) struct TappedWeights<'a> {
    pub(crate) layer: usize,
    /// Tokens that were there before the run's first row.
    pub(crate) tokens_before: usize,
    /// Index of the first key in the cache; no row of the block sees one before it.
    pub(crate) first_key: usize,
    /// `[H, B, keys]` f32, zero where a row does not see a key. Gradients pass, if the run passes any.
    pub(crate) weights: &'a Tensor,
}

/// The taps of a run.
pub(crate) type Taps<'a, 'b> = &'a mut [&'b mut dyn LayerTap];

/// Ends the run at the next layer.
impl LayerTap for CancelFlag {
    fn rows(&mut self, _rows: &TappedRows<'_>) -> Result<(), SessionError> {
        self.check()
    }
}

/// The rows' attention on the tokens that were there before them, with its gradients.
#[derive(Default)]
pub(crate) struct AttentionBefore {
    /// For each layer pieces `[H, B, T]`.
    layers: Vec<Vec<Tensor>>,
}

impl AttentionBefore {
    /// `[H, R, T]` f32 for each layer in turn.
    pub(crate) fn finish(self) -> Result<Vec<Tensor>, SessionError> {
        let join = |blocks: Vec<Tensor>| Ok(Tensor::cat(&blocks, 1)?);
        self.layers.into_iter().map(join).collect()
    }
}

impl LayerTap for AttentionBefore {
    fn wants_weights(&self) -> bool {
        true
    }

    fn weights(&mut self, block: &TappedWeights<'_>) -> Result<(), SessionError> {
        let unseen = block.first_key.min(block.tokens_before);
        let seen = block.weights.narrow(2, 0, block.tokens_before - unseen)?;
        let weights = match unseen {
            0 => seen,
            _ => seen.pad_with_zeros(2, unseen, 0)?,
        };
        if self.layers.len() <= block.layer {
            self.layers.resize_with(block.layer + 1, Vec::new);
        }
        if let Some(blocks) = self.layers.get_mut(block.layer) {
            blocks.push(weights);
        }
        Ok(())
    }
}
