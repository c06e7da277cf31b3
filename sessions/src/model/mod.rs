//! The decoder: Hugging Face checkpoints and GGUF files of several families, run by one implementation that hands out
//! the queries and log-sum-exps of chosen rows.
//!
//! candle-transformers' models keep their attention private, which is why this decoder is our own.

mod adapters;
mod attention;
mod cache;
mod chat;
mod chat_bounds;
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
mod feed_forward;
mod flash;
mod flops;
pub(crate) mod gguf;
mod kept_queries;
mod kernels;
mod layer;
mod layer_kinds;
mod linear;
mod masks;
mod mixture;
mod next_token;
mod norm;
mod on_cpu;
mod on_hub;
pub(crate) mod one_sweep;
mod opened_device;
mod projections;
mod rope;
mod rope_scaling;
mod rows_on_keys;
mod score_blocks;
mod tap;
mod tensor_names;
mod text;
mod text_rules;
mod tokenizer_bounds;
mod tokenizer_files;
mod weights;

use candle_core::Tensor;
use kvlens_datasets::Sample;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use adapters::{Adapters, LowRank, Projection};
pub(crate) use attention::attend;
pub use cache::KvCache;
pub use chat_variables::ChatVariables;
pub use checkpoint::ModelSource;
pub(crate) use checkpoint::{Checkpoint, WeightFiles};
pub(crate) use companion::{Companion, MOST_WINDOW_BYTES};
pub use config::{Activation, Experts, ModelConfig, NormPlacement, QkNorm};
pub(crate) use decoder::Decoder;
pub use device::{DeviceChoice, DeviceReport, DtypeChoice, devices};
pub(crate) use device::{device_name, formats_of, free_device_memory};
pub use evicted::Evicted;
pub use family::Family;
pub use flash::{AttentionKernel, flash_heads};
pub(crate) use flash::{report as flash_report, unavailable as flash_unavailable};
pub(crate) use kept_queries::{CapturedRows, KeptQueries};
pub(crate) use kernels::Kernels;
pub(crate) use linear::dequantised_bytes;
pub(crate) use masks::{Masks, chosen};
pub(crate) use next_token::{TokenChooser, top_token};
pub(crate) use on_cpu::{on_cpu, view_on_cpu};
use opened_device::Opened;
pub use rope::RopeConfig;
#[cfg(test)]
pub(crate) use rope::Rotary;
pub use rope_scaling::{LongRope, RopeScaling, Yarn};
pub(crate) use rows_on_keys::RowsOnKeys;
pub(crate) use score_blocks::ScoreBlocks;
pub(crate) use tap::{LayerTap, TappedRows, TappedWeights, Taps};
pub(crate) use tensor_names::{EMBEDDING, OUTPUT, TensorNames};
pub use text::EncodedPrompt;
pub(crate) use text::TextCodec;
pub use text_rules::{ChatTemplateIdentity, TextRules};
pub(crate) use weights::{Parameters, Weights};

