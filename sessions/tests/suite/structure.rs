//! Truths that hold whatever the weights are, on the built-in model.

use kvlens_sessions::model::Model;
use kvlens_sessions::windows::{Decode, DecodePlan};
use kvlens_sessions::{Needs, Prefilled};

use crate::common::{key_values, observe, rows, values, window};

const STEPS: usize = 12;

fn prefill(model: &Model, text: &str, last_rows: usize) -> Prefilled {
    let ids = model.encode_prompt(text, None).unwrap().ids;
    let needs = Needs {
        last_rows,
        extra_tokens: STEPS,
        ..Needs::default()
    };
    crate::common::prefill_for(model, &ids, &needs)
}

fn plan() -> DecodePlan {
    DecodePlan {
        max_tokens: STEPS,
        ..DecodePlan::default()
    }
}

fn prompt() -> String {
    crate::common::demo_samples("demo:length=512,question=end,samples=1")
        .remove(0)
        .prompt
}

#[test]
fn decoding_leaves_the_keys_of_the_prompt_untouched() {
    let model = crate::common::demo_model();
    let mut prefilled = prefill(&model, &prompt(), 1);
    let before = key_values(&prefilled.keys_for_scoring(&model).unwrap());
    observe(&Decode::generated(plan()), &model, &mut prefilled);
    assert_eq!(
        key_values(&prefilled.keys_for_scoring(&model).unwrap()),
        before
    );
}

#[test]
fn the_first_decode_query_stands_right_behind_the_prompt() {
    let model = crate::common::demo_model();
    let mut prefilled = prefill(&model, &prompt(), 4);
    let tokens = u32::try_from(prefilled.prompt_tokens()).unwrap();
    let decode = observe(&Decode::generated(plan()), &model, &mut prefilled);
    assert_eq!(rows(&decode).positions()[0], tokens);
    assert_eq!(rows(&decode).visible_keys()[0], tokens + 1);
    let last = observe(&window("last:4", &model), &model, &mut prefilled);
    assert_eq!(
        rows(&last).positions(),
        [tokens - 4, tokens - 3, tokens - 2, tokens - 1]
    );
    assert_eq!(
        last.token_ids(),
        &prefilled.prompt_ids()[prefilled.prompt_tokens() - 4..]
    );
}

#[test]
fn forcing_what_the_model_generated_gives_the_same_observation() {
    let model = crate::common::demo_model();
    let mut prefilled = prefill(&model, &prompt(), 1);
    let generated = observe(&Decode::generated(plan()), &model, &mut prefilled);
    let forced = Decode::teacher_forced(plan(), generated.token_ids().to_vec());
    let forced = observe(&forced, &model, &mut prefilled);
    assert_eq!(forced.token_ids(), generated.token_ids());
    // a given answer is fed at once and not token by token, which rounds otherwise
    let pairs = |of: fn(&kvlens_sessions::QueryRows) -> &candle_core::Tensor| {
        let [forced, generated] = [&forced, &generated].map(|found| values(of(rows(found))));
        forced.into_iter().zip(generated).collect::<Vec<_>>()
    };
    for of in [
        kvlens_sessions::QueryRows::queries,
        kvlens_sessions::QueryRows::log_sum_exp,
    ] {
        for (forced, generated) in pairs(of) {
            assert!((forced - generated).abs() < 1e-4, "{forced} {generated}");
        }
    }
}

#[test]
fn a_shorter_window_is_the_end_of_a_longer_one() {
    let model = crate::common::demo_model();
    let mut prefilled = prefill(&model, &prompt(), 32);
    let long = observe(&window("last:32", &model), &model, &mut prefilled);
    let short = observe(&window("last:8", &model), &model, &mut prefilled);
    let end_of_long = rows(&long).queries().narrow(2, 24, 8).unwrap();
    assert_eq!(values(rows(&short).queries()), values(&end_of_long));
}

#[test]
fn a_window_longer_than_the_prompt_is_the_whole_prompt() {
    let model = crate::common::demo_model();
    let mut prefilled = prefill(&model, "Nobody was in a hurry.", 64);
    let window = observe(&window("last:64", &model), &model, &mut prefilled);
    assert_eq!(window.rows(), prefilled.prompt_tokens());
}

/// Rows inside the prompt see only prompt keys, so their weights sum to 1. Decode rows also see the
/// generated tokens and are not renormalised: heads that look at the previous tokens leave the prompt.
#[test]
fn weights_on_the_prompt_are_those_of_the_model() {
    let model = crate::common::demo_model();
    let mut prefilled = prefill(&model, &prompt(), 16);
    let decode = observe(&Decode::generated(plan()), &model, &mut prefilled);
    let last = observe(&window("last:16", &model), &model, &mut prefilled);
    let keys = prefilled.keys_for_scoring(&model).unwrap();
    let (layers, kv_heads, tokens, _) = keys.shape();
    let mut smallest_decode_sum = f32::INFINITY;
    for (layer, kv_head) in
        (0..layers).flat_map(|layer| (0..kv_heads).map(move |head| (layer, head)))
    {
        for weights in keys.attention_rows(rows(&last), layer, kv_head).unwrap() {
            for row in weights.chunks_exact(tokens) {
                let sum: f32 = row.iter().sum();
                assert!(
                    (sum - 1.0).abs() < 1e-4,
                    "layer {layer}: a prompt row sums to {sum}"
                );
            }
        }
        for weights in keys.attention_rows(rows(&decode), layer, kv_head).unwrap() {
            for row in weights.chunks_exact(tokens) {
                let sum: f32 = row.iter().sum();
                assert!(
                    sum < 1.0 + 1e-4,
                    "layer {layer}: a decode row sums to {sum}"
                );
                smallest_decode_sum = smallest_decode_sum.min(sum);
            }
        }
    }
    assert!(
        smallest_decode_sum < 0.5,
        "every decode row keeps {smallest_decode_sum} or more on the prompt"
    );
}

#[test]
fn sampling_repeats_with_its_seed_and_changes_with_it() {
    let model = crate::common::demo_model();
    let ids = |seed: u64| {
        let mut prefilled = prefill(&model, "The harbor", 1);
        let plan = DecodePlan {
            temperature: Some(2.0),
            seed,
            ignore_eos: true,
            ..plan()
        };
        observe(&Decode::generated(plan), &model, &mut prefilled)
            .token_ids()
            .to_vec()
    };
    assert_eq!(ids(1), ids(1));
    assert_ne!(ids(1), ids(2));
}
