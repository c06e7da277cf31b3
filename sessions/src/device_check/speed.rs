//! How fast a device runs a model of random weights, against what it multiplies and moves at most.

use std::thread;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

use super::DeviceCheckPlan;
use super::device_memory::PeakMemory;
use super::speed_shape::{SpeedShape, random_model};
use super::stage::Findings;
use crate::estimate::device_bytes_beside_weights;
use crate::model::{AttentionKernel, DtypeChoice, Model, free_device_memory, top_token};
use crate::plan::DecodePlan;
use crate::prefill::{Needs, Prefilled, RunControl};
use crate::stopwatch::Stopwatch;
use crate::windows::{Decode, Window, parse_window};
use crate::{CancelFlag, SessionError};

/// Operations a second of a product, and bytes a second of a copy.
fn own_speed(
    shape: &SpeedShape,
    device: &Device,
    dtype: DType,
) -> Result<(f64, f64), SessionError> {
    const TIMES: usize = 5;
    let side = shape.product;
    let matrix = Tensor::ones((side, side), dtype, device)?;
    let numbers = Tensor::ones(shape.copied, dtype, device)?;
    // once before the clock runs: libraries load their kernels
    let _ = (matrix.matmul(&matrix)?, numbers.affine(1.0, 1.0)?);
    let watch = Stopwatch::start(device)?;
    for _ in 0..TIMES {
        let _ = matrix.matmul(&matrix)?;
    }
    let product = watch.seconds()?;
    let watch = Stopwatch::start(device)?;
    for _ in 0..TIMES {
        let _ = numbers.affine(1.0, 1.0)?;
    }
    let copy = watch.seconds()?;
    let (times, bytes) = (TIMES as f64, (shape.copied * dtype.size_in_bytes()) as f64);
    Ok((
        times * 2.0 * (side as f64).powi(3) / product,
        times * 2.0 * bytes / copy,
    ))
}

/// Seconds of greedy steps behind a prompt of which nothing is kept.
fn plain_decode(
    model: &Model,
    prefilled: &mut Prefilled,
    steps: usize,
) -> Result<f64, SessionError> {
    let mut token = top_token(prefilled.last_logits())?;
    let cache = prefilled.prompt_cache();
    let watch = Stopwatch::start(model.decoder().device())?;
    for _ in 0..steps {
        token = top_token(&model.next_logits(&[token], cache)?)?;
    }
    watch.seconds()
}

/// Windows whose observing is timed, each of which runs another part of the program.
const WINDOWS: [&str; 5] = ["last:32", "tova", "dapq:n=32", "laq:n=8", "knorm"];

pub(super) fn check(
    plan: &DeviceCheckPlan,
    findings: &mut Findings<'_>,
) -> Result<(), SessionError> {
    let (shape, device) = (&plan.speed, plan.device.open()?.device);
    let dtype = DtypeChoice::Auto.resolve(&device, Some("bfloat16"))?;
    let before = free_device_memory(&device);
    let (product, moved) = own_speed(shape, &device, dtype)?;
    findings.measured(json!({
        "shape": shape,
        "dtype": dtype.as_str(), "product_flops_per_second": product, "moved_bytes_per_second": moved,
    }));
    let mut model = random_model(shape, &device, dtype)?.with_attention(AttentionKernel::Auto);
    for &tokens in &shape.prompts {
        findings.cancel.check()?;
        let (measured, least_free) =
            PeakMemory::during(&device, || measure(&model, shape, tokens, dtype, findings));
        let measured = measured?;
        let [prefill, plain, captured] = measured.seconds;
        let (length, element) = (tokens as f64, dtype.size_in_bytes() as f64);
        let least = shape.prefill_flops(length)? / product;
        let least_step = shape.decode_bytes(length, element)? / moved;
        let most_taken = before.zip(least_free);
        let most_taken = most_taken.map(|(before, free)| before.saturating_sub(free) as f64);
        let estimated = shape.numbers()? * element + estimated_bytes(shape, tokens, dtype)?;
        findings.measured(json!({
            "prompt_tokens": tokens,
            "prefill_tokens_per_second": length / prefill,
            "prefill_against_products_alone": prefill / least,
            "milliseconds_of_a_step": 1e3 * plain,
            "step_against_moving_alone": plain / least_step,
            "captured_step_against_plain": captured / plain,
            "window_seconds": measured.windows,
            "peak_bytes": most_taken,
            "estimated_peak_bytes": estimated,
            "peak_against_estimate": most_taken.map(|most| most / estimated),
        }));
    }
    let tokens = shape.prompts.first().copied().unwrap_or(1);
    let latency = cancel_latency(&model, tokens)?;
    findings.measured(json!({"cancel_latency_seconds": latency}));
    for kernel in [AttentionKernel::Auto, AttentionKernel::Blocks] {
        model = model.with_attention(kernel);
        for &tokens in &shape.prompts {
            let seconds = bare_prefill(&model, &prompt(shape, tokens), findings)?;
            findings.measured(json!({
                "attention": kernel, "prompt_tokens": tokens, "bare_prefill_seconds": seconds,
            }));
        }
    }
    Ok(())
}

