//! Gemma 3 against transformers, from folders and from a GGUF file. `fixtures/make_gemma_fixtures.py` says how the
//! checkpoints and arrays were made.

use std::path::Path;

use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use serde_json::{Value, json};

use crate::common::{decode, fixtures, largest_difference, observe, prefill, values, window};
use crate::parity::{Reference, rows_of};

/// As for the other families.
const TOLERANCE: f32 = 1e-4;

fn load(path: &Path) -> Model {
    let source = ModelSource::from(path.to_owned());
    Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap()
}

/// Compares logits, greedy ids and attention with the arrays of this name.
fn assert_agrees(name: &str, model: &Model) {
    let reference = Reference::open(name);
    let (ids, generated) = (reference.ids("prompt_ids"), reference.ids("generated_ids"));
    let text = std::fs::read_to_string(fixtures().join("prompt.txt")).unwrap();
    assert_eq!(model.encode_prompt(&text, None).unwrap().ids, ids, "{name}");
    let (steps, last) = (decode(generated.len()), window("last:8", model));
    let mut prefilled = prefill(model, &ids, &[&steps, &last]);
    let decoded = observe(&steps, model, &mut prefilled);
    let last = observe(&last, model, &mut prefilled);
    assert_eq!(decoded.token_ids(), generated, "{name}: greedy ids");
    let keys = prefilled.keys_for_scoring(model).unwrap();
    for (found, expected) in [
        (values(prefilled.last_logits()), "prefill_logits"),
        (rows_of(&keys, &decoded), "decode_attention"),
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

#[test]
fn sliding_layers_rotate_by_themselves_and_every_sixth_sees_everything() {
    let name = "gemma3-six-layers";
    let model = load(&fixtures().join(name));
    let window = Some(24);
    let windows = [window, window, window, window, window, None];
    assert_eq!(model.config().sliding_windows, windows);
    assert_agrees(name, &model);
}

#[test]
fn a_pattern_linear_scaling_a_cap_and_another_divisor() {
    let name = "gemma3-capped";
    let model = load(&fixtures().join(name));
    assert_agrees(name, &model);
    assert_eq!(model.config().max_positions, 8192);
    assert_ne!(
        model.config().inverse_frequencies(0, 1),
        model.config().inverse_frequencies(1, 1)
    );
}

#[test]
fn a_gguf_file_agrees_with_transformers() {
    let name = "gemma3-six-layers";
    let path = fixtures().join(format!("gguf/{name}.gguf"));
    assert_agrees(name, &load(&path));
}

fn copy(name: &str, folder: &Path) -> Value {
    for entry in std::fs::read_dir(fixtures().join(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
}

/// As transformers 5 writes it: a rotation for each kind of layer, and layers by name.
#[test]
fn the_newer_spelling_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = copy("gemma3-capped", folder.path());
    let fields = config.as_object_mut().unwrap();
    for name in [
        "rope_theta",
        "rope_local_base_freq",
        "rope_scaling",
        "sliding_window_pattern",
        "_sliding_window_pattern",
    ] {
        fields.remove(name);
    }
    let rope = json!({"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}});
    let kinds = ["sliding_attention", "full_attention", "sliding_attention"];
    fields.insert("rope_parameters".to_owned(), rope);
    fields.insert("layer_types".to_owned(), json!(kinds));
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    assert_agrees("gemma3-capped", &load(folder.path()));
}

/// 4B and up take pictures, too: the language part stands in `text_config` with what differs from the defaults.
#[test]
fn the_language_part_of_a_model_that_takes_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = copy("gemma3-capped", folder.path());
    for beside in [
        "architectures",
        "torch_dtype",
        "tie_word_embeddings",
        "hidden_activation",
        "eos_token_id",
    ] {
        text.as_object_mut().unwrap().remove(beside);
    }
    let config = json!({"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
        "torch_dtype": "bfloat16", "eos_token_id": [1, 106], "text_config": text,
        "vision_config": {"hidden_size": 1152}});
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let model = load(folder.path());
    assert_eq!(model.config().eos_token_ids, [1, 106]);
    assert_agrees("gemma3-capped", &model);
}

#[test]
fn what_would_change_attention_is_refused() {
    for (field, value) in [
        ("attn_logit_softcapping", json!(50.0)),
        ("use_bidirectional_attention", json!(true)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = copy("gemma3-capped", folder.path());
        config[field] = value;
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let source = ModelSource::Folder(folder.path().to_owned());
        let refused = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap_err();
        assert!(refused.to_string().contains(field), "{refused}");
    }
}
