//! Which operations the decoder runs by. The mathematics is the same; what is fast depends on the device, and what
//! passes gradients on.

use candle_core::Device;

use super::score_blocks::ScoreBlocks;

/// The decoder's choice of operations, made once when it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kernels {
    /// Operations through which gradients reach every parameter: candle's fused norm and rotation pass none on.
    pub(crate) gradients: bool,
    /// The operations of [`one_sweep`](super::one_sweep), which run on a processor and in single precision alone.
    pub(crate) one_sweep: bool,
    /// Masks compared where the scores are, from the indices of a row and a column; else written out by a loop.
    pub(crate) compared_masks: bool,
    /// Rows come to where the prompt's keys are to be scored; else on the processor, in double precision, by as many
    /// threads as it has.
    pub(crate) scores_with_keys: bool,
    /// A flash kernel, where there is one, for rows whose weights nobody wants.
    pub(crate) flash: bool,
    /// How many rows meet their keys at a time.
    pub(crate) blocks: ScoreBlocks,
}

impl Kernels {
    /// What is fast on a device.
    pub(crate) fn of(device: &Device) -> Self {
        if device.is_cpu() {
            Self::of_processor()
        } else {
            Self::of_gpu()
        }
    }

    fn of_processor() -> Self {
        Self {
            gradients: false,
            one_sweep: true,
            compared_masks: false,
            scores_with_keys: false,
            flash: false,
            blocks: ScoreBlocks::on(false),
        }
    }

    /// What is fast on a GPU; a processor can run it, too, to check it.
    pub(crate) fn of_gpu() -> Self {
        Self {
            gradients: false,
            one_sweep: false,
            compared_masks: true,
            scores_with_keys: true,
            flash: false,
            blocks: ScoreBlocks::on(true),
        }
    }

    /// The same, with gradients.
    pub(crate) fn differentiable(self) -> Self {
        Self {
            gradients: true,
            ..self
        }
    }
}
