//! Windows whose scores another program made: of two presses of kvpress 0.5.5 by `scripts/export_press_scores.py`
//! (`fixtures/make_press_fixtures.py`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use kvlens_analysis::{ForcedKeep, Importance, Rankings, SideScoring, selection};
use kvlens_sessions::ScoreKind;
use kvlens_sessions::model::Model;
use kvlens_sessions::windows::parse_window;

use crate::common::{
    fixtures, largest_difference, micro_model, micro_prompt, observe, prefill, try_observe, window,
};

const MODEL: &str = "llama-gqa-untied";

/// Of the largest score, as both sides compute in float32.
const TOLERANCE: f32 = 1e-4;

/// What kvpress adds to the window's own tokens, so that they are kept.
const WINDOW: usize = 64;

fn importance(model: &Model, label: &str) -> (Importance, ForcedKeep) {
    let window = window(label, model);
    let mut prefilled = prefill(model, &micro_prompt(model), &[&window]);
    let observation = observe(&window, model, &mut prefilled);
    let keys = prefilled.keys_for_scoring(model).unwrap();
    let keep = observation.forced_keep();
    let side = SideScoring::of(observation.scoring(), keep);
    // by query head, as methods are compared
    let importance = keys.importance(&observation, side).unwrap();
    (importance.for_query_heads(4).unwrap(), keep)
}

fn press_file() -> PathBuf {
    fixtures().join(format!("{MODEL}.press.safetensors"))
}

#[test]
fn kvpress_through_a_file_is_kvpress() {
    let model = micro_model(MODEL);
    let label = format!("file:{},name=press,recent={WINDOW}", press_file().display());
    assert_eq!(window(&label, &model).label(), "press");
    let (found, found_keep) = importance(&model, &label);
    let (own, own_keep) = importance(&model, "snapkv-kvpress");
    assert_eq!(found_keep, own_keep);
    let tokens = own.prompt_tokens();
    let rankings = [&found, &own].map(|side| Rankings::of(side, ForcedKeep::default()).unwrap());
    for (layer, head) in (0..own.layers()).flat_map(|layer| (0..4).map(move |head| (layer, head))) {
        let before = |side: &Importance| side.head(layer, head)[..tokens - WINDOW].to_vec();
        let (found, own) = (before(&found), before(&own));
        let largest = own.iter().copied().fold(0.0_f32, f32::max);
        assert!(largest_difference(&found, &own) <= TOLERANCE * largest);
        for budget in [WINDOW + 1, WINDOW + 10, WINDOW + 40] {
            let kept = |ranking| selection(ranking, layer, head, own_keep, budget);
            assert_eq!(
                kept(&rankings[0]),
                kept(&rankings[1]),
                "{layer}, {head}, {budget}"
            );
        }
    }
}

/// CompactorPress, which no window of ours computes: the file's window keeps what is left in kvpress's own cache.
#[test]
fn a_press_that_is_no_window_keeps_what_kvpress_keeps() {
    let model = micro_model(MODEL);
    let file = fixtures().join(format!("{MODEL}.compactor.safetensors"));
    let label = format!("file:{},name=compactor", file.display());
    let (found, keep) = importance(&model, &label);
    assert_eq!(keep, ForcedKeep::default());
    let ranking = Rankings::of(&found, keep).unwrap();
    let expected = std::fs::read(fixtures().join(format!("{MODEL}.compactor.json"))).unwrap();
    let expected: Vec<Vec<Vec<usize>>> = serde_json::from_slice(&expected).unwrap();
    assert_eq!(expected.len(), found.layers());
    for (layer, kv_heads) in expected.iter().enumerate() {
        let group = 4 / kv_heads.len();
        for (head, kept) in (0..4).map(|head| (head, &kv_heads[head / group])) {
            let own = selection(&ranking, layer, head, keep, kept.len());
            let own: Vec<usize> = (0..own.len()).filter(|&token| own[token]).collect();
            assert_eq!(&own, kept, "{layer}, {head}");
        }
    }
}

