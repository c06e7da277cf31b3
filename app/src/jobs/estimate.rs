//! What a capture will take in memory and on disk.

use std::fs;
use std::path::Path;

use anyhow::Result;
use kvlens_datasets::Samples;
use kvlens_sessions::estimate::{
    AvailableMemory, CaptureEstimator, MemoryEstimate, readable_bytes,
};
use kvlens_sessions::hub::HubId;
use kvlens_sessions::{CapturePlan, Keep};

use super::failure::Failure;
use super::fetch::missing;
use crate::system_disk::free_bytes;
use crate::system_memory::available_memory;

/// What a capture takes, and what there is.
pub struct Estimate {
    /// By part and by stage.
    pub memory: MemoryEstimate,
    /// What can be had now.
    pub available: AvailableMemory,
    estimator: CaptureEstimator,
}

/// What came of an estimate.
pub enum Estimated {
    /// The model has to be fetched before anything can be said.
    Missing(HubId),
    /// What the capture takes.
    Known(Box<Estimate>),
}

/// What the capture of these samples would take; no weights are read.
///
/// # Errors
/// A plan that cannot be captured.
pub fn run(plan: &CapturePlan, samples: Samples<'_>) -> Result<Estimated> {
    match missing(&plan.model) {
        Some(id) => Ok(Estimated::Missing(id)),
        None => Ok(Estimated::Known(Box::new(Estimate::of(
            plan, samples, false,
        )?))),
    }
}

/// A session is kept with values where nobody says otherwise and it takes at most so many bytes with them.
pub const VALUES_FIT_BYTES: f64 = 1e9;

/// What a session of these samples keeps where nobody says: values as well as keys, if it stays small with them. The
/// same on every machine.
///
/// # Errors
/// A plan that cannot be captured.
pub fn keep_by_size(plan: &CapturePlan, samples: Samples<'_>) -> Result<Keep> {
    let with_values = CapturePlan {
        keep: Some(Keep::KeysAndValues),
        ..plan.clone()
    };
    let bytes = CaptureEstimator::open(&with_values)?.session_bytes(samples)?;
    Ok(match bytes <= VALUES_FIT_BYTES {
        true => Keep::KeysAndValues,
        false => Keep::Keys,
    })
}

impl Estimate {
    /// Of a model that is here. One that is loaded takes its memory already.
    ///
    /// # Errors
    /// A plan that cannot be captured.
    pub fn of(plan: &CapturePlan, samples: Samples<'_>, is_loaded: bool) -> Result<Self> {
        let estimator = CaptureEstimator::open(plan)?;
        let mut memory = estimator.estimate(samples)?;
        let mut available = available_memory();
        if is_loaded {
            memory.count_weights_as_available(&mut available);
        }
        Ok(Self {
            memory,
            available,
            estimator,
        })
    }

    /// Refuses what cannot fit.
    ///
    /// # Errors
    /// A sentence on what is lacking.
    pub fn check(&self) -> Result<()> {
        Ok(self.estimator.check(&self.memory, self.available)?)
    }

    /// Refuses a session for which the disk has no room beside what is written of it already.
    ///
    /// # Errors
    /// [`Failure::BadInput`].
    pub fn check_disk(&self, out: &Path) -> Result<()> {
        let there = fs::read_dir(out).into_iter().flatten().flatten();
        let there = there
            .filter_map(|entry| entry.metadata().ok())
            .map(|file| file.len());
        match lacking_room(self.memory.session_bytes, there.sum(), free_bytes(out)) {
            None => Ok(()),
            Some(sentence) => {
                Err(Failure::BadInput(format!("{sentence}: {}", out.display())).into())
            }
        }
    }

    /// The peak and the session on disk, in a sentence.
    #[must_use]
    pub fn needs_line(&self) -> String {
        let peak = self.memory.peak();
        let place = match peak.device > 0.0 {
            true => format!("{} on the device, ", readable_bytes(peak.device)),
            false => String::new(),
        };
        format!(
            "Needs about {place}{} of memory and {} of disk",
            readable_bytes(peak.host),
            readable_bytes(self.memory.session_bytes)
        )
    }

    /// The peak against what there is, and the session on disk, in a line.
    #[must_use]
    pub fn peak_of_available_line(&self) -> String {
        let peak = self.memory.peak();
        let host = of_limit(peak.host, self.available.host_bytes);
        let memory = if peak.device > 0.0 {
            let device = of_limit(peak.device, self.memory.device_free_bytes);
            format!("{device} of the device and {host} beside it")
        } else {
            host
        };
        format!(
            "memory: {memory}, highest at '{}'; session on disk: {} with {}",
            self.memory.peak_stage(),
            readable_bytes(self.memory.session_bytes),
            self.memory.keep
        )
    }
}

/// A sentence where a disk with so many bytes free cannot hold what is still to be written.
fn lacking_room(session_bytes: f64, there: u64, free: Option<u64>) -> Option<String> {
    let more = session_bytes - there as f64;
    let free = free? as f64;
    (more > free).then(|| {
        format!(
            "the session would take up to {} more on disk, of which {} are free; capture fewer or shorter samples, or give another --out",
            readable_bytes(more),
            readable_bytes(free)
        )
    })
}

fn of_limit(needed: f64, limit: Option<u64>) -> String {
    let needed = readable_bytes(needed);
    limit.map_or(needed.clone(), |limit| {
        format!(
            "{needed} of {} that can be had",
            readable_bytes(limit as f64)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::lacking_room;

    #[test]
    fn what_is_written_already_needs_no_room() {
        let mib = |count: u64| count << 20;
        assert_eq!(lacking_room(mib(3) as f64, 0, Some(mib(3))), None);
        assert_eq!(lacking_room(mib(3) as f64, mib(2), Some(mib(1))), None);
        assert_eq!(lacking_room(mib(3) as f64, 0, None), None);
        let sentence = lacking_room(mib(3) as f64, 0, Some(mib(2))).unwrap();
        assert!(
            sentence.contains("3.0 MiB more") && sentence.contains("2.0 MiB are free"),
            "{sentence}"
        );
    }
}
