//! One decoder layer: norm, attention, norm, gated feed-forward, each added to the residual stream.

use candle_core::Tensor;
use candle_nn::{Linear, Module, RmsNorm};

use super::attention::{AttentionInput, attend};
use super::cache::KvCache;
use super::config::ModelConfig;
use super::rope::Rotation;
use super::row_capture::RowCapture;
use super::weights::Weights;
use crate::SessionError;

/// Weights of one layer.
pub(crate) struct DecoderLayer {
    index: usize,
    input_norm: RmsNorm,
    attention: AttentionWeights,
    post_attention_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

struct AttentionWeights {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    query_norm: Option<RmsNorm>,
    key_norm: Option<RmsNorm>,
    head_dim: usize,
    sliding_window: Option<usize>,
}

impl DecoderLayer {
    pub(crate) fn load(
        weights: &Weights,
        config: &ModelConfig,
        index: usize,
    ) -> Result<Self, SessionError> {
        let prefix = format!("model.layers.{index}");
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let feed_forward = |name: &str, shape: [usize; 2]| {
            linear(
                weights,
                &format!("{prefix}.mlp.{name}"),
                shape,
                config.feed_forward_bias,
            )
        };
        Ok(Self {
            index,
            input_norm: norm(
                weights,
                &format!("{prefix}.input_layernorm"),
                hidden,
                config,
            )?,
            attention: AttentionWeights::load(
                weights,
                config,
                index,
                &format!("{prefix}.self_attn"),
            )?,
            post_attention_norm: norm(
                weights,
                &format!("{prefix}.post_attention_layernorm"),
                hidden,
                config,
            )?,
            gate: feed_forward("gate_proj", [wide, hidden])?,
            up: feed_forward("up_proj", [wide, hidden])?,
            down: feed_forward("down_proj", [hidden, wide])?,
        })
    }

    /// Residual stream `[R, hidden]` in and out; keys and values of the rows go into the cache.
    pub(crate) fn forward(
        &self,
        stream: &Tensor,
        rotation: &Rotation,
        cache: &KvCache,
        capture: Option<&mut RowCapture>,
    ) -> Result<Tensor, SessionError> {
        let normed = self.input_norm.forward(stream)?;
        let stream = (stream + self.attend(&normed, rotation, cache, capture)?)?;
        let normed = self.post_attention_norm.forward(&stream)?;
        let gated =
            (candle_nn::ops::silu(&self.gate.forward(&normed)?)? * self.up.forward(&normed)?)?;
        Ok((stream + self.down.forward(&gated)?)?)
    }

    fn attend(
        &self,
        normed: &Tensor,
        rotation: &Rotation,
        cache: &KvCache,
        capture: Option<&mut RowCapture>,
    ) -> Result<Tensor, SessionError> {
        let weights = &self.attention;
        let rows = normed.dim(0)?;
        let queries = rotation.apply(&weights.heads(
            &weights.query,
            normed,
            weights.query_norm.as_ref(),
        )?)?;
        let keys =
            rotation.apply(&weights.heads(&weights.key, normed, weights.key_norm.as_ref())?)?;
        let values = weights.heads(&weights.value, normed, None)?;
        let first_index = cache.len();
        let (keys, values) = cache.append(self.index, &keys, &values)?;
        let (sliding_window, hidden_keys) =
            cache.sliding_window(self.index, rows, weights.sliding_window)?;
        let attended = attend(&AttentionInput {
            queries: &queries,
            keys: &keys,
            values: &values,
            first_index,
            sliding_window,
            hidden_keys: hidden_keys.as_ref(),
        })?;
        if let Some(capture) = capture {
            capture.offer(self.index, first_index, &queries, &attended.log_sum_exp)?;
        }
        // [H, R, D] -> [R, H * D]
        let merged = attended
            .context
            .transpose(0, 1)?
            .contiguous()?
            .reshape((rows, ()))?;
        Ok(weights.output.forward(&merged)?)
    }
}

impl AttentionWeights {
    fn load(
        weights: &Weights,
        config: &ModelConfig,
        layer: usize,
        prefix: &str,
    ) -> Result<Self, SessionError> {
        let (hidden, head_dim) = (config.hidden_size, config.head_dim);
        let (query_width, kv_width) = (config.query_heads * head_dim, config.kv_heads * head_dim);
        let projection = |name: &str, width: usize| {
            linear(
                weights,
                &format!("{prefix}.{name}"),
                [width, hidden],
                config.qkv_bias,
            )
        };
        let head_norm = |name: &str| {
            config
                .qk_norm
                .then(|| norm(weights, &format!("{prefix}.{name}"), head_dim, config))
                .transpose()
        };
        Ok(Self {
            query: projection("q_proj", query_width)?,
            key: projection("k_proj", kv_width)?,
            value: projection("v_proj", kv_width)?,
            output: linear(
                weights,
                &format!("{prefix}.o_proj"),
                [hidden, query_width],
                config.output_bias,
            )?,
            query_norm: head_norm("q_norm")?,
            key_norm: head_norm("k_norm")?,
            head_dim,
            sliding_window: config.sliding_windows.get(layer).copied().flatten(),
        })
    }

    /// Projects `[R, hidden]` to heads `[heads, R, D]`.
    fn heads(
        &self,
        projection: &Linear,
        normed: &Tensor,
        norm: Option<&RmsNorm>,
    ) -> Result<Tensor, SessionError> {
        let rows = normed.dim(0)?;
        let split = projection
            .forward(normed)?
            .reshape((rows, (), self.head_dim))?;
        let split = match norm {
            Some(norm) => norm.forward(&split)?,
            None => split,
        };
        Ok(split.transpose(0, 1)?)
    }
}

fn linear(
    weights: &Weights,
    name: &str,
    shape: [usize; 2],
    bias: bool,
) -> Result<Linear, SessionError> {
    let weight = weights.get(&format!("{name}.weight"), &shape)?;
    let bias = bias
        .then(|| weights.get(&format!("{name}.bias"), &shape[..1]))
        .transpose()?;
    Ok(Linear::new(weight, bias))
}

/// An RMS norm over the last dimension of `width`.
pub(crate) fn norm(
    weights: &Weights,
    name: &str,
    width: usize,
    config: &ModelConfig,
) -> Result<RmsNorm, SessionError> {
    let weight = weights.get(&format!("{name}.weight"), &[width])?;
    Ok(RmsNorm::new(weight, config.rms_norm_eps))
}