/// A file of one prompt of these ids with scores of this shape.
fn write(path: &Path, ids: &[i64], shape: (usize, usize, usize), metadata: &str) {
    let scores: Vec<f32> = (0..shape.0 * shape.1 * shape.2).map(|i| i as f32).collect();
    let tensors = HashMap::from([
        ("0.prompt_ids", Tensor::new(ids, &Device::Cpu).unwrap()),
        (
            "0.scores",
            Tensor::from_vec(scores, shape, &Device::Cpu).unwrap(),
        ),
    ]);
    let metadata = HashMap::from([("kvlens".to_owned(), metadata.to_owned())]);
    safetensors::serialize_to_file(&tensors, Some(metadata), path).unwrap();
}

#[test]
fn scores_are_taken_for_layers_groups_and_heads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scores.safetensors");
    let model = micro_model(MODEL);
    let ids: Vec<i64> = micro_prompt(&model).into_iter().map(i64::from).collect();
    for heads in [1, 2, 4] {
        write(
            &path,
            &ids,
            (3, heads, ids.len()),
            r#"{"format_version": 1, "pooled": false}"#,
        );
        let window = window(&format!("file:{},pool=max:3", path.display()), &model);
        assert_eq!(window.loaded_weights_sha256().len(), 1);
        let mut prefilled = prefill(&model, &micro_prompt(&model), &[&window]);
        let observation = observe(&window, &model, &mut prefilled);
        assert_eq!(observation.score_kind(), ScoreKind::FromFile);
        let keys = prefilled.keys_for_scoring(&model).unwrap();
        let side = observation.published_side();
        let importance = keys.importance(&observation, side).unwrap();
        let first = |head: usize| importance.head(1, head)[0];
        let per = 4 / heads;
        let expected = |head: usize| ((heads + head / per) * ids.len()) as f32 + 1.0;
        assert!((0..4).all(|head| first(head) == expected(head)), "{heads}");
    }
}

#[test]
fn files_of_something_else_are_refused_by_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scores.safetensors");
    let model = micro_model(MODEL);
    let ids: Vec<i64> = micro_prompt(&model).into_iter().map(i64::from).collect();
    let refusal = |options: &str| {
        let label = format!("file:{}{options}", path.display());
        let window = parse_window(&label.parse().unwrap()).unwrap();
        window
            .ready(&model)
            .err()
            .map_or_else(String::new, |error| error.to_string())
    };
    assert!(refusal("").contains("cannot be read"));
    std::fs::write(&path, "no safetensors").unwrap();
    assert!(refusal("").contains("no safetensors file"));
    let (good, pooled) = (
        r#"{"format_version": 1, "pooled": false}"#,
        r#"{"format_version": 1, "pooled": true}"#,
    );
    for (shape, metadata, options, expected) in [
        ((3, 2, ids.len()), "{}", "", "format_version"),
        (
            (3, 2, ids.len()),
            r#"{"format_version": 9, "pooled": true}"#,
            "",
            "newer kvlens",
        ),
        ((3, 2, ids.len()), pooled, ",pool=max:7", "pooled already"),
        ((3, 3, ids.len()), good, "", "ask for [3, 2 or 4 or 1"),
        ((2, 2, ids.len()), good, "", "ask for [3"),
        ((3, 2, 7), good, "", "ask for [3"),
    ] {
        write(&path, &ids, shape, metadata);
        let refused = refusal(options);
        assert!(refused.contains(expected), "{refused}");
    }
    // of another prompt: the file is fine, and this prompt is refused
    let other: Vec<i64> = ids.iter().map(|id| id ^ 1).collect();
    write(&path, &other, (3, 2, ids.len()), good);
    let window = window(&format!("file:{}", path.display()), &model);
    let mut prefilled = prefill(&model, &micro_prompt(&model), &[&window]);
    let refused = try_observe(&window, &model, &mut prefilled).unwrap_err();
    assert!(refused.contains("has the ids of this one"), "{refused}");
    let parse = |text: &str| {
        parse_window(&text.parse().unwrap())
            .err()
            .unwrap()
            .to_string()
    };
    assert!(parse("file").contains("needs a file"));
    assert!(parse("file:a.safetensors,name=laq").contains("another window"));
    assert!(parse("file:a.safetensors,name=a+b").contains("letters"));
    assert!(
        "file:a,b"
            .parse::<kvlens_sessions::windows::WindowLabel>()
            .is_err()
    );
}
