//! One decoder layer: norm, attention, norm, gated feed-forward, each added to the residual stream.

use candle_core::Tensor;
use candle_nn::{Linear, Module};

use super::attention::{AttentionInput, attend};
use super::cache::KvCache;
use super::config::ModelConfig;
use super::decoder::ForwardMode;
use super::norm::Norm;
use super::rope::Rotation;
use super::row_capture::RowCapture;
use super::weights::Weights;
use crate::SessionError;

/// Which keys and values a row meets besides its own.
pub(crate) enum KeySource<'a> {
    /// Those of one sequence so far, which the rows join.
    Cache(&'a KvCache),
    /// None: the rows are so many sequences of the same length, and each sees only itself.
    Sequences(usize),
}

/// Weights of one layer.
pub(crate) struct DecoderLayer {
    index: usize,
    input_norm: Norm,
    attention: AttentionWeights,
    post_attention_norm: Norm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

struct AttentionWeights {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    query_norm: Option<Norm>,
    key_norm: Option<Norm>,
    head_dim: usize,
    sliding_window: Option<usize>,
    mode: ForwardMode,
}

impl DecoderLayer {
    pub(crate) fn load(
        weights: &Weights,
        config: &ModelConfig,
        index: usize,
        mode: ForwardMode,
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
        let norm =
            |name: &str| Norm::load(weights, &format!("{prefix}.{name}"), hidden, config, mode);
        Ok(Self {
            index,
            input_norm: norm("input_layernorm")?,
            attention: AttentionWeights::load(weights, config, index, mode)?,
            post_attention_norm: norm("post_attention_layernorm")?,
            gate: feed_forward("gate_proj", [wide, hidden])?,
            up: feed_forward("up_proj", [wide, hidden])?,
            down: feed_forward("down_proj", [hidden, wide])?,
        })
    }

    /// Residual stream `[R, hidden]` in and out; keys and values of the rows go into the cache if there is one.
    pub(crate) fn forward(
        &self,
        stream: &Tensor,
        rotation: &Rotation,
        source: &KeySource<'_>,
        capture: Option<&mut RowCapture>,
    ) -> Result<Tensor, SessionError> {
        let normed = self.input_norm.forward(stream)?;
        let stream = (stream + self.attend(&normed, rotation, source, capture)?)?;
        let normed = self.post_attention_norm.forward(&stream)?;
        let gated =
            (candle_nn::ops::silu(&self.gate.forward(&normed)?)? * self.up.forward(&normed)?)?;
        Ok((stream + self.down.forward(&gated)?)?)
    }

    fn attend(
        &self,
        normed: &Tensor,
        rotation: &Rotation,
        source: &KeySource<'_>,
        capture: Option<&mut RowCapture>,
    ) -> Result<Tensor, SessionError> {
        let weights = &self.attention;
        let rows = normed.dim(0)?;
        let sequences = match source {
            KeySource::Cache(_) => 1,
            KeySource::Sequences(sequences) => *sequences,
        };
        let heads = |projection, norm| weights.heads(projection, normed, sequences, norm);
        let queries = rotation.apply(&heads(&weights.query, weights.query_norm.as_ref())?)?;
        let keys = rotation.apply(&heads(&weights.key, weights.key_norm.as_ref())?)?;
        let values = heads(&weights.value, None)?;
        let (first_index, keys, values) = match source {
            KeySource::Cache(cache) => {
                let (keys, values) = cache.append(self.index, &keys, &values)?;
                (cache.len(), keys, values)
            }
            KeySource::Sequences(_) => (0, keys.contiguous()?, values.contiguous()?),
        };
        let (sliding_window, hidden_keys) = match source {
            KeySource::Cache(cache) => {
                cache.sliding_window(self.index, rows, weights.sliding_window)?
            }
            KeySource::Sequences(_) => (weights.sliding_window, None),
        };
        let attended = attend(&AttentionInput {
            queries: &queries,
            keys: &keys,
            values: &values,
            first_index,
            sliding_window,
            hidden_keys: hidden_keys.as_ref(),
            mode: weights.mode,
        })?;
        if let (Some(capture), Some(log_sum_exp)) = (capture, &attended.log_sum_exp) {
            capture.offer(self.index, first_index, &queries, log_sum_exp)?;
        }
        // [sequences * H, R / sequences, D] -> [R, H * D]
        let merged = attended
            .context
            .reshape((sequences, (), rows / sequences, weights.head_dim))?
            .transpose(1, 2)?
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
        mode: ForwardMode,
    ) -> Result<Self, SessionError> {
        let prefix = format!("model.layers.{layer}.self_attn");
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
                .then(|| Norm::load(weights, &format!("{prefix}.{name}"), head_dim, config, mode))
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
            mode,
        })
    }

    /// Projects `[R, hidden]` to the heads of every sequence, `[sequences * heads, R / sequences, D]`.
    fn heads(
        &self,
        projection: &Linear,
        normed: &Tensor,
        sequences: usize,
        norm: Option<&Norm>,
    ) -> Result<Tensor, SessionError> {
        let rows = normed.dim(0)? / sequences;
        let split = projection
            .forward(normed)?
            .reshape((sequences, rows, (), self.head_dim))?;
        let split = match norm {
            Some(norm) => norm.forward(&split)?,
            None => split,
        };
        Ok(split.transpose(1, 2)?.flatten(0, 1)?)
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
