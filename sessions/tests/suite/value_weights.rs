//! Attention that is weighed by values, against norms made from the checkpoint's own matrices.

use candle_core::{Device, Tensor};
use kvlens_analysis::{ForcedKeep, GroupReduction, Scoring, SideScoring, ValueWeight};
use kvlens_sessions::model::ModelSource;
use kvlens_sessions::{CapturePlan, Keep, Session, StartMode};

use crate::common::{demo_samples, fixtures, micro_model, plan, run_capture, values};

/// Sums of 64 squares in float32 on both sides.
const TOLERANCE: f32 = 1e-4;

const MODEL: &str = "llama-gqa-untied";

fn session(folder: &std::path::Path, windows: &[&str], keep: Keep) -> Session {
    let model = micro_model(MODEL);
    let plan = CapturePlan {
        model: ModelSource::Folder(fixtures().join(MODEL)),
        keep: Some(keep),
        ..plan(windows, 6)
    };
    let plan = CapturePlan {
        decode: kvlens_sessions::DecodePlan {
            ignore_eos: true,
            ..plan.decode
        },
        ..plan
    };
    let mut samples = demo_samples("demo:length=512,samples=1");
    samples[0].prompt = std::fs::read_to_string(fixtures().join("prompt.txt")).unwrap();
    samples[0].evidence.clear();
    let out = folder.join(format!("{}.kvlens", keep.to_string().replace(',', "-")));
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    Session::open(&out).unwrap()
}

fn near(found: &[f32], expected: &[f32]) -> bool {
    let pairs = found.iter().zip(expected);
    found.len() == expected.len()
        && pairs.fold(true, |all, (found, expected)| {
            all && (found - expected).abs() <= TOLERANCE * expected.abs().max(1e-6)
        })
}

#[test]
fn weights_are_norms_of_values_and_of_what_the_projection_makes_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(folder.path(), &["last:8"], Keep::KeysAndValues);
    let sample = session.load_sample(0).unwrap();
    let kept = sample.values().unwrap();
    let tensors = candle_core::safetensors::load(
        fixtures().join(MODEL).join("model.safetensors"),
        &Device::Cpu,
    )
    .unwrap();
    let (_, kv_heads, tokens, head_dim) = sample.keys().shape();
    for layer in 0..3 {
        let projection = &tensors[&format!("model.layers.{layer}.self_attn.o_proj.weight")];
        let projection = projection.to_dtype(candle_core::DType::F32).unwrap();
        for head in 0..4 {
            let value = kept.prompt()[layer].get(head * kv_heads / 4).unwrap();
            let norm = |vector: &Tensor| {
                let squares = values(vector)
                    .iter()
                    .map(|x| f64::from(*x).powi(2))
                    .sum::<f64>();
                squares.sqrt() as f32
            };
            let rows = || (0..tokens).map(|token| value.get(token).unwrap());
            let plain: Vec<f32> = rows().map(|row| norm(&row)).collect();
            let of_value = kept.weights(ValueWeight::ValueNorm, 4).unwrap();
            assert!(near(&of_value[layer * 4 + head], &plain), "{layer}, {head}");
            let slice = projection.narrow(1, head * head_dim, head_dim).unwrap();
            let projected =
                rows().map(|row| norm(&slice.matmul(&row.unsqueeze(1).unwrap()).unwrap()));
            let of_output = kept.weights(ValueWeight::OutputNorm, 4).unwrap();
            let projected: Vec<f32> = projected.collect();
            assert!(
                near(&of_output[layer * 4 + head], &projected),
                "{layer}, {head}"
            );
        }
    }
}

#[test]
fn importance_is_attention_times_the_weight() {
    let folder = tempfile::tempdir().unwrap();
    let windows = ["last:8,weight=value-norm", "last:8", "knorm"];
    let with = session(folder.path(), &windows, Keep::KeysAndValues);
    let sample = with.load_sample(0).unwrap();
    let windows_of = sample.windows();
    let (weighed, plain, norms) = (&windows_of[0], &windows_of[1], &windows_of[2]);
    let found = sample
        .importance(weighed, weighed.published_side())
        .unwrap();
    let raw = sample.importance(plain, plain.published_side()).unwrap();
    let weights = sample
        .values()
        .unwrap()
        .weights(ValueWeight::ValueNorm, 4)
        .unwrap();
    for (layer, head) in (0..3).flat_map(|layer| (0..4).map(move |head| (layer, head))) {
        let products = raw.head(layer, head).iter().zip(&weights[layer * 4 + head]);
        let products: Vec<f32> = products.map(|(a, b)| a * b).collect();
        assert!(near(found.head(layer, head), &products));
    }
    // what is no attention stays as it is, whatever a table weighs by
    let side = |weight| {
        let scoring = Scoring {
            weight,
            group: GroupReduction::Mean,
            ..Scoring::default()
        };
        SideScoring::of(scoring, ForcedKeep::default())
    };
    let plain_norms = sample.importance(norms, side(ValueWeight::None)).unwrap();
    let weighed_norms = sample.importance(norms, side(ValueWeight::OutputNorm));
    // as text: what is undefined is not equal to itself
    let [weighed_norms, plain_norms] =
        [weighed_norms.unwrap(), plain_norms].map(|found| format!("{found:?}"));
    assert!(weighed_norms == plain_norms, "other scores");
    let without = session(folder.path(), &windows[1..], Keep::Keys);
    let without = without.load_sample(0).unwrap();
    let window = &without.windows()[0];
    let refused = without
        .importance(window, side(ValueWeight::ValueNorm))
        .unwrap_err();
    assert!(
        refused.to_string().contains("--keep keys,values"),
        "{refused}"
    );
    assert!(without.importance(window, side(ValueWeight::None)).is_ok());
}
