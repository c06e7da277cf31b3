//! Quantised files whose weights a format that is asked for makes floating point.

use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use tempfile::tempdir;

use crate::common::{fixtures, largest_difference, values};
use crate::gguf::{Parts, try_load};

const NAME: &str = "qwen3-qknorm-tied";

fn load(dtype: DtypeChoice) -> Model {
    let path = fixtures().join(format!("gguf/{NAME}.gguf"));
    Model::load(&ModelSource::from(path), DeviceChoice::Cpu, dtype).unwrap()
}

fn logits(model: &Model) -> Vec<f32> {
    let ids: Vec<u32> = (0..96).map(|index| 5 + (index * 37) % 300).collect();
    let mut cache = model.new_cache(ids.len(), 0).unwrap();
    values(&model.next_logits(&ids, &mut cache).unwrap())
}

#[test]
fn a_format_that_is_asked_for_is_what_the_model_runs_in() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("plain.gguf");
    Parts::read(NAME).dequantised().write(&path);
    let plain = logits(&try_load(&path).unwrap());
    let model = load(DtypeChoice::F32);
    assert_eq!(model.dtype_name(), "f32");
    assert_eq!(logits(&model), plain);
    let quantised = load(DtypeChoice::Auto);
    assert_eq!(quantised.dtype_name(), "q4_0");
    assert_ne!(logits(&quantised), plain);
    for (dtype, name) in [(DtypeChoice::Bf16, "bf16"), (DtypeChoice::F16, "f16")] {
        let half = load(dtype);
        assert_eq!(half.dtype_name(), name);
        let largest = plain
            .iter()
            .fold(0.0_f32, |most, logit| most.max(logit.abs()));
        // as in half_precision.rs
        assert!(largest_difference(&logits(&half), &plain) <= largest * 32.0 / 256.0);
    }
}

/// Of many rows only the last, which alone makes logits, is rounded to 8 bits on its way.
#[test]
fn keys_of_a_prompt_are_those_of_the_dequantised_weights() {
    let ids: Vec<u32> = (0..96).map(|index| 5 + (index * 37) % 300).collect();
    let keys = |model: &Model| {
        let prefilled = crate::common::prefill(model, &ids, &[]);
        let keys = prefilled.keys_for_scoring(model).unwrap();
        let (layers, ..) = keys.shape();
        let by_layer = (0..layers).map(|layer| values(keys.layer(layer).unwrap()));
        by_layer.flatten().collect::<Vec<f32>>()
    };
    let (quantised, plain) = (
        keys(&load(DtypeChoice::Auto)),
        keys(&load(DtypeChoice::F32)),
    );
    assert!(largest_difference(&quantised, &plain) < 1e-4);
}
