//! Runs in bf16 and f16 on the CPU against the float32 references of `parity.rs`.
//!
//! The bound was fixed beforehand, from the unit roundoff u of the format (2^-8 and 2^-11, Higham 2002, table 2.1
//! with one bit for rounding to nearest): a micro model rounds its residual stream some 25 times between embedding
//! and logits, attention logits of size 2 to 4 pass their errors on by as much, and roundings add like a random
//! walk, which makes 5 u times 4 with some room: 32 u. It holds for logits as a share of the largest, and for
//! attention weights as they are.

use candle_core::Tensor;
use kvlens_sessions::model::{DtypeChoice, ModelSource};

use crate::common::{
    demo_samples, fixtures, largest_difference, load_model, observe, prefill, values, window,
};
use crate::parity::{Reference, rows_of};
use kvlens_sessions::Evidence;

const ROUNDOFFS: f32 = 32.0;

/// One of each way in which a decoder layer is built.
const NAMES: [&str; 7] = [
    "llama-gqa-tied-rope3",
    "mistral-swa64-untied",
    "qwen2-bias-tied",
    "qwen3-qknorm-tied",
    "smollm3-norope-tied",
    "olmo2-postnorm",
    "phi3-fused-swa64",
];

/// Largest differences of prefill logits, as a share of the largest logit, and of attention weights.
fn differences(name: &str, dtype: DtypeChoice) -> (f32, f32) {
    let source = ModelSource::Folder(fixtures().join(name));
    let model = load_model(&source, dtype);
    let reference = Reference::open(name);
    let last = window("last:8", &model);
    let mut prefilled = prefill(&model, &reference.ids("prompt_ids"), &[&last]);
    let observation = observe(&last, &model, &mut prefilled);
    let keys = prefilled.keys_for_scoring(&model).unwrap();
    let logits: Tensor = prefilled.last_logits().clone();
    let expected = reference.floats("prefill_logits");
    let largest = expected
        .iter()
        .fold(0.0_f32, |most, logit| most.max(logit.abs()));
    (
        largest_difference(&values(&logits), &expected) / largest,
        largest_difference(
            &rows_of(&keys, &observation),
            &reference.floats("window_attention"),
        ),
    )
}

#[test]
fn half_precision_stays_within_its_roundoff() {
    for name in NAMES {
        for (dtype, unit_roundoff) in [
            (DtypeChoice::Bf16, 2.0_f32.powi(-8)),
            (DtypeChoice::F16, 2.0_f32.powi(-11)),
        ] {
            let (logits, attention) = differences(name, dtype);
            println!("{name} {dtype}: logits {logits:.5}, attention {attention:.5}");
            let bound = ROUNDOFFS * unit_roundoff;
            assert!(logits <= bound, "{name} {dtype}: logits differ by {logits}");
            assert!(
                attention <= bound,
                "{name} {dtype}: attention differs by {attention}"
            );
            // a run that had fallen back to f32 would differ by far less
            assert!(
                logits > unit_roundoff / 100.0,
                "{name} {dtype} ran in another format"
            );
        }
    }
}

/// A row of the prompt sees prompt tokens alone, so what it gives them adds up to 1: to the rounding of single
/// precision, since log-sum-exps are not those of rounded logits.
#[test]
fn weights_of_a_row_add_up_to_one_in_half_precision() {
    for name in NAMES {
        for dtype in [DtypeChoice::Bf16, DtypeChoice::F16] {
            let source = ModelSource::Folder(fixtures().join(name));
            let model = load_model(&source, dtype);
            let ids = Reference::open(name).ids("prompt_ids");
            let last = window("last:8", &model);
            let mut prefilled = prefill(&model, &ids, &[&last]);
            let observation = observe(&last, &model, &mut prefilled);
            let keys = prefilled.keys_for_scoring(&model).unwrap();
            for row in rows_of(&keys, &observation).chunks_exact(ids.len()) {
                let sum: f32 = row.iter().sum();
                assert!((sum - 1.0).abs() < 1e-4, "{name} {dtype}: {sum}");
            }
        }
    }
}

/// H2O's scores are the sums of all rows, so those of a head add up to the number of its rows: to the rounding of
/// single precision in each of them.
#[test]
fn accumulated_attention_adds_up_to_its_rows_in_half_precision() {
    let demo = (ModelSource::Demo, None);
    let micro = NAMES.map(|name| (ModelSource::Folder(fixtures().join(name)), Some(name)));
    for (source, name) in micro.into_iter().chain([demo]) {
        for dtype in [DtypeChoice::F32, DtypeChoice::Bf16, DtypeChoice::F16] {
            let model = load_model(&source, dtype);
            let ids = match name {
                Some(name) => Reference::open(name).ids("prompt_ids"),
                None => {
                    let sample = &demo_samples("demo:length=512,samples=1")[0];
                    model.encode_prompt(&sample.prompt, None).unwrap().ids
                }
            };
            let h2o = window("h2o", &model);
            let mut prefilled = prefill(&model, &ids, &[&h2o]);
            let observation = observe(&h2o, &model, &mut prefilled);
            let Evidence::Scores(scores) = observation.evidence() else {
                panic!("H2O gives scores");
            };
            for head in values(scores.tensor()).chunks_exact(ids.len()) {
                let mean =
                    head.iter().map(|&score| f64::from(score)).sum::<f64>() / ids.len() as f64;
                assert!((mean - 1.0).abs() < 1e-4, "{source} {dtype}: {mean}");
            }
        }
    }
}
