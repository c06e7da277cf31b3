//! What the worker does about a model before it is loaded: fetch it, and foresee what it takes.

use std::time::Instant;

use kvlens_datasets::Sample;
use kvlens_sessions::CapturePlan;
use kvlens_sessions::estimate::{CaptureEstimator, MemoryEstimate, readable_bytes};
use kvlens_sessions::hub::{DownloadProgress, HubSettings, hub_id};
use kvlens_sessions::model::ModelSource;

use super::capture_settings::CaptureSettings;
use super::data::Progress;
use super::jobs::Reporter;
use crate::system_memory::available_memory;

/// Sees that a model is here: one that is a hub id and not complete in the local hub cache is downloaded.
pub(super) fn fetch_model(source: &ModelSource, reporter: &Reporter<'_>) -> anyhow::Result<()> {
    let Some(id) = hub_id(source) else {
        return Ok(());
    };
    let settings = HubSettings::from_environment();
    if settings.complete(&id).is_some() {
        return Ok(());
    }
    let mut meter = DownloadMeter {
        reporter,
        began: Instant::now(),
        done_at_start: None,
    };
    settings.download(&id, reporter.cancel, &mut |progress| meter.take(progress))?;
    Ok(())
}

/// Turns a download's news into progress with speed and time left.
struct DownloadMeter<'a> {
    reporter: &'a Reporter<'a>,
    began: Instant,
    /// Bytes that an earlier download left; they are no speed.
    done_at_start: Option<u64>,
}

impl DownloadMeter<'_> {
    fn take(&mut self, progress: DownloadProgress<'_>) {
        let (done, total) = (progress.done_bytes, progress.total_bytes);
        let before = *self.done_at_start.get_or_insert(done);
        let seconds = self.began.elapsed().as_secs_f64();
        let moved = done.saturating_sub(before);
        let speed = (moved > 0 && seconds > 0.0).then(|| moved as f64 / seconds);
        (self.reporter.progress)(Progress {
            stage: format!("Fetch {}", progress.file),
            bytes: Some((done, total)),
            bytes_per_second: speed,
            seconds_left: speed.map(|speed| total.saturating_sub(done) as f64 / speed),
            ..Progress::default()
        });
    }
}

/// A line on what a capture will take; refuses what cannot fit. A model that is loaded takes its memory already.
pub(super) fn foresee_memory(
    plan: &CapturePlan,
    samples: &[Sample],
    is_loaded: bool,
) -> anyhow::Result<String> {
    let estimator = CaptureEstimator::open(plan)?;
    let mut estimate = estimator.estimate(samples)?;
    let mut available = available_memory();
    if is_loaded {
        estimate.count_weights_as_available(&mut available);
    }
    estimator.check(&estimate, available)?;
    Ok(line(&estimate))
}

/// What the capture of these settings would take, or that its model has to be fetched first.
pub(super) fn estimate(settings: &CaptureSettings) -> anyhow::Result<String> {
    let plan = settings.plan()?;
    if let Some(id) = hub_id(&plan.model)
        && HubSettings::from_environment().complete(&id).is_none()
    {
        return Ok(format!("{id} will be fetched from the hub"));
    }
    let samples = settings.samples()?;
    let estimate = CaptureEstimator::open(&plan)?.estimate(&samples)?;
    Ok(line(&estimate))
}

fn line(estimate: &MemoryEstimate) -> String {
    let peak = estimate.peak();
    let place = match peak.device > 0.0 {
        true => format!("{} on the device, ", readable_bytes(peak.device)),
        false => String::new(),
    };
    format!(
        "Memory: {place}{} at '{}'; session: {}",
        readable_bytes(peak.host),
        estimate.peak_stage(),
        readable_bytes(estimate.session_bytes)
    )
}
