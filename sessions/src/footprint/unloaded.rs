//! What a model that is not loaded will take.

use candle_core::DType;

use super::memory::Memory;
use super::shape::RunShape;
use super::weights::WeightSize;
use crate::SessionError;
use crate::model::{Checkpoint, DtypeChoice, ModelConfig, ModelSource};
use crate::prefill::CHUNK_TOKENS;

/// What a tokenizer takes for each byte of its tokenizer.json, with what reading it leaves behind in the allocator:
/// measured, 12 and 15, with 128,000 tokens and as many merges in both spellings that Hugging Face writes.
const TOKENIZER_FACTOR: f64 = 14.0;

/// A model that is not loaded.
pub(crate) struct UnloadedModel {
    pub(crate) config: ModelConfig,
    pub(crate) weights: WeightSize,
    /// Of tokenizer.json.
    tokenizer_bytes: f64,
}

impl UnloadedModel {
    pub(crate) fn of(checkpoint: &Checkpoint, dtype: DtypeChoice) -> Result<Self, SessionError> {
        let config = ModelConfig::from_json(&checkpoint.config)?;
        Ok(Self {
            weights: WeightSize::of(&checkpoint.weights, &config, dtype.keeps_quantised())?,
            tokenizer_bytes: checkpoint.tokenizer.len() as f64,
            config,
        })
    }

    /// One whose weights are counted elsewhere, and that has no tokenizer.
    pub(crate) fn without_weights(config: ModelConfig) -> Self {
        Self {
            config,
            weights: WeightSize::default(),
            tokenizer_bytes: 0.0,
        }
    }

    /// What the weights take besides from their first products on.
    pub(crate) fn repacked(&self, run: &RunShape<'_>) -> Memory {
        match run.on_gpu {
            true => Memory::default(),
            false => Memory::on_host(self.weights.repacked_bytes()),
        }
    }

    /// Weights on the device and tokenizer beside it.
    pub(crate) fn loaded(&self, run: &RunShape<'_>) -> Memory {
        let weights = self.weights.bytes(run.element_bytes as f64);
        run.beside_the_model(weights) + self.tokenizer()
    }

    /// The tokenizer.
    pub(crate) fn tokenizer(&self) -> Memory {
        Memory::on_host(TOKENIZER_FACTOR * self.tokenizer_bytes)
    }
}

/// A drafting checkpoint: what it takes from before the first sample on, and drafting `tokens` tokens.
pub(crate) fn drafter_memory(
    source: &ModelSource,
    dtype: DtypeChoice,
    tokens: usize,
    run: &RunShape<'_>,
) -> Result<(Memory, Memory), SessionError> {
    let model = UnloadedModel::of(&Checkpoint::find(source)?, dtype)?;
    let dtype = dtype.resolve_on(!run.on_gpu, model.config.stored_dtype.as_deref());
    let own = RunShape {
        config: &model.config,
        source,
        element_bytes: dtype.size_in_bytes(),
        widens_products: !run.on_gpu && dtype == DType::BF16,
        dequantises: !run.on_gpu && model.weights.are_quantised(),
        ..*run
    };
    let chunk = CHUNK_TOKENS.min(run.prompt_tokens);
    let room = run.prompt_tokens.saturating_add(tokens);
    let cache = own.beside_the_model(own.cache(model.config.kv_heads, room));
    let rows = own.beside_the_model(own.rows(chunk));
    let drafting = cache + rows + own.forward(chunk, run.prompt_tokens);
    Ok((model.loaded(&own) + model.repacked(&own), drafting))
}
