//! GGUF files end to end: against transformers, against the same weights dequantised, and damaged by hand.
//! `fixtures/make_gguf_fixtures.py` says how the files were made.

use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use kvlens_sessions::StartMode;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource, RopeScaling};
use tempfile::tempdir;

use crate::common::{
    decode, demo_samples, fixtures, largest_difference, observe, plan, prefill, run_capture,
    values, window,
};
use crate::parity::{Reference, rows_of};

/// As for folders: the weights are the same numbers.
const TOLERANCE: f32 = 1e-4;

/// For quantised weights against the same ones dequantised: candle's product rounds its inputs to 8 bits, 2^-8 of the
/// largest of a block, as a run in bf16 does at every step. The bound is that of `half_precision.rs`.
const ROUNDED_TOLERANCE: f32 = 32.0 / 256.0;

fn path_of(name: &str) -> PathBuf {
    fixtures().join("gguf").join(format!("{name}.gguf"))
}

pub fn try_load(path: &Path) -> Result<Model, String> {
    Model::load(
        &ModelSource::from(path.to_owned()),
        DeviceChoice::Cpu,
        DtypeChoice::Auto,
    )
    .map(crate::chosen)
    .map_err(|error| error.to_string())
}

#[test]
fn floating_point_files_agree_with_transformers() {
    for name in [
        "llama-gqa-tied-rope3",
        "qwen2-bias-tied",
        "smollm3-norope4",
        "olmo2-postnorm",
        "phi3-fused-swa64",
        "phi3-longrope-partial",
        "qwen3-moe-sparse",
    ] {
        let model = try_load(&path_of(name)).unwrap();
        let reference = Reference::open(name);
        let generated = reference.ids("generated_ids");
        let (decode, last) = (decode(generated.len()), window("last:8", &model));
        let ids = reference.ids("prompt_ids");
        let mut prefilled = prefill(&model, &ids, &[&decode, &last]);
        let decode = observe(&decode, &model, &mut prefilled);
        let last = observe(&last, &model, &mut prefilled);
        assert_eq!(decode.token_ids(), generated, "{name}: greedy ids");
        let keys = prefilled.keys_for_scoring(&model).unwrap();
        for (found, expected) in [
            (values(prefilled.last_logits()), "prefill_logits"),
            (rows_of(&keys, &decode), "decode_attention"),
            (rows_of(&keys, &last), "window_attention"),
        ] {
            let difference = largest_difference(&found, &reference.floats(expected));
            println!("{name} {expected}: {difference}");
            assert!(
                difference <= TOLERANCE,
                "{name}: {expected} differs by {difference}"
            );
        }
    }
}

/// Every tensor and key of a file, to be written again with changes.
pub struct Parts {
    pub metadata: Vec<(String, Value)>,
    pub tensors: Vec<(String, QTensor)>,
}

impl Parts {
    pub fn read(name: &str) -> Self {
        let mut file = File::open(path_of(name)).unwrap();
        let content = Content::read(&mut file).unwrap();
        let mut names: Vec<_> = content.tensor_infos.keys().cloned().collect();
        names.sort();
        let tensors = names.into_iter().map(|name| {
            let tensor = content.tensor(&mut file, &name, &Device::Cpu).unwrap();
            (name, tensor)
        });
        let tensors = tensors.collect();
        let mut metadata: Vec<_> = content.metadata.into_iter().collect();
        metadata.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self { metadata, tensors }
    }

    pub fn set(&mut self, key: &str, value: Value) {
        self.metadata.retain(|(known, _)| known != key);
        self.metadata.push((key.to_owned(), value));
    }

    pub fn tensor(&mut self, name: &str) -> &mut QTensor {
        let found = self.tensors.iter_mut().find(|(known, _)| known == name);
        &mut found.unwrap().1
    }

    /// The same with its matrices in this format, but for routers, which stay as they are in published files, too.
    fn quantised(mut self, format: GgmlDType) -> Self {
        for (name, tensor) in &mut self.tensors {
            if tensor.rank() >= 2 && !name.contains("ffn_gate_inp") {
                let plain = tensor.dequantize(&Device::Cpu).unwrap();
                *tensor = QTensor::quantize(&plain, format).unwrap();
            }
        }
        self
    }

    /// The same numbers as plain f32.
    pub fn dequantised(mut self) -> Self {
        for (_, tensor) in &mut self.tensors {
            let plain = tensor.dequantize(&Device::Cpu).unwrap();
            *tensor = QTensor::quantize(&plain, GgmlDType::F32).unwrap();
        }
        self
    }

    pub fn write(&self, path: &Path) {
        let metadata: Vec<_> = self.metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let tensors: Vec<_> = self.tensors.iter().map(|(k, v)| (k.as_str(), v)).collect();
        write(&mut File::create(path).unwrap(), &metadata, &tensors).unwrap();
    }
}

