//! A made-up sample of a real model's size: what is quick for a small one is made aside for it.

use std::path::PathBuf;
use std::sync::Arc;

use kvlens::gui::data::{SampleDetails, SampleRow, SessionInfo, Slot};
use kvlens::gui::derived::budget_grid;
use kvlens::gui::lanes::Event;
use kvlens::measurement::{MeasureOptions, MeasuredSample, MeasuredWindow, Ranked};
use kvlens_analysis::{
    ComparisonInput, ForcedKeep, Importance, Rankings, ReducedHead, SideScoring, compare,
};
use kvlens_sessions::{Cost, LayerRange, SampleRecord, ScoreKind};

pub const LAYERS: usize = 16;
pub const HEADS: usize = 32;
pub const TOKENS: usize = 1000;
/// Tokens that the layers with an odd number see.
pub const VISIBLE: usize = 48;
pub const WINDOWS: [&str; 3] = ["last:32", "last:8", "laq:n=8"];

/// A number in 0..1 that looks like none of its neighbours (the finaliser of SplitMix64).
fn noise(seed: u64) -> f32 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
}

/// Scores of the truth (no noise of its own) or of a window.
fn ranked(side: SideScoring, own: f32, seed: u64) -> Ranked {
    let mut index = 0;
    let mut score = || {
        index += 1;
        noise(index).powi(8) + own * noise(index ^ (seed << 40)).powi(8)
    };
    let mut head = || ReducedHead {
        scores: (0..TOKENS).map(|_| score()).collect(),
        prompt_share: 1.0,
    };
    let layers = (0..LAYERS).map(|_| (0..HEADS).map(|_| head()).collect());
    let first = |layer: usize| if layer % 2 == 1 { TOKENS - VISIBLE } else { 0 };
    let seen = (0..LAYERS).map(first).collect();
    let (layers, scoring) = (layers.collect(), side.scoring);
    let importance = Importance::from_reduced(layers, HEADS, scoring, side.boundary, seen).unwrap();
    Ranked {
        rankings: Arc::new(Rankings::of(&importance, ForcedKeep::default()).unwrap()),
        importance: Arc::new(importance),
    }
}

/// The sample; `seed` makes it another one.
pub fn sample(seed: u64) -> MeasuredSample {
    let options = MeasureOptions::default();
    let side = options.truth_scoring();
    let truth = ranked(side, 0.0, 0);
    let evidence: Vec<_> = std::iter::once(100..110).collect();
    let budgets = budget_grid(TOKENS).unwrap();
    let comparison_of = |own: &Ranked| {
        compare(ComparisonInput {
            truth: &truth.rankings,
            window: &own.rankings,
            decode_mass: &truth.importance,
            keep_rule: ForcedKeep::default().into(),
            evidence: &evidence,
            budgets: budgets.tokens(),
        })
    };
    let window = |(place, label): (usize, &&str)| {
        let own = ranked(side, 0.5 + place as f32, seed + place as u64 + 1);
        let comparison = comparison_of(&own);
        MeasuredWindow {
            label: (*label).to_owned(),
            scoring: side,
            keep_rule: ForcedKeep::default().into(),
            ranked: own,
            comparison: comparison.unwrap(),
            ceiling: None,
            ceiling_ranked: None,
            score_kind: ScoreKind::Attention,
            cost: Cost::default(),
            at_budgets: Vec::new(),
        }
    };
    MeasuredSample {
        record: record(evidence.clone()),
        compare: options.compare,
        layers: LayerRange::all(truth.importance.layers()),
        decode: comparison_of(&truth).unwrap(),
        windows: WINDOWS.iter().enumerate().map(window).collect(),
        decode_mass: Arc::clone(&truth.importance),
        truth: truth.clone(),
    }
}

fn record(evidence_tokens: Vec<std::ops::Range<usize>>) -> SampleRecord {
    let record = serde_json::json!({
        "id": "large", "dataset": "made up", "task": "facts", "prompt": "", "answer": null, "values": [],
        "generated": "", "score": null, "question_place": "end",
        "prompt_ids": vec![0; TOKENS], "token_texts": vec![" word"; TOKENS], "generated_ids": vec![0; 8],
        "evidence_tokens": evidence_tokens, "seconds": 0.0,
    });
    serde_json::from_value(record).unwrap()
}

/// The session of two such samples.
pub fn info(name: &str) -> SessionInfo {
    let row = |id: &str| SampleRow {
        id: id.to_owned(),
        prompt_tokens: TOKENS,
        decode_tokens: 8,
        details: Some(SampleDetails {
            task: "facts".to_owned(),
            question_place: "end".to_owned(),
            score: None,
            needle: None,
        }),
        unreadable: None,
    };
    SessionInfo {
        path: PathBuf::from(format!("{name}.kvlens")),
        name: name.to_owned(),
        model: "large".to_owned(),
        device: "none".to_owned(),
        layers: LAYERS,
        query_heads: HEADS,
        kv_heads: HEADS,
        samples: vec![row("a"), row("b")],
        failed: Vec::new(),
        pending: 0,
        plan: None,
    }
}

/// A sample of the session, as the read lane sends it.
pub fn measured(slot: Slot, name: &str, index: usize) -> Event {
    Event::SampleMeasured {
        slot,
        path: info(name).path,
        index,
        options: MeasureOptions::default(),
        sample: Arc::new(sample(7 * index as u64)),
    }
}
