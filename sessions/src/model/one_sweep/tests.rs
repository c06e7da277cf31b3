//! Each operation against the same thing in plain candle operations, forward and backward.

use candle_core::{D, Device, Tensor, Var};

use super::{MaskedSoftmax, cross_entropy, rms_norm};

/// Numbers without a pattern, between -2 and 2.
fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 7919 + 13) % 401) as f32 / 100.0 - 2.0)
        .collect()
}

fn variable(shape: &[usize]) -> Var {
    let tensor = Tensor::from_vec(numbers(shape.iter().product()), shape, &Device::Cpu).unwrap();
    Var::from_tensor(&tensor).unwrap()
}

/// A scalar that depends on every element in another way.
fn scalar(tensor: &Tensor) -> Tensor {
    let factors = numbers(tensor.elem_count() + 5).split_off(5);
    let factors = Tensor::from_vec(factors, tensor.shape(), &Device::Cpu).unwrap();
    (tensor * factors).unwrap().sum_all().unwrap()
}

fn gradient(result: &Tensor, of: &Var) -> Vec<f32> {
    let store = scalar(result).backward().unwrap();
    store
        .get(of.as_tensor())
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(name: &str, found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    let size = wanted
        .iter()
        .fold(1e-3f32, |most, value| most.max(value.abs()));
    for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        // f32 sums of a few dozen terms
        assert!(
            (found - wanted).abs() <= 1e-5 * size,
            "{name} {index}: {found} {wanted}"
        );
    }
}

#[test]
fn masked_softmax_is_the_plain_one() {
    let (groups, per_group, rows, keys) = (2, 2, 5, 9);
    for (own_key, sliding_window) in [(4, None), (4, Some(3)), (3, Some(1))] {
        let scores = variable(&[groups, per_group * rows, keys]);
        let softmax = MaskedSoftmax {
            scale: 0.37,
            rows,
            own_key,
            sliding_window,
        };
        let found = softmax.apply(scores.as_tensor()).unwrap();
        let mask: Vec<f32> = (0..groups * per_group * rows)
            .flat_map(|row| {
                let last = own_key + row % rows;
                let first =
                    sliding_window.map_or(0, |window: usize| (last + 1).saturating_sub(window));
                (0..keys).map(move |key| {
                    if (first..=last).contains(&key) {
                        0.0
                    } else {
                        f32::NEG_INFINITY
                    }
                })
            })
            .collect();
        let mask = Tensor::from_vec(mask, scores.shape(), &Device::Cpu).unwrap();
        let masked = ((scores.as_tensor() * 0.37).unwrap() + mask).unwrap();
        let wanted = candle_nn::ops::softmax(&masked, D::Minus1).unwrap();
        assert_close("weights", &values(&found), &values(&wanted));
        assert_close(
            "gradient",
            &gradient(&found, &scores),
            &gradient(&wanted, &scores),
        );
        let log_sums = softmax.log_sums(scores.as_tensor()).unwrap();
        assert_close(
            "log-sum-exps",
            &values(&log_sums),
            &values(&masked.log_sum_exp(D::Minus1).unwrap()),
        );
    }
}

#[test]
fn rms_norm_is_the_plain_one() {
    let (rows, weight) = (variable(&[3, 4, 21]), variable(&[21]));
    let found = rms_norm(rows.as_tensor(), weight.as_tensor(), 1e-3).unwrap();
    let wanted = candle_nn::ops::rms_norm_slow(rows.as_tensor(), weight.as_tensor(), 1e-3).unwrap();
    assert_close("rows", &values(&found), &values(&wanted));
    assert_close(
        "gradient of rows",
        &gradient(&found, &rows),
        &gradient(&wanted, &rows),
    );
    assert_close(
        "gradient of weight",
        &gradient(&found, &weight),
        &gradient(&wanted, &weight),
    );
}

#[test]
fn cross_entropy_is_the_plain_one() {
    let logits = variable(&[6, 17]);
    let targets = vec![0, 16, 3, 3, 9, 1];
    let found = cross_entropy(logits.as_tensor(), targets.clone()).unwrap();
    let logs = candle_nn::ops::log_softmax(logits.as_tensor(), D::Minus1).unwrap();
    let index = Tensor::from_vec(targets, (6, 1), &Device::Cpu).unwrap();
    let wanted = logs
        .gather(&index, 1)
        .unwrap()
        .squeeze(1)
        .unwrap()
        .neg()
        .unwrap();
    assert_close("nats", &values(&found), &values(&wanted));
    assert_close(
        "gradient",
        &gradient(&found, &logits),
        &gradient(&wanted, &logits),
    );
}

#[test]
fn a_target_outside_the_vocabulary_is_refused() {
    let logits = variable(&[2, 3]);
    assert!(cross_entropy(logits.as_tensor(), vec![0, 3]).is_err());
}
