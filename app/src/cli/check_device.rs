//! `kvlens check-device`: whether a device computes what the processor computes, and how fast.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use kvlens_sessions::device_check::{DeviceCheckPlan, StageReport, check_device, stages};
use kvlens_sessions::write_file;

use super::args::CheckDeviceArguments;
use super::interrupt::cancel_on_interrupt;
use super::output;
use crate::jobs::failure::Failure;

/// Runs the check, tells each stage as it ends, and writes everything as one JSON.
///
/// # Errors
/// If a stage failed, or the JSON cannot be written.
pub fn run(arguments: &CheckDeviceArguments) -> Result<()> {
    let cancel = cancel_on_interrupt()?;
    let (device, fixtures) = (arguments.device, arguments.fixtures.clone());
    let mut plan = match arguments.rehearse {
        true => DeviceCheckPlan::rehearsal(device, fixtures),
        false => DeviceCheckPlan::of_card(device, fixtures),
    };
    let known = stages();
    if let Some(unknown) = arguments
        .skip
        .iter()
        .find(|&name| !known.contains(&name.as_str()))
    {
        return Err(Failure::BadInput(format!(
            "there is no stage '{unknown}' to skip; the stages are {}",
            known.join(", ")
        ))
        .into());
    }
    plan.skipped.clone_from(&arguments.skip);
    if let Some(seconds) = arguments.limit {
        plan.stage_limit = Duration::from_secs(seconds);
    }
    let mut tell = |report: &StageReport| {
        output::note(&format!(
            "{}: {} after {:.1} s, {} findings",
            report.stage,
            report.outcome,
            report.seconds,
            report.findings.len()
        ));
        for failure in &report.failures {
            output::note(&format!("  {failure}"));
        }
    };
    let reports = check_device(&plan, &mut tell, &cancel);
    let text = serde_json::to_string_pretty(&reports).context("the report has no JSON form")?;
    match &arguments.out {
        Some(path) => write_file(path, format!("{text}\n").as_bytes())?,
        None => output::print(&format!("{text}\n"))?,
    }
    let failed = reports.iter().filter(|report| report.outcome == "failed");
    match failed.count() {
        0 => Ok(()),
        count => bail!("{count} of {} stages failed", reports.len()),
    }
}
