//! Bringing tensors to the computer's own memory.

use candle_core::{Device, Tensor};

use crate::SessionError;

/// The tensor on the CPU and contiguous. A view is cut out first, or the whole storage that it is cut from would be
/// brought, also where its numbers stand one behind the other already.
pub(crate) fn on_cpu(tensor: &Tensor) -> Result<Tensor, SessionError> {
    if tensor.device().is_cpu() {
        return Ok(tensor.contiguous()?);
    }
    Ok(tensor.force_contiguous()?.to_device(&Device::Cpu)?)
}

/// As [`on_cpu`], but what lies there already stays the view that it is.
pub(crate) fn view_on_cpu(view: &Tensor) -> Result<Tensor, SessionError> {
    if view.device().is_cpu() {
        Ok(view.clone())
    } else {
        on_cpu(view)
    }
}
