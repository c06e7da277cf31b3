//! Windows against kvpress, transformers and NumPy on micro random checkpoints.
//! `fixtures/make_window_fixtures.py` and `make_snapkv_fixtures.py` say how the reference scores were made.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use kvlens_analysis::{
    GroupOrder, GroupReduction, Importance, KeySet, Pooling, RowReduction, Scoring, SideScoring,
};
use kvlens_sessions::model::Model;
use kvlens_sessions::{Observation, Prefilled};

use crate::common::{
    fixtures, largest_difference, micro_model, micro_prompt, observe, prefill, rows, values, window,
};

/// Of the largest score, as both sides compute in float32.
const TOLERANCE: f32 = 1e-4;

const CHECKPOINTS: [&str; 4] = [
    "llama-gqa-untied",
    "llama-gqa-tied-rope3",
    "qwen2-bias-tied",
    "qwen3-qknorm-tied",
];

const SLIDING: [&str; 2] = ["mistral-swa64-untied", "qwen2-swa48-from-layer2"];

fn reference(name: &str) -> HashMap<String, Tensor> {
    reference_of(name, "windows")
}

fn reference_of(name: &str, what: &str) -> HashMap<String, Tensor> {
    let path = fixtures().join(format!("{name}.{what}.safetensors"));
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn observed(model: &Model, label: &str) -> (Prefilled, Observation) {
    let window = window(label, model);
    let mut prefilled = prefill(model, &micro_prompt(model), &[&window]);
    let observation = observe(&window, model, &mut prefilled);
    (prefilled, observation)
}

fn importance(model: &Model, label: &str, scoring: Option<Scoring>) -> Importance {
    let (prefilled, observation) = observed(model, label);
    let keys = prefilled.keys_for_scoring(model).unwrap();
    let scoring = scoring.unwrap_or(observation.scoring());
    keys.importance(
        &observation,
        SideScoring::of(scoring, observation.forced_keep()),
    )
    .unwrap()
}

/// Compares tokens `from..T - cut` of every head with `expected`, `[L, heads, T]`.
fn check(name: &str, what: &str, found: &Importance, expected: &Tensor, from: usize, cut: usize) {
    let (layers, heads, tokens) = expected.dims3().unwrap();
    assert_eq!(
        (found.layers(), found.heads(), found.prompt_tokens()),
        (layers, heads, tokens),
        "{name}: {what}"
    );
    let end = tokens - cut;
    let mut scores = Vec::new();
    for (layer, head) in (0..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))) {
        scores.extend_from_slice(&found.head(layer, head)[from..end]);
    }
    let expected = values(&expected.narrow(2, from, end - from).unwrap());
    let largest = expected
        .iter()
        .fold(0.0_f32, |most, score| most.max(score.abs()));
    let difference = largest_difference(&scores, &expected);
    assert!(
        difference <= TOLERANCE * largest,
        "{name}: {what} differs by {difference} where the largest score is {largest}"
    );
}

#[test]
fn snapkv_agrees_with_kvpress() {
    let kvpress = Scoring {
        keys: KeySet::Causal,
        reduce: RowReduction::Mean,
        pool: Pooling::Average { kernel: 5 },
        group: GroupReduction::Mean,
        group_order: GroupOrder::PoolFirst,
        ..Scoring::default()
    };
    for name in CHECKPOINTS {
        let found = importance(&micro_model(name), "last:8", Some(kvpress));
        check(name, "snapkv", &found, &reference(name)["snapkv"], 0, 8);
    }
}

/// As three programs have it; what each always keeps is no part of the scores.
#[test]
fn snapkv_presets_agree_with_numpy() {
    for name in CHECKPOINTS {
        let (model, expected) = (micro_model(name), reference_of(name, "snapkv"));
        for (label, array, rows) in [
            ("snapkv", "released", 32),
            ("last", "released", 32),
            ("snapkv-kvpress", "kvpress", 64),
            ("snapkv-adakv", "adakv", 32),
            ("last:64,reduce=mean,pool=avg:5,group=mean", "kvpress", 64),
        ] {
            let found = importance(&model, label, None);
            let before = &expected[array];
            let behind = (before.dim(0).unwrap(), before.dim(1).unwrap(), rows);
            let behind = Tensor::zeros(behind, before.dtype(), &Device::Cpu).unwrap();
            let padded = Tensor::cat(&[before, &behind], 2).unwrap();
            check(name, label, &found, &padded, 0, rows);
        }
    }
}

