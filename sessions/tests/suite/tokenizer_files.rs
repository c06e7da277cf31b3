//! Tokenizers of which not everything stands in tokenizer.json, against transformers' AutoTokenizer.
//! `fixtures/make_tokenizer_fixtures.py` says how the ids were made.

use std::collections::BTreeMap;
use std::path::Path;

use kvlens_sessions::model::{ChatVariables, DeviceChoice, DtypeChoice, Model, ModelSource};
use serde_json::Value;

use crate::common::{fixtures, micro_model};

#[derive(serde::Deserialize)]
struct Cases {
    texts: Vec<String>,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    base: String,
    removed: Vec<String>,
    files: BTreeMap<String, Value>,
    ids: Vec<Vec<u32>>,
    chat_ids: Vec<Vec<u32>>,
}

fn cases() -> Cases {
    let text = std::fs::read(fixtures().join("tokenizer-files.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

impl Case {
    /// The checkpoint of the case, laid out in a folder.
    fn load(&self, folder: &Path) -> Model {
        let base = fixtures().join(&self.base);
        for name in ["config.json", "model.safetensors"] {
            std::fs::copy(base.join(name), folder.join(name)).unwrap();
        }
        let tokenizer = std::fs::read(base.join("tokenizer.json")).unwrap();
        let mut tokenizer: Value = serde_json::from_slice(&tokenizer).unwrap();
        let added = tokenizer["added_tokens"].as_array_mut().unwrap();
        added.retain(|token| {
            let content = token["content"].as_str().unwrap();
            !self.removed.iter().any(|removed| removed == content)
        });
        std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
        for (name, contents) in &self.files {
            std::fs::write(folder.join(name), contents.to_string()).unwrap();
        }
        let source = ModelSource::Folder(folder.to_owned());
        Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap()
    }
}

#[test]
fn tokens_that_stand_only_in_other_files_are_those_of_auto_tokenizer() {
    let Cases { texts, cases } = cases();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let folder = tempfile::tempdir().unwrap();
        let model = case.load(folder.path());
        for (index, text) in texts.iter().enumerate() {
            let plain = model.encode_prompt(text, None).unwrap().ids;
            assert_eq!(plain, case.ids[index], "{}: {text:?}", case.name);
            let chat = ChatVariables::default();
            let chat = model.encode_prompt(text, Some(&chat)).unwrap().ids;
            assert_eq!(chat, case.chat_ids[index], "{}, chat: {text:?}", case.name);
        }
    }
}

#[test]
fn what_files_contradict_each_other_in_is_said() {
    for (name, words) in [
        (
            "add-bos-token-says-no",
            &["add_bos_token=false", "add_eos_token=true"][..],
        ),
        (
            "switches-of-the-decoder-go-first",
            &["<|user|>", "other switches"],
        ),
        ("chatml-only-in-decoder", &[]),
    ] {
        let cases = cases().cases;
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let warnings = case.load(folder.path()).warnings().join(" ");
        assert_eq!(warnings.is_empty(), words.is_empty(), "{name}: {warnings}");
        for word in words {
            assert!(warnings.contains(word), "{name}: {warnings}");
        }
    }
}

/// Sessions and trained files know a tokenizer by its hash, which is that of tokenizer.json where nothing is added.
#[test]
fn a_tokenizer_with_more_tokens_is_another_one() {
    let cases = cases().cases;
    let load = |name: &str| {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let model = case.load(folder.path());
        let plain = micro_model(&case.base);
        (
            model.has_vocabulary_of(&plain),
            model.identity().tokenizer_sha256.clone(),
        )
    };
    let (same, sha256) = load("chatml-only-in-decoder");
    assert!(!same);
    let (_, again) = load("chatml-only-in-decoder");
    assert_eq!(sha256, again);
    assert!(load("add-bos-token-says-no").0);
}

#[test]
fn a_file_that_is_no_json_is_warned_of() {
    let cases = cases().cases;
    let case = cases
        .iter()
        .find(|case| case.name == "added-tokens-json")
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    case.load(folder.path());
    std::fs::write(folder.path().join("added_tokens.json"), "{").unwrap();
    let source = ModelSource::Folder(folder.path().to_owned());
    let model = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap();
    let warnings = model.warnings().join(" ");
    assert!(
        warnings.contains("added_tokens.json is no JSON object"),
        "{warnings}"
    );
}
