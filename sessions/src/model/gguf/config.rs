//! A GGUF header as the `config.json` that says the same.

use candle_core::quantized::GgmlDType;
use serde_json::{Map, Value, json};

use super::header::Header;
use super::tensors::GgufTensors;
use crate::SessionError;

/// Architectures of GGUF files and what Hugging Face calls them.
const ARCHITECTURES: [(&str, &str); 8] = [
    ("llama", "LlamaForCausalLM"),
    ("qwen2", "Qwen2ForCausalLM"),
    ("qwen3", "Qwen3ForCausalLM"),
    ("qwen3moe", "Qwen3MoeForCausalLM"),
    ("smollm3", "SmolLM3ForCausalLM"),
    ("olmo2", "Olmo2ForCausalLM"),
    ("phi3", "Phi3ForCausalLM"),
    ("gemma3", "Gemma3ForCausalLM"),
];

/// `general.file_type` by its numbers in llama.cpp's `llama_ftype`.
const FILE_TYPES: [(usize, &str); 17] = [
    (0, "float32"),
    (1, "float16"),
    (2, "q4_0"),
    (3, "q4_1"),
    (7, "q8_0"),
    (8, "q5_0"),
    (9, "q5_1"),
    (10, "q2_k"),
    (11, "q3_k_s"),
    (12, "q3_k_m"),
    (13, "q3_k_l"),
    (14, "q4_k_s"),
    (15, "q4_k_m"),
    (16, "q5_k_s"),
    (17, "q5_k_m"),
    (18, "q6_k"),
    (32, "bfloat16"),
];

/// What stands in the header, in the fields and words of Hugging Face.
pub(super) fn config_json(header: &Header) -> Result<Value, SessionError> {
    let architecture = header
        .text("general.architecture")?
        .ok_or_else(|| header.missing("general.architecture"))?;
    let (_, huggingface) = ARCHITECTURES
        .iter()
        .find(|(name, _)| *name == architecture)
        .ok_or_else(|| {
            header.wrong(format!(
                "the architecture '{architecture}' is not supported in a GGUF file (supported: {})",
                ARCHITECTURES.map(|(name, _)| name).join(", ")
            ))
        })?;
    let key = |name: &str| format!("{architecture}.{name}");
    let has_experts = header.count(&key("expert_count"))?.is_some_and(|n| n > 0);
    if has_experts && architecture != "qwen3moe" {
        return Err(header.wrong(
            "mixtures of experts are not supported but for Qwen3-MoE (qwen3moe)".to_owned(),
        ));
    }
    let heads = required_of_layers(header, &key("attention.head_count"))?;
    let hidden = header.required_count(&key("embedding_length"))?;
    let mut config = json!({
        "architectures": [huggingface],
        "vocab_size": vocabulary(header)?,
        "hidden_size": hidden,
        "intermediate_size": required_of_layers(header, &key("feed_forward_length"))?,
        "num_hidden_layers": header.required_count(&key("block_count"))?,
        "num_attention_heads": heads,
        "num_key_value_heads": header.count_of_layers(&key("attention.head_count_kv"))?.unwrap_or(heads),
        "head_dim": head_dim(header, architecture)?,
        "max_position_embeddings": header.required_count(&key("context_length"))?,
        "rms_norm_eps": header.number(&key("attention.layer_norm_rms_epsilon"))?,
        "rope_theta": header.number(&key("rope.freq_base"))?,
        "rope_scaling": rope_scaling(header, architecture)?,
        "partial_rotary_factor": rotated_share(header, architecture)?,
        "tie_word_embeddings": header.tensor("output.weight").is_none(),
        "eos_token_id": end_of_text(header)?,
        "dtype": stored_dtype(header)?,
    });
    if let Some(fields) = config.as_object_mut() {
        add_sliding_window(header, architecture, fields)?;
        add_query_scalar(architecture, fields);
        add_biases(header, architecture, fields);
        add_experts(header, architecture, fields)?;
    }
    Ok(config)
}

fn required_of_layers(header: &Header, key: &str) -> Result<usize, SessionError> {
    header
        .count_of_layers(key)?
        .ok_or_else(|| header.missing(key))
}

