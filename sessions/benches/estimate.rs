//! The estimate of a capture's memory against the largest resident set of a process that runs it.
//!
//! `cargo bench --workspace --bench estimate`. Every case is a checkpoint of random weights that is written,
//! captured by a child process of its own (this program again, which is told so by an environment variable), and
//! removed. Linux alone says how large a process was (`VmHWM`).

#[path = "support/gguf.rs"]
mod gguf;
mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use candle_core::quantized::GgmlDType;
use kvlens_sessions::estimate::CaptureEstimator;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{CancelFlag, CapturePlan, DecodePlan, SessionError, StartMode, capture};
use support::{Shape, sample};

/// Tells the child its checkpoint's folder.
const CHILD: &str = "KVLENS_BENCH_CHECKPOINT";

const DECODE_TOKENS: usize = 16;

struct Case {
    name: &'static str,
    shape: Shape,
    prompt_tokens: usize,
    windows: &'static [&'static str],
    format: Format,
}

/// How the weights are stored and what they are run in.
#[derive(Clone, Copy)]
enum Format {
    /// In safetensors, run in another format or as they are.
    Safetensors {
        stored: DtypeChoice,
        run: DtypeChoice,
    },
    /// In blocks of a GGUF file, which stay as they are.
    Gguf(GgmlDType),
}

const LAST: &[&str] = &["last:32"];
const MANY: &[&str] = &[
    "last:32", "laq", "dapq", "draft", "tova", "h2o", "expected", "knorm", "random",
];

fn cases() -> Vec<Case> {
    let llama = Shape {
        layers: 12,
        hidden: 768,
        query_heads: 12,
        kv_heads: 4,
        head_dim: 64,
        intermediate: 2048,
        vocabulary: 32_000,
    };
    let wide = Shape {
        layers: 4,
        hidden: 2048,
        query_heads: 16,
        kv_heads: 16,
        head_dim: 128,
        intermediate: 5632,
        vocabulary: 16_000,
    };
    let small = Shape {
        layers: 16,
        hidden: 512,
        query_heads: 16,
        kv_heads: 2,
        intermediate: 1024,
        vocabulary: 8_000,
        ..llama
    };
    let case = |name, shape, prompt_tokens, windows, format| Case {
        name,
        shape,
        prompt_tokens,
        windows,
        format,
    };
    let converted = |run| Format::Safetensors {
        stored: DtypeChoice::F32,
        run,
    };
    let f32 = converted(DtypeChoice::F32);
    let bf16 = converted(DtypeChoice::Bf16);
    let f16 = converted(DtypeChoice::F16);
    let stored_bf16 = Format::Safetensors {
        stored: DtypeChoice::Bf16,
        run: DtypeChoice::Bf16,
    };
    let (q8_0, q4_k) = (Format::Gguf(GgmlDType::Q8_0), Format::Gguf(GgmlDType::Q4K));
    vec![
        case("16 layers, 16/2 heads of 64", small, 8192, LAST, f32),
        case("16 layers, 16/2 heads of 64", small, 4096, MANY, f32),
        case("12 layers, 12/4 heads of 64", llama, 4096, MANY, f32),
        case("12 layers, 12/4 heads of 64", llama, 4096, LAST, bf16),
        case(
            "12 layers, 12/4 heads of 64",
            llama,
            4096,
            LAST,
            stored_bf16,
        ),
        case("12 layers, 12/4 heads of 64", llama, 4096, LAST, f16),
        case("12 layers, 12/4 heads of 64", llama, 4096, LAST, q8_0),
        case("12 layers, 12/4 heads of 64", llama, 4096, LAST, q4_k),
        case("4 layers, 16/16 heads of 128", wide, 4096, LAST, bf16),
        case("4 layers, 16/16 heads of 128", wide, 4096, LAST, q4_k),
        case("4 layers, 16/16 heads of 128", wide, 4096, MANY, q8_0),
        case("4 layers, 16/16 heads of 128", wide, 4096, LAST, f32),
        case("12 layers, 12/4 heads of 64", llama, 512, LAST, f32),
    ]
}

