//! What a checkpoint's `config.json` says about the decoder.
//!
//! One decoder serves every family: a family is only how its configuration is read (see [`Family`]).

mod check;
mod experts;
mod llama_weights;
mod reading;
mod refused;
mod rotations;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::family::Family;
use super::rope::RopeConfig;
use crate::SessionError;

pub use experts::Experts;
pub(crate) use reading::token_ids;

/// Over what the RMS norms of queries and keys run, before rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum QkNorm {
    /// Each head on its own, with one weight `[D]` for all.
    PerHead,
    /// All heads together, with a weight `[H * D]` for queries and one `[G * D]` for keys.
    AllHeads,
}

/// Where the RMS norms of attention and feed-forward stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NormPlacement {
    /// On what goes in.
    Input,
    /// On what comes out, before it joins the residual stream.
    Output,
    /// On both.
    Both,
}

/// What the feed-forward's gate goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// x times its logistic function.
    Silu,
    /// x times the normal distribution function, approximated by tanh (Hendrycks and Gimpel 2016).
    GeluTanh,
}

/// The shape and the switches of the decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Which family's configuration this was.
    pub family: Family,
    /// Rows of the token embedding.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer, where it has no experts.
    pub intermediate_size: usize,
    /// Experts of the feed-forward, where some layer has them.
    pub experts: Option<Experts>,
    /// L: decoder layers.
    pub layers: usize,
    /// H: query heads.
    pub query_heads: usize,
    /// G: key/value heads.
    pub kv_heads: usize,
    /// D: width of one head.
    pub head_dim: usize,
    /// Positions that the model was made for, in tokens.
    pub max_positions: usize,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f64,
    /// Positions to angles.
    pub rope: RopeConfig,
    /// The same for layers with a sliding window, where they have a rotation of their own.
    pub sliding_rope: Option<RopeConfig>,
    /// By what queries are multiplied so that their logits are q . k / sqrt(D), as everywhere here: sqrt(D / s)
    /// where a model divides by sqrt(s) instead.
    pub query_scale: f64,
    /// By what rows of the embedding are multiplied on their way in.
    pub embedding_scale: Option<f64>,
    /// c of the final logits c tanh(x / c).
    pub logit_cap: Option<f64>,
    /// Whether norms multiply by 1 + w rather than by w.
    pub norms_add_one: bool,
    /// What the feed-forward's gate goes through.
    pub activation: Activation,
    /// Whether the output layer is the embedding.
    pub tied_embeddings: bool,
    /// Whether q, k and v projections have biases.
    pub qkv_bias: bool,
    /// Whether the attention's output projection has a bias.
    pub output_bias: bool,
    /// Whether the feed-forward projections have biases.
    pub feed_forward_bias: bool,
    /// How q and k are RMS-normalised before rotation, if they are.
    pub qk_norm: Option<QkNorm>,
    /// Which side of attention and feed-forward is normalised.
    pub norm_placement: NormPlacement,
    /// Whether q, k and v, and gate and up, are stored as one tensor each.
    pub fused_projections: bool,
    /// L entries: whether queries and keys of the layer are rotated.
    pub rotated_layers: Vec<bool>,
    /// L entries: how many keys a query of the layer sees, itself included; `None` for all.
    pub sliding_windows: Vec<Option<usize>>,
    /// Ids after which generation stops, from config.json (generation_config.json goes first).
    pub eos_token_ids: Vec<u32>,
    /// How the checkpoint says its weights are stored, such as `bfloat16`.
    pub stored_dtype: Option<String>,
}

impl ModelConfig {
    /// Reads the text of a `config.json`.
    ///
    /// # Errors
    /// [`SessionError::Config`] naming the field that is missing, wrong or unsupported.
    pub fn from_json(text: &[u8]) -> Result<Self, SessionError> {
        let value: Value = serde_json::from_slice(text).map_err(|error| SessionError::Config {
            reason: format!("not a JSON file: {error}"),
        })?;
        let object = value.as_object().ok_or_else(|| SessionError::Config {
            reason: "not a JSON object".to_owned(),
        })?;
        let config = Self::from_object(&reading::language_part(object))?;
        config.check()?;
        Ok(config)
    }

    /// Inverse frequencies of a layer for a prompt of T tokens and what comes behind it, in radians per position:
    /// `[D / 2]`, all 0 where the layer does not rotate.
    pub fn inverse_frequencies(&self, layer: usize, prompt_tokens: usize) -> Vec<f32> {
        if self.rotated_layers.get(layer).copied().unwrap_or(true) {
            let rope = self.sliding_rope.as_ref().filter(|_| self.slides(layer));
            let rope = rope.unwrap_or(&self.rope);
            rope.inverse_frequencies(self.head_dim, prompt_tokens)
        } else {
            vec![0.0; self.head_dim / 2]
        }
    }

    /// The experts of a layer that has them.
    pub(crate) fn experts_of(&self, layer: usize) -> Option<&Experts> {
        self.experts
            .as_ref()
            .filter(|experts| experts.are_in(layer))
    }

    /// Width of the widest product of a feed-forward, be it of all tokens or of an expert.
    pub(crate) fn widest_feed_forward(&self) -> usize {
        let of_layer = |layer| {
            let experts = self.experts_of(layer);
            experts.map_or(self.intermediate_size, |experts| experts.width)
        };
        (0..self.layers).map(of_layer).max().unwrap_or(0)
    }

    /// Whether the layer sees only the last keys.
    fn slides(&self, layer: usize) -> bool {
        self.sliding_windows.get(layer).copied().flatten().is_some()
    }

    /// How positions become angles, if it is the same in all layers.
    pub(crate) fn one_rope(&self) -> Option<&RopeConfig> {
        let all_rotate = self.rotated_layers.iter().all(|rotates| *rotates);
        (all_rotate && self.sliding_rope.is_none()).then_some(&self.rope)
    }

    /// H / G: query heads that share one key/value head.
    pub fn group_size(&self) -> usize {
        self.query_heads / self.kv_heads
    }
}
