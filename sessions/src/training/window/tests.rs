//! Trained windows as a whole: losses and gradients against torch, and runs that are the same again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use kvlens_analysis::{ForcedKeep, Importance, Scoring, SideScoring};
use kvlens_datasets::{DataSpec, LoadOptions, Sample, Samples, load_with};

use super::objective::{Rows, gradient, loss, targets};
use super::*;
use crate::model::{DeviceChoice, DtypeChoice, Kernels, Model, ModelSource, Parameters};
use crate::prefill::{Needs, Prefilled, RunControl};
use crate::windows::trained_file::{SOFT_TOKENS, adapters_of};
use crate::windows::{Decode, DecodePlan, ReadyWindow, SoftTokens, TrainedMethod, parse_window};
use crate::{CancelFlag, Observation, SessionError, StartMode};

/// Of the largest number compared, as both sides compute in float32.
const TOLERANCE: f32 = 2e-4;

const ALPHA: f64 = 4.0;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn load_model(source: &ModelSource) -> Model {
    Model::load(source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap()
}

fn micro_model(name: &str) -> Model {
    load_model(&ModelSource::Folder(fixtures().join(name)))
}

fn demo_model() -> Model {
    load_model(&ModelSource::Demo)
}

fn with_control<T>(use_it: impl FnOnce(&mut RunControl<'_>) -> T) -> T {
    let cancel = CancelFlag::default();
    use_it(&mut RunControl {
        cancel: &cancel,
        on_tokens: &mut |_, _| {},
    })
}

fn prefill(model: &Model, ids: &[u32], extra: usize) -> Prefilled {
    let needs = Needs {
        extra_tokens: extra,
        ..Needs::default()
    };
    with_control(|control| Prefilled::run(model, ids, &needs, control)).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(what: &str, found: &Tensor, expected: &Tensor) {
    let (found, expected) = (values(found), values(expected));
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    assert!(largest > 0.0, "{what}: the reference is zero");
    for (f, e) in found.iter().zip(&expected) {
        assert!(
            (f - e).abs() <= TOLERANCE * largest,
            "{what}: {f} instead of {e}, largest {largest}"
        );
    }
}

/// A micro checkpoint with what torch says of it.
struct Reference {
    model: Model,
    prefilled: Prefilled,
    oracle: Importance,
    tensors: BTreeMap<String, Tensor>,
}

impl Reference {
    fn of(name: &str) -> Self {
        let load = |kind: &str| -> BTreeMap<String, Tensor> {
            let path = fixtures().join(format!("{name}.{kind}.safetensors"));
            let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
            tensors.into_iter().collect()
        };
        let model = micro_model(name);
        let ids = |tensor: &Tensor| -> Vec<u32> {
            let ids = tensor.to_vec1::<i64>().unwrap();
            ids.into_iter().map(|id| id as u32).collect()
        };
        let tensors = load("trained");
        let response = ids(&tensors["response"]);
        let prompt = ids(&load("reference")["prompt_ids"]);
        let mut prefilled = prefill(&model, &prompt, 16);
        let plan = DecodePlan {
            max_tokens: response.len(),
            ..DecodePlan::default()
        };
        let decode = Decode::teacher_forced(plan, response);
        let observed =
            with_control(|control| decode.observe(&model, &mut prefilled, control)).unwrap();
        let keys = prefilled.keys_for_scoring(&model).unwrap();
        let oracle = keys
            .importance(
                &observed,
                SideScoring::of(Scoring::default(), ForcedKeep::default()),
            )
            .unwrap();
        Self {
            model,
            prefilled,
            oracle,
            tensors,
        }
    }

    /// Loss and gradients by name, with or without the adapters.
    fn run(
        &mut self,
        method: TrainedMethod,
        adapted: bool,
        kernels: Kernels,
    ) -> (f32, BTreeMap<String, Tensor>) {
        let trained: Parameters = self
            .tensors
            .iter()
            .filter(|(name, _)| *name == SOFT_TOKENS || (adapted && name.starts_with("layers.")))
            .map(|(name, tensor)| (name.clone(), Var::from_tensor(tensor).unwrap()))
            .collect();
        let tensors: BTreeMap<String, Tensor> = trained
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect();
        let rows = Rows {
            embeddings: tensors[SOFT_TOKENS].clone(),
            adapters: adapters_of(&tensors, self.model.config(), ALPHA, "test").unwrap(),
        };
        assert_eq!(rows.adapters.is_some(), adapted);
        let decoder = self.model.decoder().clone().with_kernels(kernels);
        let decoder = decoder.differentiable().unwrap();
        let targets = targets(&self.oracle, &Device::Cpu).unwrap();
        let cache = self.prefilled.prompt_cache();
        let loss = loss(method, &decoder, cache, &rows, &targets).unwrap();
        let store = loss.backward().unwrap();
        let gradients = trained
            .iter()
            .map(|(name, var)| (name.clone(), store.get(var.as_tensor()).unwrap().clone()))
            .collect();
        (loss.to_scalar().unwrap(), gradients)
    }
}

const CHECKPOINTS: [&str; 4] = [
    "llama-gqa-untied",
    "qwen3-qknorm-tied",
    "mistral-swa64-untied",
    "qwen3-moe-sparse",
];

/// Each checkpoint by the operations of a processor, and by those of a GPU.
fn checkpoints_and_kernels() -> impl Iterator<Item = (&'static str, Kernels)> {
    let of = |name| [Kernels::of(&Device::Cpu), Kernels::of_gpu()].map(|kernels| (name, kernels));
    CHECKPOINTS.into_iter().flat_map(of)
}

#[test]
fn judge_qs_loss_and_gradient_agree_with_torch() {
    for (name, kernels) in checkpoints_and_kernels() {
        let mut reference = Reference::of(name);
        let targets = targets(&reference.oracle, &Device::Cpu).unwrap();
        let target = Tensor::stack(&targets, 0).unwrap();
        assert_close("target", &target, &reference.tensors["target"]);
        let (loss, gradients) = reference.run(TrainedMethod::JudgeQ, false, kernels);
        let loss = Tensor::new(&[loss], &Device::Cpu).unwrap();
        assert_close(name, &loss, &reference.tensors["judge_q.loss"]);
        let expected = &reference.tensors["judge_q.gradient"];
        assert_close(name, &gradients[SOFT_TOKENS], expected);
    }
}

#[test]
fn lookahead_kvs_loss_and_gradients_agree_with_torch() {
    for (name, kernels) in checkpoints_and_kernels() {
        let mut reference = Reference::of(name);
        let (loss, gradients) = reference.run(TrainedMethod::LookaheadKv, true, kernels);
        let loss = Tensor::new(&[loss], &Device::Cpu).unwrap();
        assert_close(name, &loss, &reference.tensors["lookahead_kv.loss"]);
        assert!(gradients.len() > 20, "{}", gradients.len());
        for (tensor, gradient) in &gradients {
            let expected = &reference.tensors[&format!("lookahead_kv.gradient.{tensor}")];
            assert_close(&format!("{name}: {tensor}"), gradient, expected);
        }
    }
}

fn observe(window: SoftTokens, model: &Model, prefilled: &mut Prefilled) -> Observation {
    let window = ReadyWindow::new("soft", window);
    with_control(|control| window.observe(model, prefilled, control)).unwrap()
}

#[test]
fn adapters_of_zeros_are_no_adapters_and_others_change_the_queries() {
    let mut reference = Reference::of("llama-gqa-untied");
    let config = reference.model.config();
    let adapted = adapters_of(&reference.tensors, config, ALPHA, "test").unwrap();
    let zeroed: BTreeMap<String, Tensor> = reference
        .tensors
        .iter()
        .map(|(name, tensor)| match name.ends_with("lora_b") {
            true => (name.clone(), tensor.zeros_like().unwrap()),
            false => (name.clone(), tensor.clone()),
        })
        .collect();
    let zeroed = adapters_of(&zeroed, config, ALPHA, "test").unwrap();
    assert!(zeroed.is_some());
    let embeddings = reference.tensors[SOFT_TOKENS].clone();
    let (model, prefilled) = (&reference.model, &mut reference.prefilled);
    let [plain, zeroed, adapted] = [None, zeroed, adapted].map(|adapters| {
        let window = SoftTokens::new(model, &embeddings, adapters).unwrap();
        let observed = observe(window, model, prefilled);
        values(observed.query_rows().unwrap().queries())
    });
    assert_eq!(plain, zeroed);
    assert_ne!(plain, adapted);
}

#[test]
fn a_training_sees_the_attention_that_the_window_observes_and_leaves_the_cache_alone() {
    let mut reference = Reference::of("mistral-swa64-untied");
    let embeddings = reference.tensors[SOFT_TOKENS].clone();
    let adapters =
        adapters_of(&reference.tensors, reference.model.config(), ALPHA, "test").unwrap();
    let window = SoftTokens::new(&reference.model, &embeddings, adapters.clone()).unwrap();
    let observed = observe(window, &reference.model, &mut reference.prefilled);
    let keys = reference
        .prefilled
        .keys_for_scoring(&reference.model)
        .unwrap();
    let scores = keys
        .importance(
            &observed,
            SideScoring::of(Scoring::default(), ForcedKeep::default()),
        )
        .unwrap();
    let observed = Tensor::stack(&targets(&scores, &Device::Cpu).unwrap(), 0).unwrap();

    let decoder = reference.model.decoder().differentiable().unwrap();
    let cache = reference.prefilled.prompt_cache();
    let tokens = cache.len();
    let before = values(&cache.keys(1, tokens).unwrap());
    let positions: Vec<u32> = (tokens as u32..).take(5).collect();
    let layers = decoder
        .attention_behind(&embeddings, &positions, cache, adapters.as_ref())
        .unwrap();
    let means: Vec<Tensor> = layers.iter().map(|layer| layer.mean(1).unwrap()).collect();
    assert_close("attention", &Tensor::stack(&means, 0).unwrap(), &observed);
    assert_eq!(cache.len(), tokens);
    assert_eq!(values(&cache.keys(1, tokens).unwrap()), before);
}

fn small_plan(method: TrainedMethod) -> WindowTrainingPlan {
    WindowTrainingPlan {
        data: vec!["facts".to_owned()],
        held_out: vec!["facts".to_owned()],
        baselines: vec!["last:8".to_owned()],
        decode_tokens: 12,
        soft_tokens: 4,
        steps: 6,
        step_prompts: 2,
        token_learning_rate: 0.02,
        steps_between_evaluations: 4,
        warm_up_steps: 2,
        ..WindowTrainingPlan::of(method)
    }
}

/// Samples in memory.
struct Prompts {
    training: Vec<Sample>,
    held_out: Vec<(String, Vec<Sample>)>,
}

impl Prompts {
    fn data(&self) -> WindowTrainingData<'_> {
        let groups = self.held_out.iter();
        WindowTrainingData {
            training: Samples::from(&self.training),
            held_out: groups
                .map(|(name, samples)| (name.clone(), Samples::from(samples)))
                .collect(),
        }
    }
}

fn prompts() -> Prompts {
    let load = |spec: &str| {
        let spec: DataSpec = spec.parse().unwrap();
        load_with(&[spec], &LoadOptions::default()).unwrap().samples
    };
    Prompts {
        training: load("facts:length=160,samples=3,seed=5"),
        held_out: vec![
            ("one".to_owned(), load("facts:length=160,samples=2,seed=6")),
            ("two".to_owned(), load("niah:length=160,samples=1,seed=6")),
        ],
    }
}

fn run(
    plan: &WindowTrainingPlan,
    out: &Path,
    start: StartMode,
    stop_after_steps: Option<usize>,
) -> Result<WindowTrainingSummary, SessionError> {
    let run = WindowTrainingRun {
        plan: plan.clone(),
        out: out.to_owned(),
        start,
        stop_after_steps,
    };
    let cancel = CancelFlag::default();
    train_window(&run, &demo_model(), &prompts().data(), &mut |_| {}, &cancel)
}

/// What is said to resuming with another model or other prompts.
fn resume_with(plan: &WindowTrainingPlan, out: &Path, model: &Model, prompts: &Prompts) -> String {
    let run = WindowTrainingRun {
        plan: plan.clone(),
        out: out.to_owned(),
        start: StartMode::Resume,
        stop_after_steps: None,
    };
    let outcome = train_window(
        &run,
        model,
        &prompts.data(),
        &mut |_| {},
        &CancelFlag::default(),
    );
    outcome.unwrap_err().to_string()
}

#[test]
fn a_run_lowers_the_loss_and_is_the_same_again_stopped_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    for method in [TrainedMethod::JudgeQ, TrainedMethod::LookaheadKv] {
        let plan = small_plan(method);
        let whole = folder.path().join(format!("{}-whole", method.name()));
        let halves = folder.path().join(format!("{}-halves", method.name()));
        let summary = run(&plan, &whole, StartMode::New, None).unwrap();
        assert!(summary.is_complete);
        let first = summary.curve[0].held_out.clone().unwrap();
        assert!(summary.held_out.loss < first.loss, "{summary:?}");
        assert_eq!(first.recall.len(), 2);
        assert!(summary.curve[1].held_out.is_none() && summary.curve[4].held_out.is_some());
        assert_eq!(summary.baselines[0].window, "last:8");

        let stopped = run(&plan, &halves, StartMode::New, Some(3)).unwrap();
        assert!(!stopped.is_complete && stopped.curve.len() == 3);
        assert!(run(&plan, &halves, StartMode::New, None).is_err());
        let other = WindowTrainingPlan {
            seed: 9,
            ..plan.clone()
        };
        let refused = run(&other, &halves, StartMode::Resume, None).unwrap_err();
        assert!(refused.to_string().contains("other settings"), "{refused}");
        let refused = resume_with(&plan, &halves, &micro_model("llama-gqa-untied"), &prompts());
        assert!(refused.contains("another model"), "{refused}");
        let mut fewer = prompts();
        fewer.training.pop();
        let refused = resume_with(&plan, &halves, &demo_model(), &fewer);
        assert!(refused.contains("other prompts"), "{refused}");
        let resumed = run(&plan, &halves, StartMode::Resume, None).unwrap();
        assert_eq!(resumed, summary);
        assert_eq!(
            std::fs::read(&whole).unwrap(),
            std::fs::read(&halves).unwrap()
        );
        assert!(run(&plan, &halves, StartMode::New, None).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count() % 2, 0);
    }
}

#[test]
fn a_cancelled_run_keeps_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let plan = small_plan(TrainedMethod::JudgeQ);
    let out = folder.path().join("judge-q.safetensors");
    let cancel = CancelFlag::default();
    let job = WindowTrainingRun {
        plan: plan.clone(),
        out: out.clone(),
        start: StartMode::New,
        stop_after_steps: None,
    };
    let mut on_event = |event: WindowTrainingEvent| {
        if matches!(event, WindowTrainingEvent::Step { point, .. } if point.step == 1) {
            cancel.cancel();
        }
    };
    let model = demo_model();
    let outcome = train_window(&job, &model, &prompts().data(), &mut on_event, &cancel);
    assert!(
        matches!(outcome, Err(SessionError::Cancelled)),
        "{outcome:?}"
    );
    assert!(!out.exists());
    let resumed = run(&plan, &out, StartMode::Resume, None).unwrap();
    assert_eq!(resumed.curve.len(), plan.steps);
    let unbroken = run(&plan, &folder.path().join("other"), StartMode::New, None).unwrap();
    assert_eq!(resumed, unbroken);
}

