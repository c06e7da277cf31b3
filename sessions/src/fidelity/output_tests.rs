//! What a real eviction does to a layer's attention, against what is told of it from a session's numbers.

use candle_core::Tensor;

use super::tests::{model, scattered};
use crate::model::{Evicted, KvCache, LayerTap, Model, TappedWeights};
use crate::prefill::{Needs, Prefilled, RunControl};
use crate::windows::Decode;
use crate::{CancelFlag, DecodePlan, OutputPlace, SessionError};

/// Both in single precision, summed in another order.
const TOLERANCE: f64 = 1e-4;

/// Weights `[H, 1, keys]` of the first layer, whose queries no eviction changes.
#[derive(Default)]
struct FirstLayer(Vec<Tensor>);

impl LayerTap for FirstLayer {
    fn wants_weights(&self) -> bool {
        true
    }

    fn weights(&mut self, block: &TappedWeights<'_>) -> Result<(), SessionError> {
        if block.layer == 0 {
            let unseen = block.weights.pad_with_zeros(2, block.first_key, 0)?;
            self.0.push(unseen);
        }
        Ok(())
    }
}

/// The first layer's outputs of attention, `[S][H][D]`, with tokens fed one by one behind a cache.
fn outputs(model: &Model, mut cache: KvCache, first: usize, ids: &[u32]) -> Vec<Vec<Vec<f32>>> {
    let mut outputs = Vec::new();
    for (&id, position) in ids.iter().zip(first as u32..) {
        let mut tap = FirstLayer::default();
        let embedded = model.embed(&[id]).unwrap();
        let taps: &mut [&mut dyn LayerTap] = &mut [&mut tap];
        model
            .forward(&embedded, &[position], &mut cache, taps)
            .unwrap();
        let weights = tap.0.pop().unwrap();
        let (heads, _, _) = weights.dims3().unwrap();
        let values = cache.values(0, cache.len()).unwrap();
        let shared = heads / values.dim(0).unwrap();
        let of_head = |head: usize| -> Vec<f32> {
            let values = values.get(head / shared).unwrap();
            let output = weights.get(head).unwrap().matmul(&values).unwrap();
            output.flatten_all().unwrap().to_vec1().unwrap()
        };
        outputs.push((0..heads).map(of_head).collect());
    }
    outputs
}

/// Relative error of a head's output at each step.
fn relative(evicted: &[Vec<Vec<f32>>], full: &[Vec<Vec<f32>>], head: usize) -> Vec<f64> {
    let norm = |vector: &mut dyn Iterator<Item = f64>| vector.map(|x| x * x).sum::<f64>().sqrt();
    let errors = evicted.iter().zip(full).map(|(evicted, full)| {
        let pairs = evicted[head].iter().zip(&full[head]);
        let error = norm(&mut pairs.map(|(a, b)| f64::from(a - b)));
        error / norm(&mut full[head].iter().map(|&x| f64::from(x)))
    });
    errors.collect()
}

/// The same behind the first layer's output projection, by the model's own product.
fn relative_behind(
    model: &Model,
    evicted: &[Vec<Vec<f32>>],
    full: &[Vec<Vec<f32>>],
    head: usize,
) -> Vec<f64> {
    let config = model.config();
    let shape = (1, full.len(), config.head_dim);
    // the head's vectors in place of every key/value head's values
    let norms = |vectors: Vec<f32>| -> Vec<f32> {
        let vectors = Tensor::from_vec(vectors, shape, &candle_core::Device::Cpu).unwrap();
        let vectors = vectors.repeat((config.kv_heads, 1, 1)).unwrap();
        let norms = model.decoder().output_norms(0, &vectors).unwrap();
        norms.get(head).unwrap().to_vec1().unwrap()
    };
    let of_head = |steps: &[Vec<Vec<f32>>]| -> Vec<f32> {
        steps.iter().flat_map(|heads| heads[head].clone()).collect()
    };
    let (evicted, full) = (of_head(evicted), of_head(full));
    let pairs = evicted.iter().zip(&full);
    let errors = norms(pairs.map(|(evicted, full)| evicted - full).collect());
    let errors = errors.into_iter().zip(norms(full));
    errors
        .map(|(error, norm)| f64::from(error) / f64::from(norm))
        .collect()
}

fn assert_near(found: &[f64], expected: &[f64], of: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= TOLERANCE * expected.max(1.0),
            "{of}: {found} where {expected} was expected"
        );
    }
}

#[test]
fn output_errors_are_those_of_a_real_eviction() {
    for name in ["demo", "llama-gqa-untied", "mistral-swa64-untied"] {
        let model = model(name);
        let config = model.config();
        let vocabulary = config.vocabulary as u32;
        let ids: Vec<u32> = (1..=160).map(|i| i * 37 % vocabulary).collect();
        let steps: Vec<u32> = (1..=12).map(|i| i * 53 % vocabulary).collect();
        let cancel = CancelFlag::default();
        let mut control = RunControl {
            cancel: &cancel,
            on_tokens: &mut |_, _| {},
        };
        let needs = Needs {
            extra_tokens: steps.len(),
            extra_positions: steps.len(),
            ..Needs::default()
        };
        let mut prefilled = Prefilled::run(&model, &ids, &needs, &mut control).unwrap();
        let decode = Decode::teacher_forced(DecodePlan::default(), steps.clone());
        let oracle = decode
            .observe(&model, &mut prefilled, &mut control)
            .unwrap();
        let behind = prefilled.decode_keys().unwrap();
        let decoded = prefilled.decode_values().unwrap();
        let values = prefilled.cached_values(&model, behind, decoded).unwrap();
        let keys = prefilled.keys_for_scoring(&model).unwrap();
        let kept = scattered(config.layers, config.query_heads, ids.len());
        let everything = vec![vec![(0..160).collect(); config.query_heads]; config.layers];
        let mut evict = |kept: Vec<Vec<Vec<u32>>>| {
            let kept = Evicted::new(kept, ids.len()).unwrap();
            let cache = prefilled.prompt_cache().keeping(kept, steps.len()).unwrap();
            outputs(&model, cache, ids.len(), &steps)
        };
        let (evicted, full) = (evict(kept.clone()), evict(everything));
        let rows = oracle.query_rows().unwrap();
        let group = keys.group_size().unwrap();
        for kv_head in 0..config.kv_heads {
            let of = |at| values.reads(&keys, rows, 0, kv_head, at).unwrap();
            let (own, behind) = (of(OutputPlace::Head), of(OutputPlace::Projected));
            for ((reads, behind), head) in own.iter().zip(&behind).zip(kv_head * group..) {
                let order = kept[0][head].iter().map(|&token| token as usize);
                let count = kept[0][head].len();
                let found = reads.errors_along(order, std::iter::once(count)).concat();
                let expected = relative(&evicted, &full, head);
                assert_near(
                    &found,
                    &expected,
                    &format!("{name}, head {head}, {count} kept"),
                );
                let mean = expected.iter().sum::<f64>() / expected.len() as f64;
                assert!(mean > 0.05, "{name}: such an eviction does something");
                let order = kept[0][head].iter().map(|&token| token as usize);
                let found = behind.errors_along(order, std::iter::once(count)).concat();
                let expected = relative_behind(&model, &evicted, &full, head);
                assert_near(
                    &found,
                    &expected,
                    &format!("{name}, head {head}, projected"),
                );
            }
        }
    }
}
