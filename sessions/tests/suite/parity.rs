//! Logits, greedy ids and attention against Hugging Face transformers (float32, eager) on micro random
//! checkpoints. `fixtures/make_fixtures.py` says how the checkpoints and arrays were made.

use candle_core::{Device, Tensor};
use kvlens_sessions::model::{KvCache, Model};
use kvlens_sessions::{Observation, PromptKeys};

use crate::common::{
    decode, fixtures, largest_difference, micro_model, observe, prefill, rows, window as window_of,
};

/// The bound that the project promises, for logits as for attention.
const TOLERANCE: f32 = 1e-4;

pub struct Reference {
    tensors: std::collections::HashMap<String, Tensor>,
}

impl Reference {
    pub fn open(name: &str) -> Self {
        let path = fixtures().join(format!("{name}.reference.safetensors"));
        let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        Self { tensors }
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.tensors[name].flatten_all().unwrap().to_vec1().unwrap()
    }

    pub fn ids(&self, name: &str) -> Vec<u32> {
        let ids = self.tensors[name].to_vec1::<i64>().unwrap();
        ids.into_iter()
            .map(|id| u32::try_from(id).unwrap())
            .collect()
    }
}

/// Rows of an observation in the reference's order, `[W, L, H, T]`.
pub fn rows_of(keys: &PromptKeys, observation: &Observation) -> Vec<f32> {
    let (layers, kv_heads, prompt_tokens, _) = keys.shape();
    let by_head: Vec<Vec<f32>> = (0..layers * kv_heads)
        .flat_map(|index| {
            keys.attention_rows(rows(observation), index / kv_heads, index % kv_heads)
                .unwrap()
        })
        .collect();
    (0..observation.rows())
        .flat_map(|row| {
            by_head.iter().flat_map(move |weights| {
                weights[row * prompt_tokens..(row + 1) * prompt_tokens].to_vec()
            })
        })
        .collect()
}

/// Compares everything and gives the largest difference: of prefill logits, decode and window attention.
fn check(name: &str) -> [f32; 3] {
    let model = micro_model(name);
    let reference = Reference::open(name);
    let ids = reference.ids("prompt_ids");
    let text = std::fs::read_to_string(fixtures().join("prompt.txt")).unwrap();
    assert_eq!(
        model.encode_prompt(&text, None).unwrap().ids,
        ids,
        "{name}: prompt ids"
    );

    let generated = reference.ids("generated_ids");
    let window = reference.tensors["window_attention"].dim(0).unwrap();
    let (decode, last) = (
        decode(generated.len()),
        window_of(&format!("last:{window}"), &model),
    );
    let mut prefilled = prefill(&model, &ids, &[&decode, &last]);
    let decode = observe(&decode, &model, &mut prefilled);
    let last = observe(&last, &model, &mut prefilled);
    assert_eq!(decode.token_ids(), generated, "{name}: greedy ids");
    let logits: Vec<f32> = prefilled.last_logits().to_vec1().unwrap();
    let mut worst = [0.0; 3];
    worst[0] = largest_difference(&logits, &reference.floats("prefill_logits"));
    assert!(
        worst[0] <= TOLERANCE,
        "{name}: prefill logits differ by {}",
        worst[0]
    );

    let keys = prefilled.keys_for_scoring(&model).unwrap();
    let attention = [(&decode, "decode_attention"), (&last, "window_attention")];
    for ((observation, expected), worst) in attention.into_iter().zip(&mut worst[1..]) {
        let difference =
            largest_difference(&rows_of(&keys, observation), &reference.floats(expected));
        *worst = difference;
        assert!(
            difference <= TOLERANCE,
            "{name}: {expected} differs by {difference}"
        );
    }
    worst
}

macro_rules! parity {
    ($($test:ident: $name:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            let _ = check($name);
        })+
    };
}

parity! {
    llama_with_grouped_heads_and_untied_embeddings: "llama-gqa-untied",
    llama_with_llama3_rope_scaling_and_tied_embeddings: "llama-gqa-tied-rope3",
    llama_with_the_newer_config_spelling: "llama-rope3-v5config",
    llama_with_full_heads_in_shards: "llama-mha-sharded",
    llama_with_one_kv_head_and_its_own_head_size: "llama-mqa-headdim32",
    mistral_with_sliding_window: "mistral-swa64-untied",
    qwen2_with_biases_and_tied_embeddings: "qwen2-bias-tied",
    qwen2_stored_as_bf16: "qwen2-bias-untied-bf16",
    qwen2_with_sliding_window_on_later_layers: "qwen2-swa48-from-layer2",
    qwen3_with_normalised_queries_and_keys: "qwen3-qknorm-tied",
    llama_with_yarn: "llama-yarn",
    qwen2_with_yarn_in_full_and_the_newer_spelling: "qwen2-yarn-mscale-v5config",
    llama_with_dynamic_scaling_up_to_its_last_position: "llama-dynamic",
    smollm3_with_layers_that_do_not_rotate_and_yarn_on_the_others: "smollm3-norope-tied",
    olmo2_with_norms_behind_its_blocks: "olmo2-postnorm",
    phi3_with_fused_projections_and_sliding_window: "phi3-fused-swa64",
    phi3_with_longrope_and_a_prompt_that_is_short_to_the_end: "phi3-longrope-short",
    phi3_with_longrope_of_a_part_of_each_head_and_a_prompt_that_is_long: "phi3-longrope-partial",
    qwen3_moe_with_experts_in_every_layer: "qwen3-moe-sparse",
    qwen3_moe_with_experts_in_some_layers_and_shares_as_they_are: "qwen3-moe-mixed",
    smollm3_with_its_own_interval_of_layers_that_do_not_rotate: "smollm3-norope4",
}

/// Every step's logits, from feeding the reference's ids one by one.
#[test]
fn decode_logits_agree_step_by_step() {
    for name in ["llama-gqa-untied", "qwen2-bias-tied"] {
        let model = micro_model(name);
        let reference = Reference::open(name);
        let (ids, generated) = (reference.ids("prompt_ids"), reference.ids("generated_ids"));
        let mut cache = model.new_cache(ids.len(), generated.len()).unwrap();
        model.next_logits(&ids, &mut cache).unwrap();
        let logits: Vec<f32> = generated
            .iter()
            .flat_map(|&id| step(&model, id, &mut cache))
            .collect();
        let difference = largest_difference(&logits, &reference.floats("decode_logits"));
        assert!(
            difference <= TOLERANCE,
            "{name}: decode logits differ by {difference}"
        );
    }
}

fn step(model: &Model, id: u32, cache: &mut KvCache) -> Vec<f32> {
    model.next_logits(&[id], cache).unwrap().to_vec1().unwrap()
}

/// Every checkpoint of a folder that `fixtures/make_grid.py` filled; run by hand, as its help says.
#[test]
#[ignore = "needs KVLENS_PARITY_GRID, a folder that fixtures/make_grid.py filled"]
fn a_grid_of_random_configurations() {
    let grid = std::env::var("KVLENS_PARITY_GRID").unwrap();
    let mut names: Vec<String> = std::fs::read_dir(grid)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.display().to_string())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    let mut worst = [0.0_f32; 3];
    for name in &names {
        let found = check(name);
        println!("{name}: {found:?}");
        for (worst, found) in worst.iter_mut().zip(found) {
            *worst = worst.max(found);
        }
    }
    println!("worst of {}: {worst:?}", names.len());
}
