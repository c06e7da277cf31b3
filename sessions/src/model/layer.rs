//! One decoder layer: attention and gated feed-forward, each with its norm and added to the residual stream.

use candle_core::Tensor;

use super::adapters::{Adapters, LowRank, Projection};
use super::attention::attend;
use super::cache::KvCache;
use super::config::{ModelConfig, NormPlacement};
use super::feed_forward::FeedForward;
use super::kernels::Kernels;
use super::linear::Linear;
use super::masks::Masks;
use super::norm::{BlockNorm, Norm};
use super::projections::AttentionWeights;
use super::rope::Rotation;
use super::rows_on_keys::RowsOnKeys;
use super::tap::{TappedRows, Taps};
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
    /// That of layers with a sliding window, where it is another one.
    pub(crate) sliding_rotation: Option<Rotation>,
    pub(crate) source: KeySource<'a>,
    pub(crate) masks: Masks,
    pub(crate) kernels: Kernels,
    /// Low-rank additions that act on the rows of this run.
    pub(crate) adapters: Option<&'a Adapters>,
}

impl Pass<'_> {
    /// How a layer with these weights rotates, if it does.
    fn rotation_of(&self, weights: &AttentionWeights) -> Option<&Rotation> {
        let sliding = self.sliding_rotation.as_ref();
        let own = sliding.filter(|_| weights.sliding_window.is_some());
        weights.rotates.then(|| own.unwrap_or(&self.rotation))
    }
}

/// Weights of one layer.
#[derive(Clone)]
pub(crate) struct DecoderLayer {
    index: usize,
    attention_norm: BlockNorm,
    attention: AttentionWeights,
    feed_forward_norm: BlockNorm,
    feed_forward: FeedForward,
}

impl DecoderLayer {
    pub(crate) fn load(
        weights: &Weights,
        config: &ModelConfig,
        index: usize,
    ) -> Result<Self, SessionError> {
        let (attention_norm, feed_forward_norm) = match config.norm_placement {
            NormPlacement::Input => (
                [Some("input_layernorm"), None],
                [Some("post_attention_layernorm"), None],
            ),
            NormPlacement::Output => (
                [None, Some("post_attention_layernorm")],
                [None, Some("post_feedforward_layernorm")],
            ),
            NormPlacement::Both => (
                [Some("input_layernorm"), Some("post_attention_layernorm")],
                [
                    Some("pre_feedforward_layernorm"),
                    Some("post_feedforward_layernorm"),
                ],
            ),
        };
        let norm = |names: [Option<&str>; 2]| {
            let names = names.map(|name| name.map(|name| format!("model.layers.{index}.{name}")));
            BlockNorm::load(weights, names.each_ref().map(Option::as_deref), config)
        };
        Ok(Self {
            index,
            attention_norm: norm(attention_norm)?,
            attention: AttentionWeights::load(weights, config, index)?,
            feed_forward_norm: norm(feed_forward_norm)?,
            feed_forward: FeedForward::load(weights, config, index)?,
        })
    }

    /// The matrix that turns the heads' contexts into the stream.
    pub(crate) fn output_projection(&self) -> &Linear {
        &self.attention.output
    }

    /// Residual stream `[R, hidden]` in and out; keys and values of the rows go into the cache if they join one.
    pub(crate) fn forward(
        &self,
        stream: &Tensor,
        pass: &Pass<'_>,
        taps: Taps<'_, '_>,
    ) -> Result<Tensor, SessionError> {
        let rows = self.attention_norm.input(stream, pass.kernels)?;
        let attended = self.attend(&rows, pass, taps)?;
        let stream = (stream + self.attention_norm.output(&attended, pass.kernels)?)?;
        let rows = self.feed_forward_norm.input(&stream, pass.kernels)?;
        let project = |linear: &Linear, projection, rows: &Tensor| {
            self.project(linear, projection, rows, pass)
        };
        let fed = self.feed_forward.forward(&rows, project)?;
        Ok((stream + self.feed_forward_norm.output(&fed, pass.kernels)?)?)
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
        taps: Taps<'_, '_>,
    ) -> Result<Tensor, SessionError> {
        let weights = &self.attention;
        let rows = normed.dim(0)?;
        let sequences = match pass.source {
            KeySource::Cache(_) | KeySource::Behind(_) => 1,
            KeySource::Sequences(sequences) => sequences,
        };
        let heads = |linear, projection, norm: Option<&Norm>| {
            let projected = self.project(linear, projection, normed, pass)?;
            weights.heads(&projected, sequences, norm, pass.kernels)
        };
        let queries = heads(
            &weights.query,
            Projection::Query,
            weights.query_norm.as_ref(),
        )?;
        let keys = heads(&weights.key, Projection::Key, weights.key_norm.as_ref())?;
        let values = heads(&weights.value, Projection::Value, None)?;
        let queries = weights.scaled(queries)?;
        let (queries, keys) = match pass.rotation_of(weights) {
            Some(rotation) => (rotation.apply(&queries)?, rotation.apply(&keys)?),
            None => (queries, keys),
        };
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
                cache.sliding_window(self.index, rows, &pass.masks)?
            }
            KeySource::Sequences(_) => (weights.sliding_window, None),
        };
        let tapped = TappedRows {
            layer: self.index,
            first_index,
            queries: &queries,
        };
        for tap in taps.iter_mut() {
            tap.rows(&tapped)?;
        }
        let on_keys = RowsOnKeys {
            queries: &queries,
            keys: &keys,
            first_index,
            sliding_window,
            hidden_keys: hidden_keys.as_ref(),
            masks: &pass.masks,
            kernels: pass.kernels,
        };
        let context = attend(&on_keys, &values, self.index, taps)?;
        // [sequences * H, R / sequences, D] -> [R, H * D]
        let merged = context
            .reshape((sequences, (), rows / sequences, weights.head_dim))?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((rows, ()))?;
        self.project(&weights.output, Projection::Output, &merged, pass)
    }
}
