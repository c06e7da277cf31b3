//! What several test files share: the built-in model and a short capture.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use kvlens_datasets::{DataSpec, LoadOptions, Sample, load_with};
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::windows::{Decode, ReadyWindow, parse_window};
use kvlens_sessions::{
    CancelFlag, CaptureEvent, CapturePlan, CaptureSummary, DecodePlan, Needs, Observation,
    Prefilled, PromptKeys, QueryRows, RunControl, SessionError, StartMode, capture,
};

/// A model on the processor, run by the operations that this program of tests is for.
pub fn load_model(source: &ModelSource, dtype: DtypeChoice) -> Model {
    crate::chosen(Model::load(source, DeviceChoice::Cpu, dtype).unwrap())
}

pub fn demo_model() -> Model {
    load_model(&ModelSource::Demo, DtypeChoice::F32)
}

pub fn demo_samples(spec: &str) -> Vec<Sample> {
    let spec: DataSpec = spec.parse().unwrap();
    load_with(&[spec], &LoadOptions::default()).unwrap().samples
}

pub fn plan(windows: &[&str], max_tokens: usize) -> CapturePlan {
    CapturePlan {
        windows: windows.iter().map(|&window| window.to_owned()).collect(),
        decode: DecodePlan {
            max_tokens,
            ..DecodePlan::default()
        },
        device: DeviceChoice::Cpu,
        dtype: DtypeChoice::F32,
        ..CapturePlan::plain(ModelSource::Demo, vec!["demo".to_owned()])
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

/// Folder of the micro checkpoints and reference arrays.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// One of the micro checkpoints.
pub fn micro_model(name: &str) -> Model {
    load_model(
        &ModelSource::Folder(fixtures().join(name)),
        DtypeChoice::F32,
    )
}

/// Ids of the prompt that the reference arrays were made with.
pub fn micro_prompt(model: &Model) -> Vec<u32> {
    let text = std::fs::read_to_string(fixtures().join("prompt.txt")).unwrap();
    model.encode_prompt(&text, None).unwrap().ids
}

/// A window that is ready for a model.
pub fn window(label: &str, model: &Model) -> ReadyWindow {
    let window = parse_window(&label.parse().unwrap()).unwrap();
    window.ready(model).unwrap()
}

/// The oracle with so many steps, whatever the model says.
pub fn decode(steps: usize) -> ReadyWindow {
    Decode::generated(DecodePlan {
        max_tokens: steps,
        ignore_eos: true,
        ..DecodePlan::default()
    })
}

/// Prefill with what these windows need.
pub fn prefill(model: &Model, ids: &[u32], windows: &[&ReadyWindow]) -> Prefilled {
    let needs = windows
        .iter()
        .fold(Needs::default(), |needs, window| needs.and(&window.needs()));
    prefill_for(model, ids, &needs)
}

pub fn prefill_for(model: &Model, ids: &[u32], needs: &Needs) -> Prefilled {
    let cancel = CancelFlag::default();
    let mut control = RunControl {
        cancel: &cancel,
        on_tokens: &mut |_, _| {},
    };
    Prefilled::run(model, ids, needs, &mut control).unwrap()
}

/// Observes, or gives the sentence that says why not.
pub fn try_observe(
    window: &ReadyWindow,
    model: &Model,
    prefilled: &mut Prefilled,
) -> Result<Observation, String> {
    let cancel = CancelFlag::default();
    let mut control = RunControl {
        cancel: &cancel,
        on_tokens: &mut |_, _| {},
    };
    window
        .observe(model, prefilled, &mut control)
        .map_err(|error| error.to_string())
}

pub fn observe(window: &ReadyWindow, model: &Model, prefilled: &mut Prefilled) -> Observation {
    try_observe(window, model, prefilled).unwrap()
}

pub fn rows(observation: &Observation) -> &QueryRows {
    observation.query_rows().unwrap()
}

pub fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The prompt's keys, layer after layer.
pub fn key_values(keys: &PromptKeys) -> Vec<f32> {
    let (layers, ..) = keys.shape();
    (0..layers)
        .flat_map(|layer| values(keys.layer(layer).unwrap()))
        .collect()
}

/// Largest absolute difference; NaN counts as one.
pub fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
    differences.fold(0.0, |worst, difference| {
        if difference > worst || difference.is_nan() {
            difference
        } else {
            worst
        }
    })
}
