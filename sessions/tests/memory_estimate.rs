//! The estimate of a capture's memory against what a capture really allocates, and what prompts take that wait for
//! their turn. These tests run one after the other, because the allocator counts for all threads together.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../benches/support/gguf.rs"]
mod gguf;
#[path = "../benches/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Mutex;

use candle_core::quantized::GgmlDType;
use kvlens_datasets::{Sample, Spool};
use kvlens_sessions::estimate::{CaptureEstimator, MemoryEstimate, PROGRAM_PART};
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{CancelFlag, CapturePlan, DecodePlan, HalfFormat, Keep, StartMode, capture};
use peak_alloc::PeakAlloc;
use support::{Shape, sample};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Whose turn it is.
static TURN: Mutex<()> = Mutex::new(());

/// The bound that the estimate promises.
const TOLERANCE: f64 = 0.15;

struct Case {
    /// What stands highest in it, unless that depends on the processor.
    stage: Option<&'static str>,
    shape: Shape,
    prompt_tokens: usize,
    decode_tokens: usize,
    windows: &'static [&'static str],
    dtype: DtypeChoice,
    /// How safetensors are stored.
    stored: DtypeChoice,
    keep: Keep,
    /// The format in which it is kept.
    numbers: Option<HalfFormat>,
    /// The format of a GGUF file, instead of safetensors.
    gguf: Option<GgmlDType>,
}

const SMALL: Shape = Shape {
    layers: 4,
    hidden: 128,
    query_heads: 8,
    kv_heads: 2,
    head_dim: 32,
    intermediate: 256,
    vocabulary: 1000,
};

/// One whose keys are most of what stands.
const WIDE_KEYS: Shape = Shape {
    layers: 24,
    query_heads: 2,
    head_dim: 128,
    ..SMALL
};

fn cases() -> Vec<Case> {
    let case = |stage, shape, prompt_tokens, windows| Case {
        stage: Some(stage),
        shape,
        prompt_tokens,
        decode_tokens: 4,
        windows,
        dtype: DtypeChoice::F32,
        stored: DtypeChoice::F32,
        keep: Keep::Keys,
        numbers: None,
        gguf: None,
    };
    // wide enough that weights, in both layouts that they have, are most of what stands
    let quantised = |format, dtype| Case {
        dtype,
        gguf: Some(format),
        // the second layout, which the decode stage makes, goes by the processor
        stage: None,
        ..case(
            "prefill",
            Shape {
                hidden: 768,
                head_dim: 64,
                query_heads: 4,
                intermediate: 3072,
                vocabulary: 2000,
                ..SMALL
            },
            256,
            &["last:8"],
        )
    };
    let deep = Shape {
        layers: 60,
        hidden: 32,
        query_heads: 4,
        head_dim: 8,
        intermediate: 32,
        ..SMALL
    };
    vec![
        // blocks of attention, and a chunk's queries
        case(
            "prefill",
            Shape {
                query_heads: 16,
                ..SMALL
            },
            1000,
            &["last:8"],
        ),
        // the queries of the whole prompt
        case(
            "prefill",
            Shape {
                layers: 32,
                head_dim: 64,
                ..SMALL
            },
            700,
            &["last:5000"],
        ),
        // activations of a wide layer
        case(
            "prefill",
            Shape {
                intermediate: 8192,
                ..SMALL
            },
            600,
            &["last:8"],
        ),
        // the embedding as it is stored beside what it becomes
        Case {
            dtype: DtypeChoice::F16,
            ..case(
                "load",
                Shape {
                    vocabulary: 60_000,
                    ..SMALL
                },
                64,
                &["last:8"],
            )
        },
        // keys, as they are gathered and as they are written
        case("write", WIDE_KEYS, 1200, &["last:8"]),
        // values as well
        Case {
            keep: Keep::KeysAndValues,
            decode_tokens: 100,
            ..case("write", WIDE_KEYS, 1200, &["last:8"])
        },
        // the same in halves
        Case {
            keep: Keep::KeysAndValues,
            numbers: Some(HalfFormat::F16),
            decode_tokens: 100,
            ..case("write", WIDE_KEYS, 1200, &["last:8"])
        },
        // keys of a decode stage that is as long as the prompt
        Case {
            keep: Keep::KeysAndDecode,
            decode_tokens: 600,
            ..case("write", WIDE_KEYS, 600, &["last:8"])
        },
        // scores of many windows and of the decode stage in place of keys
        Case {
            keep: Keep::Scores,
            ..case(
                "write",
                Shape {
                    layers: 24,
                    query_heads: 16,
                    head_dim: 8,
                    hidden: 64,
                    ..SMALL
                },
                1200,
                &[
                    "last:1", "last:2", "last:3", "last:4", "last:5", "last:6", "last:7", "last:8",
                    "last:9", "last:10", "last:11", "last:12",
                ],
            )
        },
        // a ranking of every head
        case("laq:stage-w=512", deep, 1000, &["laq:stage-w=512"]),
        // scores of many windows
        case(
            "write",
            Shape {
                query_heads: 8,
                kv_heads: 1,
                ..deep
            },
            1000,
            &[
                "h2o",
                "expected",
                "random",
                "random:seed=1",
                "random:seed=2",
                "random:seed=3",
                "random:seed=4",
            ],
        ),
        // a window that looks at the keys does so layer by layer, and takes less than the prompt did
        Case {
            dtype: DtypeChoice::Bf16,
            ..case(
                "prefill",
                Shape {
                    layers: 16,
                    kv_heads: 8,
                    head_dim: 64,
                    ..SMALL
                },
                1000,
                &["knorm"],
            )
        },
        // products of bf16, whose sides are made f32 first: here the output layer
        Case {
            dtype: DtypeChoice::Bf16,
            stored: DtypeChoice::Bf16,
            ..case(
                "prefill",
                Shape {
                    vocabulary: 60_000,
                    ..SMALL
                },
                64,
                &["last:8"],
            )
        },
        quantised(GgmlDType::Q8_0, DtypeChoice::Auto),
        quantised(GgmlDType::Q4K, DtypeChoice::Auto),
        quantised(GgmlDType::Q4K, DtypeChoice::F32),
        quantised(GgmlDType::Q4K, DtypeChoice::Bf16),
    ]
}