#[test]
fn tova_agrees_with_kvpress() {
    for name in CHECKPOINTS {
        let model = micro_model(name);
        let found = importance(&model, "tova", None);
        let heads = model.config().query_heads;
        let expected = &reference(name)["tova"];
        let (layers, tokens) = expected.dims2().unwrap();
        let expected = expected.unsqueeze(1).unwrap();
        let expected = expected.broadcast_as((layers, heads, tokens)).unwrap();
        check(name, "tova", &found, &expected, 0, 1);
    }
}

#[test]
fn expected_attention_agrees_with_kvpress() {
    for name in CHECKPOINTS {
        let found = importance(&micro_model(name), "expected", None);
        check(name, "expected", &found, &reference(name)["expected"], 4, 0);
    }
}

#[test]
fn key_norms_agree_with_kvpress() {
    let by_kv_head = Scoring {
        group: GroupReduction::Mean,
        ..Scoring::default()
    };
    for name in CHECKPOINTS {
        let found = importance(&micro_model(name), "knorm", Some(by_kv_head));
        check(name, "knorm", &found, &reference(name)["knorm"], 0, 0);
    }
}

#[test]
fn h2o_sums_the_columns_of_the_attention_of_transformers() {
    for name in CHECKPOINTS.into_iter().chain(SLIDING) {
        let found = importance(&micro_model(name), "h2o", None);
        check(name, "columns", &found, &reference(name)["columns"], 0, 0);
    }
}

#[test]
fn lookahead_scores_agree_with_numpy_under_both_masks() {
    let sums = Scoring {
        keys: KeySet::Prompt,
        reduce: RowReduction::Sum,
        ..Scoring::default()
    };
    for name in CHECKPOINTS {
        let (model, expected) = (micro_model(name), reference(name));
        for (label, array) in [
            ("laq:n=4,budget=100%", "laq_rows"),
            ("laq++:n=4,w=4,budget=100%", "laq_plus_rows"),
            ("laq:n=4,budget=100%,mask=as-released", "laq_released"),
            (
                "laq++:n=4,w=4,budget=100%,mask=as-released",
                "laq_plus_released",
            ),
        ] {
            let found = importance(&model, label, Some(sums));
            check(name, label, &found, &expected[array], 0, 0);
        }
    }
}

/// The first stage with a real eviction, each query head keeping its own tokens; the sliding-window
/// checkpoints must count positions, not what is left of the cache.
#[test]
fn lookahead_queries_on_an_evicted_cache_agree_with_masked_transformers() {
    for name in CHECKPOINTS.into_iter().chain(SLIDING) {
        let (model, expected) = (micro_model(name), reference(name));
        let (_, observation) = observed(&model, "laq:n=4,budget=48");
        let ids: Vec<i64> = expected["evicted_ids"].to_vec1().unwrap();
        let found: Vec<i64> = observation
            .token_ids()
            .iter()
            .map(|&id| i64::from(id))
            .collect();
        assert_eq!(found, ids, "{name}");
        let queries = values(&expected["evicted_queries"]);
        let difference = largest_difference(&values(rows(&observation).queries()), &queries);
        assert!(
            difference <= TOLERANCE,
            "{name}: queries differ by {difference}"
        );
        // the eviction is real: without it the queries are others
        let (_, full) = observed(&model, "laq:n=4,budget=100%");
        let first = |observation: &Observation| {
            let of_last_layer = rows(observation).queries().narrow(0, 2, 1).unwrap();
            values(&of_last_layer.narrow(2, 0, 1).unwrap())
        };
        assert!(largest_difference(&first(&observation), &first(&full)) > 100.0 * TOLERANCE);
    }
}
