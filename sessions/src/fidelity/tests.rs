//! That running rows together is the same as decoding them one by one.

use std::path::Path;

use candle_core::Device;

use super::*;
use crate::model::{DeviceChoice, DtypeChoice, ModelSource};
use crate::{CancelFlag, SessionError};

/// For the same arithmetic in blocks of other shapes.
const TOLERANCE: f32 = 1e-5;

pub(super) fn model(name: &str) -> Model {
    let source = match name {
        "demo" => ModelSource::Demo,
        _ => {
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
            ModelSource::Folder(fixtures.join(name))
        }
    };
    Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap()
}

/// Logits of the tokens fed one by one, `[S][V]`.
fn one_by_one(
    model: &Model,
    mut cache: KvCache,
    prompt_tokens: usize,
    ids: &[u32],
) -> Result<Vec<Vec<f32>>, SessionError> {
    let mut logits = Vec::new();
    for (&id, position) in ids.iter().zip(prompt_tokens as u32..) {
        let stream = model.forward(&model.embed(&[id])?, &[position], &mut cache, &mut [])?;
        let row = model.last_logits(&stream)?.to_device(&Device::Cpu)?;
        logits.push(row.to_vec1()?);
    }
    Ok(logits)
}

/// Other tokens, and other numbers of them, for every head: from none to 31 of the prompt.
pub(super) fn scattered(layers: usize, heads: usize, prompt_tokens: usize) -> Vec<Vec<Vec<u32>>> {
    let head = |number: usize| -> Vec<u32> {
        let step = prompt_tokens / 32;
        let places = (0..number * 7 % 32).map(|place| place * step + number % step);
        places.map(|place| place as u32).collect()
    };
    (0..layers)
        .map(|layer| (0..heads).map(|h| head(layer * heads + h)).collect())
        .collect()
}

#[test]
fn rows_run_together_are_rows_decoded_one_by_one() {
    for name in [
        "demo",
        "llama-gqa-untied",
        "mistral-swa64-untied",
        "qwen2-swa48-from-layer2",
    ] {
        let model = model(name);
        let config = model.config();
        let vocabulary = config.vocabulary as u32;
        let ids: Vec<u32> = (1..=160).map(|i| i * 37 % vocabulary).collect();
        let plan = ContinuationPlan {
            question_ids: Vec::new(),
            step_ids: (1..=20).map(|i| i * 53 % vocabulary).collect(),
            answer_ids: Vec::new(),
            most_tokens: 20,
            ignore_eos: true,
        };
        let cancel = CancelFlag::default();
        let mut control = RunControl {
            cancel: &cancel,
            on_tokens: &mut |_, _| {},
        };
        let step_ids = plan.step_ids.clone();
        let mut test = FidelityTest::begin(&model, &ids, plan, &mut control).unwrap();
        let (layers, heads) = (config.layers, config.query_heads);
        let uniform = vec![vec![(0..160).step_by(5).collect(); heads]; layers];
        for kept in [scattered(layers, heads, ids.len()), uniform] {
            let kept = Evicted::new(kept, ids.len()).unwrap();
            let together = test.evicted(kept.clone(), &mut control).unwrap();
            let cache = test.evicted_cache(kept).unwrap();
            let alone = one_by_one(&model, cache, ids.len(), &step_ids).unwrap();
            for (together, alone) in together.steps().iter().zip(&alone) {
                let largest = alone
                    .iter()
                    .fold(1.0_f32, |most, logit| most.max(logit.abs()));
                for (together, alone) in together.iter().zip(alone) {
                    assert!(
                        (together - alone).abs() <= TOLERANCE * largest,
                        "{name}: {together} together, {alone} alone"
                    );
                }
            }
        }
    }
}
