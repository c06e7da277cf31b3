//! What several test files share: the built-in model and a short capture.

use std::path::Path;

use kvlens_datasets::{DataSpec, Sample, load};
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{
    CancelFlag, CaptureEvent, CapturePlan, CaptureSummary, DecodePlan, SessionError, StartMode,
    capture,
};

pub fn demo_model() -> Model {
    Model::load(&ModelSource::Demo, DeviceChoice::Cpu, DtypeChoice::F32).unwrap()
}

pub fn demo_samples(spec: &str) -> Vec<Sample> {
    load(&spec.parse::<DataSpec>().unwrap()).unwrap()
}

pub fn plan(windows: &[&str], max_tokens: usize) -> CapturePlan {
    CapturePlan {
        model: ModelSource::Demo,
        data: vec!["demo".to_owned()],
        windows: windows.iter().map(|&window| window.to_owned()).collect(),
        decode: DecodePlan {
            max_tokens,
            ..DecodePlan::default()
        },
        chat: false,
        device: DeviceChoice::Cpu,
        dtype: DtypeChoice::F32,
    }
}

/// Captures and, after `cancel_after` finished samples, cancels.
pub fn run_capture(
    plan: &CapturePlan,
    model: &Model,
    samples: &[Sample],
    out: &Path,
    mode: StartMode,
    cancel_after: Option<usize>,
) -> Result<CaptureSummary, SessionError> {
    let cancel = CancelFlag::default();
    let mut finished = 0;
    let mut on_event = |event: CaptureEvent| {
        if matches!(event, CaptureEvent::SampleFinished { .. }) {
            finished += 1;
            if Some(finished) == cancel_after {
                cancel.cancel();
            }
        }
    };
    capture(plan, model, samples, out, mode, &mut on_event, &cancel)
}
