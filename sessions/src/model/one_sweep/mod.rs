//! Operations in one sweep over memory, on the CPU, each with a backward pass for training.
//!
//! candle's plain operations need ten to twenty sweeps where one will do, and its fused kernels, where it has any,
//! pass no gradient on. The results agree with the plain operations, which run on every other device; gradients
//! are checked against finite differences.

mod cross_entropy;
mod masked_softmax;
mod rms_norm;
#[cfg(test)]
mod tests;

pub(crate) use cross_entropy::cross_entropy;
pub(crate) use masked_softmax::MaskedSoftmax;
pub(crate) use rms_norm::rms_norm;

use candle_core::{CpuStorage, Error, Layout, Result};

/// The values of a contiguous f32 tensor.
fn values<'a>(
    storage: &'a CpuStorage,
    layout: &Layout,
    operation: &'static str,
) -> Result<&'a [f32]> {
    let wrong = || Error::Msg(format!("{operation}: the tensor must be contiguous"));
    let (start, end) = layout.contiguous_offsets().ok_or_else(wrong)?;
    storage.as_slice::<f32>()?.get(start..end).ok_or_else(wrong)
}