fn main() {
    let outcome = match std::env::var_os(CHILD) {
        Some(folder) => run_child(&PathBuf::from(folder)),
        None => run_all(),
    };
    if let Err(reason) = outcome {
        eprintln!("{reason}");
        std::process::exit(1);
    }
}

fn run_all() -> Result<(), String> {
    println!("case | prompt tokens | windows | estimate | largest resident set | off by");
    for (index, case) in cases().iter().enumerate() {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        case.write(folder.path())?;
        let estimate = CaptureEstimator::open(&case.plan(folder.path()))
            .and_then(|estimator| estimator.estimate(&[sample(case.prompt_tokens)]))
            .map_err(|error| error.to_string())?;
        let foreseen = estimate.peak_resident_bytes();
        let measured = measure(index, folder.path())?;
        println!(
            "{}, {} | {} | {} | {:.0} MB | {:.0} MB | {:+.1} %",
            case.name,
            case.format_name(),
            case.prompt_tokens,
            case.windows.len(),
            foreseen / 1e6,
            measured / 1e6,
            100.0 * (foreseen / measured - 1.0)
        );
    }
    Ok(())
}

/// The largest resident set of a child that captures case number `index`, in bytes.
fn measure(index: usize, folder: &Path) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .env(CHILD, folder)
        .arg(index.to_string())
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let said = said.trim();
    said.parse().map_err(|_| {
        let mut reason = format!("case {index} failed: {said}");
        // writing to a string cannot fail
        let _ = write!(reason, " {}", String::from_utf8_lossy(&output.stderr));
        reason
    })
}

fn run_child(folder: &Path) -> Result<(), String> {
    let index = std::env::args().find_map(|argument| argument.parse::<usize>().ok());
    let cases = cases();
    let case = index.and_then(|index| cases.get(index));
    let case = case.ok_or("the child was told no case")?;
    run_capture(case, folder).map_err(|error| error.to_string())?;
    println!("{}", largest_resident_set()?);
    Ok(())
}

fn run_capture(case: &Case, folder: &Path) -> Result<(), SessionError> {
    let plan = case.plan(folder);
    let model = Model::load(&plan.model, plan.device, plan.dtype)?;
    capture(
        &plan,
        &model,
        &[sample(case.prompt_tokens)],
        &folder.join("s.kvlens"),
        StartMode::New,
        &mut |_| {},
        &CancelFlag::default(),
    )?;
    Ok(())
}

impl Case {
    fn write(&self, folder: &Path) -> Result<(), String> {
        match self.format {
            Format::Safetensors { stored, .. } => self
                .shape
                .write(folder, stored)
                .map_err(|error| error.to_string()),
            Format::Gguf(format) => self
                .shape
                .write_gguf(folder, format)
                .map(|_| ())
                .map_err(|error| error.to_string()),
        }
    }

    fn format_name(&self) -> String {
        match self.format {
            Format::Safetensors { stored, run } if stored == run => run.to_string(),
            Format::Safetensors { stored, run } => format!("{stored} run in {run}"),
            Format::Gguf(format) => format!("{format:?} in GGUF"),
        }
    }

    fn plan(&self, folder: &Path) -> CapturePlan {
        let (model, dtype) = match self.format {
            Format::Safetensors { run, .. } => (folder.to_owned(), run),
            Format::Gguf(_) => (folder.join("model.gguf"), DtypeChoice::Auto),
        };
        CapturePlan {
            windows: self
                .windows
                .iter()
                .map(|&window| window.to_owned())
                .collect(),
            decode: DecodePlan {
                max_tokens: DECODE_TOKENS,
                ignore_eos: true,
                ..DecodePlan::default()
            },
            device: DeviceChoice::Cpu,
            dtype,
            ..CapturePlan::plain(ModelSource::from(model), vec!["random".to_owned()])
        }
    }
}

/// Of this process so far, in bytes.
fn largest_resident_set() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kilobytes: Option<u64> = kilobytes.and_then(|number| number.trim().parse().ok());
    kilobytes
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| "the system does not say how large the process was".to_owned())
}
