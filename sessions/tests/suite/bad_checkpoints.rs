//! Checkpoints and prompts that cannot be run are refused with a sentence that says what is wrong.

use std::path::{Path, PathBuf};

use crate::common::{demo_model, demo_samples, fixtures, plan, run_capture};
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
    fn error(&self) -> String {
        let source = ModelSource::Folder(self.path());
        Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32)
            .unwrap_err()
            .to_string()
    }

    #[track_caller]
    fn refused_with(&self, words: &[&str]) {
        let error = self.error();
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

/// A file with a safetensors header of our own and `data` zeros.
fn write_weights(folder: &Path, header: &str, data: usize) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    std::fs::write(folder.join("model.safetensors"), bytes).unwrap();
}

#[test]
fn absurd_sizes_in_a_header_are_refused() {
    for (shape, offsets) in [
        ("[4294967295, 4294967295]", "[0, 64]"),
        ("[18446744073709551615, 2]", "[0, 64]"),
        ("[4, 4]", "[0, 18446744073709551615]"),
        ("[4, 4]", "[64, 0]"),
        ("[4, 4]", "[32, 96]"),
        ("[-4, -4]", "[0, 64]"),
    ] {
        let copy = Copy::of(PLAIN);
        let header = format!(
            r#"{{"model.embed_tokens.weight": {{"dtype": "F32", "shape": {shape}, "data_offsets": {offsets}}}}}"#
        );
        write_weights(&copy.path(), &header, 64);
        copy.refused_with(&["truncated or damaged"]);
    }
    let copy = Copy::of(PLAIN);
    let mut bytes = (1_u64 << 40).to_le_bytes().to_vec();
    bytes.resize(4096, b' ');
    std::fs::write(copy.path().join("model.safetensors"), bytes).unwrap();
    copy.refused_with(&["truncated or damaged"]);
}

#[test]
fn weights_that_are_no_floating_point_numbers_are_refused() {
    for (format, bytes) in [("I64", 8), ("F8_E4M3", 1), ("U8", 1), ("I32", 4)] {
        let copy = Copy::of(PLAIN);
        let data = 320 * 64 * bytes;
        let header = format!(
            r#"{{"model.embed_tokens.weight": {{"dtype": "{format}", "shape": [320, 64], "data_offsets": [0, {data}]}}}}"#
        );
        write_weights(&copy.path(), &header, data);
        copy.refused_with(&["model.embed_tokens.weight", format, "quantised"]);
    }
}

#[test]
fn absurd_numbers_in_the_configuration_are_refused() {
    for (from, to, word) in [
        (
            "\"num_hidden_layers\": 3",
            "\"num_hidden_layers\": 1000000000",
            "at most 4096",
        ),
        ("\"head_dim\": 16", "\"head_dim\": 0", "'head_dim' is 0"),
        ("\"head_dim\": 16", "\"head_dim\": 15", "must be even"),
        ("\"head_dim\": 16", "\"head_dim\": 4294967294", "asks for"),
        (
            "\"vocab_size\": 320",
            "\"vocab_size\": 1099511627776",
            "'vocab_size'",
        ),
        (
            "\"vocab_size\": 320",
            "\"vocab_size\": 4294967295",
            "asks for [4294967295, 64]",
        ),
        (
            "\"hidden_size\": 64",
            "\"hidden_size\": -64",
            "'hidden_size' is -64",
        ),
        (
            "\"hidden_size\": 64",
            "\"hidden_size\": 64.5",
            "'hidden_size' is 64.5",
        ),
        (
            "\"num_attention_heads\": 4",
            "\"num_attention_heads\": 0",
            "'num_attention_heads'",
        ),
        (
            "\"rms_norm_eps\": 1e-05",
            "\"rms_norm_eps\": 1e999",
            "not a JSON file",
        ),
    ] {
        let copy = Copy::of(PLAIN);
        copy.edit("config.json", from, to);
        copy.refused_with(&[word]);
    }
}

#[test]
fn deep_nesting_ends_in_a_sentence() {
    for file in [
        "config.json",
        "tokenizer.json",
        "model.safetensors.index.json",
    ] {
        let copy = Copy::of(SHARDED);
        let depth = 200_000;
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        std::fs::write(copy.path().join(file), text).unwrap();
        copy.refused_with(&["recursion limit"]);
    }
}

#[test]
fn quantised_checkpoints_say_so() {
    let copy = Copy::of(PLAIN);
    let field = r#"{"quantization_config": {"quant_method": "gptq", "bits": 4},"#;
    let path = copy.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, text.replacen('{', field, 1)).unwrap();
    copy.refused_with(&["quantised (gptq)"]);
}

#[test]
fn a_value_is_not_repeated_at_length() {
    let copy = Copy::of(PLAIN);
    let long = format!("\"hidden_size\": \"{}\"", "9".repeat(100_000));
    copy.edit("config.json", "\"hidden_size\": 64", &long);
    copy.refused_with(&["'hidden_size'", "..."]);
    assert!(copy.error().len() < 300);
}