/// Mistral goes by `llama`, with a sliding window or none, as Phi-3 has one or none; OLMo 2 with one is OLMo 3.
fn add_sliding_window(
    header: &Header,
    architecture: &str,
    fields: &mut Map<String, Value>,
) -> Result<(), SessionError> {
    if !matches!(architecture, "llama" | "phi3" | "olmo2" | "gemma3") {
        return Ok(());
    }
    let window = header.count(&format!("{architecture}.attention.sliding_window"))?;
    let Some(window) = window.filter(|&window| window > 0) else {
        return Ok(());
    };
    if architecture == "olmo2" {
        return Err(header
            .wrong("olmo2 with a sliding window is OLMo 3, which is not supported".to_owned()));
    }
    if architecture == "llama" {
        fields.insert("architectures".to_owned(), json!(["MistralForCausalLM"]));
    }
    fields.insert("sliding_window".to_owned(), window.into());
    Ok(())
}

/// What queries of Gemma 3 are divided by the root of is not in the header: as llama.cpp has it, the width of a head, but
/// for the model of 27 billion weights (62 layers), whose heads are wider than what it divides by.
fn add_query_scalar(architecture: &str, fields: &mut Map<String, Value>) {
    const LAYERS_OF_27B: u64 = 62;
    if architecture != "gemma3" {
        return;
    }
    let number = |name: &str| fields.get(name).and_then(Value::as_u64);
    let scalar = match number("num_hidden_layers") {
        Some(LAYERS_OF_27B) => number("hidden_size")
            .zip(number("num_attention_heads").filter(|&heads| heads > 0))
            .map(|(hidden, heads)| hidden / heads),
        _ => number("head_dim"),
    };
    fields.insert("query_pre_attn_scalar".to_owned(), scalar.into());
}

/// Experts are in every layer, and their shares brought to sum 1: as llama.cpp runs the architecture, whose header does
/// not say it.
fn add_experts(
    header: &Header,
    architecture: &str,
    fields: &mut Map<String, Value>,
) -> Result<(), SessionError> {
    if architecture != "qwen3moe" {
        return Ok(());
    }
    for (name, key) in [
        ("num_experts", "expert_count"),
        ("num_experts_per_tok", "expert_used_count"),
        ("moe_intermediate_size", "expert_feed_forward_length"),
    ] {
        let count = header.required_count(&format!("{architecture}.{key}"))?;
        fields.insert(name.to_owned(), count.into());
    }
    fields.insert("norm_topk_prob".to_owned(), true.into());
    Ok(())
}

/// Some of Llama's relatives have biases.
fn add_biases(header: &Header, architecture: &str, fields: &mut Map<String, Value>) {
    if architecture == "llama" {
        let biased = header.tensor("blk.0.attn_q.bias").is_some();
        fields.insert("attention_bias".to_owned(), biased.into());
    }
}

/// Rows of the embedding: the metadata need not say them, and the tokens may be fewer.
fn vocabulary(header: &Header) -> Result<usize, SessionError> {
    let embedding = header.tensor("token_embd.weight");
    embedding
        .and_then(|info| info.shape.dims().first().copied())
        .ok_or_else(|| header.missing("token_embd.weight"))
}

/// Width of a head.
fn head_dim(header: &Header, architecture: &str) -> Result<Option<usize>, SessionError> {
    let count = |name: &str| header.count(&format!("{architecture}.{name}"));
    let (keys, values) = (
        count("attention.key_length")?,
        count("attention.value_length")?,
    );
    let heads = header.count_of_layers(&format!("{architecture}.attention.head_count"))?;
    let heads = heads.filter(|&heads| heads > 0);
    let plain = count("embedding_length")?
        .zip(heads)
        .map(|(hidden, heads)| hidden / heads);
    let width = keys.or(plain);
    if values.is_some_and(|values| Some(values) != width) {
        return Err(header.wrong(format!(
            "'{architecture}.attention.value_length' differs from the width of a head, which is not supported"
        )));
    }
    Ok(width)
}

