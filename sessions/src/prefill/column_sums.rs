//! The attention that all prompt rows pay to each prompt token, summed up block by block.

use candle_core::{DType, Device, Tensor};

use crate::SessionError;
use crate::model::{LayerTap, ModelConfig, ScoreBlocks, TappedWeights};
use crate::stopwatch::Stopwatch;

/// Column sums of the causal attention matrix, per layer and query head: of the very weights that the model uses, so a
/// row adds 1 in all.
#[derive(Debug)]
pub(crate) struct ColumnSums {
    /// L entries `[H, n]`, f32, on the model's device, for the n tokens so far.
    layers: Vec<Option<Tensor>>,
    blocks: ScoreBlocks,
    seconds: f64,
}

impl ColumnSums {
    pub(super) fn new(config: &ModelConfig, blocks: ScoreBlocks) -> Self {
        Self {
            layers: vec![None; config.layers],
            blocks,
            seconds: 0.0,
        }
    }

    /// `[L, H, T]`, f32, on the CPU.
    pub(crate) fn tensor(&self) -> Result<Tensor, SessionError> {
        let layers = self
            .layers
            .iter()
            .flatten()
            .map(|sums| sums.to_device(&Device::Cpu))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::stack(&layers, 0)?)
    }

    /// Wall time of the summing, during prefill. The weights are those of the forward pass.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Bytes of the largest block of weights over a prompt of so many tokens.
    pub(crate) fn block_bytes(&self, config: &ModelConfig, prompt_tokens: usize) -> usize {
        let heads = config.query_heads;
        ScoreBlocks::row_bytes(heads, prompt_tokens) * self.blocks.rows(heads, prompt_tokens)
    }
}

impl LayerTap for ColumnSums {
    fn wants_weights(&self) -> bool {
        true
    }

    fn weights(&mut self, block: &TappedWeights<'_>) -> Result<(), SessionError> {
        let watch = Stopwatch::start(block.weights.device())?;
        let (heads, rows, keys) = block.weights.dims3()?;
        // a product with ones goes through the weights once, along their rows
        let ones = Tensor::ones((heads, 1, rows), DType::F32, block.weights.device())?;
        let added = ones.matmul(block.weights)?.squeeze(1)?;
        let added = added.pad_with_zeros(1, block.first_key, 0)?;
        if let Some(sums) = self.layers.get_mut(block.layer) {
            *sums = Some(match sums.take() {
                None => added,
                Some(before) => {
                    let room = block.first_key + keys - before.dim(1)?;
                    (before.pad_with_zeros(1, 0, room)? + added)?
                }
            });
        }
        self.seconds += watch.seconds()?;
        Ok(())
    }
}
