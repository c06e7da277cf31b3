//! Training as a whole: gradients, planted heads, and runs that are the same again.

use candle_core::{DType, Device, Tensor};

use super::gradient::{loss, of_step};
use super::plan::{TrainingPlan, TrainingShape, TrainingStage};
use super::rows::{Prediction, Row};
use super::*;
use crate::model::{Decoder, DeviceChoice, KeptQueries, Kernels, ModelConfig, Parameters, Weights};
use crate::training::threads::Threads;
use crate::{CancelFlag, SessionError, StartMode};

/// A model that is trained in a second.
fn small_plan() -> TrainingPlan {
    let stage = |sequence_tokens, steps, repeated_share| TrainingStage {
        sequence_tokens,
        steps,
        first_rate: 1.0,
        last_rate: 0.5,
        repeated_share,
        opening_percent: 50,
        most_questions: 12,
        mixture: None,
    };
    TrainingPlan {
        shape: TrainingShape {
            hidden_size: 32,
            intermediate_size: 48,
            layers: 3,
            query_heads: 4,
            kv_heads: 2,
            head_dim: 8,
            max_positions: 256,
            ..TrainingPlan::default().shape
        },
        step_tokens: 640,
        stages: vec![stage(160, 3, 0.5), stage(200, 3, 0.0)],
        planted: false,
        ..TrainingPlan::default()
    }
}

fn config(vocabulary: usize, shape: &TrainingShape) -> ModelConfig {
    let text = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": vocabulary, "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.query_heads, "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim, "max_position_embeddings": shape.max_positions,
        "rope_theta": shape.rope_theta, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
    });
    ModelConfig::from_json(text.to_string().as_bytes()).unwrap()
}

fn fused(parameters: &Parameters, config: &ModelConfig) -> Decoder {
    let weights = Weights::trained(parameters, &Device::Cpu, DType::F32);
    Decoder::load(&weights, config.clone()).unwrap()
}

fn differentiable(parameters: &Parameters, config: &ModelConfig) -> Decoder {
    fused(parameters, config).differentiable().unwrap()
}

fn row(length: usize, vocabulary: usize, salt: usize) -> Row {
    let ids: Vec<u32> = (0..length)
        .map(|i| ((i * i * 31 + i * 7 + salt) % vocabulary) as u32)
        .collect();
    let predictions = (0..length - 1)
        .map(|after| Prediction {
            after,
            target: ids[after + 1],
            weight: [0.1, 0.3, 1.0][(after + salt) % 3],
            is_value: after % 3 == 0,
        })
        .collect();
    Row { ids, predictions }
}