/// How much of a head is rotated.
fn rotated_share(header: &Header, architecture: &str) -> Result<Option<f64>, SessionError> {
    let rotated = header.count(&format!("{architecture}.rope.dimension_count"))?;
    let width = head_dim(header, architecture)?.filter(|&width| width > 0);
    Ok(rotated
        .zip(width)
        .map(|(rotated, width)| rotated as f64 / width as f64))
}

/// `rope.scaling.*`, or the factors that Llama 3.1's rule comes down to, which files carry as a tensor.
fn rope_scaling(header: &Header, architecture: &str) -> Result<Value, SessionError> {
    if header.tensor("rope_freqs.weight").is_some() {
        let factors = GgufTensors::of_header(header)?.factors("rope_freqs.weight")?;
        return Ok(json!({"rope_type": "factors", "factors": factors}));
    }
    if header.tensor("rope_factors_long.weight").is_some() {
        return long_rope(header, architecture);
    }
    for name in ["scale_linear", "scaling.attn_factor"] {
        let key = format!("{architecture}.rope.{name}");
        if header.number(&key)?.is_some_and(|factor| factor != 1.0) {
            return Err(header.wrong(format!("'{key}' other than 1 is not supported")));
        }
    }
    let key = |name: &str| format!("{architecture}.rope.scaling.{name}");
    let kind = header.text(&key("type"))?.unwrap_or("none");
    let factor = header.number(&key("factor"))?;
    match kind {
        "none" => Ok(Value::Null),
        "linear" => Ok(json!({"rope_type": "linear", "factor": factor})),
        "yarn" => Ok(json!({
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": header.count(&key("original_context_length"))?,
            "beta_fast": header.number(&key("yarn_beta_fast"))?,
            "beta_slow": header.number(&key("yarn_beta_slow"))?,
        })),
        other => Err(header.wrong(format!(
            "rope scaling '{other}' is not supported in a GGUF file (supported: none, linear, yarn)"
        ))),
    }
}

/// LongRoPE's two sets of factors, which files carry as tensors.
fn long_rope(header: &Header, architecture: &str) -> Result<Value, SessionError> {
    let key = |name: &str| format!("{architecture}.rope.scaling.{name}");
    let tensors = GgufTensors::of_header(header)?;
    Ok(json!({
        "rope_type": "longrope",
        "short_factor": tensors.factors("rope_factors_short.weight")?,
        "long_factor": tensors.factors("rope_factors_long.weight")?,
        "original_max_position_embeddings": header.required_count(&key("original_context_length"))?,
        "attention_factor": header.number(&key("attn_factor"))?,
    }))
}

/// Tokens that end a text or a turn by what they are called. Files name one id, and that of many chat models is not the
/// one that their turns end with.
const ENDS: [&str; 8] = [
    "<|end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<end_of_turn>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|return|>",
];

/// End of text, and end of a turn where the file knows one or has a token that is called so.
fn end_of_text(header: &Header) -> Result<Vec<usize>, SessionError> {
    let mut ids = Vec::new();
    for name in ["eos", "eot", "eom"] {
        let id = header.count(&format!("tokenizer.ggml.{name}_token_id"))?;
        ids.extend(id.filter(|id| !ids.contains(id)));
    }
    let tokens = header.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
    for (id, token) in tokens.iter().enumerate() {
        if ENDS.contains(token) && !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// The name of the file's mix of formats, or of its main one.
fn stored_dtype(header: &Header) -> Result<Option<String>, SessionError> {
    let file_type = header.count("general.file_type")?;
    let named = FILE_TYPES
        .iter()
        .find(|(number, _)| Some(*number) == file_type)
        .map(|(_, name)| (*name).to_owned());
    Ok(named.or_else(|| header.main_format().map(format_name)))
}

fn format_name(dtype: GgmlDType) -> String {
    match dtype {
        GgmlDType::F32 => "float32".to_owned(),
        GgmlDType::F16 => "float16".to_owned(),
        GgmlDType::BF16 => "bfloat16".to_owned(),
        // Q4_0, Q4K
        other => format!("{other:?}").to_lowercase().replace('k', "_k"),
    }
}
