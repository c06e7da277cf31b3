//! Folders as they are met: other names of tensors, other spellings, files that git did not fetch, hub snapshots.

use std::path::{Path, PathBuf};

use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;

use crate::common::{decode, fixtures, largest_difference, observe, prefill, values};

/// As for the micro checkpoints.
const TOLERANCE: f32 = 1e-4;

fn copy(name: &str, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for entry in std::fs::read_dir(fixtures().join(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
}

fn load(folder: &Path) -> Result<Model, String> {
    let source = ModelSource::Folder(folder.to_owned());
    Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).map_err(|error| error.to_string())
}

fn edit_config(folder: &Path, fields: &Value) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let fields = fields.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(fields);
    std::fs::write(path, config.to_string()).unwrap();
}

/// Gives every tensor the name that `rename` makes of it, or leaves it out.
fn rename_tensors(folder: &Path, rename: impl Fn(&str) -> Option<String>) {
    let path = folder.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let renamed: Vec<(String, TensorView<'_>)> = tensors
        .tensors()
        .into_iter()
        .filter_map(|(name, tensor)| Some((rename(&name)?, tensor)))
        .collect();
    let bytes = safetensors::serialize(renamed, None).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn prompt(tokens: u32) -> Vec<u32> {
    (0..tokens).map(|index| 5 + (37 * index) % 300).collect()
}

fn last_logits(model: &Model, ids: &[u32]) -> Vec<f32> {
    let mut cache = model.new_cache(ids.len(), 0).unwrap();
    values(&model.next_logits(ids, &mut cache).unwrap())
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    base: String,
    fields: Value,
    tokens: u32,
    logits: Vec<f32>,
    generated_ids: Vec<u32>,
}

/// `fixtures/make_edited_fixtures.py` says how they were made.
#[test]
fn other_words_in_the_configuration_run_as_in_transformers() {
    let cases = std::fs::read(fixtures().join("edited-configs.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let folder = tempfile::tempdir().unwrap();
        copy(&case.base, folder.path());
        edit_config(folder.path(), &case.fields);
        let model = load(folder.path()).unwrap();
        let ids = prompt(case.tokens);
        let steps = decode(case.generated_ids.len());
        let needed = ids.len() + case.generated_ids.len();
        assert!(needed <= model.config().max_positions, "{}", case.name);
        let mut prefilled = prefill(&model, &ids, &[&steps]);
        let decoded = observe(&steps, &model, &mut prefilled);
        assert_eq!(decoded.token_ids(), case.generated_ids, "{}", case.name);
        let difference = largest_difference(&values(prefilled.last_logits()), &case.logits);
        assert!(difference <= TOLERANCE, "{}: {difference}", case.name);
    }
}

/// `LlamaModel.save_pretrained` leaves the first word out; a model for pictures has another before it.
#[test]
fn tensors_under_other_names_give_the_same_logits() {
    let base = "llama-gqa-untied";
    let expected = last_logits(&load(&fixtures().join(base)).unwrap(), &prompt(40));
    for (prefix, output) in [
        ("", "lm_head.weight"),
        ("model.language_model.", "lm_head.weight"),
        ("language_model.model.", "language_model.lm_head.weight"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        copy(base, folder.path());
        rename_tensors(folder.path(), |name| {
            let rest = name.strip_prefix("model.");
            Some(rest.map_or(output.to_owned(), |rest| format!("{prefix}{rest}")))
        });
        let model = load(folder.path()).unwrap();
        assert_eq!(last_logits(&model, &prompt(40)), expected, "{prefix}");
    }
}

/// A tied model that was saved without its output layer says `LlamaModel`.
#[test]
fn a_model_without_output_layer_goes_by_its_type() {
    let base = "llama-gqa-tied-rope3";
    let expected = last_logits(&load(&fixtures().join(base)).unwrap(), &prompt(40));
    let folder = tempfile::tempdir().unwrap();
    copy(base, folder.path());
    edit_config(
        folder.path(),
        &serde_json::json!({"architectures": ["LlamaModel"]}),
    );
    rename_tensors(folder.path(), |name| {
        Some(name.strip_prefix("model.")?.to_owned())
    });
    let model = load(folder.path()).unwrap();
    assert_eq!(last_logits(&model, &prompt(40)), expected);
}

/// transformers makes the missing ones zeros.
#[test]
fn biases_that_are_nowhere_are_none() {
    let base = "llama-gqa-untied";
    let expected = last_logits(&load(&fixtures().join(base)).unwrap(), &prompt(40));
    let folder = tempfile::tempdir().unwrap();
    copy(base, folder.path());
    edit_config(folder.path(), &serde_json::json!({"attention_bias": true}));
    let model = load(folder.path()).unwrap();
    assert_eq!(last_logits(&model, &prompt(40)), expected);
    assert!(model.warnings().join(" ").contains("count as zeros"));
}

#[test]
fn a_git_lfs_pointer_is_called_that() {
    const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 229176\n";
    for file in ["model.safetensors", "tokenizer.json"] {
        let folder = tempfile::tempdir().unwrap();
        copy("llama-gqa-untied", folder.path());
        std::fs::write(folder.path().join(file), POINTER).unwrap();
        let refused = load(folder.path()).unwrap_err();
        assert!(
            refused.contains("Git LFS pointer") && refused.contains(file),
            "{refused}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, POINTER).unwrap();
    let source = ModelSource::from(path);
    let refused = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::Auto).unwrap_err();
    assert!(refused.to_string().contains("Git LFS pointer"), "{refused}");
}

#[test]
fn a_tokenizer_model_alone_is_told_how_to_be_converted() {
    let folder = tempfile::tempdir().unwrap();
    copy("llama-gqa-untied", folder.path());
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    std::fs::write(folder.path().join("tokenizer.model"), "x").unwrap();
    let refused = load(folder.path()).unwrap_err();
    assert!(refused.contains("save_pretrained(folder)"), "{refused}");
}

#[test]
fn a_snapshot_of_the_hub_cache_has_its_models_name() {
    let cache = tempfile::tempdir().unwrap();
    let snapshot = cache
        .path()
        .join("models--someone--Small-Model/snapshots/0123abc");
    copy("llama-gqa-untied", &snapshot);
    let named = |path: PathBuf| load(&path).unwrap().identity().name.clone();
    assert_eq!(named(snapshot.clone()), "Small-Model");
    #[cfg(unix)]
    {
        let link = cache.path().join("here");
        std::os::unix::fs::symlink(&snapshot, &link).unwrap();
        assert_eq!(named(link), "Small-Model");
    }
}
