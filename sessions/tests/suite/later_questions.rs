//! Questions that come after the prompt: what follows them is what would follow if the prompt held them.

use std::path::Path;

use kvlens_datasets::{QuestionPlace, Sample};
use kvlens_sessions::fidelity::{ContinuationPlan, FidelityTest};
use kvlens_sessions::model::Model;
use kvlens_sessions::windows::{Decode, DecodePlan};
use kvlens_sessions::{
    CancelFlag, CaptureEvent, CapturedSample, RunControl, Session, Stage, StartMode, capture,
};

use crate::common::{
    decode, demo_model, demo_samples, observe, plan, prefill, rows, run_capture, values, window,
};

const STEPS: usize = 8;

/// Both sides compute in float32, the question in chunks of other lengths.
const TOLERANCE: f32 = 1e-3;

fn absent() -> Sample {
    let sample = demo_samples("demo:length=512,question=end,samples=1").remove(0);
    sample.with_question(QuestionPlace::Absent).unwrap()
}

/// The same document with another question, asked after it.
fn another(sample: &Sample) -> Sample {
    Sample {
        id: "another".to_owned(),
        later_question: Some(" Question: What is the code of nobody at all? Answer:".to_owned()),
        answer: None,
        values: Vec::new(),
        ..sample.clone()
    }
}

fn steps() -> DecodePlan {
    DecodePlan {
        max_tokens: STEPS,
        ignore_eos: true,
        ..DecodePlan::default()
    }
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let far = (found - expected).abs();
        assert!(far <= TOLERANCE * expected.abs().max(1.0), "{what}: {far}");
    }
}

#[test]
fn the_decode_stage_is_that_of_a_prompt_that_ends_with_the_question() {
    let (model, sample) = (demo_model(), absent());
    let encoded = model.encode_sample(&sample, None).unwrap();
    assert!(encoded.question_ids.len() > 3);
    let whole = [&encoded.ids[..], &encoded.question_ids].concat();
    let mut of_whole = prefill(&model, &whole, &[&decode(STEPS)]);
    let expected = observe(&decode(STEPS), &model, &mut of_whole);

    let behind = Decode::behind(encoded.question_ids, steps(), None);
    let mut prefilled = prefill(&model, &encoded.ids, &[&behind]);
    let found = observe(&behind, &model, &mut prefilled);

    assert_eq!(found.token_ids(), expected.token_ids());
    let (found, expected) = (rows(&found), rows(&expected));
    assert_eq!(found.positions(), expected.positions());
    assert_eq!(found.visible_keys(), expected.visible_keys());
    let queries = |rows: &kvlens_sessions::QueryRows| values(rows.queries());
    assert_close(&queries(found), &queries(expected), "queries");
    let sums = |rows: &kvlens_sessions::QueryRows| values(rows.log_sum_exp());
    assert_close(&sums(found), &sums(expected), "log-sum-exps");
    // only the prompt is ranked
    let keys = prefilled.keys_for_scoring(&model).unwrap();
    assert_eq!(keys.shape().2, encoded.ids.len());
}

#[test]
fn a_forced_answer_follows_the_question() {
    let (model, sample) = (demo_model(), absent());
    let encoded = model.encode_sample(&sample, None).unwrap();
    let generated = Decode::behind(encoded.question_ids.clone(), steps(), None);
    let mut prefilled = prefill(&model, &encoded.ids, &[&generated]);
    let generated = observe(&generated, &model, &mut prefilled);
    let ids = generated.token_ids().to_vec();
    let forced = Decode::behind(encoded.question_ids, steps(), Some(ids));
    let forced = observe(&forced, &model, &mut prefilled);
    assert_close(
        &values(rows(&forced).queries()),
        &values(rows(&generated).queries()),
        "queries",
    );
}

/// What was captured, how many steps a prefill took, and how many the windows.
fn captured(samples: &[Sample], out: &Path) -> (Vec<CapturedSample>, [usize; 2]) {
    let plan = plan(&["last:8", "laq:n=4"], STEPS);
    let (model, mut passes) = (demo_model(), [0, 0]);
    let mut on_event = |event: CaptureEvent| {
        if let CaptureEvent::Progress {
            stage,
            done_tokens,
            total_tokens,
        } = event
        {
            match stage {
                // a prefill that is shared is told as done at once
                Stage::Prefill => passes[0] += usize::from(done_tokens < total_tokens),
                Stage::Window(_) => passes[1] += 1,
                Stage::Decode => {}
            }
        }
    };
    let (new, never) = (StartMode::New, CancelFlag::default());
    capture(&plan, &model, samples, out, new, &mut on_event, &never).unwrap();
    let session = Session::open(out).unwrap();
    let read = (0..samples.len()).map(|index| session.load_sample(index).unwrap());
    (read.collect(), passes)
}

#[test]
fn questions_of_one_prompt_share_its_prefill_and_change_nothing_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let long = demo_samples("demo:length=1024,question=end,samples=1").remove(0);
    let first = long.with_question(QuestionPlace::Absent).unwrap();
    let second = another(&first);
    let pair = [first, second.clone()];
    let (both, passes) = captured(&pair, &folder.path().join("both"));
    let (alone, alone_passes) = captured(&[second], &folder.path().join("alone"));
    assert!(alone_passes[0] > 0 && alone_passes[1] > 0);
    assert_eq!(
        passes, alone_passes,
        "prefill and windows run once for both"
    );
    let (found, expected) = (&both[1], &alone[0]);
    assert_eq!(both[0].record.prompt_ids, found.record.prompt_ids);
    assert_ne!(both[0].record.question_ids(), found.record.question_ids());
    assert_eq!(found.record.asked_later, expected.record.asked_later);
    assert_eq!(found.record.generated, expected.record.generated);
    let queries = |sample: &CapturedSample| values(rows(sample.oracle()).queries());
    assert_eq!(queries(found), queries(expected));
    for (found, expected) in found.windows().iter().zip(expected.windows()) {
        assert_eq!(found.label(), expected.label());
        assert_eq!(
            values(rows(found).queries()),
            values(rows(expected).queries())
        );
    }
}

