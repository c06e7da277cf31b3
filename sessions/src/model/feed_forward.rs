//! The feed-forward of a layer: one gated unit for all rows, or a mixture of experts.

use candle_core::Tensor;

use super::adapters::Projection;
use super::config::{Activation, ModelConfig};
use super::linear::Linear;
use super::mixture::Mixture;
use super::projections::{Stored, linear, linears};
use super::weights::Weights;
use crate::SessionError;

/// What a layer does with rows behind its attention.
#[derive(Clone)]
pub(crate) enum FeedForward {
    OfAll(GatedUnit),
    OfExperts(Mixture),
}

impl FeedForward {
    pub(crate) fn load(
        weights: &Weights,
        config: &ModelConfig,
        layer: usize,
    ) -> Result<Self, SessionError> {
        let prefix = format!("model.layers.{layer}.mlp");
        match config.experts_of(layer) {
            Some(experts) => Ok(Self::OfExperts(Mixture::load(
                weights, config, experts, &prefix,
            )?)),
            None => {
                let width = config.intermediate_size;
                Ok(Self::OfAll(GatedUnit::load(
                    weights, config, &prefix, width,
                )?))
            }
        }
    }

    /// `[R, hidden]` in and out. `project` runs a linear layer with what is added to it; experts have nothing added.
    pub(crate) fn forward(
        &self,
        rows: &Tensor,
        project: impl Fn(&Linear, Projection, &Tensor) -> Result<Tensor, SessionError>,
    ) -> Result<Tensor, SessionError> {
        match self {
            Self::OfAll(unit) => unit.forward(rows, project),
            Self::OfExperts(mixture) => mixture.forward(rows),
        }
    }
}

/// SwiGLU or GEGLU (Shazeer 2020).
#[derive(Clone)]
pub(crate) struct GatedUnit {
    gate: Linear,
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl GatedUnit {
    /// Of this width inside.
    pub(super) fn load(
        weights: &Weights,
        config: &ModelConfig,
        prefix: &str,
        width: usize,
    ) -> Result<Self, SessionError> {
        let (hidden, bias) = (config.hidden_size, config.feed_forward_bias);
        let stored = Stored {
            apart: ["gate_proj", "up_proj"],
            fused: config.fused_projections.then_some("gate_up_proj"),
            bias,
        };
        let [gate, up] = linears(weights, prefix, stored, [width, width], hidden)?;
        let name = format!("{prefix}.down_proj");
        Ok(Self {
            gate,
            up,
            down: linear(weights, &name, [hidden, width], bias)?,
            activation: config.activation,
        })
    }

    /// `[R, hidden]` in and out.
    pub(super) fn forward(
        &self,
        rows: &Tensor,
        project: impl Fn(&Linear, Projection, &Tensor) -> Result<Tensor, SessionError>,
    ) -> Result<Tensor, SessionError> {
        let gate = project(&self.gate, Projection::Gate, rows)?;
        let up = project(&self.up, Projection::Up, rows)?;
        let activated = match self.activation {
            Activation::Silu => candle_nn::ops::silu(&gate)?,
            // candle's is the approximation by tanh
            Activation::GeluTanh => gate.gelu()?,
        };
        project(&self.down, Projection::Down, &(activated * up)?)
    }
}
