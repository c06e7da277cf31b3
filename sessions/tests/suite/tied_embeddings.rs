//! Checkpoints that say that embedding and output layer are one, and hold both.

use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use serde_json::Value;

use crate::common::{fixtures, micro_model, micro_prompt, values};

/// A checkpoint of which the two differ.
const NAME: &str = "llama-gqa-untied";

fn logits(model: &Model) -> Vec<f32> {
    let ids = micro_prompt(model);
    let mut cache = model.new_cache(ids.len(), 0).unwrap();
    values(&model.next_logits(&ids, &mut cache).unwrap())
}

/// transformers 5 takes such a checkpoint at what it holds.
#[test]
fn an_output_layer_of_its_own_counts_whatever_the_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let from = fixtures().join(NAME);
    for file in ["tokenizer.json", "model.safetensors"] {
        std::fs::copy(from.join(file), folder.path().join(file)).unwrap();
    }
    let config = std::fs::read(from.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&config).unwrap();
    config["tie_word_embeddings"] = true.into();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let source = ModelSource::Folder(folder.path().to_owned());
    let said_to_be_tied = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap();
    assert_eq!(logits(&said_to_be_tied), logits(&micro_model(NAME)));
}