/// Bytes that a capture allocates at its peak, beyond what stood before.
fn measured(plan: &CapturePlan, prompt_tokens: usize, out: &Path) -> f64 {
    let samples = [sample(prompt_tokens)];
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let model = Model::load(&plan.model, plan.device, plan.dtype).unwrap();
    capture(
        plan,
        &model,
        &samples,
        out,
        StartMode::New,
        &mut |_| {},
        &CancelFlag::default(),
    )
    .unwrap();
    (ALLOCATED.peak_usage() - before) as f64
}

/// What the allocator can see of it: not the program itself.
fn allocated(estimate: &MemoryEstimate) -> f64 {
    let program = estimate.parts.iter().find(|part| part.name == PROGRAM_PART);
    estimate.peak().host - program.unwrap().memory.host
}

#[test]
fn the_peak_is_foreseen_within_fifteen_per_cent() {
    let _turn = TURN.lock().unwrap();
    let mut report = String::new();
    let mut wrong = 0;
    for (index, case) in cases().iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let model = match case.gguf {
            Some(format) => case.shape.write_gguf(folder.path(), format).unwrap(),
            None => {
                case.shape.write(folder.path(), case.stored).unwrap();
                folder.path().to_owned()
            }
        };
        let plan = CapturePlan {
            windows: case
                .windows
                .iter()
                .map(|&window| window.to_owned())
                .collect(),
            decode: DecodePlan {
                max_tokens: case.decode_tokens,
                ignore_eos: true,
                ..DecodePlan::default()
            },
            device: DeviceChoice::Cpu,
            dtype: case.dtype,
            keep: Some(case.keep),
            numbers: case.numbers,
            ..CapturePlan::plain(ModelSource::from(model), vec!["random".to_owned()])
        };
        let samples = [sample(case.prompt_tokens)];
        let estimate = CaptureEstimator::open(&plan)
            .unwrap()
            .estimate(&samples)
            .unwrap();
        let out = folder.path().join("s.kvlens");
        let measured = measured(&plan, case.prompt_tokens, &out);
        let foreseen = allocated(&estimate);
        let file = std::fs::metadata(out.join("sample-00000.safetensors"))
            .unwrap()
            .len() as f64;
        let off = foreseen / measured - 1.0;
        let off_disk = estimate.session_bytes / file - 1.0;
        if off.abs() > TOLERANCE
            || off_disk.abs() > TOLERANCE
            || case
                .stage
                .is_some_and(|stage| estimate.peak_stage() != stage)
        {
            wrong += 1;
        }
        report += &format!(
            "{index}: {} of {:.1} MB measured, {:.1} foreseen, {:+.1} %, file {:+.1} %\n",
            estimate.peak_stage(),
            measured / 1e6,
            foreseen / 1e6,
            100.0 * off,
            100.0 * off_disk
        );
    }
    assert_eq!(wrong, 0, "\n{report}");
}

/// 500 prompts of 2,880 tokens would take 114 MB if their ids and pieces of text stayed, 79 bytes a token.
#[test]
fn prompts_that_wait_take_no_memory() {
    let _turn = TURN.lock().unwrap();
    let folder = tempfile::tempdir().unwrap();
    SMALL.write(folder.path(), DtypeChoice::F32).unwrap();
    let plan = CapturePlan {
        windows: vec!["last:8".to_owned()],
        decode: DecodePlan::default(),
        device: DeviceChoice::Cpu,
        dtype: DtypeChoice::F32,
        keep: Some(Keep::Keys),
        ..CapturePlan::plain(
            ModelSource::from(folder.path().to_owned()),
            vec!["random".to_owned()],
        )
    };
    let mut samples = Spool::in_folder(folder.path());
    let prompt = sample(2_880);
    for index in 0..500 {
        let id = format!("p-{index}");
        samples
            .push(&Sample {
                id,
                ..prompt.clone()
            })
            .unwrap();
    }
    // is refused when all others were looked at, so that none of them runs
    samples.push(&Sample::default()).unwrap();
    let model = Model::load(&plan.model, plan.device, plan.dtype).unwrap();
    let estimator = CaptureEstimator::open(&plan).unwrap();
    let peak_of = |work: &mut dyn FnMut()| {
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        work();
        (ALLOCATED.peak_usage() - before) as f64 / 1e6
    };
    let mut tokens = 0;
    let estimated = peak_of(&mut || tokens = estimator.estimate(&samples).unwrap().prompt_tokens);
    assert_eq!(tokens, 2_880);
    let mut refused = String::new();
    let checked = peak_of(&mut || {
        let out = folder.path().join("s.kvlens");
        let (never, quiet) = (CancelFlag::default(), &mut |_| {});
        let outcome = capture(&plan, &model, &samples, &out, StartMode::New, quiet, &never);
        refused = outcome.unwrap_err().to_string();
    });
    assert!(refused.contains("empty"), "{refused}");
    assert!(
        estimated < 16.0 && checked < 16.0,
        "{estimated} {checked} MB"
    );
}