fn prepare(label: &str, model: &Model) -> Result<ReadyWindow, String> {
    let window = parse_window(&label.parse().unwrap()).unwrap();
    window.ready(model).map_err(|error| error.to_string())
}

#[test]
fn a_file_is_used_by_its_own_model_and_refused_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("judge-q.safetensors");
    let plan = WindowTrainingPlan {
        steps: 1,
        ..small_plan(TrainedMethod::JudgeQ)
    };
    run(&plan, &out, StartMode::New, None).unwrap();
    let label = format!("judge-q:file={},pool=none,recent=2", out.display());
    let model = demo_model();
    let window = prepare(&label, &model).unwrap();
    let mut prefilled = prefill(&model, &[5, 6, 7, 8, 9, 10], 8);
    let observed = with_control(|control| window.observe(&model, &mut prefilled, control)).unwrap();
    assert_eq!(observed.query_rows().unwrap().count(), 4);
    assert_eq!(observed.forced_keep().recent, 2);
    assert_eq!(window.needs().extra_tokens, 4);

    let refused = |label: &str, model: &Model| prepare(label, model).err().unwrap();
    let other = micro_model("llama-gqa-untied");
    let error = refused(&label, &other);
    assert!(error.contains("another model: 'demo'"), "{error}");
    let error = refused(&label.replace("judge-q:", "lookahead-kv:"), &model);
    assert!(error.contains("'judge-q', not 'lookahead-kv'"), "{error}");
    let error = refused("judge-q", &other);
    assert!(error.contains("kvlens train judge-q"), "{error}");
    let error = refused("judge-q:file=nowhere.safetensors", &model);
    assert!(error.contains("nowhere.safetensors"), "{error}");
    let bytes = std::fs::read(&out).unwrap();
    for damaged in [
        &bytes[..bytes.len() / 2],
        &bytes[..4],
        b"nothing of the kind",
    ] {
        std::fs::write(&out, damaged).unwrap();
        let error = refused(&label, &model);
        assert!(error.contains("damaged"), "{error}");
    }
}

