//! How fast a device runs a model of random weights, against what it multiplies and moves at most.

use std::thread;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor, Var};
use serde_json::{Value, json};

use super::DeviceCheckPlan;
use super::stage::Findings;
use crate::model::{
    Decoder, DeviceChoice, DtypeChoice, Model, ModelConfig, ModelSource, Parameters, Weights,
    free_device_memory, top_token,
};
use crate::plan::DecodePlan;
use crate::prefill::{Needs, Prefilled, RunControl};
use crate::stopwatch::Stopwatch;
use crate::windows::{Decode, parse_window};
use crate::{CancelFlag, SessionError};

/// A model of random weights, and how long its prompts are.
#[derive(Debug, Clone)]
pub struct SpeedShape {
    hidden: usize,
    layers: usize,
    query_heads: usize,
    kv_heads: usize,
    head_dim: usize,
    intermediate: usize,
    vocabulary: usize,
    prompts: Vec<usize>,
    decoded: usize,
    /// Rows and columns of the products, numbers of the copies, that the device's own speed is taken from.
    product: usize,
    copied: usize,
}

impl SpeedShape {
    /// That of Llama 3.1 8B, with prompts of 4,096, 16,384 and 32,768 tokens.
    pub fn eight_billion() -> Self {
        Self {
            hidden: 4096,
            layers: 32,
            query_heads: 32,
            kv_heads: 8,
            head_dim: 128,
            intermediate: 14_336,
            vocabulary: 128_256,
            prompts: vec![4096, 16_384, 32_768],
            decoded: 16,
            product: 8192,
            copied: 1 << 29,
        }
    }

    /// One that a processor runs in a second.
    pub fn tiny() -> Self {
        Self {
            hidden: 32,
            layers: 2,
            query_heads: 4,
            kv_heads: 2,
            head_dim: 8,
            intermediate: 64,
            vocabulary: 640,
            prompts: vec![64, 600],
            decoded: 4,
            product: 64,
            copied: 1 << 12,
        }
    }

    fn config(&self) -> Result<ModelConfig, SessionError> {
        let positions = self.prompts.iter().max().map_or(0, |tokens| tokens + 1024);
        let text = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": self.hidden, "num_hidden_layers": self.layers, "vocab_size": self.vocabulary,
            "num_attention_heads": self.query_heads, "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim, "intermediate_size": self.intermediate,
            "max_position_embeddings": positions, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0,
            "tie_word_embeddings": false,
        });
        ModelConfig::from_json(text.to_string().as_bytes())
    }

    /// Names and shapes of the weights.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (queries, keys) = (
            self.query_heads * self.head_dim,
            self.kv_heads * self.head_dim,
        );
        let (hidden, wide) = (self.hidden, self.intermediate);
        let mut all = vec![
            (
                "model.embed_tokens.weight".to_owned(),
                vec![self.vocabulary, hidden],
            ),
            ("lm_head.weight".to_owned(), vec![self.vocabulary, hidden]),
            ("model.norm.weight".to_owned(), vec![hidden]),
        ];
        for layer in 0..self.layers {
            for (name, shape) in [
                ("input_layernorm", vec![hidden]),
                ("post_attention_layernorm", vec![hidden]),
                ("self_attn.q_proj", vec![queries, hidden]),
                ("self_attn.k_proj", vec![keys, hidden]),
                ("self_attn.v_proj", vec![keys, hidden]),
                ("self_attn.o_proj", vec![hidden, queries]),
                ("mlp.gate_proj", vec![wide, hidden]),
                ("mlp.up_proj", vec![wide, hidden]),
                ("mlp.down_proj", vec![hidden, wide]),
            ] {
                all.push((format!("model.layers.{layer}.{name}.weight"), shape));
            }
        }
        all
    }

    /// Numbers in all weights.
    fn numbers(&self) -> f64 {
        let of = |shape: &Vec<usize>| shape.iter().product::<usize>() as f64;
        self.tensors().iter().map(|(_, shape)| of(shape)).sum()
    }

    /// Operations of a prefill: two for each weight but the embedding's and each token, and of attention for each pair
    /// of a row and a key that it sees, once for the scores and once for the context.
    fn prefill_flops(&self, tokens: f64) -> f64 {
        let weights = self.numbers() - 2.0 * (self.vocabulary * self.hidden) as f64;
        let heads = (self.layers * self.query_heads * self.head_dim) as f64;
        2.0 * weights * tokens + 2.0 * heads * tokens * tokens
    }

    /// Bytes that a decode step must read: the weights but the embedding, and the cache.
    fn decode_bytes(&self, tokens: f64, element: f64) -> f64 {
        let weights = self.numbers() - (self.vocabulary * self.hidden) as f64;
        let cached = 2.0 * (self.layers * self.kv_heads * self.head_dim) as f64 * tokens;
        (weights + cached) * element
    }
}