/// Differences of prefill logits, as a share of the largest, and of the last rows' attention.
fn assert_close_to_dequantised(what: &str, quantised: &Parts, plain: &Parts) {
    let folder = tempdir().unwrap();
    let [quantised, plain] = [("q.gguf", quantised), ("plain.gguf", plain)].map(|(name, parts)| {
        let path = folder.path().join(name);
        parts.write(&path);
        let model = try_load(&path).unwrap();
        let ids: Vec<u32> = (0..96).map(|index| 5 + (index * 37) % 300).collect();
        let last = window("last:8", &model);
        let mut prefilled = prefill(&model, &ids, &[&last]);
        let last = observe(&last, &model, &mut prefilled);
        let keys = prefilled.keys_for_scoring(&model).unwrap();
        (values(prefilled.last_logits()), rows_of(&keys, &last))
    });
    let largest = plain
        .0
        .iter()
        .fold(0.0_f32, |most, logit| most.max(logit.abs()));
    let logits = largest_difference(&quantised.0, &plain.0) / largest;
    let attention = largest_difference(&quantised.1, &plain.1);
    println!("{what}: logits {logits}, attention {attention}");
    assert!(
        logits <= ROUNDED_TOLERANCE,
        "{what}: logits differ by {logits}"
    );
    assert!(
        attention <= ROUNDED_TOLERANCE,
        "{what}: attention differs by {attention}"
    );
    assert!(logits > 0.0, "{what} did not run on quantised weights");
}

#[test]
fn quantised_files_run_as_their_dequantised_weights() {
    for name in ["mistral-swa64-untied", "qwen3-qknorm-tied"] {
        let (quantised, plain) = (Parts::read(name), Parts::read(name).dequantised());
        assert_close_to_dequantised(name, &quantised, &plain);
    }
}

/// What is stored fused is cut apart where it is quantised, and rows of heads that rotate in part are moved.
#[test]
fn quantised_projections_that_are_fused_run_as_their_dequantised_weights() {
    for name in ["phi3-fused-swa64", "phi3-longrope-partial"] {
        let quantised = || Parts::read(name).quantised(GgmlDType::Q8_0);
        assert_close_to_dequantised(name, &quantised(), &quantised().dequantised());
    }
}

/// Experts lie one behind the other in one tensor, of which each is read on its own.
#[test]
fn quantised_experts_run_as_their_dequantised_weights() {
    let quantised = || Parts::read("qwen3-moe-sparse").quantised(GgmlDType::Q8_0);
    assert_close_to_dequantised("experts", &quantised(), &quantised().dequantised());
}

