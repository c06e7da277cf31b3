//! RMS norm (Zhang and Sennrich 2019) with the kernels of a forward mode.

use candle_core::Tensor;
use candle_nn::{Module, RmsNorm};

use super::backward::rms_norm;
use super::config::ModelConfig;
use super::decoder::ForwardMode;
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
            ForwardMode::Fused => self.norm.forward(rows)?,
            ForwardMode::Differentiable if rows.device().is_cpu() => {
                rms_norm(rows, self.norm.weight(), self.norm.eps() as f32)?
            }
            ForwardMode::Differentiable => self.norm.forward_diff(rows)?,
        })
    }
}