/// The built-in model with the lowest bit of one weight turned: the same shapes, other bits.
fn demo_with_another_bit(folder: &Path) -> Model {
    let builtin = Path::new(env!("CARGO_MANIFEST_DIR")).join("builtin/demo");
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(builtin.join(name), folder.join(name)).unwrap();
    }
    let weights = folder.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let low_byte = bytes.len() - 4;
    bytes[low_byte] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    load_model(&ModelSource::Folder(folder.to_owned()))
}

#[test]
fn a_file_for_other_weights_is_taken_by_the_word_alone_and_if_its_shapes_fit() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("judge-q.safetensors");
    let plan = WindowTrainingPlan {
        steps: 1,
        ..small_plan(TrainedMethod::JudgeQ)
    };
    run(&plan, &out, StartMode::New, None).unwrap();
    let label = |word: &str| format!("judge-q:file={}{word}", out.display());
    let refused = |word: &str, model: &Model| prepare(&label(word), model).err().unwrap();

    let other = demo_with_another_bit(folder.path());
    assert_ne!(
        other.identity().weights_sha256,
        demo_model().identity().weights_sha256
    );
    for word in ["", ",weights=same"] {
        let error = refused(word, &other);
        assert!(error.contains("another model: 'demo'"), "{error}");
        assert!(error.contains("say weights=any"), "{error}");
    }
    let window = prepare(&label(",weights=any"), &other).unwrap();
    assert!(window.label().contains("weights=any"), "{}", window.label());
    let mut prefilled = prefill(&other, &[5, 6, 7, 8, 9, 10], 8);
    let observed = with_control(|control| window.observe(&other, &mut prefilled, control)).unwrap();
    assert_eq!(observed.query_rows().unwrap().count(), 4);

    let error = refused(",weights=any", &micro_model("llama-gqa-untied"));
    assert!(error.contains("soft_tokens"), "{error}");
    let unknown = label(",weights=all").parse().unwrap();
    let error = parse_window(&unknown).err().unwrap().to_string();
    assert!(error.contains("`same`"), "{error}");
}