/// Numbers of a width of 1 around 0, the same for the same seed.
fn drawn(shape: &[usize], seed: usize) -> Tensor {
    let count = shape.iter().product::<usize>();
    let numbers: Vec<f32> = (0..count)
        .map(|index| (((index + 7) * (2 * seed + 3)) as f64 * 0.618_033_988_75).sin() as f32)
        .collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

/// A model of two layers that is wide enough for the K formats, in such a mix: these alone, and Q6_K for some.
fn wide_model(format: GgmlDType) -> Parts {
    let mut parts = Parts::read("llama-gqa-tied-rope3");
    parts.tensors.clear();
    for (key, size) in [
        ("llama.block_count", 2),
        ("llama.embedding_length", 256),
        ("llama.feed_forward_length", 512),
        ("llama.attention.key_length", 64),
        ("llama.attention.value_length", 64),
    ] {
        parts.set(key, Value::U32(size));
    }
    parts.metadata.retain(|(key, _)| key != "general.file_type");
    let mut add = |name: String, shape: &[usize], format: GgmlDType| {
        let numbers = match shape {
            [_] => Tensor::ones(shape, candle_core::DType::F32, &Device::Cpu).unwrap(),
            _ => (drawn(shape, parts.tensors.len()) * 0.1).unwrap(),
        };
        let tensor = QTensor::quantize(&numbers, format).unwrap();
        parts.tensors.push((name, tensor));
    };
    add("token_embd.weight".into(), &[320, 256], GgmlDType::Q6K);
    add("output_norm.weight".into(), &[256], GgmlDType::F32);
    for layer in 0..2 {
        for (name, shape, format) in [
            ("attn_q", &[256, 256][..], format),
            ("attn_k", &[128, 256], format),
            ("attn_v", &[128, 256], GgmlDType::Q6K),
            ("attn_output", &[256, 256], format),
            ("ffn_gate", &[512, 256], format),
            ("ffn_up", &[512, 256], format),
            ("ffn_down", &[256, 512], GgmlDType::Q6K),
            ("attn_norm", &[256], GgmlDType::F32),
            ("ffn_norm", &[256], GgmlDType::F32),
        ] {
            add(format!("blk.{layer}.{name}.weight"), shape, format);
        }
    }
    parts
}

#[test]
fn mixes_of_k_formats_run_as_their_dequantised_weights() {
    for format in [GgmlDType::Q4K, GgmlDType::Q5K, GgmlDType::Q6K] {
        let (quantised, plain) = (wide_model(format), wide_model(format).dequantised());
        assert_close_to_dequantised(&format!("{format:?}"), &quantised, &plain);
    }
}

#[test]
fn every_window_observes_with_a_quantised_model() {
    let model = try_load(&path_of("mistral-swa64-untied")).unwrap();
    let out = tempdir().unwrap();
    let mut plan = plan(
        &[
            "last:8",
            "laq:n=4",
            "laq++:w=4,n=4",
            "dapq:n=8",
            "draft:n=4",
            "tova",
            "h2o",
            "streaming",
            "expected",
            "knorm",
            "random",
        ],
        4,
    );
    plan.model = ModelSource::from(path_of("mistral-swa64-untied"));
    let samples = &demo_samples("facts:length=128,samples=1")[..1];
    let folder = out.path().join("q8.kvlens");
    let summary = run_capture(&plan, &model, samples, &folder, StartMode::New, None).unwrap();
    assert_eq!(summary.finished, 1);
    let session = kvlens_sessions::Session::open(&folder).unwrap();
    let manifest = session.manifest();
    assert_eq!(manifest.dtype, "q8_0");
    assert_eq!(manifest.model.name, "mistral-swa64-untied");
}

#[test]
fn a_tokenizer_beside_the_file_goes_first() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let mut parts = Parts::read("qwen2-bias-tied");
    parts.set("tokenizer.ggml.model", Value::String("unheard-of".into()));
    parts.write(&path);
    let refused = try_load(&path).unwrap_err();
    assert!(
        refused.contains("put the checkpoint's tokenizer.json beside it"),
        "{refused}"
    );
    let beside = fixtures().join("qwen2-bias-tied/tokenizer.json");
    std::fs::copy(beside, folder.path().join("tokenizer.json")).unwrap();
    let ids = Reference::open("qwen2-bias-tied").ids("prompt_ids");
    let text = std::fs::read_to_string(fixtures().join("prompt.txt")).unwrap();
    let model = try_load(&path).unwrap();
    assert_eq!(model.encode_prompt(&text, None).unwrap().ids, ids);
}

#[derive(serde::Deserialize)]
struct Cuts {
    texts: Vec<String>,
    ids: std::collections::BTreeMap<String, Vec<Vec<u32>>>,
}

/// By every name that the file may give to it, with a vocabulary in which a merge may reach over any cut.
#[test]
fn texts_are_cut_as_the_tokenizers_package_cuts_them() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let cuts = std::fs::read(fixtures().join("gguf/cuts.json")).unwrap();
    let cuts: Cuts = serde_json::from_slice(&cuts).unwrap();
    assert_eq!(cuts.ids.len(), 8);
    for (name, ids) in &cuts.ids {
        let mut parts = Parts::read("byte-level");
        parts.set("tokenizer.ggml.pre", Value::String(name.clone()));
        parts.write(&path);
        let model = try_load(&path).unwrap();
        for (text, ids) in cuts.texts.iter().zip(ids) {
            let found = model.encode_prompt(text, None).unwrap().ids;
            assert_eq!(&found, ids, "{name}: {text:?}");
        }
    }
}

#[test]
fn yarn_is_read_from_its_keys() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let mut parts = Parts::read("qwen2-bias-tied");
    parts.set("qwen2.rope.scaling.type", Value::String("yarn".into()));
    parts.set("qwen2.rope.scaling.factor", Value::F32(4.0));
    parts.set("qwen2.rope.scaling.original_context_length", Value::U32(48));
    parts.write(&path);
    let model = try_load(&path).unwrap();
    let RopeScaling::Yarn(yarn) = &model.config().rope.scaling else {
        panic!("{:?}", model.config().rope);
    };
    assert_eq!((yarn.factor, yarn.original_positions), (4.0, 48));
    parts.set("qwen2.rope.scaling.attn_factor", Value::F32(0.5));
    parts.write(&path);
    let refused = try_load(&path).unwrap_err();
    assert!(refused.contains("attn_factor"), "{refused}");
}

/// What loading says of a file with these parts.
fn refusal(change: impl FnOnce(&mut Parts)) -> String {
    refusal_of("llama-gqa-tied-rope3", change)
}

fn refusal_of(name: &str, change: impl FnOnce(&mut Parts)) -> String {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let mut parts = Parts::read(name);
    change(&mut parts);
    parts.write(&path);
    try_load(&path).unwrap_err()
}

