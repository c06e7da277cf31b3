//! Low-rank additions to linear layers (LoRA, Hu et al. 2021, arXiv 2106.09685), active on the rows of one run.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::config::ModelConfig;
use crate::SessionError;

/// A linear layer inside a decoder layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Projection {
    Query,
    Key,
    Value,
    Output,
    Gate,
    Up,
    Down,
}

impl Projection {
    pub(crate) const ALL: [Self; 7] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// As Hugging Face names it inside a layer.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::Output => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// Whether a layer has it: with experts there is no feed-forward of all rows that something could be added to.
    pub(crate) fn is_in(self, config: &ModelConfig, layer: usize) -> bool {
        !matches!(self, Self::Gate | Self::Up | Self::Down) || config.experts_of(layer).is_none()
    }

    /// Width of what goes in and of what comes out.
    pub(crate) fn widths(self, config: &ModelConfig) -> (usize, usize) {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let queries = config.query_heads * config.head_dim;
        let keys = config.kv_heads * config.head_dim;
        match self {
            Self::Query => (hidden, queries),
            Self::Key | Self::Value => (hidden, keys),
            Self::Output => (queries, hidden),
            Self::Gate | Self::Up => (hidden, wide),
            Self::Down => (wide, hidden),
        }
    }
}

/// What is added to `W x`: `scale * B (A x)`.
#[derive(Debug, Clone)]
pub(crate) struct LowRank {
    /// A, `[r, width in]`.
    pub(crate) down: Tensor,
    /// B, `[width out, r]`.
    pub(crate) up: Tensor,
    /// alpha / r.
    pub(crate) scale: f64,
}

impl LowRank {
    /// `output` `[R, width out]` of the layer for `rows` `[R, width in]`, with the addition.
    pub(crate) fn add_to(&self, output: &Tensor, rows: &Tensor) -> Result<Tensor, SessionError> {
        let added = rows.matmul(&self.down.t()?)?.matmul(&self.up.t()?)?;
        Ok((output + (added * self.scale)?)?)
    }
}

/// The additions of a model's layers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Adapters {
    by_place: BTreeMap<(usize, Projection), LowRank>,
}

impl Adapters {
    pub(crate) fn insert(&mut self, layer: usize, projection: Projection, low_rank: LowRank) {
        self.by_place.insert((layer, projection), low_rank);
    }

    /// Numbers in all of them.
    pub(crate) fn numbers(&self) -> usize {
        let each = self.by_place.values();
        each.map(|low_rank| low_rank.down.elem_count() + low_rank.up.elem_count())
            .sum()
    }

    /// What is added to a linear layer, if anything is.
    pub(crate) fn get(&self, layer: usize, projection: Projection) -> Option<&LowRank> {
        self.by_place.get(&(layer, projection))
    }
}
