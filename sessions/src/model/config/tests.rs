//! What configurations say, and what they leave out.

use serde_json::{Map, Value};

use super::*;

const LLAMA: &str = r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
    "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5}"#;

fn edited(edit: impl Fn(&mut Map<String, Value>)) -> Result<ModelConfig, SessionError> {
    let mut value: Value = serde_json::from_str(LLAMA).unwrap();
    edit(value.as_object_mut().unwrap());
    ModelConfig::from_json(value.to_string().as_bytes())
}

#[test]
fn defaults_are_those_of_hugging_face() {
    let config = edited(|_| {}).unwrap();
    assert_eq!(config.head_dim, 16);
    assert_eq!(config.rope.theta, 10_000.0);
    assert!(!config.tied_embeddings && !config.qkv_bias && config.qk_norm.is_none());
    assert_eq!(config.sliding_windows, vec![None; 4]);
}

#[test]
fn a_missing_field_is_named() {
    let error = edited(|fields| drop(fields.remove("hidden_size"))).unwrap_err();
    assert!(
        error.to_string().contains("'hidden_size' is missing"),
        "{error}"
    );
}

#[test]
fn an_unknown_architecture_is_named_with_what_is_known() {
    let error = edited(|fields| {
        drop(fields.insert(
            "architectures".into(),
            serde_json::json!(["MambaForCausalLM"]),
        ))
    })
    .unwrap_err();
    assert!(
        error.to_string().contains("MambaForCausalLM")
            && error.to_string().contains("Qwen2ForCausalLM")
    );
}

#[test]
fn heads_that_do_not_divide_are_refused() {
    let error =
        edited(|fields| drop(fields.insert("num_key_value_heads".into(), 3.into()))).unwrap_err();
    assert!(error.to_string().contains("no multiple"), "{error}");
}

#[test]
fn qwen2_ignores_its_window_unless_it_is_switched_on() {
    let qwen2 = |switch: bool| {
        edited(|fields| {
            fields.insert(
                "architectures".into(),
                serde_json::json!(["Qwen2ForCausalLM"]),
            );
            fields.insert("sliding_window".into(), 32.into());
            fields.insert("use_sliding_window".into(), switch.into());
            fields.insert("max_window_layers".into(), 2.into());
        })
        .unwrap()
        .sliding_windows
    };
    assert_eq!(qwen2(false), vec![None; 4]);
    assert_eq!(qwen2(true), vec![None, None, Some(32), Some(32)]);
}

/// The micro configuration as another family's.
fn of_family(architecture: &str, more: Value) -> Result<ModelConfig, SessionError> {
    edited(|fields| {
        fields.insert("architectures".into(), serde_json::json!([architecture]));
        let more = more.as_object().unwrap().clone();
        fields.extend(more);
    })
}

#[test]
fn smollm3_rotates_all_but_every_fourth_layer_or_those_that_are_listed() {
    let rotated = |more| {
        of_family("SmolLM3ForCausalLM", more)
            .unwrap()
            .rotated_layers
    };
    assert_eq!(rotated(serde_json::json!({})), [true, true, true, false]);
    assert_eq!(
        rotated(serde_json::json!({"no_rope_layer_interval": 2})),
        [true, false, true, false]
    );
    assert_eq!(
        rotated(serde_json::json!({"no_rope_layers": [0, 1, 1, 0, 1]})),
        [false, true, true, false]
    );
    let error = of_family(
        "SmolLM3ForCausalLM",
        serde_json::json!({"no_rope_layers": [0, 2, 1, 1]}),
    )
    .unwrap_err();
    assert!(error.to_string().contains("no_rope_layers"), "{error}");
}

#[test]
fn smollm3_slides_where_it_does_not_rotate() {
    let config = of_family(
        "SmolLM3ForCausalLM",
        serde_json::json!({"sliding_window": 8, "use_sliding_window": true}),
    )
    .unwrap();
    assert_eq!(config.sliding_windows, [None, None, None, Some(8)]);
    assert_eq!(config.rope.theta, 2_000_000.0);
    assert!(config.tied_embeddings);
    assert_eq!(config.inverse_frequencies(3, 1), vec![0.0; 8]);
}

