//! The first steps of both trained windows: losses and gradients, device against processor.

use kvlens_datasets::{DataSpec, LoadOptions, Sample, Samples, load_with};
use serde_json::json;

use super::stage::{Findings, roundoff};
use super::{DeviceCheckPlan, reference};
use crate::model::{DtypeChoice, Model, ModelSource};
use crate::training::{
    WindowCurvePoint, WindowTrainingData, WindowTrainingPlan, WindowTrainingRun, train_window,
};
use crate::windows::TrainedMethod;
use crate::{SessionError, StartMode};

fn samples(spec: &str) -> Result<Vec<Sample>, SessionError> {
    let refused = |reason: String| SessionError::Plan { reason };
    let spec: DataSpec = spec.parse().map_err(|error| refused(format!("{error}")))?;
    let loaded = load_with(&[spec], &LoadOptions::default());
    Ok(loaded.map_err(|error| refused(error.to_string()))?.samples)
}

fn run(
    method: TrainedMethod,
    steps: usize,
    model: &Model,
    findings: &Findings<'_>,
) -> Result<Vec<WindowCurvePoint>, SessionError> {
    let out = std::env::temp_dir().join(format!(
        "kvlens-device-check-{}-{}.safetensors",
        std::process::id(),
        method.name()
    ));
    let run = WindowTrainingRun {
        plan: WindowTrainingPlan {
            baselines: Vec::new(),
            decode_tokens: 8,
            soft_tokens: 4,
            steps,
            step_prompts: 2,
            steps_between_evaluations: steps,
            ..WindowTrainingPlan::of(method)
        },
        out,
        start: StartMode::Replace,
        stop_after_steps: None,
    };
    let training = samples("facts:length=128,samples=3,seed=5")?;
    let held_out = samples("facts:length=128,samples=1,seed=6")?;
    let data = WindowTrainingData {
        training: Samples::from(&training),
        held_out: vec![("facts".to_owned(), Samples::from(&held_out))],
    };
    let summary = train_window(&run, model, &data, &mut |_| {}, findings.cancel);
    // what is left of it is of no use to anybody
    let _ = std::fs::remove_file(&run.out);
    let _ = std::fs::remove_file(run.out.with_added_extension("lock"));
    let _ = std::fs::remove_file(run.out.with_added_extension("training-state"));
    Ok(summary?.curve)
}

pub(super) fn check(
    plan: &DeviceCheckPlan,
    findings: &mut Findings<'_>,
) -> Result<(), SessionError> {
    for method in [TrainedMethod::JudgeQ, TrainedMethod::LookaheadKv] {
        let source = ModelSource::Demo;
        for &format in &plan.formats {
            findings.cancel.check()?;
            let steps = plan.training_steps;
            let expected = run(method, steps, &reference(&source, format)?, findings)?;
            let found = run(method, steps, &plan.model(&source, format)?, findings)?;
            let what = format!("{} in {format}", method.name());
            let of = |curve: &[WindowCurvePoint], take: fn(&WindowCurvePoint) -> f32| -> Vec<f32> {
                curve.iter().map(take).collect()
            };
            // the first step is of the same parameters; Adam turns the sign of a roundoff into a whole step
            let (first, later) = bounds(format);
            let losses = |curve: &[WindowCurvePoint]| of(curve, |point| point.loss);
            let norms = |curve: &[WindowCurvePoint]| of(curve, |point| point.gradient_norm);
            for (name, found, expected) in [
                ("loss", losses(&found), losses(&expected)),
                ("length of the gradient", norms(&found), norms(&expected)),
            ] {
                let of_first = found.get(..1).zip(expected.get(..1)).unwrap_or_default();
                findings.compare(
                    &format!("{what}: first {name}"),
                    of_first.0,
                    of_first.1,
                    first,
                );
                findings.compare(
                    &format!("{what}: {name} of all steps"),
                    &found,
                    &expected,
                    later,
                );
                findings.measured(json!({"what": format!("{what}: {name}"), "of_steps": found}));
            }
        }
    }
    Ok(())
}

/// Of the first step, that of the half-precision tests, there and back; and of all steps.
fn bounds(format: DtypeChoice) -> (f32, f32) {
    let first = (64.0 * roundoff(format)).max(1e-3);
    (first, (4.0 * first).max(0.02))
}
