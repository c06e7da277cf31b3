//! Amounts of memory, in bytes, and where they lie.

use std::iter::Sum;
use std::ops::Add;

/// Bytes on the model's device and in the computer's own memory. On the CPU everything is `host`.
///
/// Floating point, so that no configuration, however absurd, overflows; exact up to 2^53.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Memory {
    /// On a GPU.
    pub device: f64,
    /// In the computer's own memory.
    pub host: f64,
}

impl Memory {
    /// Bytes in the computer's own memory.
    pub fn on_host(bytes: f64) -> Self {
        Self {
            device: 0.0,
            host: bytes,
        }
    }

    /// What it takes to do either, one after the other.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            device: self.device.max(other.device),
            host: self.host.max(other.host),
        }
    }

    /// On the device and beside it together.
    pub fn total(self) -> f64 {
        self.device + self.host
    }
}

impl Add for Memory {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            device: self.device + other.device,
            host: self.host + other.host,
        }
    }
}

impl Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

/// What a window takes besides the prefill that all windows share.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct WindowMemory {
    /// From before the first sample to the end: what it loads besides the model.
    pub loaded: Memory,
    /// While it observes, at the worst moment.
    pub working: Memory,
    /// Its observation, until the sample is written; on disk it takes as much.
    pub observation_bytes: f64,
}
