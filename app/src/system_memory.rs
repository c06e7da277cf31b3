//! What the computer has of memory.

use kvlens_sessions::estimate::AvailableMemory;
use sysinfo::System;

/// Memory that can be had now, within the limits that the system sets this process; nothing where it cannot
/// be told.
#[must_use]
pub fn available_memory() -> AvailableMemory {
    let Ok(mut system) = System::new() else {
        return AvailableMemory::default();
    };
    system.refresh_memory();
    let limits = system.cgroup_limits();
    let within = |own: u64, limit: Option<u64>| limit.map_or(own, |limit| own.min(limit));
    AvailableMemory {
        host_bytes: Some(within(
            system.available_memory(),
            limits.as_ref().map(|limits| limits.free_memory),
        )),
        host_total_bytes: Some(within(
            system.total_memory(),
            limits.as_ref().map(|limits| limits.total_memory),
        )),
    }
}
