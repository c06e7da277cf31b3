//! What capturing costs: the decode stage with the queries and log-sum-exps of all heads kept, against the same
//! decode without; and prefill against the machine's own matrix product.
//!
//! `cargo bench --workspace --bench capture`, with `-- demo` or `-- 1b` for one of the two models alone: the
//! built-in one, and random weights of Llama 3.2 1B's shape (f32: 5 GB on disk while it runs, 5 GB of memory).
//! Both ways take turns; medians are printed. The way without computes one more set of logits, behind the last
//! token: a fiftieth of its time at most.

mod support;

use std::time::Instant;

use candle_core::{Device, Tensor};
use kvlens_datasets::{DataSpec, LoadOptions, load_with};
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::windows::{Decode, ReadyWindow};
use kvlens_sessions::{CancelFlag, DecodePlan, Prefilled, RunControl};
use support::{Shape, sample};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Llama 3.2 1B.
const ONE_BILLION: Shape = Shape {
    layers: 16,
    hidden: 2048,
    query_heads: 32,
    kv_heads: 8,
    head_dim: 64,
    intermediate: 8192,
    vocabulary: 128_256,
};

struct Case {
    name: &'static str,
    prompt_tokens_at_most: usize,
    decode_tokens: usize,
    repeats: usize,
}

const CASES: [Case; 2] = [
    Case {
        name: "demo",
        prompt_tokens_at_most: 1024,
        decode_tokens: 40,
        repeats: 25,
    },
    Case {
        name: "1b",
        prompt_tokens_at_most: 512,
        decode_tokens: 16,
        repeats: 5,
    },
];

#[expect(
    unsafe_code,
    reason = "the number of threads is told by the environment"
)]
fn main() -> Outcome<()> {
    // SAFETY: nothing was started yet
    unsafe { kvlens_sessions::settle_number_of_threads() };
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| asked.iter().any(|argument| argument == name);
    let any = CASES.iter().any(|case| named(case.name));
    for case in CASES.iter().filter(|case| !any || named(case.name)) {
        case.run()?;
    }
    Ok(())
}

impl Case {
    fn run(&self) -> Outcome<()> {
        let folder = tempfile::tempdir()?;
        let (source, prompt) = match self.name {
            "demo" => {
                let spec: DataSpec = "facts:length=1024,samples=1,seed=3".parse()?;
                let samples = load_with(&[spec], &LoadOptions::default())?.samples;
                let prompt = samples.first().map(|sample| sample.prompt.clone());
                (ModelSource::Demo, prompt.unwrap_or_default())
            }
            _ => {
                ONE_BILLION.write(folder.path(), DtypeChoice::F32)?;
                let source = ModelSource::Folder(folder.path().to_owned());
                (source, sample(self.prompt_tokens_at_most).prompt)
            }
        };
        let model = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32)?;
        let mut ids = model.encode_prompt(&prompt, None)?.ids;
        ids.truncate(self.prompt_tokens_at_most);
        println!("{}, {} prompt tokens, f32", self.name, ids.len());
        self.prefill(&model, &ids)?;
        self.decode(&model, &ids)
    }

    fn prefill(&self, model: &Model, ids: &[u32]) -> Outcome<()> {
        let repeats = self.repeats.min(3);
        let seconds = median(repeats, || {
            run_prefill(model, ids, &self.window())?;
            Ok(())
        })?;
        let rate = model.config().forward_flops(ids.len(), 0, 1) / seconds;
        let matmul = self.matmul_rate(model, ids.len())?;
        println!(
            "  prefill {:.0} tokens/s, {:.1} GFLOP/s; the feed-forward's matrix product alone {:.1} GFLOP/s: {:.2} of it",
            ids.len() as f64 / seconds,
            rate / 1e9,
            matmul / 1e9,
            rate / matmul
        );
        Ok(())
    }

    /// FLOP/s of a chunk's largest product.
    fn matmul_rate(&self, model: &Model, prompt_tokens: usize) -> Outcome<f64> {
        let (rows, config) = (prompt_tokens.min(512), model.config());
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let chunk = Tensor::rand(-1.0_f32, 1.0, (rows, hidden), &Device::Cpu)?;
        let weights = Tensor::rand(-1.0_f32, 1.0, (wide, hidden), &Device::Cpu)?;
        let seconds = median(15, || {
            std::hint::black_box(chunk.matmul(&weights.t()?)?);
            Ok(())
        })?;
        Ok(2.0 * (rows * hidden * wide) as f64 / seconds)
    }

    fn decode(&self, model: &Model, ids: &[u32]) -> Outcome<()> {
        let window = self.window();
        let mut prefilled = run_prefill(model, ids, &window)?;
        let (mut captured, mut plain) = (Vec::new(), Vec::new());
        // the first turn of each warms up
        for turn in 0..=self.repeats {
            let with = seconds_of(|| with_capture(model, &mut prefilled, &window))?;
            let without = seconds_of(|| self.without_capture(model, &mut prefilled))?;
            if turn > 0 {
                captured.push(with);
                plain.push(without);
            }
        }
        let (with, without) = (middle(captured), middle(plain));
        println!(
            "  decode of {} tokens: {:.2} ms with all heads captured, {:.2} ms without: {:.3} times",
            self.decode_tokens,
            1e3 * with,
            1e3 * without,
            with / without
        );
        Ok(())
    }

    fn window(&self) -> ReadyWindow {
        Decode::generated(DecodePlan {
            max_tokens: self.decode_tokens,
            ignore_eos: true,
            ..DecodePlan::default()
        })
    }

    /// The same greedy tokens, with nothing kept.
    fn without_capture(&self, model: &Model, prefilled: &mut Prefilled) -> Outcome<()> {
        let mut logits = prefilled.last_logits().clone();
        let cache = prefilled.prompt_cache();
        for _ in 0..self.decode_tokens {
            let best = logits.argmax(0)?.to_scalar::<u32>()?;
            logits = model.next_logits(&[best], cache)?;
        }
        Ok(())
    }
}

fn run_prefill(model: &Model, ids: &[u32], window: &ReadyWindow) -> Outcome<Prefilled> {
    let cancel = CancelFlag::default();
    let mut control = RunControl {
        cancel: &cancel,
        on_tokens: &mut |_, _| {},
    };
    Ok(Prefilled::run(model, ids, &window.needs(), &mut control)?)
}

fn with_capture(model: &Model, prefilled: &mut Prefilled, window: &ReadyWindow) -> Outcome<()> {
    let cancel = CancelFlag::default();
    let mut control = RunControl {
        cancel: &cancel,
        on_tokens: &mut |_, _| {},
    };
    std::hint::black_box(window.observe(model, prefilled, &mut control)?);
    Ok(())
}

fn seconds_of(mut work: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64())
}

/// Median over so many runs behind one that warms up.
fn median(repeats: usize, mut work: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    work()?;
    let seconds: Vec<f64> = (0..repeats)
        .map(|_| seconds_of(&mut work))
        .collect::<Outcome<_>>()?;
    Ok(middle(seconds))
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
