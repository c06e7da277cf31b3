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
