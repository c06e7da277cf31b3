//! What GGUF headers leave out or say in their own words.

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use kvlens_sessions::DecodePlan;
use kvlens_sessions::model::{ChatVariables, Model};
use kvlens_sessions::windows::Decode;
use tempfile::tempdir;

use crate::common::{fixtures, observe, prefill};
use crate::gguf::{Parts, try_load};
use crate::parity::Reference;

fn load(parts: &Parts) -> Result<Model, String> {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    parts.write(&path);
    try_load(&path)
}

impl Parts {
    fn remove(&mut self, key: &str) {
        self.metadata.retain(|(known, _)| known != key);
    }

    fn list(&mut self, key: &str) -> &mut Vec<Value> {
        let found = self.metadata.iter_mut().find(|(known, _)| known == key);
        let list = match &mut found.unwrap().1 {
            Value::Array(list) => Some(list),
            _ => None,
        };
        list.unwrap()
    }

    /// Calls a token something else and makes it a special one.
    fn make_special(&mut self, id: u32, text: &str) {
        self.list("tokenizer.ggml.tokens")[id as usize] = Value::String(text.to_owned());
        self.list("tokenizer.ggml.token_type")[id as usize] = Value::I32(3);
    }
}

/// Headers name one end (`<|endoftext|>` for Phi-3, `<|end_of_text|>` for Llama 3), and turns end with another.
#[test]
fn an_answer_ends_with_the_token_that_is_called_so() {
    let name = "llama-gqa-tied-rope3";
    let reference = Reference::open(name);
    let (ids, generated) = (reference.ids("prompt_ids"), reference.ids("generated_ids"));
    assert_ne!(generated[0], generated[1]);
    let steps = |text: Option<&str>| {
        let mut parts = Parts::read(name);
        if let Some(text) = text {
            // nothing else is asked of the tokenizer than what its tokens are called
            parts.set("tokenizer.ggml.merges", Value::Array(Vec::new()));
            parts.make_special(generated[1], text);
        }
        let model = load(&parts).unwrap();
        let decode = Decode::generated(DecodePlan {
            max_tokens: 6,
            ..DecodePlan::default()
        });
        let mut prefilled = prefill(&model, &ids, &[&decode]);
        observe(&decode, &model, &mut prefilled).token_ids().len()
    };
    assert_eq!(steps(None), 6);
    for end in ["<|end|>", "<|eot_id|>", "<|im_end|>", "<end_of_turn>"] {
        assert_eq!(steps(Some(end)), 1, "{end}");
    }
    assert_eq!(steps(Some("<|begin|>")), 6);
}

/// A SentencePiece vocabulary of Phi-3: its special tokens take the white space behind them away.
fn phi3() -> Parts {
    let mut parts = Parts::read("sentence-piece");
    for (key, _) in &mut parts.metadata {
        if let Some(rest) = key.strip_prefix("llama.") {
            *key = format!("phi3.{rest}");
        }
    }
    parts.set("general.architecture", Value::String("phi3".into()));
    for (id, text) in [
        (300, "<|user|>"),
        (301, "<|end|>"),
        (302, "<|assistant|>"),
        (303, "<|endoftext|>"),
    ] {
        parts.make_special(id, text);
    }
    parts.set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    parts.set(
        "tokenizer.chat_template",
        Value::String(
            "{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' + m['content'] + '<|end|>\\n' }}{% endfor %}{{ '<|assistant|>\\n' }}"
                .into(),
        ),
    );
    let apart = ["attn_q.", "attn_k.", "attn_v.", "ffn_gate.", "ffn_up."];
    parts
        .tensors
        .retain(|(name, _)| !apart.iter().any(|part| name.contains(part)));
    for (name, rows) in [("attn_qkv", 24), ("ffn_up", 16)] {
        let ones = Tensor::ones((rows, 8), DType::F32, &Device::Cpu).unwrap();
        let tensor = QTensor::quantize(&ones, GgmlDType::F32).unwrap();
        parts.tensors.push((format!("blk.0.{name}.weight"), tensor));
    }
    parts
}

#[test]
fn special_tokens_of_phi3_take_the_white_space_behind_them_away() {
    let model = load(&phi3()).unwrap();
    let text = "The old clerk counted";
    let chat = model
        .encode_prompt(text, Some(&ChatVariables::default()))
        .unwrap()
        .ids;
    let inside = model.encode_continuation(text).unwrap();
    assert_eq!(chat, [&[300][..], &inside, &[301, 302]].concat());
    // this one does not
    let kept = model.encode_continuation("<|endoftext|>\nThe").unwrap();
    assert_eq!(kept[0], 303);
    assert_ne!(kept[1..], model.encode_continuation("The").unwrap());
}

#[test]
fn a_missing_cut_is_taken_from_the_architecture_with_a_warning() {
    let reference = Reference::open("qwen2-bias-tied").ids("prompt_ids");
    let text = std::fs::read_to_string(fixtures().join("prompt.txt")).unwrap();
    let mut parts = Parts::read("qwen2-bias-tied");
    assert!(load(&parts).unwrap().warnings().is_empty());
    parts.remove("tokenizer.ggml.pre");
    let model = load(&parts).unwrap();
    let warnings = model.warnings().join(" ");
    assert!(warnings.contains("'qwen2' is taken"), "{warnings}");
    assert_eq!(model.encode_prompt(&text, None).unwrap().ids, reference);
}

#[test]
fn aliases_cut_as_what_they_stand_for() {
    let texts = [
        "Zebra 12345 and 7, 3.14159 in 1999",
        "It's we'LL and THEY'RE: don't",
    ];
    let ids = |name: &str| {
        let mut parts = Parts::read("byte-level");
        parts.set("tokenizer.ggml.pre", Value::String(name.into()));
        let model = load(&parts).unwrap();
        texts.map(|text| model.encode_prompt(text, None).unwrap().ids)
    };
    for (alias, name) in [
        ("deepseek-r1-qwen", "qwen2"),
        ("falcon3", "llama-bpe"),
        ("pixtral", "llama-bpe"),
    ] {
        assert_eq!(ids(alias), ids(name), "{alias}");
    }
}

#[test]
fn sizes_may_be_given_layer_by_layer() {
    let mut parts = Parts::read("llama-gqa-tied-rope3");
    let plain = load(&parts).unwrap().config().clone();
    for (key, count) in [
        ("llama.attention.head_count_kv", 2),
        ("llama.feed_forward_length", 96),
    ] {
        parts.set(key, Value::Array(vec![Value::I32(count); 3]));
    }
    assert_eq!(load(&parts).unwrap().config(), &plain);
    let other = [2, 2, 1].map(Value::I32).to_vec();
    parts.set("llama.attention.head_count_kv", Value::Array(other));
    let refused = load(&parts).unwrap_err();
    assert!(refused.contains("differs from layer to layer"), "{refused}");
}

#[test]
fn a_big_endian_file_is_refused_by_name() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let mut file = std::fs::read(fixtures().join("gguf/llama-gqa-tied-rope3.gguf")).unwrap();
    file[4..8].copy_from_slice(&3_u32.to_be_bytes());
    std::fs::write(&path, file).unwrap();
    let refused = try_load(&path).unwrap_err();
    assert!(refused.contains("big-endian"), "{refused}");
}
