//! Chat templates that trim the prompt: its evidence is still found.

use kvlens_sessions::model::{ChatVariables, DeviceChoice, DtypeChoice, Model, ModelSource};

use crate::common::fixtures;

#[test]
fn a_template_that_trims_leaves_the_prompts_bytes_where_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let from = fixtures().join("llama-gqa-untied");
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(from.join(file), folder.path().join(file)).unwrap();
    }
    let template = "user: {{ messages[0]['content'] | trim }} answer:";
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    let source = ModelSource::Folder(folder.path().to_owned());
    let model = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap();
    let prompt = "  \nAnna lives in Oslo. \n";
    let encoded = model
        .encode_prompt(prompt, Some(&ChatVariables::default()))
        .unwrap();
    let covered: Vec<&str> = encoded
        .byte_spans
        .iter()
        .filter(|span| !span.is_empty())
        .map(|span| &prompt[span.clone()])
        .collect();
    assert_eq!(covered.concat(), prompt.trim());
}
