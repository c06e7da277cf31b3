//! Checkpoints that are broken in one way each: exit code 2, one sentence, nothing written.

use std::fs;
use std::path::Path;

use crate::support::{model_copy, run};

fn refused(spoil: impl Fn(&Path), words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    model_copy(&model);
    spoil(&model);
    let arguments = [
        "capture",
        "--model",
        "model",
        "--data",
        "demo:samples=1",
        "--out",
        "out/s.kvlens",
    ];
    let ran = run(folder.path(), &arguments);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert_eq!(ran.stdout, "");
    assert_eq!(
        ran.stderr.lines().count(),
        1,
        "one sentence: {}",
        ran.stderr
    );
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    assert!(
        !folder.path().join("out").exists(),
        "nothing is half-written"
    );
}

fn edit_config(model: &Path, edit: impl Fn(&mut serde_json::Map<String, serde_json::Value>)) {
    let path = model.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(config.as_object_mut().unwrap());
    fs::write(path, config.to_string()).unwrap();
}

#[test]
fn a_copy_that_nothing_is_wrong_with_works() {
    let folder = tempfile::tempdir().unwrap();
    model_copy(&folder.path().join("model"));
    let arguments = [
        "capture",
        "--model",
        "model",
        "--data",
        "demo:samples=1",
        "--out",
        "s.kvlens",
    ];
    let ran = run(folder.path(), &arguments);
    assert_eq!(ran.code, 0, "{ran:#?}");
}

#[test]
fn no_model_folder() {
    refused(
        |model| fs::remove_dir_all(model).unwrap(),
        &["no such model folder", "model"],
    );
}

#[test]
fn no_weights() {
    let remove = |model: &Path| fs::remove_file(model.join("model.safetensors")).unwrap();
    refused(remove, &["model.safetensors"]);
}

#[test]
fn pickled_weights() {
    let rename = |model: &Path| {
        let weights = model.join("model.safetensors");
        fs::rename(weights, model.join("pytorch_model.bin")).unwrap();
    };
    refused(rename, &["safe_serialization"]);
}

#[test]
fn truncated_weights() {
    for keep in [0, 7, 100, 100_000] {
        let truncate = |model: &Path| {
            let path = model.join("model.safetensors");
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..keep]).unwrap();
        };
        refused(truncate, &["model.safetensors"]);
    }
}

/// A safetensors file with one tensor, the embedding, and `data` zeros behind its header.
fn write_weights(model: &Path, entry: &str, data: usize) {
    let header = format!("{{\"model.embed_tokens.weight\": {{{entry}}}}}");
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    fs::write(model.join("model.safetensors"), bytes).unwrap();
}

#[test]
fn weights_of_an_absurd_size() {
    let spoil = |model: &Path| {
        let entry =
            "\"dtype\": \"F32\", \"shape\": [4294967295, 4294967295], \"data_offsets\": [0, 64]";
        write_weights(model, entry, 64);
    };
    refused(spoil, &["truncated or damaged"]);
}

#[test]
fn weights_that_are_whole_numbers() {
    let spoil = |model: &Path| {
        let text = fs::read_to_string(model.join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let size = |field: &str| config[field].as_u64().unwrap() as usize;
        let (rows, columns) = (size("vocab_size"), size("hidden_size"));
        let data = 8 * rows * columns;
        let entry = format!(
            "\"dtype\": \"I64\", \"shape\": [{rows}, {columns}], \"data_offsets\": [0, {data}]"
        );
        write_weights(model, &entry, data);
    };
    refused(spoil, &["model.embed_tokens.weight", "I64", "quantised"]);
}

#[test]
fn an_index_that_points_outside_the_folder() {
    let spoil = |model: &Path| {
        fs::rename(model.join("model.safetensors"), model.join("../stolen")).unwrap();
        let index = "{\"weight_map\": {\"model.norm.weight\": \"../stolen\"}}";
        fs::write(model.join("model.safetensors.index.json"), index).unwrap();
    };
    refused(spoil, &["outside the model folder", "../stolen"]);
}

#[test]
fn a_configuration_with_absurd_numbers() {
    for (field, number) in [
        ("num_hidden_layers", 1_000_000_000_u64),
        ("head_dim", 0),
        ("vocab_size", 1 << 40),
        ("hidden_size", u64::from(u32::MAX)),
    ] {
        let spoil = |model: &Path| {
            edit_config(model, |config| {
                config.insert(field.to_owned(), number.into());
            });
        };
        refused(spoil, &[&number.to_string()]);
    }
}

#[test]
fn a_configuration_that_is_nested_without_end() {
    let spoil = |model: &Path| fs::write(model.join("config.json"), "[".repeat(1 << 20)).unwrap();
    refused(spoil, &["config.json", "recursion limit"]);
}

#[test]
fn a_quantised_checkpoint() {
    let spoil = |model: &Path| {
        edit_config(model, |config| {
            let quantised = serde_json::json!({"quant_method": "awq", "bits": 4});
            config.insert("quantization_config".to_owned(), quantised);
        });
    };
    refused(spoil, &["quantised (awq)"]);
}

#[test]
fn a_rotation_that_is_not_computed() {
    let spoil = |model: &Path| {
        edit_config(model, |config| {
            let spiral = serde_json::json!({"type": "spiral", "factor": 4.0});
            config.insert("rope_scaling".to_owned(), spiral);
        });
    };
    refused(spoil, &["'spiral'", "yarn"]);
}

#[test]
fn a_shape_that_does_not_fit_the_configuration() {
    let widen = |model: &Path| {
        edit_config(model, |config| {
            config.insert("intermediate_size".to_owned(), 353.into());
        });
    };
    refused(widen, &["353", "352", "mlp"]);
}

#[test]
fn a_tensor_that_is_missing() {
    let deepen = |model: &Path| {
        edit_config(model, |config| {
            config.insert("num_hidden_layers".to_owned(), 5.into());
        });
    };
    refused(deepen, &["model.layers.4."]);
}

#[test]
fn an_unknown_architecture() {
    let rename = |model: &Path| {
        edit_config(model, |config| {
            config.insert(
                "architectures".to_owned(),
                serde_json::json!(["MambaForCausalLM"]),
            );
        });
    };
    refused(rename, &["MambaForCausalLM", "LlamaForCausalLM"]);
}

#[test]
fn a_configuration_without_a_field() {
    for field in [
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "vocab_size",
    ] {
        let remove = |model: &Path| {
            edit_config(model, |config| {
                config.remove(field).unwrap();
            });
        };
        refused(remove, &[field]);
    }
}

#[test]
fn a_configuration_that_is_no_json() {
    let spoil = |model: &Path| fs::write(model.join("config.json"), "{").unwrap();
    refused(spoil, &["config.json"]);
}

#[test]
fn no_tokenizer() {
    let remove = |model: &Path| fs::remove_file(model.join("tokenizer.json")).unwrap();
    refused(remove, &["tokenizer.json"]);
}

#[test]
fn a_tokenizer_that_is_no_tokenizer() {
    let spoil = |model: &Path| fs::write(model.join("tokenizer.json"), "{}").unwrap();
    refused(spoil, &["tokenizer"]);
}

#[test]
fn a_chat_template_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "capture", "--model", "demo", "--data", "demo", "--chat", "--out", "s.kvlens",
    ];
    let ran = run(folder.path(), &arguments);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("chat template"), "{}", ran.stderr);
    assert!(!folder.path().join("s.kvlens").exists());
}