#[test]
fn both_modes_of_the_decoder_give_the_same_logits() {
    let plan = small_plan();
    let config = config(50, &plan.shape);
    let parameters = initial::parameters(&plan, &config, &Device::Cpu).unwrap();
    let ids: Vec<u32> = row(300, 50, 1).ids;
    let logits = |decoder: Decoder| {
        let stream = decoder.forward_sequences(&ids, 2).unwrap();
        decoder
            .logits(&stream)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    let (fused, plain) = (
        logits(fused(&parameters, &config)),
        logits(differentiable(&parameters, &config)),
    );
    for (a, b) in fused.iter().zip(&plain) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn sequences_do_not_see_each_other() {
    let plan = small_plan();
    let config = config(50, &plan.shape);
    let parameters = initial::parameters(&plan, &config, &Device::Cpu).unwrap();
    let decoder = differentiable(&parameters, &config);
    let (first, second) = (row(40, 50, 1).ids, row(40, 50, 2).ids);
    let both: Vec<u32> = first.iter().chain(&second).copied().collect();
    let together = decoder
        .forward_sequences(&both, 2)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let alone = decoder
        .forward_sequences(&second, 1)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    assert_eq!(together[40..], alone[..]);
}

#[test]
fn gradients_agree_with_finite_differences() {
    for kernels in [Kernels::of(&Device::Cpu), Kernels::of_gpu()] {
        gradients_by(kernels);
    }
}

/// Central differences of the loss along a random direction and along the gradient itself, for every parameter.
fn gradients_by(kernels: Kernels) {
    let plan = small_plan();
    let config = config(50, &plan.shape);
    let parameters = initial::parameters(&plan, &config, &Device::Cpu).unwrap();
    let decoder = fused(&parameters, &config).with_kernels(kernels);
    let decoder = decoder.differentiable().unwrap();
    // more than one block of query rows
    let rows = [row(140, 50, 1), row(140, 50, 2)];
    let total: f64 = rows
        .iter()
        .flat_map(|r| &r.predictions)
        .map(|p| f64::from(p.weight))
        .sum();
    let threads = Threads::new(2).unwrap();
    let gradient = of_step(&decoder, &parameters, &rows, 1, &threads).unwrap();
    let loss_now = || {
        f64::from(
            loss(&decoder, &rows, total)
                .unwrap()
                .0
                .to_scalar::<f32>()
                .unwrap(),
        )
    };
    assert!((gradient.figures.loss - loss_now()).abs() < 1e-5);
    for ((name, parameter), gradient) in parameters.iter().zip(&gradient.of_parameters) {
        let original = parameter.as_tensor().copy().unwrap();
        let norm = gradient
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
            .sqrt();
        assert!(norm > 1e-4, "{name} has no gradient");
        let direction = (gradient / f64::from(norm)).unwrap();
        let size = original
            .sqr()
            .unwrap()
            .mean_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
            .sqrt();
        let step = 0.02 * f64::from(size) * (original.elem_count() as f64).sqrt().min(4.0);
        let moved = |sign: f64| {
            parameter
                .set(&(&original + (&direction * (sign * step)).unwrap()).unwrap())
                .unwrap();
            loss_now()
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
        parameter.set(&original).unwrap();
        let wanted = f64::from(norm);
        assert!(
            (slope - wanted).abs() < 0.03 * wanted + 2e-4,
            "{name}: {slope} {wanted}"
        );
    }
}

/// Mean attention of one head to the token `back` places before the row's own, over rows from `first` on.
fn looks_back(
    decoder: &Decoder,
    ids: &[u32],
    place: (usize, usize),
    back: usize,
    first: usize,
) -> f64 {
    let (layer, head) = place;
    let config = decoder.config();
    let mut cache = decoder.new_cache(ids.len(), 0).unwrap();
    let mut kept = KeptQueries::new(config.layers, 0);
    let positions: Vec<u32> = (0..ids.len() as u32).collect();
    let embedded = decoder.embed(ids).unwrap();
    decoder
        .forward(&embedded, &positions, &mut cache, None, &mut [&mut kept])
        .unwrap();
    let rows = kept.finish(decoder, &cache).unwrap();
    let group = head / (config.query_heads / config.kv_heads);
    let queries = rows
        .queries
        .get(layer)
        .unwrap()
        .get(head)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let log_sums = rows
        .log_sum_exp
        .get(layer)
        .unwrap()
        .get(head)
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    let keys = cache
        .keys(layer, ids.len())
        .unwrap()
        .get(group)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let weights = (first..ids.len()).map(|row| {
        let product: f32 = queries[row]
            .iter()
            .zip(&keys[row - back])
            .map(|(q, k)| q * k)
            .sum();
        f64::from((product / (config.head_dim as f32).sqrt() - log_sums[row]).exp())
    });
    weights.sum::<f64>() / (ids.len() - first) as f64
}

#[test]
fn planted_heads_look_back_and_find_the_token_after_a_repetition() {
    let plan = TrainingPlan {
        planted: true,
        ..TrainingPlan::default()
    };
    let config = config(512, &plan.shape);
    let parameters = initial::parameters(&plan, &config, &Device::Cpu).unwrap();
    let decoder = fused(&parameters, &config);
    let segment: Vec<u32> = (0..40).map(|i| (i * 97 + 5) % 512).collect();
    let ids: Vec<u32> = segment.iter().chain(&segment).copied().collect();
    for head in 0..2 {
        let share = looks_back(&decoder, &ids, (0, head), head + 1, 2);
        assert!(share > 0.8, "head {head} of layer 0: {share}");
    }
    // the current token stood 40 places before, so what followed it stands 39 before
    let share = looks_back(&decoder, &ids, (1, 0), 39, 41);
    assert!(share > 0.8, "layer 1: {share}");
}

#[test]
fn a_shape_without_room_for_planted_heads_is_refused() {
    let plan = TrainingPlan {
        planted: true,
        ..small_plan()
    };
    let config = config(50, &plan.shape);
    let error = initial::parameters(&plan, &config, &Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("without planting"), "{error}");
}

fn run(
    plan: &TrainingPlan,
    out: &std::path::Path,
    start: StartMode,
    stop: Option<usize>,
) -> Result<TrainingSummary, SessionError> {
    let run = TrainingRun {
        plan: plan.clone(),
        out: out.to_owned(),
        start,
        device: DeviceChoice::Cpu,
        stop_after_steps: stop,
    };
    train_demo_model(&run, &mut |_| {}, &CancelFlag::default())
}

#[test]
fn a_run_is_the_same_again_and_when_it_was_stopped_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let plan = small_plan();
    let wanted = run(&plan, &whole, StartMode::New, None).unwrap();
    assert!(wanted.is_complete && wanted.curve.len() == 6);
    for steps in [2, 4] {
        let start = if steps == 2 {
            StartMode::New
        } else {
            StartMode::Resume
        };
        let part = run(&plan, &parts, start, Some(steps)).unwrap();
        assert!(!part.is_complete);
        assert_eq!(part.curve[..], wanted.curve[..steps]);
    }
    let resumed = run(&plan, &parts, StartMode::Resume, None).unwrap();
    assert_eq!(resumed, wanted);
    for name in [
        "model.safetensors",
        "tokenizer.json",
        "config.json",
        "training-state.safetensors",
        "training-log.json",
    ] {
        let read = |folder: &std::path::Path| std::fs::read(folder.join(name)).unwrap();
        assert!(read(&whole) == read(&parts), "{name} differs");
    }
}

#[test]
fn training_lowers_the_loss() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = TrainingPlan {
        warmup_steps: 1,
        ..small_plan()
    };
    plan.stages.truncate(1);
    plan.stages[0] = TrainingStage {
        steps: 16,
        repeated_share: 0.0,
        ..plan.stages[0].clone()
    };
    let curve = run(&plan, folder.path(), StartMode::New, None)
        .unwrap()
        .curve;
    let mean = |points: &[CurvePoint]| {
        points.iter().map(|point| point.loss).sum::<f32>() / points.len() as f32
    };
    let (first, last) = (mean(&curve[..4]), mean(&curve[12..]));
    assert!(last < 0.95 * first, "{first} {last}");
}

#[test]
fn a_cancelled_run_keeps_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let plan = small_plan();
    let cancel = CancelFlag::default();
    let training = TrainingRun {
        plan: plan.clone(),
        out: folder.path().to_owned(),
        start: StartMode::New,
        device: DeviceChoice::Cpu,
        stop_after_steps: None,
    };
    let mut stop_at_once = |event: TrainingEvent| {
        if matches!(event, TrainingEvent::Step { .. }) {
            cancel.cancel();
        }
    };
    let outcome = train_demo_model(&training, &mut stop_at_once, &cancel);
    assert!(matches!(outcome, Err(SessionError::Cancelled)));
    let resumed = run(&plan, folder.path(), StartMode::Resume, Some(2)).unwrap();
    assert_eq!(resumed.curve.len(), 2);
}

