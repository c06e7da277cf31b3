//! RMS norm (Zhang and Sennrich 2019) with the kernels of a forward mode.

use candle_core::{DType, Tensor};
use candle_nn::{Module, RmsNorm};

use super::config::{ModelConfig, NormPlacement};
use super::decoder::ForwardMode;
use super::one_sweep::rms_norm;
use super::weights::Weights;
use crate::SessionError;

/// An RMS norm over the last dimension.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    norm: RmsNorm,
}

impl Norm {
    /// Loads `NAME.weight`, `[width]`.
    pub(crate) fn load(
        weights: &Weights,
        name: &str,
        width: usize,
        config: &ModelConfig,
    ) -> Result<Self, SessionError> {
        let weight = weights.get(&format!("{name}.weight"), &[width])?;
        Ok(Self {
            norm: RmsNorm::new(weight, config.rms_norm_eps),
        })
    }

    /// `[.., width]` in and out.
    pub(crate) fn forward(&self, rows: &Tensor, mode: ForwardMode) -> Result<Tensor, SessionError> {
        Ok(match mode {
            ForwardMode::Fused | ForwardMode::Flash => self.norm.forward(rows)?,
            ForwardMode::Differentiable if rows.device().is_cpu() && rows.dtype() == DType::F32 => {
                rms_norm(rows, self.norm.weight(), self.norm.eps() as f32)?
            }
            ForwardMode::Differentiable => self.norm.forward_diff(rows)?,
        })
    }
}

/// The norm of attention or of the feed-forward layer, on its input or on its output.
#[derive(Debug, Clone)]
pub(crate) struct BlockNorm {
    norm: Norm,
    placement: NormPlacement,
}

impl BlockNorm {
    /// Loads `NAME.weight`, `[hidden]`.
    pub(crate) fn load(
        weights: &Weights,
        name: &str,
        config: &ModelConfig,
    ) -> Result<Self, SessionError> {
        Ok(Self {
            norm: Norm::load(weights, name, config.hidden_size, config)?,
            placement: config.norm_placement,
        })
    }

    /// What goes into the block, `[R, hidden]`, from the residual stream.
    pub(crate) fn input(&self, stream: &Tensor, mode: ForwardMode) -> Result<Tensor, SessionError> {
        self.at(NormPlacement::Input, stream, mode)
    }

    /// What joins the residual stream, `[R, hidden]`, from what comes out of the block.
    pub(crate) fn output(&self, rows: &Tensor, mode: ForwardMode) -> Result<Tensor, SessionError> {
        self.at(NormPlacement::Output, rows, mode)
    }

    fn at(
        &self,
        place: NormPlacement,
        rows: &Tensor,
        mode: ForwardMode,
    ) -> Result<Tensor, SessionError> {
        if place == self.placement {
            self.norm.forward(rows, mode)
        } else {
            Ok(rows.clone())
        }
    }
}