use crate::hash::sha256_hex;
use crate::{CancelFlag, SessionError};
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
    warnings: Vec<String>,
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
        Self::load_unless_cancelled(source, device, dtype, &CancelFlag::default())
    }

    /// As [`load`](Self::load), but can be stopped while the weights are hashed, which takes minutes where they are
    /// large.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`SessionError::Cancelled`].
    pub fn load_unless_cancelled(
        source: &ModelSource,
        device: DeviceChoice,
        dtype: DtypeChoice,
        cancel: &CancelFlag,
    ) -> Result<Self, SessionError> {
        let checkpoint = Checkpoint::find(source)?;
        let config = ModelConfig::from_json(&checkpoint.config)?;
        let text = TextCodec::open(&checkpoint)?;
        let Opened {
            device,
            passed_over,
        } = device.open()?;
        let keeps_quantised = dtype.keeps_quantised();
        let dtype = dtype.resolve(&device, config.stored_dtype.as_deref())?;
        let (files, head_dim) = (&checkpoint.weights, config.head_dim);
        let weights = Weights::open(files, head_dim, &device, dtype, keeps_quantised)?;
        // before the hash, which takes long for large files and says nothing about one that does not fit
        let decoder = Decoder::load(&weights, config)?;
        Ok(Self {
            source: source.clone(),
            identity: ModelIdentity {
                name: checkpoint.name.clone(),
                architecture: decoder.config().family.architecture().to_owned(),
                config_sha256: sha256_hex(&checkpoint.config),
                weights_sha256: weights_sha256(&checkpoint.weights, cancel)?,
                tokenizer_sha256: text.sha256().to_owned(),
            },
            warnings: [
                passed_over,
                warnings(&checkpoint, &text, &decoder, &weights),
            ]
            .concat(),
            text,
            eos_token_ids: eos_token_ids(&checkpoint, decoder.config()),
            decoder,
        })
    }

    /// The same model, run with this kernel for rows whose weights no window needs. On a card, [warnings](Self::warnings)
    /// say whether it is flash attention.
    #[must_use]
    pub fn with_attention(mut self, kernel: AttentionKernel) -> Self {
        let (device, dtype) = (self.decoder.device(), self.decoder.dtype());
        let flash = match (kernel, device.is_cpu()) {
            (AttentionKernel::Blocks, _) | (AttentionKernel::Auto, true) => false,
            (AttentionKernel::Flash, true) => true,
            (AttentionKernel::Auto | AttentionKernel::Flash, false) => {
                let unavailable = flash::unavailable(device, dtype, self.config().head_dim);
                let told = match &unavailable {
                    None => Some(
                        "prompt rows of which nothing is kept go through flash attention; --attention blocks does without"
                            .to_owned(),
                    ),
                    Some(reason) if kernel == AttentionKernel::Flash => {
                        Some(format!("there is no flash attention here: {reason}"))
                    }
                    Some(_) => None,
                };
                self.warnings.extend(told);
                unavailable.is_none()
            }
        };
        let kernels = Kernels {
            flash,
            ..self.decoder.kernels()
        };
        self.with_kernels(kernels)
    }

    /// The same model on the device where it is, run by the operations that a GPU is run by: to check them without
    /// one.
    #[must_use]
    pub fn with_operations_of_a_gpu(self) -> Self {
        self.with_kernels(Kernels::of_gpu())
    }

    /// The same files around other layers.
    pub(crate) fn with_decoder(self, decoder: Decoder) -> Self {
        Self { decoder, ..self }
    }

    fn with_kernels(self, kernels: Kernels) -> Self {
        Self {
            decoder: self.decoder.with_kernels(kernels),
            ..self
        }
    }

    /// What of the checkpoint was read otherwise than it may be meant, a sentence each, for whoever loads it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Shape and switches.
    pub fn config(&self) -> &ModelConfig {
        self.decoder.config()
    }

    /// Name and hashes.
    pub fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    /// What shapes prompts and answers besides what the identity names; with `chat`, the chat template.
    pub fn text_rules(&self, chat: bool) -> TextRules {
        TextRules {
            chat_template: self.text.chat_template().filter(|_| chat),
            end_of_text_ids: self.eos_token_ids.clone(),
        }
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

    /// A sample's token ids and pieces as it runs: with the answer's first words, and, with `chat`, through the
    /// chat template unless its benchmark leaves that off.
    ///
    /// # Errors
    /// [`SessionError::Tokenizer`] if the tokenizer or the template refuses the text.
    pub fn encode_sample(
        &self,
        sample: &Sample,
        chat: Option<&ChatVariables>,
    ) -> Result<EncodedPrompt, SessionError> {
        self.text.encode_sample(sample, chat)
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

    /// The text that each of the generated ids adds, for showing; a token that adds none has its own name.
    ///
    /// # Errors
    /// As [`Model::decode_text`].
    pub fn decode_pieces(&self, ids: &[u32]) -> Result<Vec<String>, SessionError> {
        self.text.pieces(ids)
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
        taps: Taps<'_, '_>,
    ) -> Result<Tensor, SessionError> {
        self.decoder
            .forward(embeddings, positions, cache, None, taps)
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
    /// [`SessionError::Internal`] if the cache has no room, [`SessionError::Tokenizer`] for an id that is no token.
    pub fn next_logits(&self, ids: &[u32], cache: &mut KvCache) -> Result<Tensor, SessionError> {
        let first = cache.len();
        let positions: Vec<u32> = (first..first + ids.len())
            .map(|position| position as u32)
            .collect();
        let stream = self.forward(&self.embed(ids)?, &positions, cache, &mut [])?;
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

/// Whatever a checkpoint's parts have to say.
fn warnings(
    checkpoint: &Checkpoint,
    text: &TextCodec,
    decoder: &Decoder,
    weights: &Weights,
) -> Vec<String> {
    let mut warnings = checkpoint.warnings.clone();
    warnings.extend_from_slice(text.warnings());
    let generation = checkpoint.generation_config.as_deref();
    if generation.is_some_and(|file| serde_json::from_slice::<Map<String, Value>>(file).is_err()) {
        warnings.push(
            "generation_config.json is no JSON object, so what ends a text is taken from config.json; fetch it again"
                .to_owned(),
        );
    }
    if decoder.config().qkv_bias && !weights.holds("model.layers.0.self_attn.q_proj.bias") {
        warnings.push(
            "the configuration speaks of biases of queries, keys and values that the weights do not have; they count as zeros"
                .to_owned(),
        );
    }
    warnings
}

/// generation_config.json goes before config.json, as in transformers.
fn eos_token_ids(checkpoint: &Checkpoint, config: &ModelConfig) -> Vec<u32> {
    let generation = json_field(checkpoint.generation_config.as_deref(), "eos_token_id");
    match config::token_ids(generation.as_ref()) {
        ids if ids.is_empty() => config.eos_token_ids.clone(),
        ids => ids,
    }
}