#[test]
fn files_that_make_no_model_are_refused_with_a_sentence() {
    for (word, sentence) in [
        (
            "'llama.block_count'",
            refusal(|parts| parts.metadata.retain(|(key, _)| key != "llama.block_count")),
        ),
        (
            "'mamba'",
            refusal(|parts| parts.set("general.architecture", Value::String("mamba".into()))),
        ),
        (
            "experts",
            refusal(|parts| parts.set("llama.expert_count", Value::U32(8))),
        ),
        (
            "no tensor",
            refusal(|parts| {
                parts
                    .tensors
                    .retain(|(name, _)| name != "blk.1.ffn_up.weight")
            }),
        ),
        (
            "has shape [8, 8]",
            refusal(|parts| {
                *parts.tensor("blk.1.ffn_up.weight") =
                    QTensor::quantize(&drawn(&[8, 8], 0), GgmlDType::F32).unwrap();
            }),
        ),
        (
            "is not a whole number",
            refusal(|parts| parts.set("llama.block_count", Value::String("three".into()))),
        ),
        (
            "at most 4096",
            refusal(|parts| parts.set("llama.block_count", Value::U32(u32::MAX))),
        ),
        (
            "join them",
            refusal(|parts| parts.set("split.count", Value::U16(3))),
        ),
        (
            "partial_rotary_factor",
            refusal(|parts| parts.set("llama.rope.dimension_count", Value::U32(8))),
        ),
        (
            "cuts text as 'falcon'",
            refusal(|parts| parts.set("tokenizer.ggml.pre", Value::String("falcon".into()))),
        ),
        (
            "OLMo 3",
            refusal_of("olmo2-postnorm", |parts| {
                parts.set("olmo2.attention.sliding_window", Value::U32(64));
            }),
        ),
        (
            "'phi3.rope.scaling.original_context_length'",
            refusal_of("phi3-longrope-partial", |parts| {
                let key = "phi3.rope.scaling.original_context_length";
                parts.metadata.retain(|(known, _)| known != key);
            }),
        ),
        (
            "factors for heads",
            refusal(|parts| {
                *parts.tensor("rope_freqs.weight") =
                    QTensor::quantize(&drawn(&[3], 0).abs().unwrap(), GgmlDType::F32).unwrap();
            }),
        ),
    ] {
        assert!(sentence.contains(word), "{word}: {sentence}");
    }
    let absent = try_load(Path::new("/nowhere/model.gguf")).unwrap_err();
    assert!(absent.contains("no such GGUF file"), "{absent}");
}

/// What loading says of the file with these bytes put in its place.
fn refusal_of_bytes(place: usize, bytes: &[u8]) -> String {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let mut file = std::fs::read(path_of("llama-gqa-tied-rope3")).unwrap();
    file[place..place + bytes.len()].copy_from_slice(bytes);
    std::fs::write(&path, file).unwrap();
    try_load(&path).unwrap_err()
}

/// magic 0, version 4, tensors 8, keys 16, length of the first key 24.
#[test]
fn absurd_headers_are_refused_without_being_believed() {
    for (place, bytes) in [
        (0, b"GGML".to_vec()),
        (4, 99_u32.to_le_bytes().to_vec()),
        (8, (1_u64 << 60).to_le_bytes().to_vec()),
        (16, u64::MAX.to_le_bytes().to_vec()),
        (24, (1_u64 << 60).to_le_bytes().to_vec()),
    ] {
        let sentence = refusal_of_bytes(place, &bytes);
        assert!(
            sentence.contains("GGUF header cannot be read"),
            "{sentence}"
        );
    }
}

/// Where a tensor's format, which is followed by its offset, stands in the file.
fn format_of(file: &[u8], name: &str) -> usize {
    let mut entry = (name.len() as u64).to_le_bytes().to_vec();
    entry.extend(name.bytes());
    let start = file.windows(entry.len()).position(|bytes| bytes == entry);
    start.unwrap() + entry.len() + 4 + 2 * 8
}

#[test]
fn tensors_of_unknown_format_or_outside_of_the_file_are_refused() {
    let whole = std::fs::read(path_of("llama-gqa-tied-rope3")).unwrap();
    let format = format_of(&whole, "blk.1.ffn_up.weight");
    for unknown in [9999_u32, 20] {
        let sentence = refusal_of_bytes(format, &unknown.to_le_bytes());
        assert!(sentence.contains("unknown dtype"), "{sentence}");
    }
    for offset in [1_u64 << 40, u64::MAX - 8] {
        let sentence = refusal_of_bytes(format + 4, &offset.to_le_bytes());
        assert!(
            sentence.contains("does not lie inside the file"),
            "{sentence}"
        );
    }
    let sentence = refusal_of_bytes(format - 8, &(1_u64 << 61).to_le_bytes());
    assert!(sentence.contains("has shape"), "{sentence}");
}
