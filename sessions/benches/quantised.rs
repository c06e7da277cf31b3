//! What quantised weights cost in prefill and in decode, against the same weights in f32.
//!
//! `cargo bench --workspace --bench quantised` (Linux): random weights in the formats of GGUF files that are met most,
//! each loaded twice, as it is and dequantised, which take turns. Times are the process's own processor time, so that what
//! else runs weighs little; ratios are taken turn by turn, and medians are printed.

#[expect(dead_code, reason = "other benches write folders by it")]
mod support;

#[path = "support/gguf.rs"]
mod gguf;

use candle_core::quantized::GgmlDType;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{CancelFlag, Needs, Prefilled, RunControl};
use support::{Shape, sample};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const SHAPE: Shape = Shape {
    layers: 6,
    hidden: 1024,
    query_heads: 16,
    kv_heads: 4,
    head_dim: 64,
    intermediate: 2816,
    vocabulary: 512,
};

const FORMATS: [GgmlDType; 5] = [
    GgmlDType::Q4_0,
    GgmlDType::Q4_1,
    GgmlDType::Q8_0,
    GgmlDType::Q4K,
    GgmlDType::Q6K,
];

const PROMPT_TOKENS: usize = 1024;
const DECODE_TOKENS: usize = 16;
const TURNS: usize = 5;

#[expect(
    unsafe_code,
    reason = "the number of threads is told by the environment"
)]
fn main() -> Outcome<()> {
    // SAFETY: nothing was started yet
    unsafe { kvlens_sessions::settle_number_of_threads() };
    let folder = tempfile::tempdir()?;
    println!(
        "{} layers of width {}, {PROMPT_TOKENS} prompt tokens, {DECODE_TOKENS} decode tokens, medians of {TURNS} turns",
        SHAPE.layers, SHAPE.hidden
    );
    println!(
        "| format | prefill, processor seconds | of f32, same turns | times | decode, processor ms a token | of f32, same turns | times |"
    );
    println!("|---|---|---|---|---|---|---|");
    for format in FORMATS {
        let source = ModelSource::Gguf(SHAPE.write_gguf(folder.path(), format)?);
        let quantised = load(&source, DtypeChoice::Auto)?;
        let dense = load(&source, DtypeChoice::F32)?;
        let [mut prefill, mut decode] = [Pairs::default(), Pairs::default()];
        // the first turn warms up
        for turn in 0..=TURNS {
            let (quantised, dense) = (Seconds::of(&quantised)?, Seconds::of(&dense)?);
            if turn > 0 {
                prefill.0.push((quantised.prefill, dense.prefill));
                decode.0.push((quantised.decode, dense.decode));
            }
        }
        let [own, of_f32, times] = prefill.medians();
        print!("| {format:?} | {own:.2} | {of_f32:.2} | {times:.2} |");
        let [own, of_f32, times] = decode.medians();
        let [own, of_f32] = [own, of_f32].map(|seconds| 1e3 * seconds / DECODE_TOKENS as f64);
        println!(" {own:.0} | {of_f32:.0} | {times:.2} |");
    }
    Ok(())
}

fn load(source: &ModelSource, dtype: DtypeChoice) -> Outcome<Model> {
    Ok(Model::load(source, DeviceChoice::Cpu, dtype)?)
}

/// Times of a quantised model and its dequantised twin, turn by turn.
#[derive(Default)]
struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    /// Of the one, the other, and of their ratio.
    fn medians(&self) -> [f64; 3] {
        let of = |value: fn(&(f64, f64)) -> f64| median(self.0.iter().map(value).collect());
        [
            of(|pair| pair.0),
            of(|pair| pair.1),
            of(|pair| pair.0 / pair.1),
        ]
    }
}

/// Processor seconds of one run.
struct Seconds {
    prefill: f64,
    decode: f64,
}

impl Seconds {
    fn of(model: &Model) -> Outcome<Self> {
        let ids = model
            .encode_prompt(&sample(PROMPT_TOKENS).prompt, None)?
            .ids;
        let cancel = CancelFlag::default();
        let mut control = RunControl {
            cancel: &cancel,
            on_tokens: &mut |_, _| {},
        };
        let needs = Needs {
            extra_tokens: DECODE_TOKENS,
            ..Needs::default()
        };
        let begun = processor_seconds()?;
        let mut prefilled = Prefilled::run(model, &ids, &needs, &mut control)?;
        let prefill = processor_seconds()? - begun;
        let mut logits = prefilled.last_logits().clone();
        let cache = prefilled.prompt_cache();
        let begun = processor_seconds()?;
        for _ in 0..DECODE_TOKENS {
            let best = logits.argmax(0)?.to_scalar::<u32>()?;
            logits = model.next_logits(&[best], cache)?;
        }
        std::hint::black_box(logits);
        Ok(Self {
            prefill,
            decode: processor_seconds()? - begun,
        })
    }
}

/// What this process has used so far, on all cores.
fn processor_seconds() -> Outcome<f64> {
    /// Of Linux on all machines that this runs on.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // the name in brackets may hold blanks; user and system time are the 12th and 13th word behind it
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let words = behind.split_whitespace().skip(11).take(2);
    let ticks: Vec<f64> = words.map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