/// Seconds of a prefill of which nothing is kept, so that every row may go through flash attention.
fn bare_prefill(model: &Model, ids: &[u32], findings: &Findings<'_>) -> Result<f64, SessionError> {
    findings.with_control(|control| {
        let watch = Stopwatch::start(model.decoder().device())?;
        Prefilled::run(model, ids, &Needs::default(), control)?;
        watch.seconds()
    })
}

/// What `capture --estimate` says of the same run, but for the weights.
fn estimated_bytes(shape: &SpeedShape, tokens: usize, dtype: DType) -> Result<f64, SessionError> {
    let windows = timed_windows()?;
    device_bytes_beside_weights(
        &shape.config()?,
        dtype,
        tokens,
        decode_plan(shape),
        &windows,
    )
}

fn timed_windows() -> Result<Vec<Window>, SessionError> {
    let windows = WINDOWS.iter().map(|label| parse_window(&label.parse()?));
    windows.collect()
}

fn decode_plan(shape: &SpeedShape) -> DecodePlan {
    DecodePlan {
        max_tokens: shape.decoded,
        ignore_eos: true,
        ..DecodePlan::default()
    }
}

/// What a prompt took: prefill, a step without and one with capture; and what windows took.
struct Measured {
    seconds: [f64; 3],
    windows: Value,
}

fn prompt(shape: &SpeedShape, tokens: usize) -> Vec<u32> {
    let mixed = |index: u32| index.wrapping_mul(2_654_435_761) >> 8;
    (0..tokens as u32)
        .map(|index| mixed(index) % shape.vocabulary as u32)
        .collect()
}

fn measure(
    model: &Model,
    shape: &SpeedShape,
    tokens: usize,
    dtype: DType,
    findings: &Findings<'_>,
) -> Result<Measured, SessionError> {
    let steps = shape.decoded;
    let decode = Decode::generated(decode_plan(shape));
    let windows = timed_windows()?.into_iter();
    let windows = windows.map(|window| window.ready(model));
    let windows = windows.collect::<Result<Vec<_>, _>>()?;
    let mut needs = decode.needs();
    for window in &windows {
        needs = needs.and(&window.needs());
    }
    let ids = prompt(shape, tokens);
    findings.with_control(|control| {
        let watch = Stopwatch::start(model.decoder().device())?;
        let mut prefilled = Prefilled::run(model, &ids, &needs, control)?;
        let prefill = watch.seconds()?;
        let plain = plain_decode(model, &mut prefilled, steps)? / steps as f64;
        let captured = decode
            .observe(model, &mut prefilled, control)?
            .cost()
            .seconds;
        let mut seconds = serde_json::Map::new();
        for window in &windows {
            let observation = window.observe(model, &mut prefilled, control)?;
            // scoring is what comes after; both are what a user waits for
            let started = Instant::now();
            let keys = prefilled
                .keys_for_scoring(model)?
                .stopped_by(control.cancel);
            let importance = keys.importance(&observation, observation.published_side())?;
            let scoring = started.elapsed().as_secs_f64();
            seconds.insert(
                window.label().to_owned(),
                json!({
                    "observing": observation.cost().seconds, "scoring": scoring,
                    "heads": importance.heads(), "dtype": dtype.as_str(),
                }),
            );
        }
        Ok(Measured {
            seconds: [prefill, plain, captured / steps as f64],
            windows: Value::Object(seconds),
        })
    })
}

/// Seconds between asking a prefill to stop and its end.
fn cancel_latency(model: &Model, tokens: usize) -> Result<f64, SessionError> {
    let cancel = CancelFlag::default();
    let ids = vec![1; tokens];
    let mut asked = None;
    let mut on_tokens = |_, _| {};
    let mut control = RunControl {
        cancel: &cancel,
        on_tokens: &mut on_tokens,
    };
    let stopped = thread::scope(|scope| {
        let watch = || {
            thread::sleep(Duration::from_millis(2));
            cancel.cancel();
            Instant::now()
        };
        let watcher = thread::Builder::new()
            .name("canceller".to_owned())
            .spawn_scoped(scope, watch);
        let outcome = Prefilled::run(model, &ids, &Needs::default(), &mut control);
        let ended = Instant::now();
        asked = watcher.ok().and_then(|watcher| watcher.join().ok());
        outcome.map(|_| ended).or(Ok::<_, SessionError>(ended))
    })?;
    Ok(asked.map_or(0.0, |asked| {
        stopped.saturating_duration_since(asked).as_secs_f64()
    }))
}