#[test]
fn windows_do_not_see_the_question() {
    let (model, sample) = (demo_model(), absent());
    let encoded = model.encode_sample(&sample, None).unwrap();
    let last = window("last:4", &model);
    let mut prefilled = prefill(&model, &encoded.ids, &[&last]);
    let seen = observe(&last, &model, &mut prefilled);
    assert_eq!(seen.token_ids(), &encoded.ids[encoded.ids.len() - 4..]);
    let last_words = model.decode_text(seen.token_ids()).unwrap();
    assert!(sample.prompt.ends_with(last_words.trim()), "{last_words}");
}

#[test]
fn the_full_cache_continues_as_the_prompt_with_the_question_does() {
    let (model, sample) = (demo_model(), absent());
    let encoded = model.encode_sample(&sample, None).unwrap();
    let whole = [&encoded.ids[..], &encoded.question_ids].concat();
    let mut of_whole = prefill(&model, &whole, &[&decode(STEPS)]);
    let step_ids = observe(&decode(STEPS), &model, &mut of_whole);
    let continued = |prompt_ids: &[u32], question_ids: Vec<u32>| {
        let plan = ContinuationPlan {
            question_ids,
            step_ids: step_ids.token_ids().to_vec(),
            answer_ids: step_ids.token_ids()[..3].to_vec(),
            most_tokens: STEPS,
            ignore_eos: true,
        };
        let mut control = RunControl {
            cancel: &CancelFlag::default(),
            on_tokens: &mut |_, _| {},
        };
        let test = FidelityTest::begin(&model, prompt_ids, plan, &mut control).unwrap();
        test.full().clone()
    };
    let expected = continued(&whole, Vec::new());
    let found = continued(&encoded.ids, encoded.question_ids);
    assert_eq!(found.generated_ids, expected.generated_ids);
    let (nll, expected_nll) = (found.answer_nll.unwrap(), expected.answer_nll.unwrap());
    assert!((nll - expected_nll).abs() < 1e-4, "{nll} {expected_nll}");
    assert_close(
        &found.steps().concat(),
        &expected.steps().concat(),
        "logits",
    );
}

#[test]
fn a_chat_turn_is_cut_before_the_question() {
    let (folder, model) = with_template("<u>{{ messages[0]['content'] | trim }}</u><a>");
    let sample = Sample {
        prompt: "  Ann lives in Rome.".to_owned(),
        later_question: Some(" Where?".to_owned()),
        answer_prefix: Some(" In".to_owned()),
        evidence: std::iter::once(15..19).collect(),
        ..Sample::default()
    };
    let chat = kvlens_sessions::model::ChatVariables::default();
    let encoded = model.encode_sample(&sample, Some(&chat)).unwrap();
    assert_eq!(encoded.token_texts.concat(), "<u>Ann lives in Rome.");
    let behind = model.encode_continuation(" Where?</u><a> In").unwrap();
    assert_eq!(encoded.question_ids, behind);
    let spans = encoded.byte_spans.iter();
    let rome: Vec<&str> = spans
        .filter(|span| span.start < 19 && span.end > 15)
        .map(|span| &sample.prompt[span.clone()])
        .collect();
    assert_eq!(rome.concat().trim(), "Rome");
    drop(folder);
}

/// The built-in model with a chat template.
fn with_template(template: &str) -> (tempfile::TempDir, Model) {
    let folder = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("builtin/demo");
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    let source = kvlens_sessions::model::ModelSource::Folder(folder.path().to_owned());
    let model = crate::common::load_model(&source, kvlens_sessions::model::DtypeChoice::F32);
    (folder, model)
}

#[test]
fn a_question_that_has_no_positions_left_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let model = demo_model();
    let long = Sample {
        later_question: Some(" why".repeat(model.config().max_positions)),
        ..absent()
    };
    let out = folder.path().join("refused");
    let plan = plan(&["last:8"], STEPS);
    let refused = run_capture(&plan, &model, &[long], &out, StartMode::New, None).unwrap_err();
    let said = refused.to_string();
    assert!(
        said.contains("tokens of its question and 8 decode tokens"),
        "{said}"
    );
    assert!(!out.exists());
}

#[test]
fn a_samples_own_answer_length_counts_where_the_plan_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let model = demo_model();
    let sample = Sample {
        answer_tokens: Some(3),
        ..demo_samples("demo:length=512,question=end,samples=1").remove(0)
    };
    for (sample_lengths, expected) in [(true, 3), (false, STEPS)] {
        let mut plan = plan(&["last:8"], STEPS);
        plan.decode.ignore_eos = true;
        plan.decode.sample_lengths = sample_lengths;
        let out = folder.path().join(expected.to_string());
        let samples = std::slice::from_ref(&sample);
        run_capture(&plan, &model, samples, &out, StartMode::New, None).unwrap();
        let session = Session::open(&out).unwrap();
        let record = session.load_sample(0).unwrap().record;
        assert_eq!(record.generated_ids.len(), expected);
    }
}
