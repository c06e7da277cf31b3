//! Checkpoints and prompts that cannot be run are refused with a sentence that says what is wrong.

use std::path::{Path, PathBuf};

use crate::common::{demo_model, demo_samples, plan, run_capture};
use kvlens_sessions::StartMode;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};

/// A copy of a checkpoint of the fixtures to damage.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(name: &str) -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(name);
        for entry in std::fs::read_dir(source).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        copy
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    fn remove(&self, file: &str) {
        std::fs::remove_file(self.path().join(file)).unwrap();
    }

    fn cut(&self, file: &str, keep: impl Fn(usize) -> usize) {
        let path = self.path().join(file);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..keep(bytes.len())]).unwrap();
    }

    #[track_caller]
    fn refused_with(&self, words: &[&str]) {
        let source = ModelSource::Folder(self.path());
        let error = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32)
            .unwrap_err()
            .to_string();
        for word in words {
            assert!(error.contains(word), "'{word}' is not in: {error}");
        }
    }
}

const PLAIN: &str = "llama-gqa-untied";
const SHARDED: &str = "llama-mha-sharded";

#[test]
fn missing_parts_are_named() {
    for (file, word) in [
        ("config.json", "config.json"),
        ("tokenizer.json", "tokenizer.json"),
        ("model.safetensors", "model.safetensors"),
    ] {
        let copy = Copy::of(PLAIN);
        copy.remove(file);
        copy.refused_with(&["has n", word]);
    }
    let absent = ModelSource::Folder(PathBuf::from("/nowhere/model"));
    let error = Model::load(&absent, DeviceChoice::Cpu, DtypeChoice::F32).unwrap_err();
    assert!(
        error.to_string().contains("no such model folder"),
        "{error}"
    );
}

#[test]
fn truncated_weights_are_refused_wherever_they_end() {
    for keep in [
        |_: usize| 0,
        |_| 4,
        |_| 100,
        |length| length / 2,
        |length| length - 1,
    ] {
        let copy = Copy::of(PLAIN);
        copy.cut("model.safetensors", keep);
        copy.refused_with(&["truncated or damaged"]);
    }
}

#[test]
fn an_absurd_header_allocates_nothing() {
    let copy = Copy::of(PLAIN);
    std::fs::write(copy.path().join("model.safetensors"), [0xff; 64]).unwrap();
    copy.refused_with(&["truncated or damaged"]);
}

#[test]
fn shapes_that_do_not_fit_are_given_with_the_tensor() {
    let copy = Copy::of(PLAIN);
    copy.edit(
        "config.json",
        "\"intermediate_size\": 96",
        "\"intermediate_size\": 97",
    );
    copy.refused_with(&[
        "model.layers.0.mlp.gate_proj.weight",
        "[96, 64]",
        "[97, 64]",
    ]);
    let copy = Copy::of(PLAIN);
    copy.edit(
        "config.json",
        "\"num_hidden_layers\": 3",
        "\"num_hidden_layers\": 4",
    );
    copy.refused_with(&["no tensor 'model.layers.3."]);
}

#[test]
fn configurations_that_make_no_model_are_refused() {
    for (from, to, word) in [
        ("LlamaForCausalLM", "MambaForCausalLM", "MambaForCausalLM"),
        (
            "\"hidden_size\"",
            "\"hidden_sise\"",
            "'hidden_size' is missing",
        ),
        (
            "\"num_attention_heads\": 4",
            "\"num_attention_heads\": \"four\"",
            "'num_attention_heads'",
        ),
        ("{", "", "not a JSON"),
    ] {
        let copy = Copy::of(PLAIN);
        copy.edit("config.json", from, to);
        copy.refused_with(&[word]);
    }
}

#[test]
fn shards_must_be_there_and_in_the_folder() {
    let copy = Copy::of(SHARDED);
    copy.remove("model-00002-of-00003.safetensors");
    copy.refused_with(&["model-00002-of-00003.safetensors", "missing"]);
    let copy = Copy::of(SHARDED);
    copy.edit(
        "model.safetensors.index.json",
        "model-00002-of-00003",
        "../model-00002-of-00003",
    );
    copy.refused_with(&["outside the model folder"]);
}

#[test]
fn pickles_are_refused_with_the_way_out() {
    let copy = Copy::of(PLAIN);
    copy.remove("model.safetensors");
    std::fs::write(copy.path().join("pytorch_model.bin"), b"\x80\x02").unwrap();
    copy.refused_with(&["pickles", "save_pretrained"]);
}

#[test]
fn a_damaged_tokenizer_is_refused() {
    let copy = Copy::of(PLAIN);
    copy.cut("tokenizer.json", |length| length / 2);
    copy.refused_with(&["tokenizer.json cannot be read"]);
}

/// A tokenizer saved with a length limit must not cut prompts in silence.
#[test]
fn a_saved_truncation_cuts_nothing() {
    let copy = Copy::of(PLAIN);
    let limit = r#""truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}"#;
    copy.edit("tokenizer.json", "\"truncation\": null", limit);
    let source = ModelSource::Folder(copy.path());
    let model = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap();
    let text = "The old clerk counted three blue boxes near the harbour at noon.";
    assert!(model.encode_prompt(text, false).unwrap().ids.len() > 8);
}

#[test]
fn devices_that_are_not_built_in_say_how_to_get_them() {
    if cfg!(feature = "cuda") {
        return;
    }
    let error =
        Model::load(&ModelSource::Demo, DeviceChoice::Cuda(0), DtypeChoice::F32).unwrap_err();
    assert!(error.to_string().contains("--features cuda"), "{error}");
}

#[test]
fn prompts_that_cannot_run_leave_no_session_behind() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.kvlens");
    let model = demo_model();
    let mut sample = demo_samples("demo:length=512,samples=1").remove(0);
    for (prompt, tokens, word) in [
        (String::new(), 8, "the prompt is empty"),
        ("noon ".repeat(5000), 8, "positions"),
        ("short".to_owned(), 5000, "5000 decode tokens"),
        ("short".to_owned(), 0, "at least 1 token"),
    ] {
        sample.prompt = prompt;
        let samples = std::slice::from_ref(&sample);
        let error = run_capture(
            &plan(&["last:8"], tokens),
            &model,
            samples,
            &out,
            StartMode::New,
            None,
        )
        .unwrap_err();
        assert!(
            error.to_string().contains(word),
            "'{word}' is not in: {error}"
        );
        assert!(!out.exists());
    }
}
