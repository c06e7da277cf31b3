//! A measured sample that is kept as numbers, so that pictures of it are the same on every machine.
//!
//! `sample.json` has the texts and what is known of the windows; `sample.f32` the importances of
//! each window in turn (the window's, its oracle's, and the oracle's unpooled mass), `[L, heads, T]`
//! each, little endian. Rankings and comparisons are made anew from them. To renew both, after a
//! change of the built-in model or of the scoring:
//! `cargo test -p kvlens --test gui -- --ignored renew_the_kept_sample`.

use std::path::PathBuf;
use std::sync::Arc;

use kvlens::demo::DEMO_WINDOWS;
use kvlens::gui::data::{SampleDetails, SampleRow, SessionInfo};
use kvlens::gui::derived::budget_grid;
use kvlens::measurement::{MeasureOptions, MeasuredSample, MeasuredWindow, measure_sample};
use kvlens_analysis::{
    ComparisonInput, ForcedKeep, HeadKind, Importance, Rankings, Scoring, compare,
};
use kvlens_sessions::{Cost, SampleRecord, Session};
use serde::{Deserialize, Serialize};

/// The sample with the question at the start: the one that the last window fails on.
const INDEX: usize = 1;

#[derive(Serialize, Deserialize)]
struct Kept {
    info: SessionInfo,
    record: SampleRecord,
    windows: Vec<KeptWindow>,
}

#[derive(Serialize, Deserialize)]
struct KeptWindow {
    label: String,
    scoring: Scoring,
    forced_keep: ForcedKeep,
    cost: Cost,
    layers: usize,
    heads: usize,
    kind: String,
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots/fixture")
        .join(name)
}

/// The kept sample and the session that it belongs to.
pub fn read() -> (SessionInfo, MeasuredSample) {
    let kept: Kept = serde_json::from_slice(&std::fs::read(file("sample.json")).unwrap()).unwrap();
    let bytes = std::fs::read(file("sample.f32")).unwrap();
    let mut numbers = bytes
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let tokens = kept.record.prompt_ids.len();
    let windows: Vec<MeasuredWindow> = kept
        .windows
        .into_iter()
        .map(|window| {
            let mut importance = || {
                let count = window.layers * window.heads;
                let scores: Vec<f32> = numbers.by_ref().take(count * tokens).collect();
                let kind = match window.kind.as_str() {
                    "kv" => HeadKind::Kv,
                    "layer" => HeadKind::Layer,
                    _ => HeadKind::Query,
                };
                let shares = vec![1.0; count];
                Importance::new(window.layers, window.heads, kind, tokens, scores, shares).unwrap()
            };
            let (own, oracle, mass) = (importance(), importance(), importance());
            measured(&window, own, oracle, mass, tokens)
        })
        .collect();
    let first = windows.first().unwrap();
    let sample = MeasuredSample {
        record: kept.record,
        oracle: Arc::clone(&first.oracle_importance),
        oracle_rankings: Arc::clone(&first.oracle_rankings),
        oracle_mass: Arc::clone(&first.oracle_mass),
        windows,
    };
    (kept.info, sample)
}

fn measured(
    window: &KeptWindow,
    importance: Importance,
    oracle: Importance,
    mass: Importance,
    tokens: usize,
) -> MeasuredWindow {
    let exempt = ForcedKeep::default();
    let rankings = Rankings::of(&importance, exempt).unwrap();
    let oracle_rankings = Rankings::of(&oracle, exempt).unwrap();
    let comparison = compare(ComparisonInput {
        oracle: &oracle_rankings,
        window: &rankings,
        oracle_mass: &mass,
        keep_rule: window.forced_keep.into(),
        budgets: budget_grid(tokens).unwrap().tokens(),
    })
    .unwrap();
    MeasuredWindow {
        label: window.label.clone(),
        scoring: window.scoring,
        keep_rule: window.forced_keep.into(),
        importance: Arc::new(importance),
        rankings: Arc::new(rankings),
        oracle_importance: Arc::new(oracle),
        oracle_rankings: Arc::new(oracle_rankings),
        oracle_mass: Arc::new(mass),
        comparison,
        score_kind: kvlens_sessions::ScoreKind::Attention,
        cost: window.cost,
    }
}

/// Measures the sample anew from a captured session and keeps it.
pub fn renew() {
    let (_folder, path) = super::captured(&DEMO_WINDOWS);
    let session = Session::open(&path).unwrap();
    let captured = session.load_sample(INDEX).unwrap();
    let options = MeasureOptions::default();
    let sample = measure_sample(&captured, &options, |tokens| vec![tokens]).unwrap();
    let mut bytes = Vec::new();
    let mut windows = Vec::new();
    for window in &sample.windows {
        let parts = [
            &window.importance,
            &window.oracle_importance,
            &window.oracle_mass,
        ];
        for importance in parts {
            for layer in 0..importance.layers() {
                for head in 0..importance.heads() {
                    let scores = importance.head(layer, head);
                    bytes.extend(scores.iter().flat_map(|score| score.to_le_bytes()));
                }
            }
        }
        windows.push(KeptWindow {
            label: window.label.clone(),
            scoring: window.scoring,
            forced_keep: window.keep_rule.fixed,
            // No time of any machine may reach a picture.
            cost: Cost {
                seconds: 0.0,
                ..window.cost
            },
            layers: window.importance.layers(),
            heads: window.importance.heads(),
            kind: window.importance.head_kind().to_string(),
        });
    }
    let kept = Kept {
        info: info(&session),
        record: SampleRecord {
            seconds: 0.0,
            ..sample.record.clone()
        },
        windows,
    };
    std::fs::create_dir_all(file("")).unwrap();
    std::fs::write(file("sample.f32"), bytes).unwrap();
    std::fs::write(
        file("sample.json"),
        serde_json::to_vec_pretty(&kept).unwrap(),
    )
    .unwrap();
}

fn info(session: &Session) -> SessionInfo {
    let shape = &session.manifest().shape;
    let samples = (0..session.sample_count())
        .map(|index| {
            let record = session.load_sample(index).unwrap().record;
            SampleRow {
                id: record.id,
                prompt_tokens: record.prompt_ids.len(),
                decode_tokens: record.generated_ids.len(),
                details: Some(SampleDetails {
                    task: record.task,
                    question_place: record
                        .question_place
                        .map_or(String::new(), |place| format!("{place:?}").to_lowercase()),
                    score: record.score,
                }),
            }
        })
        .collect();
    SessionInfo {
        path: PathBuf::from("demo.kvlens"),
        name: "demo".to_owned(),
        model: session.manifest().model.name.clone(),
        device: "cpu, f32".to_owned(),
        layers: shape.layers,
        query_heads: shape.query_heads,
        kv_heads: shape.kv_heads,
        samples,
        failed: Vec::new(),
    }
}