/// Read off transformers 5.2's configurations without fields.
#[test]
fn what_a_configuration_does_not_say_is_what_transformers_takes() {
    let minimal = |architecture: &str| {
        let json = serde_json::json!({"architectures": [architecture], "vocab_size": 100, "hidden_size": 64,
            "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4});
        ModelConfig::from_json(json.to_string().as_bytes()).unwrap()
    };
    for (architecture, positions, eps, head_dim, window) in [
        ("LlamaForCausalLM", 2_048, 1e-6, 16, None),
        ("MistralForCausalLM", 131_072, 1e-6, 16, Some(4_096)),
        ("Qwen2ForCausalLM", 32_768, 1e-6, 16, None),
        ("Qwen3ForCausalLM", 32_768, 1e-6, 128, None),
        ("Qwen3MoeForCausalLM", 32_768, 1e-6, 16, None),
        ("SmolLM3ForCausalLM", 32_768, 1e-6, 16, None),
        ("Olmo2ForCausalLM", 2_048, 1e-5, 16, None),
        ("Phi3ForCausalLM", 4_096, 1e-5, 16, None),
    ] {
        let config = minimal(architecture);
        assert_eq!(config.max_positions, positions, "{architecture}");
        assert_eq!(config.rms_norm_eps, eps, "{architecture}");
        assert_eq!(config.head_dim, head_dim, "{architecture}");
        assert_eq!(config.sliding_windows, [window; 2], "{architecture}");
    }
}

#[test]
fn experts_are_in_the_layers_that_the_configuration_says() {
    let experts = |more: Value| of_family("Qwen3MoeForCausalLM", more).unwrap().experts;
    // transformers 5.2's defaults
    let plain = experts(serde_json::json!({})).unwrap();
    assert_eq!((plain.count, plain.active, plain.width), (128, 8, 768));
    assert!(!plain.normalised && plain.layers == [true; 4]);
    let some = serde_json::json!({"num_local_experts": 9, "decoder_sparse_step": 2, "mlp_only_layers": [1]});
    let some = experts(some).unwrap();
    assert_eq!(some.count, 9);
    assert_eq!(some.layers, [false, false, false, true]);
    assert!(experts(serde_json::json!({"num_experts": 0})).is_none());
    for (more, word) in [
        (serde_json::json!({"num_experts": 4}), "num_experts_per_tok"),
        (serde_json::json!({"mlp_only_layers": 1}), "mlp_only_layers"),
    ] {
        let refused = of_family("Qwen3MoeForCausalLM", more).unwrap_err();
        assert!(refused.to_string().contains(word), "{refused}");
    }
}

#[test]
fn phi3_scales_by_longrope_alone() {
    let scaling = |kind: &str| serde_json::json!({"rope_scaling": {"type": kind, "factor": 4.0}});
    for kind in ["yarn", "linear"] {
        let error = of_family("Phi3ForCausalLM", scaling(kind)).unwrap_err();
        assert!(error.to_string().contains("not supported"), "{error}");
    }
}

fn long_rope(factors: usize, more: Value) -> Result<ModelConfig, SessionError> {
    let mut fields = serde_json::json!({"original_max_position_embeddings": 64,
        "rope_scaling": {"type": "su", "short_factor": vec![1.0; factors], "long_factor": vec![4.0; factors]}});
    let more = more.as_object().unwrap().clone();
    fields.as_object_mut().unwrap().extend(more);
    of_family("Phi3ForCausalLM", fields)
}

#[test]
fn longrope_takes_the_set_of_the_prompts_length() {
    let config = long_rope(8, serde_json::json!({})).unwrap();
    let frequencies = |prompt_tokens| config.inverse_frequencies(0, prompt_tokens);
    assert_eq!(frequencies(64)[0], 1.0);
    assert_eq!(frequencies(65)[0], 0.25);
    // sqrt(1 + ln(256 / 64) / ln 64), as 64 is 4 to the third
    let factor = config.rope.scaling.attention_factor();
    assert!((factor - (4.0_f64 / 3.0).sqrt()).abs() < 1e-12);
}

#[test]
fn a_part_of_a_head_is_rotated_for_phi3_alone() {
    let part = serde_json::json!({"partial_rotary_factor": 0.75});
    let config = long_rope(6, part.clone()).unwrap();
    let frequencies = config.inverse_frequencies(0, 1);
    assert_eq!(frequencies[6..], [0.0, 0.0]);
    assert!((f64::from(frequencies[1]) - 1e4_f64.powf(-2.0 / 12.0)).abs() < 1e-7);
    for (refused, word) in [
        (long_rope(8, part.clone()), "factors for heads"),
        (of_family("LlamaForCausalLM", part), "LlamaForCausalLM"),
        (
            long_rope(8, serde_json::json!({"partial_rotary_factor": 1.5})),
            "no even part",
        ),
        (
            long_rope(8, serde_json::json!({"partial_rotary_factor": 0.1})),
            "no even part",
        ),
    ] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn yarn_reaches_as_far_as_it_stretches() {
    let scaling = serde_json::json!({"rope_scaling":
        {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}});
    let config = of_family("Qwen2ForCausalLM", scaling).unwrap();
    assert_eq!(config.max_positions, 1024);
}

#[test]
fn linear_scaling_reaches_as_far_as_it_stretches() {
    for (factor, reach) in [(4.0, 4096), (1.5, 1536), (0.5, 1024)] {
        let scaling = serde_json::json!({"max_position_embeddings": 1024,
            "rope_scaling": {"type": "linear", "factor": factor}});
        let config = of_family("LlamaForCausalLM", scaling).unwrap();
        assert_eq!(config.max_positions, reach);
    }
}

#[test]
fn other_spellings_of_the_same_are_read() {
    let more = serde_json::json!({"max_position_embeddings": 8192.0, "hidden_act": "swish"});
    let config = of_family("LlamaForCausalLM", more).unwrap();
    assert_eq!(config.max_positions, 8192);
}

#[test]
fn what_is_often_asked_for_and_not_here_is_refused_with_advice() {
    for (architecture, word) in [
        ("GptOssForCausalLM", "sinks"),
        ("Qwen2MoeForCausalLM", "Qwen3-MoE"),
        ("MixtralForCausalLM", "experts"),
        ("Gemma2ForCausalLM", "take Gemma 3"),
    ] {
        let refused = of_family(architecture, serde_json::json!({})).unwrap_err();
        assert!(refused.to_string().contains(word), "{refused}");
    }
    for (method, word) in [
        ("fp8", "dequantize=True"),
        ("gptq", "GGUF"),
        ("awq", "GGUF"),
    ] {
        let quantised = serde_json::json!({"quantization_config": {"quant_method": method}});
        let refused = of_family("LlamaForCausalLM", quantised).unwrap_err();
        assert!(refused.to_string().contains(word), "{refused}");
    }
}

#[test]
fn more_layers_than_any_model_has_are_refused() {
    let error = edited(|fields| drop(fields.insert("num_hidden_layers".into(), u32::MAX.into())))
        .unwrap_err();
    assert!(error.to_string().contains("at most 4096"), "{error}");
}

#[test]
fn a_zero_or_absurd_size_is_refused_before_anything_is_allocated() {
    assert!(edited(|fields| drop(fields.insert("num_hidden_layers".into(), 0.into()))).is_err());
    assert!(
        edited(|fields| drop(fields.insert("num_hidden_layers".into(), serde_json::json!(1e30))))
            .is_err()
    );
}

/// Both checkpoints were written by transformers.
#[test]
fn a_llamas_weights_are_those_that_transformers_writes() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for (name, tied) in [("llama-gqa-untied", false), ("llama-gqa-tied-rope3", true)] {
        let read = |file: &str| std::fs::read(fixtures.join(name).join(file)).unwrap();
        let config = ModelConfig::from_json(&read("config.json")).unwrap();
        assert_eq!(config.tied_embeddings, tied);
        let file = read("model.safetensors");
        let stored = safetensors::SafeTensors::deserialize(&file).unwrap();
        let stored = stored
            .iter()
            .map(|(name, view)| (name.to_owned(), view.shape().to_vec()));
        let mut stored: Vec<_> = stored.collect();
        let mut weights = config.llama_weights();
        stored.sort();
        weights.sort();
        assert_eq!(weights, stored);
    }
}
