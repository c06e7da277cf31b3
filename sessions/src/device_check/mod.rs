//! Whether a device computes what the processor computes, and how fast it is, for the day when there is one: stage by
//! stage, each with a limit of its own, so that something comes out in any case.

mod capture;
mod device_memory;
mod eviction;
mod flash;
mod inputs;
mod operations;
mod parity;
mod speed;
mod speed_shape;
mod stage;
mod training;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

pub use speed_shape::SpeedShape;
use stage::{Findings, within};

use crate::model::{
    AttentionKernel, DeviceChoice, DtypeChoice, Model, ModelSource, device_name, flash_report,
    formats_of, free_device_memory,
};
use crate::{CancelFlag, SessionError};

/// What is checked.
#[derive(Debug, Clone)]
pub struct DeviceCheckPlan {
    /// The device. On the processor itself the operations that a GPU is run by are held against its own.
    pub device: DeviceChoice,
    /// A folder of small checkpoints, folders and GGUF files; without it the built-in model is all there is.
    pub fixtures: Option<PathBuf>,
    /// Number formats.
    pub formats: Vec<DtypeChoice>,
    /// Steps of each training.
    pub training_steps: usize,
    /// The model whose speed is measured.
    pub speed: SpeedShape,
    /// How long a stage may take.
    pub stage_limit: Duration,
    /// Names of stages that are left out.
    pub skipped: Vec<String>,
}

impl DeviceCheckPlan {
    /// The whole check, for a card.
    pub fn of_card(device: DeviceChoice, fixtures: Option<PathBuf>) -> Self {
        Self {
            device,
            fixtures,
            formats: vec![DtypeChoice::F32, DtypeChoice::Bf16, DtypeChoice::F16],
            training_steps: 20,
            speed: SpeedShape::eight_billion(),
            stage_limit: Duration::from_secs(80),
            skipped: Vec::new(),
        }
    }

    /// The same with shapes for a processor.
    pub fn rehearsal(device: DeviceChoice, fixtures: Option<PathBuf>) -> Self {
        Self {
            training_steps: 2,
            speed: SpeedShape::tiny(),
            ..Self::of_card(device, fixtures)
        }
    }

    /// The model on the device that is checked, with flash attention where there is any.
    fn model(&self, source: &ModelSource, dtype: DtypeChoice) -> Result<Model, SessionError> {
        let model = Model::load(source, self.device, dtype)?;
        Ok(match self.device {
            DeviceChoice::Cpu => model
                .with_operations_of_a_gpu()
                .with_attention(AttentionKernel::Flash),
            _ => model.with_attention(AttentionKernel::Auto),
        })
    }
}

/// The same model as the processor runs it.
fn reference(source: &ModelSource, dtype: DtypeChoice) -> Result<Model, SessionError> {
    Model::load(source, DeviceChoice::Cpu, dtype)
}

/// What a stage found.
#[derive(Debug, Clone, Serialize)]
pub struct StageReport {
    /// Its name.
    pub stage: &'static str,
    /// `passed`, `failed` or `stopped` at its limit.
    pub outcome: &'static str,
    /// Wall time.
    pub seconds: f64,
    /// What is not as it should be, a sentence each.
    pub failures: Vec<String>,
    /// All that was measured.
    pub findings: Vec<Value>,
}

type StageWork = fn(&DeviceCheckPlan, &mut Findings<'_>) -> Result<(), SessionError>;

const STAGES: [(&str, StageWork); 8] = [
    ("device", device),
    ("operations", operations::check),
    ("flash", flash::check),
    ("parity", parity::check),
    ("capture", capture::check),
    ("training", training::check),
    ("eviction", eviction::check),
    ("speed", speed::check),
];

/// Names of the stages, in their order.
pub fn stages() -> Vec<&'static str> {
    STAGES.iter().map(|(name, _)| *name).collect()
}

/// Runs the stages in turn; `on_stage` is told of each as it ends.
///
/// A device that does not open ends the check with its first stage.
pub fn check_device(
    plan: &DeviceCheckPlan,
    on_stage: &mut dyn FnMut(&StageReport),
    cancel: &CancelFlag,
) -> Vec<StageReport> {
    let mut reports: Vec<StageReport> = Vec::new();
    let skipped = |name: &str| plan.skipped.iter().any(|skipped| skipped == name);
    for (name, work) in STAGES {
        if skipped(name) {
            continue;
        }
        let report = within(name, plan.stage_limit, cancel, |findings| {
            work(plan, findings)
        });
        on_stage(&report);
        let opened = name != "device" || report.outcome == "passed";
        reports.push(report);
        if !opened || cancel.is_cancelled() {
            break;
        }
    }
    reports
}

fn device(plan: &DeviceCheckPlan, findings: &mut Findings<'_>) -> Result<(), SessionError> {
    let opened = plan.device.open()?;
    findings.measured(json!({
        "device": device_name(&opened.device),
        "computes_in": formats_of(&opened.device),
        "attention": flash_report(&opened.device),
        "free_bytes": free_device_memory(&opened.device),
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rehearsal_passes_every_stage_on_the_processor() {
        let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let plan = DeviceCheckPlan::rehearsal(DeviceChoice::Cpu, Some(fixtures));
        let reports = check_device(&plan, &mut |_| {}, &CancelFlag::default());
        assert_eq!(reports.len(), STAGES.len());
        for report in reports {
            let failures = &report.failures;
            assert_eq!(report.outcome, "passed", "{}: {failures:?}", report.stage);
            assert!(!report.findings.is_empty(), "{}", report.stage);
        }
    }

    #[test]
    fn a_stage_ends_at_its_limit_and_keeps_what_it_found() {
        let plan = DeviceCheckPlan {
            stage_limit: Duration::ZERO,
            ..DeviceCheckPlan::rehearsal(DeviceChoice::Cpu, None)
        };
        let reports = check_device(&plan, &mut |_| {}, &CancelFlag::default());
        let stopped = reports.iter().filter(|report| report.outcome == "stopped");
        assert!(stopped.count() >= 4, "{reports:?}");
    }

    #[test]
    fn a_device_that_is_not_there_ends_the_check() {
        let plan = DeviceCheckPlan::rehearsal(DeviceChoice::Cuda(99), None);
        let reports = check_device(&plan, &mut |_| {}, &CancelFlag::default());
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].outcome, "failed");
        assert!(reports[0].failures[0].contains("cuda:99"), "{reports:?}");
    }
}
