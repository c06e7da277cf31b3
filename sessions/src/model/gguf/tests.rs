//! What is read from GGUF files against what llama.cpp's own `gguf` package wrote and reads: see
//! `tests/fixtures/make_gguf_fixtures.py`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::Content;
use candle_core::{DType, Device, Tensor};

use super::checkpoint;
use crate::model::linear::Matrix;
use crate::model::weights::Weights;
use crate::model::{ChatVariables, DeviceChoice, DtypeChoice, Model, ModelConfig, ModelSource};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/gguf")
        .join(name)
}

fn expected(name: &str) -> HashMap<String, Tensor> {
    let path = fixture(&format!("{name}.dequantised.safetensors"));
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Scales are f16 and products of few numbers, so that f32 leaves two roundings at most: 2^-23 of the number, which
/// is below 8 in all of these.
fn assert_same_numbers(what: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    for (found, expected) in values(found).iter().zip(values(expected)) {
        assert!(
            (found - expected).abs() < 1e-5,
            "{what}: {found} for {expected}"
        );
    }
}

#[test]
fn quantised_matrices_hold_the_numbers_that_gguf_reads_in_huggingfaces_order() {
    for name in ["mistral-swa64-untied", "qwen3-qknorm-tied"] {
        let checkpoint = checkpoint(&fixture(&format!("{name}.gguf"))).unwrap();
        let config = ModelConfig::from_json(&checkpoint.config).unwrap();
        let weights = Weights::open(
            &checkpoint.weights,
            config.head_dim,
            &Device::Cpu,
            DType::F32,
            true,
        )
        .unwrap();
        for (tensor, expected) in expected(name) {
            let shape = [expected.dim(0).unwrap(), expected.dim(1).unwrap()];
            let Matrix::Quantised(matrix) = weights.matrix(&tensor, shape).unwrap() else {
                panic!("{tensor} is not quantised");
            };
            let found = matrix.dequantize(&Device::Cpu).unwrap();
            assert_same_numbers(&tensor, &found, &expected);
        }
    }
}

#[test]
fn blocks_of_every_k_format_hold_the_numbers_that_gguf_reads() {
    let mut file = std::fs::File::open(fixture("k-blocks.gguf")).unwrap();
    let content = Content::read(&mut file).unwrap();
    let expected = expected("k-blocks");
    assert_eq!(expected.len(), 5);
    for (name, expected) in expected {
        let found = content.tensor(&mut file, &name, &Device::Cpu).unwrap();
        let found = found.dequantize(&Device::Cpu).unwrap();
        let largest = values(&expected)
            .iter()
            .fold(1.0_f32, |m, v| m.max(v.abs()));
        let scale = |tensor: &Tensor| (tensor / f64::from(largest)).unwrap();
        assert_same_numbers(&name, &scale(&found), &scale(&expected));
    }
}

fn load(name: &str) -> Model {
    let source = ModelSource::from(fixture(&format!("{name}.gguf")));
    Model::load(&source, DeviceChoice::Cpu, DtypeChoice::Auto).unwrap()
}

#[test]
fn what_the_header_says_is_what_config_json_says() {
    for (name, format) in [
        ("llama-gqa-tied-rope3", "f32"),
        ("mistral-swa64-untied", "q8_0"),
        ("qwen2-bias-tied", "f32"),
        ("qwen3-qknorm-tied", "q4_0"),
        ("smollm3-norope4", "f32"),
        ("olmo2-postnorm", "f32"),
        ("phi3-fused-swa64", "f32"),
        ("phi3-longrope-partial", "f32"),
        ("qwen3-moe-sparse", "f32"),
    ] {
        let found = load(name);
        let folder = fixture("..").join(name);
        let source = ModelSource::Folder(folder);
        let expected = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::Auto).unwrap();
        let mut config = found.config().clone();
        config.stored_dtype = expected.config().stored_dtype.clone();
        // a list of factors and the rule that makes them; their frequencies are compared
        config.rope = expected.config().rope.clone();
        let factor = |model: &Model| model.config().rope.scaling.attention_factor() as f32;
        assert_eq!(factor(&found), factor(&expected), "{name}");
        // GGUF stores it in f32
        assert_eq!(
            config.rms_norm_eps as f32,
            expected.config().rms_norm_eps as f32
        );
        config.rms_norm_eps = expected.config().rms_norm_eps;
        config.eos_token_ids = expected.config().eos_token_ids.clone();
        assert_eq!(&config, expected.config(), "{name}");
        // with LongRoPE a short prompt and a long one
        for prompt_tokens in [8, 100] {
            let frequencies = |model: &Model| model.config().inverse_frequencies(0, prompt_tokens);
            let (found, expected) = (frequencies(&found), frequencies(&expected));
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-6 * expected, "{name}");
            }
        }
        assert!(found.is_end_of_text(1) && !found.is_end_of_text(0));
        assert_eq!(found.dtype_name(), format);
        assert_eq!(found.identity().name, name);
        let chat = ChatVariables::default();
        assert_eq!(
            found.encode_prompt("Hi", Some(&chat)).unwrap().ids,
            expected.encode_prompt("Hi", Some(&chat)).unwrap().ids,
            "{name}: the chat template"
        );
    }
}

#[derive(serde::Deserialize)]
struct Tokens {
    texts: Vec<String>,
    ids: HashMap<String, Vec<Vec<u32>>>,
}

#[test]
fn texts_become_the_ids_of_the_checkpoints_own_tokenizers() {
    let tokens: Tokens =
        serde_json::from_slice(&std::fs::read(fixture("tokens.json")).unwrap()).unwrap();
    assert_eq!(tokens.ids.len(), 10);
    for (name, ids) in &tokens.ids {
        let model = load(name);
        for (text, ids) in tokens.texts.iter().zip(ids) {
            let found = model.encode_prompt(text, None).unwrap().ids;
            assert_eq!(&found, ids, "{name}: {text:?}");
        }
    }
}

#[test]
fn training_on_quantised_weights_is_refused() {
    let refused = load("mistral-swa64-untied").decoder().differentiable();
    let sentence = refused.err().unwrap().to_string();
    assert!(sentence.contains("--dtype f32"), "{sentence}");
    assert!(load("qwen2-bias-tied").decoder().differentiable().is_ok());
    let source = ModelSource::from(fixture("mistral-swa64-untied.gguf"));
    let dequantised = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap();
    assert!(dequantised.decoder().differentiable().is_ok());
}
