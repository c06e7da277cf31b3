//! Scores of a Parquet table: what `kvlens measure --importance` writes comes back as a window.

use std::path::Path;

use kvlens_analysis::tables::{ImportanceInput, ImportanceTable, SampleContext, TableWriter};
use kvlens_analysis::{ForcedKeep, Importance, Rankings};
use kvlens_sessions::windows::parse_window;

use crate::common::{micro_model, micro_prompt, observe, prefill, try_observe, window};

const MODEL: &str = "llama-gqa-untied";

/// One window of one prompt of the model's, as the program writes it.
fn write(folder: &Path, ids: &[u32], importance: &Importance, windows: &[&str]) {
    let sample = SampleContext {
        session: "s".to_owned(),
        model: "m".to_owned(),
        dataset: "d".to_owned(),
        task: "t".to_owned(),
        sample: "one".to_owned(),
        content: "c".to_owned(),
        question_place: None,
        prompt_tokens: ids.len() as u32,
        decode_tokens: 1,
        asked_length: None,
        depth: None,
    };
    let rankings = Rankings::of(importance, ForcedKeep::default()).unwrap();
    let mut writer = TableWriter::<ImportanceTable>::create(folder, "{}").unwrap();
    for window in windows {
        writer
            .write_importance(ImportanceInput {
                sample: &sample,
                window,
                first_layer: 0,
                token_ids: ids,
                token_texts: &vec!["a".to_owned(); ids.len()],
                importance,
                rankings: &rankings,
            })
            .unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn a_window_through_a_table_is_that_window() {
    let folder = tempfile::tempdir().unwrap();
    let (model, ids) = (micro_model(MODEL), micro_prompt(&micro_model(MODEL)));
    let own = window("tova", &model);
    let mut prefilled = prefill(&model, &ids, &[&own]);
    let keys = prefilled.keys_for_scoring(&model).unwrap();
    let observation = observe(&own, &model, &mut prefilled);
    let expected = keys
        .importance(&observation, observation.published_side())
        .unwrap()
        .for_query_heads(4)
        .unwrap();
    write(folder.path(), &ids, &expected, &["tova"]);
    let path = folder.path().join("importance.parquet");
    let through = window(&format!("file:{},name=told", path.display()), &model);
    let observation = observe(&through, &model, &mut prefilled);
    let found = keys.importance(&observation, observation.published_side());
    let found = found.unwrap().for_query_heads(4).unwrap();
    for (layer, head) in
        (0..expected.layers()).flat_map(|layer| (0..4).map(move |head| (layer, head)))
    {
        assert_eq!(found.head(layer, head), expected.head(layer, head));
    }
    // of a prompt with other ids nothing is known
    let other: Vec<u32> = ids.iter().map(|id| id ^ 1).collect();
    let mut prefilled = prefill(&model, &other, &[&through]);
    let refused = try_observe(&through, &model, &mut prefilled).unwrap_err();
    assert!(refused.contains("has the ids of this one"), "{refused}");
}

#[test]
fn tables_of_something_else_are_refused_by_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("importance.parquet");
    let (model, ids) = (micro_model(MODEL), micro_prompt(&micro_model(MODEL)));
    let refusal = || {
        let label = format!("file:{}", path.display());
        let window = parse_window(&label.parse().unwrap()).unwrap();
        let error = window.ready(&model).err();
        error.map_or_else(String::new, |error| error.to_string())
    };
    assert!(refusal().contains("cannot be read"));
    std::fs::write(&path, "PAR1 and nothing").unwrap();
    assert!(refusal().contains("read"), "{}", refusal());
    let scores = |layers: usize| {
        let numbers = layers * 4 * ids.len();
        let scores = (0..numbers).map(|score| score as f32).collect();
        let (kind, shares) = (kvlens_analysis::HeadKind::Query, vec![1.0; layers * 4]);
        let tokens = ids.len();
        Importance::new(layers, 4, kind, tokens, scores, shares, vec![0; layers]).unwrap()
    };
    write(folder.path(), &ids, &scores(3), &["laq", "dapq"]);
    assert!(refusal().contains("several windows"), "{}", refusal());
    write(folder.path(), &ids, &scores(3), &["laq", "laq"]);
    assert!(refusal().contains("each needs one"), "{}", refusal());
    write(folder.path(), &ids, &scores(2), &["laq"]);
    assert!(refusal().contains("ask for [3"), "{}", refusal());
    write(folder.path(), &ids, &scores(3), &["laq"]);
    assert_eq!(refusal(), "");
}
