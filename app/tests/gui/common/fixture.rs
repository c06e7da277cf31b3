//! A measured sample that is kept as numbers, so that pictures of it are the same on every machine.
//!
//! `sample.json` has the texts and what is known of the windows; `sample.f32` the unpooled scores of the decode stage
//! and of each window in turn, `[L, H, T]` each, little endian. Importance, rankings and comparisons are made anew from
//! them. To renew both, after a change of the built-in model:
//! `cargo test --workspace --test gui -- --ignored renew_the_kept_sample`.

use std::path::PathBuf;
use std::sync::Arc;

use kvlens::demo::DEMO_WINDOWS;
use kvlens::gui::data::{SampleDetails, SampleRow, SessionInfo, Slot};
use kvlens::gui::derived::budget_grid;
use kvlens::gui::lanes::Event;
use kvlens::gui::workbench::Workbench;
use kvlens::measurement::{MeasureOptions, MeasuredSample, MeasuredWindow, Ranked, measure_sample};
use kvlens_analysis::{
    ComparisonInput, ForcedKeep, Importance, Rankings, ReducedHead, SideScoring, compare,
};
use kvlens_sessions::{Cost, LayerRange, SampleRecord, Session};
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
    forced_keep: ForcedKeep,
    cost: Cost,
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots/fixture")
        .join(name)
}

/// Lets a workbench have a session opened and a sample of it measured.
pub fn show_measured(workbench: &mut Workbench, info: SessionInfo, sample: MeasuredSample) {
    let (slot, path) = (Slot::Main, info.path.clone());
    workbench.receive(Event::SessionOpened { slot, info });
    workbench.receive(Event::SampleMeasured {
        slot,
        path,
        index: 1,
        options: MeasureOptions::default(),
        sample: Arc::new(sample),
    });
}

/// The kept sample and the session that it belongs to.
pub fn read() -> (SessionInfo, MeasuredSample) {
    let kept: Kept = serde_json::from_slice(&std::fs::read(file("sample.json")).unwrap()).unwrap();
    let bytes = std::fs::read(file("sample.f32")).unwrap();
    let mut numbers = bytes
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let options = MeasureOptions::default();
    let tokens = kept.record.prompt_ids.len();
    let mut importance = |side: SideScoring| {
        let mut head = || ReducedHead {
            scores: numbers.by_ref().take(tokens).collect(),
            prompt_share: 1.0,
        };
        let mut layer = || (0..kept.info.query_heads).map(|_| head()).collect();
        let layers: Vec<Vec<ReducedHead>> = (0..kept.info.layers).map(|_| layer()).collect();
        let seen = vec![0; kept.info.layers];
        let kv_heads = kept.info.kv_heads;
        Importance::from_reduced(layers, kv_heads, side.scoring, side.boundary, seen).unwrap()
    };
    let truth = ranked(importance(options.truth_scoring()));
    let decode_mass = Arc::new(raw(&truth.importance));
    let comparison_of = |own: &Ranked, keep: ForcedKeep| {
        compare(ComparisonInput {
            truth: &truth.rankings,
            window: &own.rankings,
            decode_mass: &decode_mass,
            keep_rule: keep.into(),
            evidence: &kept.record.evidence_tokens,
            budgets: budget_grid(tokens).unwrap().tokens(),
        })
    };
    let windows = kept.windows.iter().map(|window| {
        let published = SideScoring::of(Default::default(), ForcedKeep::default());
        let scoring = options.window_scoring(published);
        let own = ranked(importance(scoring));
        let comparison = comparison_of(&own, window.forced_keep);
        MeasuredWindow {
            label: window.label.clone(),
            scoring,
            keep_rule: window.forced_keep.into(),
            ranked: own,
            comparison: comparison.unwrap(),
            ceiling: None,
            ceiling_ranked: None,
            score_kind: kvlens_sessions::ScoreKind::Attention,
            cost: window.cost,
            at_budgets: Vec::new(),
        }
    });
    let windows = windows.collect();
    let sample = MeasuredSample {
        record: kept.record.clone(),
        compare: options.compare,
        layers: LayerRange::all(truth.importance.layers()),
        truth: truth.clone(),
        decode: comparison_of(&truth, ForcedKeep::default()).unwrap(),
        decode_mass: Arc::clone(&decode_mass),
        windows,
    };
    (kept.info, sample)
}

/// The unpooled scores of a side as an importance of their own.
fn raw(side: &Importance) -> Importance {
    let (layers, heads) = (side.layers(), side.heads());
    let scores = (0..layers).flat_map(|layer| {
        (0..heads).flat_map(move |head| {
            let scores = side.head_scores(layer, head, ForcedKeep::default());
            scores.tie_break().to_vec()
        })
    });
    let (scores, shares) = (scores.collect(), vec![1.0; layers * heads]);
    let (kind, tokens) = (side.head_kind(), side.prompt_tokens());
    Importance::new(layers, heads, kind, tokens, scores, shares, vec![0; layers]).unwrap()
}

fn ranked(importance: Importance) -> Ranked {
    Ranked {
        rankings: Arc::new(Rankings::of(&importance, ForcedKeep::default()).unwrap()),
        importance: Arc::new(importance),
    }
}

/// Measures the sample anew from a captured session and keeps it.
pub fn renew() {
    let (_folder, path) = super::captured(&DEMO_WINDOWS);
    let session = Session::open(&path).unwrap();
    let captured = session.load_sample(INDEX).unwrap();
    let options = MeasureOptions::default();
    let sample = measure_sample(&captured, &options, |tokens| vec![tokens]).unwrap();
    let windows = sample.windows.iter().map(|window| &window.ranked);
    let mut bytes = Vec::new();
    for side in std::iter::once(&sample.truth).chain(windows) {
        let raw = raw(&side.importance);
        for layer in 0..raw.layers() {
            for head in 0..raw.heads() {
                let scores = raw.head(layer, head);
                bytes.extend(scores.iter().flat_map(|score| score.to_le_bytes()));
            }
        }
    }
    let windows = sample.windows.iter().map(|window| KeptWindow {
        label: window.label.clone(),
        forced_keep: window.keep_rule.fixed,
        // No time of any machine may reach a picture.
        cost: Cost {
            seconds: 0.0,
            ..window.cost
        },
    });
    let windows = windows.collect();
    let kept = Kept {
        info: info(&session),
        record: SampleRecord {
            largest_rounding: None,
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
                    needle: None,
                }),
                unreadable: None,
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
        pending: 0,
        plan: None,
    }
}
