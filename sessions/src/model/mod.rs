//! The decoder: Hugging Face checkpoints and GGUF files of several families, run by one implementation that hands out
//! the queries and log-sum-exps of chosen rows.
//!
//! candle-transformers' models keep their attention private, which is why this decoder is our own.

mod adapters;
mod attention;
mod cache;
mod chat;
mod chat_python;
mod chat_variables;
mod checkpoint;
mod companion;
mod config;
mod config_json;
mod decoder;
mod device;
mod evicted;
mod family;
mod flash;
mod flops;
pub(crate) mod gguf;
mod layer;
mod layer_kinds;
mod linear;
mod next_token;
mod norm;
pub(crate) mod one_sweep;
mod projections;
mod rope;
mod rope_scaling;
mod row_capture;
mod score_blocks;
mod text;
mod weights;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

pub(crate) use adapters::{Adapters, LowRank, Projection};
pub use cache::KvCache;
pub use chat_variables::ChatVariables;
pub use checkpoint::ModelSource;
pub(crate) use checkpoint::{Checkpoint, WeightFiles};
pub(crate) use companion::Companion;
pub use config::{ModelConfig, NormPlacement, QkNorm};
pub(crate) use decoder::{Decoder, ForwardMode};
pub use device::{DeviceChoice, DeviceReport, DtypeChoice, devices};
pub(crate) use device::{device_name, free_device_memory};
pub use evicted::Evicted;
pub use family::Family;
pub use flash::AttentionKernel;
pub(crate) use next_token::{sampled_token, top_token};
pub use rope::RopeConfig;
#[cfg(test)]
pub(crate) use rope::Rotary;
pub use rope_scaling::{LongRope, RopeScaling, Yarn};
pub(crate) use row_capture::{CapturedRows, RowCapture};
pub(crate) use score_blocks::{ScoreBlocks, causal_mask};
pub use text::EncodedPrompt;
pub(crate) use text::TextCodec;
pub(crate) use weights::{Parameters, Weights, hex, sha256_hex};

use crate::SessionError;
use text::json_field;
use weights::weights_sha256;

/// What tells one model from another, for the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Short name for tables: `demo`, or the name of the folder or file.
    pub name: String,
    /// Architecture name as Hugging Face spells it.
    pub architecture: String,
    /// SHA-256 of config.json, or of what a GGUF file's header says in its words.
    pub config_sha256: String,
    /// SHA-256 over all weight files in the order of their names.
    pub weights_sha256: String,
    /// SHA-256 of tokenizer.json, or of what a GGUF file's header says in its words.
    pub tokenizer_sha256: String,
}

/// A loaded model with its tokenizer.
pub struct Model {
    decoder: Decoder,
    source: ModelSource,
    identity: ModelIdentity,
    text: TextCodec,
    eos_token_ids: Vec<u32>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Loads a checkpoint.
    ///
    /// # Errors
    /// A sentence for each way in which a checkpoint can be unusable: missing or damaged files, a field
    /// or an architecture that is not understood, a tensor that is missing or has the wrong shape.
    pub fn load(
        source: &ModelSource,
        device: DeviceChoice,
        dtype: DtypeChoice,
    ) -> Result<Self, SessionError> {
        let checkpoint = Checkpoint::find(source)?;
        let config = ModelConfig::from_json(&checkpoint.config)?;
        let text = TextCodec::open(&checkpoint)?;
        let device = device.open()?;
        let dtype = dtype.resolve(&device, config.stored_dtype.as_deref());
        let weights = Weights::open(&checkpoint.weights, config.head_dim, &device, dtype)?;
        // before the hash, which takes long for large files and says nothing about one that does not fit
        let decoder = Decoder::load(&weights, config, ForwardMode::Fused)?;
        Ok(Self {
            source: source.clone(),
            identity: ModelIdentity {
                name: checkpoint.name.clone(),
                architecture: decoder.config().family.architecture().to_owned(),
                config_sha256: sha256_hex(&checkpoint.config),
                weights_sha256: weights_sha256(&checkpoint.weights)?,
                tokenizer_sha256: text.sha256().to_owned(),
            },
            text,
            eos_token_ids: eos_token_ids(&checkpoint, decoder.config()),
            decoder,
        })
    }

    /// The same model, run with this kernel for prompt rows of which nothing is kept.
    #[must_use]
    pub fn with_attention(self, kernel: AttentionKernel) -> Self {
        Self {
            decoder: self.decoder.with_attention(kernel),
            ..self
        }
    }

    /// Shape and switches.
    pub fn config(&self) -> &ModelConfig {
        self.decoder.config()
    }

    /// Name and hashes.
    pub fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    /// The device in use, as `--device` writes it.
    pub fn device_name(&self) -> String {
        device::device_name(self.decoder.device())
    }