#[test]
fn a_folder_in_use_and_other_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plan = small_plan();
    run(&plan, folder.path(), StartMode::New, Some(1)).unwrap();
    let error = run(&plan, folder.path(), StartMode::New, Some(1)).unwrap_err();
    assert!(error.to_string().contains("--resume"), "{error}");
    let mut other = plan.clone();
    other.seed += 1;
    let error = run(&other, folder.path(), StartMode::Resume, None).unwrap_err();
    assert!(error.to_string().contains("other settings"), "{error}");
    // a stage that was not reached may differ
    let mut longer = plan;
    longer.stages[1].steps = 1;
    let resumed = run(&longer, folder.path(), StartMode::Resume, None).unwrap();
    assert!(resumed.is_complete && resumed.curve.len() == 4);
}

#[test]
fn a_run_that_replaces_another_leaves_nothing_of_it_from_the_first_moment() {
    let folder = tempfile::tempdir().unwrap();
    let plan = small_plan();
    run(&plan, folder.path(), StartMode::New, Some(2)).unwrap();
    let mut other = plan.clone();
    other.seed += 1;
    run(&other, folder.path(), StartMode::Replace, Some(0)).unwrap();
    assert!(run(&plan, folder.path(), StartMode::Resume, None).is_err());
    let resumed = run(&other, folder.path(), StartMode::Resume, Some(1)).unwrap();
    assert_eq!(resumed.curve.len(), 1);
}

#[test]
fn a_damaged_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("training-state.safetensors"), b"nothing").unwrap();
    let error = run(&small_plan(), folder.path(), StartMode::Resume, None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("not the state of a training run"),
        "{error}"
    );
}

#[test]
fn a_trained_folder_loads_as_a_model_and_gives_the_same_logits() {
    let folder = tempfile::tempdir().unwrap();
    run(&small_plan(), folder.path(), StartMode::New, Some(1)).unwrap();
    let source = crate::model::ModelSource::Folder(folder.path().to_owned());
    let model =
        crate::model::Model::load(&source, DeviceChoice::Cpu, crate::model::DtypeChoice::F32)
            .unwrap();
    let ids = model
        .encode_prompt(" Question: Report the city of Ivy Garner.", None)
        .unwrap()
        .ids;
    let logits = model
        .next_logits(&ids, &mut model.new_cache(ids.len(), 0).unwrap())
        .unwrap();
    let state = curve::DemoState::load(
        &folder.path().join("training-state.safetensors"),
        &Device::Cpu,
    )
    .unwrap();
    let decoder = differentiable(&state.parameters, model.config());
    let stream = decoder.forward_sequences(&ids, 1).unwrap();
    let last: Tensor = decoder.logits(&stream).unwrap().get(ids.len() - 1).unwrap();
    let (a, b) = (
        logits.to_vec1::<f32>().unwrap(),
        last.to_vec1::<f32>().unwrap(),
    );
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4));
}
