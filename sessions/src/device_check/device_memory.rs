//! How much of a device's memory is taken at most while something runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use candle_core::Device;

use crate::model::free_device_memory;

/// Between two looks at the free memory.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// The least memory that was free, by looking again and again: what is taken and given back between two looks is not
/// seen, and what the driver keeps for later counts as taken.
pub(super) struct PeakMemory {
    least_free: AtomicU64,
    ended: AtomicBool,
}

impl PeakMemory {
    /// Runs something; with its outcome come the free bytes at the worst moment, where the device can tell.
    pub(super) fn during<T>(device: &Device, run: impl FnOnce() -> T) -> (T, Option<u64>) {
        let peak = Self {
            least_free: AtomicU64::new(u64::MAX),
            ended: AtomicBool::new(false),
        };
        let outcome = thread::scope(|scope| {
            let watch = || {
                while !peak.ended.load(Ordering::Acquire) && peak.look(device) {
                    thread::sleep(BETWEEN_LOOKS);
                }
            };
            // without a thread to look, the memory is looked at once, at the end
            let _ = thread::Builder::new()
                .name("device memory".to_owned())
                .spawn_scoped(scope, watch);
            let outcome = run();
            peak.look(device);
            peak.ended.store(true, Ordering::Release);
            outcome
        });
        let least = peak.least_free.into_inner();
        (outcome, (least != u64::MAX).then_some(least))
    }

    /// Whether the device can tell.
    fn look(&self, device: &Device) -> bool {
        let Some(free) = free_device_memory(device) else {
            return false;
        };
        self.least_free.fetch_min(free, Ordering::AcqRel);
        true
    }
}
