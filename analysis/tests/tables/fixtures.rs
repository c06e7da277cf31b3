//! Small numbers that every table is made of, and how to look at what was written.

use std::fs;
use std::path::Path;

use kvlens_analysis::comparison::{Comparison, ComparisonInput, compare};
use kvlens_analysis::importance::{HeadKind, Importance};
use kvlens_analysis::ranking::Rankings;
use kvlens_analysis::scoring::ForcedKeep;
use kvlens_analysis::tables::{SampleContext, Table, TableFile, WindowContext};

pub const PROVENANCE: &str = r#"{"kvlens":"0.1.0"}"#;
/// The columns that every table about single samples begins with.
pub const SAMPLE: &str = "session str, model str, dataset str, task str, sample str, content str, \
                          question_place str, prompt_tokens u32, decode_tokens u32, asked_length u32, depth f64";
pub const EXEMPT: ForcedKeep = ForcedKeep {
    sinks: 1,
    recent: 0,
};

pub fn context() -> SampleContext {
    SampleContext {
        session: "first".to_owned(),
        model: "demo".to_owned(),
        dataset: "builtin".to_owned(),
        task: "demo".to_owned(),
        sample: "demo-0".to_owned(),
        content: "c0".to_owned(),
        question_place: Some("end".to_owned()),
        prompt_tokens: 4,
        decode_tokens: 16,
        asked_length: None,
        depth: Some(0.5),
    }
}

pub fn window_context<'a>(sample: &'a SampleContext, window: &'a str) -> WindowContext<'a> {
    WindowContext {
        sample,
        window,
        score_kind: "attention",
        compare: "queries",
    }
}

/// Two layers of two heads over four tokens; the last head holds nothing.
pub fn scored() -> (Importance, Rankings) {
    let scores = [
        [0.5, 0.25, 0.125, 0.0],
        [0.0, 0.125, 0.25, 0.5],
        [0.125, 0.25, 0.5, 0.0],
        [0.0, 0.0, 0.0, 0.0],
    ];
    let shares = vec![0.875, 0.875, 0.875, 0.0];
    let importance =
        Importance::new(2, 2, HeadKind::Kv, 4, scores.concat(), shares, vec![0; 2]).unwrap();
    let rankings = Rankings::of(&importance, EXEMPT).unwrap();
    (importance, rankings)
}

pub fn compared(budgets: &[usize]) -> (Importance, Comparison) {
    let (importance, rankings) = scored();
    let comparison = compare(ComparisonInput {
        truth: &rankings,
        window: &rankings,
        decode_mass: &importance,
        keep_rule: ForcedKeep::default().into(),
        evidence: &[],
        budgets,
    })
    .unwrap();
    (importance, comparison)
}

pub fn columns(file: &TableFile) -> String {
    let named: Vec<String> = file
        .columns()
        .iter()
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    named.join(", ")
}

pub fn read<T: Table>(folder: &Path) -> TableFile {
    TableFile::read(&folder.join(T::FILE_NAME)).unwrap()
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn some<V: Clone>(values: &[V]) -> Vec<Option<V>> {
    values.iter().cloned().map(Some).collect()
}