#[test]
fn files_beyond_all_reason_are_not_read() {
    let copy = Copy::of(PLAIN);
    let file = std::fs::File::create(copy.path().join("config.json")).unwrap();
    file.set_len(1 << 40).unwrap();
    copy.refused_with(&["it has 1099511627776 bytes", "config.json"]);
}

#[test]
fn unknown_fields_are_ignored() {
    let copy = Copy::of(PLAIN);
    copy.edit(
        "config.json",
        "\"hidden_size\": 64",
        "\"hidden_size\": 64, \"auto_map\": {\"a\": [1, {\"b\": null}]}, \"future_field\": 1e300",
    );
    let source = ModelSource::Folder(copy.path());
    Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap();
}

#[test]
fn an_index_must_be_one() {
    for (text, word) in [
        ("{", "not JSON"),
        ("{}", "no 'weight_map'"),
        (r#"{"weight_map": {}}"#, "names no files"),
        (r#"{"weight_map": {"a": 3}}"#, "names 3 as a file"),
        (
            r#"{"weight_map": {"a": "/etc/passwd"}}"#,
            "outside the model folder",
        ),
        (r#"{"weight_map": {"a": ".."}}"#, "outside the model folder"),
        (r#"{"weight_map": {"a": ""}}"#, "outside the model folder"),
        (
            r#"{"weight_map": {"a": "config.json"}}"#,
            "truncated or damaged",
        ),
        (
            r#"{"weight_map": {"a": "model-00001-of-00003.safetensors"}}"#,
            "no tensor",
        ),
    ] {
        let copy = Copy::of(SHARDED);
        std::fs::write(copy.path().join("model.safetensors.index.json"), text).unwrap();
        copy.refused_with(&[word]);
    }
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

/// What the tokenizers crate itself answers with a panic.
#[test]
fn a_tokenizer_with_a_damaged_table_is_refused() {
    let copy = Copy::of(PLAIN);
    let charsmap = r#""normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}"#;
    copy.edit("tokenizer.json", "\"normalizer\": null", charsmap);
    copy.refused_with(&["tokenizer.json cannot be read"]);
}

/// The same on use: a template names a special token that it does not define.
#[test]
fn a_tokenizer_whose_template_has_a_gap_is_refused() {
    let copy = Copy::of(PLAIN);
    copy.edit(
        "tokenizer.json",
        "\"SpecialToken\": {\n          \"id\": \"<s>\"",
        "\"SpecialToken\": {\n          \"id\": \"<t>\"",
    );
    let source = ModelSource::Folder(copy.path());
    let loaded = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32);
    let error = loaded
        .and_then(|model| model.encode_prompt("noon", None))
        .unwrap_err()
        .to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
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
    assert!(model.encode_prompt(text, None).unwrap().ids.len() > 8);
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

#[test]
fn a_raised_flag_ends_the_hashing_of_weights() {
    let cancel = kvlens_sessions::CancelFlag::default();
    cancel.cancel();
    let source = ModelSource::Folder(fixtures().join("llama-gqa-untied"));
    let loaded =
        Model::load_unless_cancelled(&source, DeviceChoice::Cpu, DtypeChoice::F32, &cancel);
    assert!(matches!(
        loaded.err(),
        Some(kvlens_sessions::SessionError::Cancelled)
    ));
}

/// An overflow in the last layer: whatever token came of it would be none that the model chose.
#[test]
fn logits_that_are_not_finite_fail_the_sample_and_are_no_token() {
    let copy = Copy::of(PLAIN);
    let path = copy.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let table: serde_json::Value = serde_json::from_slice(&bytes[8..header]).unwrap();
    let output = &table["lm_head.weight"];
    assert_eq!(output["dtype"], "F32");
    let start = header + output["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[start..start + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let source = ModelSource::Folder(copy.path());
    let model = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap();
    let mut sample = demo_samples("demo:length=512,samples=1").remove(0);
    sample.prompt = "The old clerk counted three blue boxes.".to_owned();
    let out = copy.path().join("a.kvlens");
    let plan = plan(&["last:8"], 4);
    let samples = std::slice::from_ref(&sample);
    let summary = run_capture(&plan, &model, samples, &out, StartMode::New, None).unwrap();
    assert_eq!((summary.finished, summary.failed), (0, 1));
    let session = kvlens_sessions::Session::open(&out).unwrap();
    let said = format!("{:?}", session.manifest().samples[0].state);
    assert!(said.contains("logit") && said.contains("finite"), "{said}");
}

/// Whoever opens a pipe waits for somebody who writes into it.
#[cfg(unix)]
#[test]
fn a_pipe_in_a_model_folder_is_refused_and_not_waited_for() {
    for name in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja",
        "model.safetensors",
    ] {
        let copy = Copy::of(PLAIN);
        copy.remove(name);
        let path = copy.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let source = ModelSource::Folder(copy.path());
        let model = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32);
        let read = model.and_then(|model| {
            model.encode_prompt(
                "What?",
                Some(&kvlens_sessions::model::ChatVariables::default()),
            )
        });
        let said = read.err().map(|error| error.to_string());
        assert!(said.is_some_and(|said| said.contains(name)), "{name}");
    }
}
