//! Wall time of work that a device may still have before it when the call that asked for it returns.

use std::time::Instant;

use candle_core::Device;

use crate::SessionError;

/// Measures the work between two moments, not the asking for it.
pub(crate) struct Stopwatch<'a> {
    device: &'a Device,
    started: Instant,
}

impl<'a> Stopwatch<'a> {
    /// Waits until the device is done with what it was asked for before.
    pub(crate) fn start(device: &'a Device) -> Result<Self, SessionError> {
        device.synchronize()?;
        Ok(Self {
            device,
            started: Instant::now(),
        })
    }

    /// Waits until the device is done, and says how long it took since the start, in seconds.
    pub(crate) fn seconds(&self) -> Result<f64, SessionError> {
        self.device.synchronize()?;
        Ok(self.started.elapsed().as_secs_f64())
    }
}