#[test]
fn a_plan_that_makes_no_training_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("judge-q.safetensors");
    let plan = small_plan(TrainedMethod::LookaheadKv);
    let refused = [
        (
            WindowTrainingPlan {
                steps: 0,
                ..plan.clone()
            },
            "steps",
        ),
        (
            WindowTrainingPlan {
                soft_tokens: 1 << 20,
                ..plan.clone()
            },
            "too many",
        ),
        (
            WindowTrainingPlan {
                adapter_alpha: f64::NAN,
                ..plan.clone()
            },
            "alpha",
        ),
        (
            WindowTrainingPlan {
                token_learning_rate: -1.0,
                ..plan.clone()
            },
            "tokens",
        ),
        (
            WindowTrainingPlan {
                baselines: vec!["lats".to_owned()],
                ..plan.clone()
            },
            "lats",
        ),
        (
            WindowTrainingPlan {
                decode_tokens: 100_000,
                ..plan
            },
            "positions",
        ),
    ];
    for (plan, word) in refused {
        let error = run(&plan, &out, StartMode::Replace, None).unwrap_err();
        assert!(error.to_string().contains(word), "{word}: {error}");
        // whatever is refused is refused before anything is written
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

const HALVES: [(DtypeChoice, f32); 2] = [
    (DtypeChoice::Bf16, 1.0 / 256.0),
    (DtypeChoice::F16, 1.0 / 2048.0),
];

fn demo_in(dtype: DtypeChoice) -> Model {
    Model::load(&ModelSource::Demo, DeviceChoice::Cpu, dtype).unwrap()
}

/// The gradient of the untrained rows behind a prompt, all parameters one after the other.
fn first_gradient(
    model: &Model,
    ids: &[u32],
    oracle: &Importance,
    plan: &WindowTrainingPlan,
    parameters: &Parameters,
) -> Vec<f32> {
    let decoder = model.decoder().differentiable().unwrap();
    let tensors: BTreeMap<String, Tensor> = parameters
        .iter()
        .map(|(name, var)| (name.clone(), var.to_dtype(decoder.dtype()).unwrap()))
        .collect();
    let rows = Rows {
        embeddings: tensors[SOFT_TOKENS].clone(),
        adapters: adapters_of(&tensors, model.config(), ALPHA, "test").unwrap(),
    };
    let mut prefilled = prefill(model, ids, 0);
    let cache = prefilled.prompt_cache();
    let targets = targets(oracle, &Device::Cpu).unwrap();
    let loss = loss(plan.method, &decoder, cache, &rows, &targets).unwrap();
    let gradient = gradient(&loss, parameters, decoder.dtype()).unwrap();
    gradient.iter().flat_map(values).collect()
}

/// Of 16 bits are the products, so the gradient is off by some roundings of what it is made of; but it comes back whole,
/// although most of its entries are below the smallest number of f16.
#[test]
fn the_first_gradient_in_half_precision_is_that_of_single_precision() {
    let model = demo_in(DtypeChoice::F32);
    let ids = model
        .encode_prompt(&prompts().training[0].prompt, None)
        .unwrap()
        .ids;
    let mut prefilled = prefill(&model, &ids, 8);
    let decode = Decode::generated(DecodePlan {
        max_tokens: 8,
        ignore_eos: true,
        ..DecodePlan::default()
    });
    let observed = with_control(|control| decode.observe(&model, &mut prefilled, control)).unwrap();
    let keys = prefilled.keys_for_scoring(&model).unwrap();
    let oracle = keys
        .importance(
            &observed,
            SideScoring::of(Scoring::default(), ForcedKeep::default()),
        )
        .unwrap();
    for method in [TrainedMethod::JudgeQ, TrainedMethod::LookaheadKv] {
        let plan = small_plan(method);
        let parameters = super::initial::parameters(&plan, &model).unwrap();
        let of = |model: &Model| first_gradient(model, &ids, &oracle, &plan, &parameters);
        let size = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
        let single = of(&model);
        for (dtype, roundoff) in HALVES {
            let half = of(&demo_in(dtype));
            let difference: Vec<f32> = single.iter().zip(&half).map(|(a, b)| a - b).collect();
            let off = size(&difference) / size(&single);
            println!("{} {dtype}: {off}", method.name());
            // the bound of the half-precision tests of the forward pass, once more for the way back
            assert!(
                off < 2.0 * 32.0 * roundoff,
                "{} {dtype}: {off}",
                method.name()
            );
        }
    }
}

#[test]
fn windows_train_in_half_precision() {
    let folder = tempfile::tempdir().unwrap();
    for method in [TrainedMethod::JudgeQ, TrainedMethod::LookaheadKv] {
        for (dtype, _) in HALVES {
            let model = demo_in(dtype);
            let run = WindowTrainingRun {
                plan: WindowTrainingPlan {
                    steps: 2,
                    ..small_plan(method)
                },
                out: folder.path().join(format!("{}-{dtype}", method.name())),
                start: StartMode::New,
                stop_after_steps: None,
            };
            let cancel = CancelFlag::default();
            let summary =
                train_window(&run, &model, &prompts().data(), &mut |_| {}, &cancel).unwrap();
            for point in &summary.curve {
                assert!(
                    point.loss.is_finite() && point.gradient_norm > 0.0,
                    "{point:?}"
                );
            }
            assert!(summary.held_out.loss.is_finite());
            let trained = candle_core::safetensors::load(&run.out, &Device::Cpu).unwrap();
            let initial = super::initial::parameters(&run.plan, &model).unwrap();
            for (name, initial) in &initial {
                // A has no gradient while B is zero
                if !name.ends_with("lora_a") {
                    let (before, after) = (values(initial), values(&trained[name]));
                    assert_ne!(before, after, "{dtype}: {name} did not move");
                }
            }
        }
    }
}

#[test]
fn settings_of_a_source_replace_rates_batch_and_responses_alone() {
    let of = |word: &str| {
        let settings: TrainingSettings = word.parse().unwrap();
        WindowTrainingPlan::of(TrainedMethod::LookaheadKv).with_settings(settings)
    };
    let told = |plan: &WindowTrainingPlan| {
        let rates = (plan.token_learning_rate, plan.adapter_learning_rate);
        (rates, plan.step_prompts, plan.decode_tokens)
    };
    assert_eq!(told(&of("paper")), ((1e-3, 1e-3), 32, 512));
    assert_eq!(told(&of("repository")), ((1e-4, 1e-4), 64, 512));
    let default = of("default");
    assert_eq!(default, WindowTrainingPlan::of(TrainedMethod::LookaheadKv));
    assert_eq!(
        (of("paper").adapter_rank, of("paper").steps),
        (8, default.steps)
    );
    assert!("papers".parse::<TrainingSettings>().is_err());
}
