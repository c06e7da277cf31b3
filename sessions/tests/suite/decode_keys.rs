//! Keys of the decode stage: what a session keeps of the tokens that were fed behind the prompt.

use kvlens_datasets::{QuestionPlace, Sample};
use kvlens_sessions::model::Model;
use kvlens_sessions::{
    CancelFlag, CapturePlan, CapturedSample, DecodePlan, Keep, Session, Shrink, StartMode, shrink,
};

use crate::common::{demo_model, demo_samples, fixtures, micro_model, plan, run_capture, values};

/// Sums of a few thousand weights in single precision, whose log-sum-exps were made in blocks.
const TOLERANCE: f32 = 1e-4;

fn captured(
    folder: &std::path::Path,
    keep: Keep,
    (model, samples): (&Model, &[Sample]),
) -> Session {
    let plan = CapturePlan {
        keep: Some(keep),
        decode: DecodePlan {
            max_tokens: 12,
            ignore_eos: true,
            ..DecodePlan::default()
        },
        ..plan(&["last:8"], 12)
    };
    let out = folder.join(format!("{keep}.kvlens"));
    run_capture(&plan, model, samples, &out, StartMode::New, None).unwrap();
    Session::open(&out).unwrap()
}

/// Each decode step pays all of its attention to the prompt, the question behind it and the tokens so far.
fn assert_whole(sample: &CapturedSample, behind: usize) {
    let (layers, kv_heads, tokens, _) = sample.keys().shape();
    let rows = sample.decode_rows().unwrap();
    let keys = sample.decode_keys().unwrap();
    for (layer, kv_head) in
        (0..layers).flat_map(|layer| (0..kv_heads).map(move |head| (layer, head)))
    {
        let prompt = sample.keys().attention_rows(rows, layer, kv_head).unwrap();
        let found = keys
            .attention_rows(sample.keys(), rows, layer, kv_head)
            .unwrap();
        for (prompt, found) in prompt.iter().zip(&found) {
            assert_eq!(found.len(), rows.count() * behind);
            for step in 0..rows.count() {
                let of_step = &found[step * behind..(step + 1) * behind];
                let own = behind - rows.count() + step;
                assert!(of_step[own] > 0.0, "a token sees itself");
                assert!(of_step[own + 1..].iter().all(|&weight| weight == 0.0));
                let of_prompt = &prompt[step * tokens..(step + 1) * tokens];
                let all = of_prompt.iter().chain(of_step).sum::<f32>();
                assert!(
                    (all - 1.0).abs() < TOLERANCE,
                    "layer {layer}, step {step}: {all}"
                );
            }
        }
    }
}

#[test]
fn with_the_prompts_keys_they_make_all_that_a_step_attends_to() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let session = captured(folder.path(), Keep::KeysAndDecode, (&model, &samples));
    let sample = session.load_sample(0).unwrap();
    assert!(sample.values().is_none());
    assert_whole(&sample, 12);
    // a part has the same as the whole
    let part = session.load_head_group(0, 2, 1).unwrap();
    let own = &part.decode_keys().unwrap().layers()[0];
    let whole = sample.decode_keys().unwrap().layer(2).unwrap();
    assert_eq!(values(own), values(&whole.narrow(0, 1, 1).unwrap()));
}

/// Five of six layers see 24 keys, so that no step sees the first tokens.
#[test]
fn a_sliding_window_hides_what_lies_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = micro_model("gemma3-six-layers");
    let text = std::fs::read_to_string(fixtures().join("prompt.txt")).unwrap();
    let samples = [Sample {
        id: "p".to_owned(),
        prompt: text,
        ..Sample::default()
    }];
    let session = captured(folder.path(), Keep::KeysAndDecode, (&model, &samples));
    let sample = session.load_sample(0).unwrap();
    let windows = &session.manifest().shape.sliding_windows;
    let (_, _, tokens, _) = sample.keys().shape();
    assert!(windows.iter().flatten().any(|&window| window < tokens));
    assert_whole(&sample, 12);
}