    /// The number format in use, such as `f32`, or `q4_k_m` for quantised weights.
    pub fn dtype_name(&self) -> &str {
        self.decoder.format_name()
    }

    /// Whether generation ends with this token.
    pub fn is_end_of_text(&self, token: u32) -> bool {
        self.eos_token_ids.contains(&token)
    }

    /// A prompt's token ids and pieces. With `chat`, through the checkpoint's chat template, which
    /// is given these variables.
    ///
    /// # Errors
    /// [`SessionError::Tokenizer`] if the tokenizer or the template refuses the text.
    pub fn encode_prompt(
        &self,
        prompt: &str,
        chat: Option<&ChatVariables>,
    ) -> Result<EncodedPrompt, SessionError> {
        self.text.encode_prompt(prompt, chat)
    }

    /// Ids of a text that continues a prompt, without special tokens.
    ///
    /// # Errors
    /// [`SessionError::Tokenizer`] if the tokenizer refuses the text.
    pub fn encode_continuation(&self, text: &str) -> Result<Vec<u32>, SessionError> {
        self.text.encode_continuation(text)
    }

    /// Whether an id means the same token to both models.
    pub fn has_vocabulary_of(&self, other: &Self) -> bool {
        self.text.has_vocabulary_of(&other.text)
    }

    /// Text of generated ids, special tokens left out.
    ///
    /// # Errors
    /// [`SessionError::Tokenizer`] if an id is unknown.
    pub fn decode_text(&self, ids: &[u32]) -> Result<String, SessionError> {
        self.text.decode(ids)
    }

    /// An empty cache with room for a prompt of `prompt_tokens` tokens (T) and so many behind it. With LongRoPE it is
    /// T that decides how all of them are rotated.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device has not that much memory.
    pub fn new_cache(
        &self,
        prompt_tokens: usize,
        tokens_behind: usize,
    ) -> Result<KvCache, SessionError> {
        self.decoder.new_cache(prompt_tokens, tokens_behind)
    }

    /// Embeddings of tokens, `[R, hidden]`.
    pub(crate) fn embed(&self, ids: &[u32]) -> Result<Tensor, SessionError> {
        self.decoder.embed(ids)
    }

    /// Rows `[R, hidden]` on the model's device and in its dtype, as [`embed`](Self::embed) gives them.
    pub(crate) fn like_embeddings(&self, rows: &Tensor) -> Result<Tensor, SessionError> {
        let (device, dtype) = (self.decoder.device(), self.decoder.dtype());
        Ok(rows.to_device(device)?.to_dtype(dtype)?)
    }

    /// See [`Decoder::forward`].
    pub(crate) fn forward(
        &self,
        embeddings: &Tensor,
        positions: &[u32],
        cache: &mut KvCache,
        capture: Option<&mut RowCapture>,
    ) -> Result<Tensor, SessionError> {
        self.decoder
            .forward(embeddings, positions, cache, None, capture)
    }

    /// Where it was loaded from.
    pub(crate) fn source(&self) -> &ModelSource {
        &self.source
    }

    /// The layers without tokenizer and files.
    pub(crate) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Feeds tokens behind those in the cache and gives the logits `[vocabulary]`, f32, of what follows them.
    ///
    /// # Errors
    /// [`SessionError::Plan`] if the cache has no room, [`SessionError::Tokenizer`] for an id that is no token.
    pub fn next_logits(&self, ids: &[u32], cache: &mut KvCache) -> Result<Tensor, SessionError> {
        let first = cache.len();
        let positions: Vec<u32> = (first..first + ids.len())
            .map(|position| position as u32)
            .collect();
        let stream = self.forward(&self.embed(ids)?, &positions, cache, None)?;
        self.last_logits(&stream)
    }

    /// Logits `[R, vocabulary]`, f32, of a residual stream `[R, hidden]`.
    pub(crate) fn logits(&self, stream: &Tensor) -> Result<Tensor, SessionError> {
        self.decoder.logits(stream)
    }

    /// Logits `[vocabulary]`, f32, of the last row of a residual stream `[R, hidden]`.
    pub(crate) fn last_logits(&self, stream: &Tensor) -> Result<Tensor, SessionError> {
        let last = stream.narrow(0, stream.dim(0)? - 1, 1)?;
        Ok(self.decoder.logits(&last)?.squeeze(0)?)
    }
}

/// generation_config.json goes before config.json, as in transformers.
fn eos_token_ids(checkpoint: &Checkpoint, config: &ModelConfig) -> Vec<u32> {
    let generation = json_field(checkpoint.generation_config.as_deref(), "eos_token_id");
    match config::token_ids(generation.as_ref()) {
        ids if ids.is_empty() => config.eos_token_ids.clone(),
        ids => ids,
    }
}
