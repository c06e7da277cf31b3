//! RMS norm (Zhang and Sennrich 2019) by the decoder's kernels.

use candle_core::{DType, Tensor};
use candle_nn::{Module, RmsNorm};

use super::config::ModelConfig;
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
    /// Loads `NAME.weight`, `[width]`. GGUF files hold what is multiplied by, where others may hold what is added
    /// to 1.
    pub(crate) fn load(
        weights: &Weights,
        name: &str,
        width: usize,
        config: &ModelConfig,
    ) -> Result<Self, SessionError> {
        let mut weight = weights.get(&format!("{name}.weight"), &[width])?;
        if config.norms_add_one && !weights.are_of_gguf() {
            weight = (weight + 1.0)?;
        }
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

/// The norms of attention or of the feed-forward layer, on its input or on its output or both.
#[derive(Debug, Clone)]
pub(crate) struct BlockNorm {
    input: Option<Norm>,
    output: Option<Norm>,
}

impl BlockNorm {
    /// Loads `NAME.weight`, `[hidden]`, for those names that are given.
    pub(crate) fn load(
        weights: &Weights,
        [input, output]: [Option<&str>; 2],
        config: &ModelConfig,
    ) -> Result<Self, SessionError> {
        let load = |name: Option<&str>| {
            let norm = name.map(|name| Norm::load(weights, name, config.hidden_size, config));
            norm.transpose()
        };
        Ok(Self {
            input: load(input)?,
            output: load(output)?,
        })
    }

    /// What goes into the block, `[R, hidden]`, from the residual stream.
    pub(crate) fn input(&self, stream: &Tensor, kernels: Kernels) -> Result<Tensor, SessionError> {
        normed(self.input.as_ref(), stream, kernels)
    }

    /// What joins the residual stream, `[R, hidden]`, from what comes out of the block.
    pub(crate) fn output(&self, rows: &Tensor, kernels: Kernels) -> Result<Tensor, SessionError> {
        normed(self.output.as_ref(), rows, kernels)
    }
}

fn normed(norm: Option<&Norm>, rows: &Tensor, kernels: Kernels) -> Result<Tensor, SessionError> {
    norm.map_or_else(|| Ok(rows.clone()), |norm| norm.forward(rows, kernels))
}