#[test]
fn a_question_behind_the_prompt_is_part_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let model = demo_model();
    let sample = demo_samples("demo:length=512,question=end,samples=1").remove(0);
    let sample = sample.with_question(QuestionPlace::Absent).unwrap();
    let question = model.encode_sample(&sample, None).unwrap().question_ids;
    let session = captured(folder.path(), Keep::KeysAndDecode, (&model, &[sample]));
    let sample = session.load_sample(0).unwrap();
    assert!(!question.is_empty());
    assert_whole(&sample, question.len() + 12);
}

#[test]
fn a_session_without_them_says_so_and_one_with_values_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let of = |keep| captured(folder.path(), keep, (&model, &samples));
    let (keys, decode, values_too) = (
        of(Keep::Keys),
        of(Keep::KeysAndDecode),
        of(Keep::KeysAndValues),
    );
    let refused = keys.load_sample(0).unwrap().decode_keys().unwrap_err();
    assert!(
        refused.to_string().contains("--keep keys,decode"),
        "{refused}"
    );
    let kept = |session: &Session| {
        let sample = session.load_sample(0).unwrap();
        let keys = sample.decode_keys().unwrap().layers();
        keys.iter().flat_map(values).collect::<Vec<f32>>()
    };
    assert_eq!(kept(&decode), kept(&values_too));
    let bytes = |session: &Session| session.load_sample(0).unwrap().bytes();
    let all: usize = decode
        .load_sample(0)
        .unwrap()
        .decode_keys()
        .unwrap()
        .bytes();
    assert_eq!(bytes(&decode) - bytes(&keys), all);

    // and they are what is left of values, as often as one likes
    let out = folder.path().join("shrunk.kvlens");
    let to = |keep| Shrink {
        keep,
        numbers: None,
    };
    let never = CancelFlag::default();
    shrink(
        &values_too,
        &out,
        to(Keep::KeysAndDecode),
        &mut |_, _| {},
        &never,
    )
    .unwrap();
    let shrunk = Session::open(&out).unwrap();
    let file =
        |session: &Session| std::fs::read(session.path().join("sample-00000.safetensors")).unwrap();
    assert_eq!(shrunk.load_sample(0).unwrap().bytes(), bytes(&decode));
    assert_eq!(kept(&shrunk), kept(&decode));
    assert_eq!(file(&shrunk).len(), file(&decode).len());
    let less = folder.path().join("less.kvlens");
    shrink(&shrunk, &less, to(Keep::Keys), &mut |_, _| {}, &never).unwrap();
    assert!(
        Session::open(&less)
            .unwrap()
            .load_sample(0)
            .unwrap()
            .decode_keys()
            .is_err()
    );
    let more = folder.path().join("more.kvlens");
    let refused = shrink(
        &keys,
        &more,
        to(Keep::KeysAndDecode),
        &mut |_, _| {},
        &never,
    );
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("keys,decode cannot be made")
    );
}

#[test]
fn what_is_kept_is_written_in_one_way() {
    for (text, keep) in [
        ("keys,decode", Keep::KeysAndDecode),
        ("decode, keys", Keep::KeysAndDecode),
        ("scores,keys,decode", Keep::KeysAndDecode),
        ("keys,decode,values", Keep::KeysAndValues),
    ] {
        assert_eq!(text.parse::<Keep>().unwrap(), keep, "{text}");
    }
    assert_eq!(Keep::KeysAndDecode.to_string(), "keys,decode");
    for text in ["decode", "scores,decode", "keys,decode,decode"] {
        assert!(text.parse::<Keep>().is_err(), "{text}");
    }
    assert!(Keep::KeysAndValues.holds(Keep::KeysAndDecode));
    assert!(!Keep::Keys.holds(Keep::KeysAndDecode));
    assert!(Keep::KeysAndDecode.holds(Keep::Scores));
}
