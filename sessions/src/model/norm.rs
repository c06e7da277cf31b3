//! RMS norm (Zhang and Sennrich 2019) by the decoder's kernels.

use candle_core::{DType, Tensor};
use candle_nn::{Module, RmsNorm};

use super::config::{ModelConfig, NormPlacement};
use super::kernels::Kernels;
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
    pub(crate) fn forward(&self, rows: &Tensor, kernels: Kernels) -> Result<Tensor, SessionError> {
        if !kernels.gradients {
            return Ok(self.norm.forward(rows)?);
        }
        Ok(match kernels.one_sweep && rows.dtype() == DType::F32 {
            true => rms_norm(rows, self.norm.weight(), self.norm.eps() as f32)?,
            false => self.norm.forward_diff(rows)?,
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
    pub(crate) fn input(&self, stream: &Tensor, kernels: Kernels) -> Result<Tensor, SessionError> {
        self.at(NormPlacement::Input, stream, kernels)
    }

    /// What joins the residual stream, `[R, hidden]`, from what comes out of the block.
    pub(crate) fn output(&self, rows: &Tensor, kernels: Kernels) -> Result<Tensor, SessionError> {
        self.at(NormPlacement::Output, rows, kernels)
    }

    fn at(
        &self,
        place: NormPlacement,
        rows: &Tensor,
        kernels: Kernels,
    ) -> Result<Tensor, SessionError> {
        if place == self.placement {
            self.norm.forward(rows, kernels)
        } else {
            Ok(rows.clone())
        }
    }
}