/// A model whose weights are noise, made where they are needed.
fn random_model(shape: &SpeedShape, device: &Device, dtype: DType) -> Result<Model, SessionError> {
    // some numbers over and over: 8 billion would take minutes to draw
    const NOISE: usize = (1 << 20) + 7;
    let values: Vec<f32> = (0..NOISE as u32)
        .map(|index| {
            ((index.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32 - 0.5) * 0.1
        })
        .collect();
    let noise = Tensor::from_vec(values, NOISE, device)?.to_dtype(dtype)?;
    let mut parameters = Parameters::new();
    for (name, shape) in shape.tensors() {
        let count: usize = shape.iter().product();
        let tensor = match shape.len() {
            1 => Tensor::ones(shape, dtype, device)?,
            _ => {
                let times = count.div_ceil(NOISE);
                let repeated = noise.unsqueeze(0)?.broadcast_as((times, NOISE))?;
                let repeated = repeated.contiguous()?.flatten_all()?;
                repeated.narrow(0, 0, count)?.reshape(shape)?
            }
        };
        parameters.insert(name, Var::from_tensor(&tensor)?);
    }
    let weights = Weights::trained(&parameters, device, dtype);
    let decoder = Decoder::load(&weights, shape.config()?)?;
    // its tokenizer is not asked for anything
    let demo = Model::load(&ModelSource::Demo, DeviceChoice::Cpu, DtypeChoice::F32)?;
    Ok(demo.with_decoder(decoder))
}

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
        "dtype": dtype.as_str(), "product_flops_per_second": product, "moved_bytes_per_second": moved,
    }));
    let model = random_model(shape, &device, dtype)?;
    for &tokens in &shape.prompts {
        findings.cancel.check()?;
        let measured = measure(&model, shape, tokens, dtype, findings)?;
        let [prefill, plain, captured] = measured.seconds;
        let (length, element) = (tokens as f64, dtype.size_in_bytes() as f64);
        let least = shape.prefill_flops(length) / product;
        let least_step = shape.decode_bytes(length, element) / moved;
        let held = before.zip(free_device_memory(&device));
        findings.measured(json!({
            "prompt_tokens": tokens,
            "prefill_tokens_per_second": length / prefill,
            "prefill_against_products_alone": prefill / least,
            "milliseconds_of_a_step": 1e3 * plain,
            "step_against_moving_alone": plain / least_step,
            "captured_step_against_plain": captured / plain,
            "window_seconds": measured.windows,
            "held_bytes": held.map(|(before, now)| before.saturating_sub(now)),
        }));
    }
    let tokens = shape.prompts.first().copied().unwrap_or(1);
    let latency = cancel_latency(&model, tokens)?;
    findings.measured(json!({"cancel_latency_seconds": latency}));
    Ok(())
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
    let decode = Decode::generated(DecodePlan {
        max_tokens: steps,
        ignore_eos: true,
        ..DecodePlan::default()
    });
    let windows = WINDOWS.map(|label| parse_window(&label.parse()?)?.ready(model));
    let windows = windows.into_iter().collect::<Result<Vec<_>, _>>()?;
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
