//! One decoder layer: norm, attention, norm, gated feed-forward, each added to the residual stream.

use candle_core::Tensor;
use candle_nn::{Linear, Module};

use super::adapters::{Adapters, LowRank, Projection};
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
    /// Those of one sequence, which stay as they are.
    Behind(&'a KvCache),
    /// None: the rows are so many sequences of the same length, and each sees only itself.
    Sequences(usize),
}

/// What one run through the layers is done with.
pub(crate) struct Pass<'a> {
    pub(crate) rotation: Rotation,
    pub(crate) source: KeySource<'a>,
    pub(crate) mode: ForwardMode,
    /// Low-rank additions that act on the rows of this run.
    pub(crate) adapters: Option<&'a Adapters>,
}

/// What is kept of a run besides its result.
pub(crate) enum Capture<'a> {
    Nothing,
    /// Queries and log-sum-exps of rows.
    Rows(&'a mut RowCapture),
    /// The rows' attention on the tokens that were there before them, `[H, R, T]` f32 a layer.
    AttentionOnCache(&'a mut Vec<Tensor>),
}

/// Weights of one layer.
#[derive(Clone)]
pub(crate) struct DecoderLayer {
    index: usize,
    input_norm: Norm,
    attention: AttentionWeights,
    post_attention_norm: Norm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

#[derive(Clone)]
struct AttentionWeights {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    query_norm: Option<Norm>,
    key_norm: Option<Norm>,
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
        let norm = |name: &str| Norm::load(weights, &format!("{prefix}.{name}"), hidden, config);
        Ok(Self {
            index,
            input_norm: norm("input_layernorm")?,
            attention: AttentionWeights::load(weights, config, index)?,
            post_attention_norm: norm("post_attention_layernorm")?,
            gate: feed_forward("gate_proj", [wide, hidden])?,
            up: feed_forward("up_proj", [wide, hidden])?,
            down: feed_forward("down_proj", [hidden, wide])?,
        })
    }

    /// Residual stream `[R, hidden]` in and out; keys and values of the rows go into the cache if they join one.
    pub(crate) fn forward(
        &self,
        stream: &Tensor,
        pass: &Pass<'_>,
        capture: &mut Capture<'_>,
    ) -> Result<Tensor, SessionError> {
        let normed = self.input_norm.forward(stream, pass.mode)?;
        let stream = (stream + self.attend(&normed, pass, capture)?)?;
        let normed = self.post_attention_norm.forward(&stream, pass.mode)?;
        let gate = self.project(&self.gate, Projection::Gate, &normed, pass)?;
        let up = self.project(&self.up, Projection::Up, &normed, pass)?;
        let gated = (candle_nn::ops::silu(&gate)? * up)?;
        Ok((stream + self.project(&self.down, Projection::Down, &gated, pass)?)?)
    }

    /// A linear layer with what the run's adapters add to it.
    fn project(
        &self,
        linear: &Linear,
        projection: Projection,
        rows: &Tensor,
        pass: &Pass<'_>,
    ) -> Result<Tensor, SessionError> {
        let output = linear.forward(rows)?;
        let low_rank = pass
            .adapters
            .and_then(|adapters| adapters.get(self.index, projection));
        low_rank.map_or(Ok(output.clone()), |low_rank: &LowRank| {
            low_rank.add_to(&output, rows)
        })
    }

    fn attend(
        &self,
        normed: &Tensor,
        pass: &Pass<'_>,
        capture: &mut Capture<'_>,
    ) -> Result<Tensor, SessionError> {
        let weights = &self.attention;
        let rows = normed.dim(0)?;
        let sequences = match pass.source {
            KeySource::Cache(_) | KeySource::Behind(_) => 1,
            KeySource::Sequences(sequences) => sequences,
        };
        let heads = |linear, projection, norm: Option<&Norm>| {
            let projected = self.project(linear, projection, normed, pass)?;
            weights.heads(&projected, sequences, norm, pass.mode)
        };
        let queries = heads(
            &weights.query,
            Projection::Query,
            weights.query_norm.as_ref(),
        )?;
        let keys = heads(&weights.key, Projection::Key, weights.key_norm.as_ref())?;
        let values = heads(&weights.value, Projection::Value, None)?;
        let queries = pass.rotation.apply(&queries)?;
        let keys = pass.rotation.apply(&keys)?;
        let (first_index, keys, values) = match &pass.source {
            KeySource::Cache(cache) => {
                let (keys, values) = cache.append(self.index, &keys, &values)?;
                (cache.len(), keys, values)
            }
            KeySource::Behind(cache) => {
                let (keys, values) = cache.joined(self.index, &keys, &values)?;
                (cache.len(), keys, values)
            }
            KeySource::Sequences(_) => (0, keys.contiguous()?, values.contiguous()?),
        };
        let (sliding_window, hidden_keys) = match &pass.source {
            KeySource::Cache(cache) | KeySource::Behind(cache) => {
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
            mode: pass.mode,
            wants_weights: matches!(capture, Capture::AttentionOnCache(_)),
        })?;
        match (capture, &attended.log_sum_exp, attended.weights) {
            (Capture::Rows(capture), Some(log_sum_exp), _) => {
                capture.offer(self.index, first_index, &queries, log_sum_exp)?;
            }
            (Capture::AttentionOnCache(layers), _, Some(weights)) => layers.push(weights),
            _ => {}
        }
        // [sequences * H, R / sequences, D] -> [R, H * D]
        let merged = attended
            .context
            .reshape((sequences, (), rows / sequences, weights.head_dim))?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((rows, ()))?;
        self.project(&weights.output, Projection::Output, &merged, pass)
    }
}

impl AttentionWeights {
    fn load(weights: &Weights, config: &ModelConfig, layer: usize) -> Result<Self, SessionError> {
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
                .then(|| Norm::load(weights, &format!("{prefix}.{name}"), head_dim, config))
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

    /// Splits projected rows `[R, heads * D]` into the heads of every sequence,
    /// `[sequences * heads, R / sequences, D]`.
    fn heads(
        &self,
        projected: &Tensor,
        sequences: usize,
        norm: Option<&Norm>,
        mode: ForwardMode,
    ) -> Result<Tensor, SessionError> {
        let rows = projected.dim(0)? / sequences;
        let split = projected.reshape((sequences, rows, (), self.head_dim))?;
        let split = match norm {
            Some(norm) => norm.forward(&split, mode)?,
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
