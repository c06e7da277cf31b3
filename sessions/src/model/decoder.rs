//! The stack of layers between token ids and logits, without tokenizer or files.

use candle_core::{D, DType, Device, Tensor};
use rayon::prelude::*;

use super::adapters::Adapters;
use super::cache::KvCache;
use super::config::ModelConfig;
use super::kernels::Kernels;
use super::layer::{DecoderLayer, KeySource, Pass};
use super::linear::{Linear, Matrix};
use super::masks::Masks;
use super::norm::Norm;
use super::on_cpu::on_cpu;
use super::rope::Rotary;
use super::tap::{AttentionBefore, Taps};
use super::tensor_names::{EMBEDDING, OUTPUT};
use super::weights::Weights;
use crate::SessionError;

/// Embedding, layers, final norm and output layer. A clone shares the weights.
#[derive(Clone)]
pub(crate) struct Decoder {
    config: ModelConfig,
    embedding: Matrix,
    layers: Vec<DecoderLayer>,
    final_norm: Norm,
    output: Linear,
    rotary: Rotary,
    sliding_rotary: Option<Rotary>,
    is_quantised: bool,
    kernels: Kernels,
    device: Device,
    dtype: DType,
}

impl Decoder {
    /// Takes every tensor that the configuration asks for.
    ///
    /// # Errors
    /// [`SessionError::MissingTensor`] or [`SessionError::TensorShape`].
    pub(crate) fn load(weights: &Weights, config: ModelConfig) -> Result<Self, SessionError> {
        let shape = [config.vocabulary, config.hidden_size];
        let embedded = weights.matrix(EMBEDDING, shape)?;
        // a checkpoint that says that both are one, and yet holds another output layer, is taken at what it holds, as
        // transformers 5 does
        let output = if config.tied_embeddings && !weights.differ(EMBEDDING, OUTPUT) {
            embedded.clone()
        } else {
            weights.matrix(OUTPUT, shape)?
        };
        let layers = (0..config.layers)
            .map(|index| DecoderLayer::load(weights, &config, index))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            embedding: embedded,
            layers,
            final_norm: Norm::load(weights, "model.norm", config.hidden_size, &config)?,
            output: Linear::new(output, None),
            is_quantised: weights.is_quantised(),
            rotary: Rotary::new(&config.rope, config.head_dim),
            kernels: Kernels::of(weights.device()),
            sliding_rotary: config
                .sliding_rope
                .as_ref()
                .map(|rope| Rotary::new(rope, config.head_dim)),
            device: weights.device().clone(),
            dtype: weights.dtype(),
            config,
        })
    }

    /// The same weights, run so that gradients pass.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for quantised weights, which pass none.
    pub(crate) fn differentiable(&self) -> Result<Self, SessionError> {
        if self.is_quantised {
            return Err(SessionError::Plan {
                reason: "a quantised model passes no gradient, so nothing can be trained on it; load it with \
                    --dtype f32 (or bf16, f16), which dequantises it"
                    .to_owned(),
            });
        }
        Ok(Self {
            kernels: self.kernels.differentiable(),
            ..self.clone()
        })
    }

    /// The same weights, run by these kernels.
    pub(crate) fn with_kernels(self, kernels: Kernels) -> Self {
        Self { kernels, ..self }
    }

    /// Which operations it runs by.
    pub(crate) fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// How the weights are held and what they are computed in: `f32`, `bf16` or the name of a mix of quantised
    /// formats, such as `q4_k_m`.
    pub(crate) fn format_name(&self) -> &str {
        match &self.config.stored_dtype {
            Some(mix) if self.is_quantised => mix,
            _ => self.dtype.as_str(),
        }
    }

    /// Shape and switches.
    pub(crate) fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// An empty cache with room for a prompt of `prompt_tokens` tokens and so many behind it.
    pub(crate) fn new_cache(
        &self,
        prompt_tokens: usize,
        tokens_behind: usize,
    ) -> Result<KvCache, SessionError> {
        let (dtype, device) = (self.dtype, &self.device);
        KvCache::new(&self.config, prompt_tokens, tokens_behind, dtype, device)
    }

    /// The norm of what each query head's slice of a layer's output projection makes of values `[G, T, D]` on the CPU:
    /// `[H, T]`, f32. Some tokens at a time, so that their outputs, which are as wide as the stream, stay few.
    ///
    /// # Errors
    /// [`SessionError::Internal`] for a layer that is not there.
    pub(crate) fn output_norms(
        &self,
        layer: usize,
        values: &Tensor,
    ) -> Result<Tensor, SessionError> {
        const TOKENS_AT_ONCE: usize = 512;
        let projection = self.output_projection(layer)?;
        let (heads, head_dim) = (self.config.query_heads, self.config.head_dim);
        let tokens = values.dim(1)?;
        let of_head = |head: usize| {
            let slice = projection
                .narrow(1, head * head_dim, head_dim)?
                .t()?
                .contiguous()?;
            let values = values.get(head / self.config.group_size())?;
            let parts = (0..tokens).step_by(TOKENS_AT_ONCE).map(|start| {
                let count = TOKENS_AT_ONCE.min(tokens - start);
                let part = values.narrow(0, start, count)?.to_dtype(DType::F32)?;
                part.contiguous()?
                    .matmul(&slice)?
                    .sqr()?
                    .sum(D::Minus1)?
                    .sqrt()
            });
            Tensor::cat(&parts.collect::<Result<Vec<_>, _>>()?, 0)
        };
        let norms = (0..heads).into_par_iter().map(of_head);
        Ok(Tensor::stack(&norms.collect::<Result<Vec<_>, _>>()?, 0)?)
    }

    /// Of each query head's slice W of a layer's output projection `[hidden, D]` the products W^T W, `[H, D, D]`, f32 on
    /// the CPU.
    ///
    /// # Errors
    /// [`SessionError::Internal`] for a layer that is not there.
    pub(crate) fn output_grams(&self, layer: usize) -> Result<Tensor, SessionError> {
        let projection = self.output_projection(layer)?;
        let (heads, head_dim) = (self.config.query_heads, self.config.head_dim);
        let of_head = |head: usize| {
            let slice = projection.narrow(1, head * head_dim, head_dim)?;
            let slice = slice.to_dtype(DType::F32)?.contiguous()?;
            slice.t()?.contiguous()?.matmul(&slice)
        };
        let grams = (0..heads).map(of_head).collect::<Result<Vec<_>, _>>()?;
        on_cpu(&Tensor::stack(&grams, 0)?)
    }

    /// A layer's output projection, `[hidden, H * D]`.
    fn output_projection(&self, layer: usize) -> Result<Tensor, SessionError> {
        let weights = self.layers.get(layer).map(DecoderLayer::output_projection);
        let weights = weights.ok_or_else(|| SessionError::Internal {
            reason: format!("layer {layer} of {} was asked for", self.layers.len()),
        })?;
        weights.dense()
    }

    /// Embeddings of tokens, `[R, hidden]`.
    ///
    /// # Errors
    /// [`SessionError::Tokenizer`] for an id that is no token.
    pub(crate) fn embed(&self, ids: &[u32]) -> Result<Tensor, SessionError> {
        if let Some(id) = ids
            .iter()
            .find(|&&id| id as usize >= self.config.vocabulary)
        {
            return Err(SessionError::Tokenizer {
                reason: format!(
                    "token id {id} is outside the model's vocabulary of {}; tokenizer.json and config.json do not belong together",
                    self.config.vocabulary
                ),
            });
        }
        let ids = Tensor::new(ids, &self.device)?;
        let rows = self.embedding.rows(&ids, self.dtype)?;
        match self.config.embedding_scale {
            None => Ok(rows),
            Some(scale) => Ok((rows * scale)?),
        }
    }

    /// Runs rows `[R, hidden]` at `positions` (R of them, for rotation) behind the tokens in the cache, which
    /// they join. A row sees the cache and the rows before it; `adapters` act on these rows alone, `taps` look at
    /// every layer. Gives the residual stream `[R, hidden]`.
    ///
    /// # Errors
    /// [`SessionError::Internal`] if positions and rows differ in number or the cache has no room.
    pub(crate) fn forward(
        &self,
        embeddings: &Tensor,
        positions: &[u32],
        cache: &mut KvCache,
        adapters: Option<&Adapters>,
        taps: Taps<'_, '_>,
    ) -> Result<Tensor, SessionError> {
        let rows = embeddings.dim(0)?;
        if rows != positions.len() || rows > cache.room() {
            return Err(SessionError::Internal {
                reason: format!(
                    "{rows} rows with {} positions do not fit a cache with room for {}",
                    positions.len(),
                    cache.room()
                ),
            });
        }
        let source = KeySource::Cache(cache);
        let stream = self.run_layers(embeddings, positions, source, adapters, taps)?;
        cache.advance(rows);
        Ok(stream)
    }

    /// The attention of rows `[R, hidden]` on the tokens in the cache, behind which they are run at
    /// `positions` as [`forward`](Self::forward) runs them, but which stays as it is: `[H, R, T]` f32 for each
    /// layer in turn, the softmax running over all that a row sees. In differentiable mode the gradients of
    /// embeddings and adapters pass.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the numbers of rows and positions differ.
    pub(crate) fn attention_behind(
        &self,
        embeddings: &Tensor,
        positions: &[u32],
        cache: &KvCache,
        adapters: Option<&Adapters>,
    ) -> Result<Vec<Tensor>, SessionError> {
        let mut attention = AttentionBefore::default();
        let source = KeySource::Behind(cache);
        self.run_layers(
            embeddings,
            positions,
            source,
            adapters,
            &mut [&mut attention],
        )?;
        attention.finish()
    }

    /// Runs `sequences` sequences of the same length from position 0, each seeing only itself.
    /// Ids stand sequence after sequence; gives the residual stream `[R, hidden]` in that order.
    ///
    /// # Errors
    /// [`SessionError::Internal`] if the ids cannot be divided into so many sequences.
    pub(crate) fn forward_sequences(
        &self,
        ids: &[u32],
        sequences: usize,
    ) -> Result<Tensor, SessionError> {
        if sequences == 0 || ids.is_empty() || !ids.len().is_multiple_of(sequences) {
            return Err(SessionError::Internal {
                reason: format!(
                    "{} tokens are not {sequences} sequences of one length",
                    ids.len()
                ),
            });
        }
        let positions: Vec<u32> = (0..ids.len() / sequences)
            .map(|position| position as u32)
            .collect();
        self.run_layers(
            &self.embed(ids)?,
            &positions,
            KeySource::Sequences(sequences),
            None,
            &mut [],
        )
    }

    fn run_layers(
        &self,
        embeddings: &Tensor,
        positions: &[u32],
        source: KeySource<'_>,
        adapters: Option<&Adapters>,
        taps: Taps<'_, '_>,
    ) -> Result<Tensor, SessionError> {
        let (prompt_tokens, before) = match &source {
            KeySource::Cache(cache) | KeySource::Behind(cache) => {
                (cache.prompt_tokens(), cache.len())
            }
            KeySource::Sequences(_) => (positions.len(), 0),
        };
        let (dtype, device) = (self.dtype, &self.device);
        let rotation =
            |rotary: &Rotary| rotary.at(positions, prompt_tokens, dtype, device, self.kernels);
        let pass = Pass {
            rotation: rotation(&self.rotary)?,
            sliding_rotation: self.sliding_rotary.as_ref().map(rotation).transpose()?,
            source,
            masks: Masks::before(before + positions.len(), self.kernels),
            kernels: self.kernels,
            adapters,
        };
        let mut stream = embeddings.clone();
        for layer in &self.layers {
            stream = layer.forward(&stream, &pass, taps)?;
        }
        Ok(stream)
    }

    /// Logits `[R, vocabulary]`, f32, of rows of a residual stream `[R, hidden]`.
    pub(crate) fn logits(&self, stream: &Tensor) -> Result<Tensor, SessionError> {
        let normed = self.final_norm.forward(stream, self.kernels)?;
        let logits = self.output.forward(&normed)?.to_dtype(DType::F32)?;
        match self.config.logit_cap {
            None => Ok(logits),
            Some(cap) => Ok(((logits / cap)?.tanh()? * cap)?),
        }
    }
}
