//! LongRoPE's choice between its two sets of factors. That each of them gives what transformers gives is held by
//! `parity.rs`.

use std::path::Path;

use kvlens_sessions::model::{DtypeChoice, Model, ModelSource};
use serde_json::Value;

use crate::common::{fixtures, load_model, micro_model, micro_prompt, values};

const NAME: &str = "phi3-longrope-partial";

/// Of the checkpoint's configuration.
const ORIGINAL_POSITIONS: usize = 64;

/// The checkpoint with the factors of one set in both.
fn with_one_set(kind: &str, folder: &Path) -> Model {
    let from = fixtures().join(NAME);
    for file in ["tokenizer.json", "model.safetensors"] {
        std::fs::copy(from.join(file), folder.join(file)).unwrap();
    }
    let config = std::fs::read(from.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&config).unwrap();
    let scaling = &mut config["rope_scaling"];
    let factors = scaling[kind].clone();
    for set in ["short_factor", "long_factor"] {
        scaling[set] = factors.clone();
    }
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let source = ModelSource::Folder(folder.to_owned());
    load_model(&source, DtypeChoice::F32)
}

/// Logits behind a prompt of so many tokens, and behind each of eight that follow.
fn logits(model: &Model, ids: &[u32], prompt_tokens: usize) -> Vec<Vec<f32>> {
    let (prompt, rest) = ids.split_at(prompt_tokens);
    let steps = &rest[..8];
    let mut cache = model.new_cache(prompt_tokens, steps.len()).unwrap();
    let mut logits = vec![values(&model.next_logits(prompt, &mut cache).unwrap())];
    for step in steps {
        logits.push(values(&model.next_logits(&[*step], &mut cache).unwrap()));
    }
    logits
}

#[test]
fn the_prompts_length_chooses_the_set_for_all_that_follows() {
    let model = micro_model(NAME);
    let ids = micro_prompt(&model);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let short = with_one_set("short_factor", folders[0].path());
    let long = with_one_set("long_factor", folders[1].path());
    // the steps behind the first prompt pass the original positions
    for (prompt_tokens, same, other) in [
        (ORIGINAL_POSITIONS - 4, &short, &long),
        (ORIGINAL_POSITIONS, &short, &long),
        (ORIGINAL_POSITIONS + 1, &long, &short),
    ] {
        let found = logits(&model, &ids, prompt_tokens);
        assert_eq!(found, logits(same, &ids, prompt_tokens), "{prompt_tokens}");
        let other = logits(other, &ids, prompt_tokens);
        let differ = found.iter().zip(&other).all(|(a, b)| a != b);
        assert!(differ, "{prompt_tokens}");
    }
}
