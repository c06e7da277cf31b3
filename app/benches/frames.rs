//! What a frame of the workbench costs the processor: layout and tessellation, without the graphics card.
//!
//! `cargo bench --workspace --bench frames`. The sample is made up at the size of a large model on a long prompt:
//! 32 layers of 32 heads, 131,072 tokens, six windows with a curve each, and an attention picture of 128 steps by
//! 4,096 columns; the window is 1920 by 1080. Making it takes some seconds and about 5 GB.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use divan::Bencher;
use egui::{Event as Input, Pos2, RawInput, Rect, vec2};
use kvlens::gui::attention_picture::{AttentionBlock, AttentionKey, AttentionPicture};
use kvlens::gui::command::{Command, LayoutCommand, LookCommand};
use kvlens::gui::data::{OpenedSession, SamplePlace, SampleRow, SessionInfo, Slot};
use kvlens::gui::derived::budget_grid;
use kvlens::gui::lanes::Event;
use kvlens::gui::layout::{Layout, Pane};
use kvlens::gui::questions::Answer;
use kvlens::gui::state::{HeadAddress, MapKind, SelectionChange, Settings};
use kvlens::gui::workbench::Workbench;
use kvlens::measurement::{MeasureOptions, MeasuredSample, MeasuredWindow, Ranked};
use kvlens_analysis::{
    Budget, ComparisonInput, ForcedKeep, HeadKind, Importance, Metric, Rankings, compare,
};
use kvlens_sessions::{Cost, LayerRange, SampleRecord, ScoreKind};

const LAYERS: usize = 32;
const HEADS: usize = 32;
const TOKENS: usize = 131_072;
const STEPS: usize = 128;
const COLUMNS: usize = 4_096;
const WINDOWS: [&str; 6] = [
    "last:32",
    "last:8",
    "laq:n=8",
    "dapq:n=32",
    "judge-q",
    "lookahead-kv",
];
const FRAME_SECS: f64 = 1.0 / 60.0;

fn main() {
    divan::main();
}

/// A number in 0..1 that looks like none of its neighbours (the finaliser of SplitMix64).
fn noise(seed: u64) -> f32 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
}

/// Attention that few tokens share: the noise to the eighth power, and some more noise of the window's own.
fn importance(own: f32, seed: u64) -> Importance {
    let score = |index: u64| noise(index).powi(8) + own * noise(index ^ (seed << 40)).powi(8);
    let count = (LAYERS * HEADS * TOKENS) as u64;
    let scores: Vec<f32> = (0..count).map(score).collect();
    let shares = vec![1.0; LAYERS * HEADS];
    let seen = vec![0; LAYERS];
    Importance::new(LAYERS, HEADS, HeadKind::Query, TOKENS, scores, shares, seen)
        .unwrap_or_else(|refused| unreachable!("{refused}"))
}

fn sample() -> MeasuredSample {
    let none = ForcedKeep::default();
    let ranked = |importance: Importance| Ranked {
        rankings: Arc::new(
            Rankings::of(&importance, none).unwrap_or_else(|refused| unreachable!("{refused}")),
        ),
        importance: Arc::new(importance),
    };
    let (truth, window) = (ranked(importance(0.0, 0)), ranked(importance(1.0, 1)));
    let budgets = budget_grid(TOKENS).map_or_else(Vec::new, |grid| grid.tokens().to_vec());
    let record = record();
    let comparison = compare(ComparisonInput {
        truth: &truth.rankings,
        window: &window.rankings,
        decode_mass: &truth.importance,
        keep_rule: none.into(),
        evidence: &record.evidence_tokens,
        budgets: &budgets,
    })
    .unwrap_or_else(|refused| unreachable!("{refused}"));
    let options = MeasureOptions::default();
    let windows = WINDOWS.map(|label| MeasuredWindow {
        label: label.to_owned(),
        scoring: options.truth_scoring(),
        keep_rule: none.into(),
        ranked: window.clone(),
        comparison: comparison.clone(),
        ceiling: None,
        ceiling_ranked: None,
        score_kind: ScoreKind::Attention,
        cost: Cost::default(),
        at_budgets: Vec::new(),
    });
    MeasuredSample {
        record,
        compare: options.compare,
        layers: LayerRange::all(LAYERS),
        decode_mass: Arc::clone(&truth.importance),
        truth,
        decode: comparison,
        windows: windows.into(),
    }
}

fn record() -> SampleRecord {
    let words = [
        "the", " code", " of", " Karin", " is", " yellow", " granite", ".", "\n",
    ];
    SampleRecord {
        id: "long".to_owned(),
        dataset: "made up".to_owned(),
        task: "none".to_owned(),
        prompt: String::new(),
        answer: None,
        values: Vec::new(),
        scoring: None,
        generated: String::new(),
        score: None,
        question_place: None,
        prompt_ids: vec![0; TOKENS],
        token_texts: words
            .iter()
            .cycle()
            .take(TOKENS)
            .map(ToString::to_string)
            .collect(),
        generated_ids: vec![0; STEPS],
        generated_texts: Vec::new(),
        evidence_tokens: std::iter::once(60_000..60_020).collect(),
        largest_rounding: None,
        seconds: 0.0,
        document: None,
        question: None,
        asked_later: None,
        answer_tokens: None,
        asked_length: None,
        depth: None,
    }
}

fn info() -> SessionInfo {
    SessionInfo {
        path: PathBuf::from("long.kvlens"),
        name: "long".to_owned(),
        model: "made up".to_owned(),
        device: "none".to_owned(),
        layers: LAYERS,
        query_heads: HEADS,
        kv_heads: HEADS,
        samples: vec![SampleRow {
            id: "long".to_owned(),
            prompt_tokens: TOKENS,
            decode_tokens: STEPS,
            details: None,
            unreadable: None,
        }],
        failed: Vec::new(),
        pending: 0,
        plan: None,
    }
}

fn picture(sample: SamplePlace) -> AttentionPicture {
    let block = |label: &str, rows: usize| AttentionBlock {
        label: label.to_owned(),
        positions: (0..rows as u32).collect(),
        texts: vec![String::new(); rows],
        weights: (0..(rows * COLUMNS) as u64).map(noise).collect(),
    };
    AttentionPicture {
        key: AttentionKey {
            sample,
            head: Some(HEAD),
            window: WINDOWS[0].to_owned(),
        },
        tokens: TOKENS,
        columns: COLUMNS,
        decode: block("decode", STEPS),
        window: Some(block(WINDOWS[0], 32)),
        percentile_99: 0.99,
    }
}

const HEAD: HeadAddress = HeadAddress { layer: 3, head: 5 };

struct Stage {
    context: egui::Context,
    workbench: Workbench,
    time_secs: f64,
    pointer: Pos2,
}

impl Stage {
    fn new() -> Self {
        let context = egui::Context::default();
        let mut workbench = empty(&context);
        workbench.receive(Event::SessionOpened {
            slot: Slot::Main,
            info: info(),
        });
        workbench.receive(Event::SampleMeasured {
            slot: Slot::Main,
            path: PathBuf::from("long.kvlens"),
            index: 0,
            options: kvlens::measurement::MeasureOptions::default(),
            sample: Arc::new(sample()),
        });
        let mut stage = Self {
            context,
            workbench,
            time_secs: 0.0,
            pointer: Pos2::ZERO,
        };
        stage.send(LookCommand::SelectHeads {
            heads: vec![HEAD],
            change: SelectionChange::Replace,
        });
        for _ in 0..10 {
            stage.frame();
        }
        stage
    }

    fn send(&mut self, command: impl Into<Command>) {
        self.workbench.send(command);
        self.frame();
    }

    /// The attention picture comes from the session's file; here it is handed over, after the lane's refusal.
    fn show_attention(&mut self) {
        self.send(LayoutCommand::ShowPane(Pane::ATTENTION));
        while !self.workbench.is_idle() {
            self.frame();
        }
        let session = self.workbench.data().session.as_ref();
        if let Some(sample) = session.and_then(OpenedSession::place) {
            let picture = Arc::new(picture(sample));
            self.workbench
                .receive(Event::Answered(Answer::Attention(picture)));
        }
        self.frame();
    }

    fn frame(&mut self) -> usize {
        self.time_secs += FRAME_SECS;
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, vec2(1920.0, 1080.0))),
            time: Some(self.time_secs),
            focused: true,
            events: vec![Input::PointerMoved(self.pointer)],
            ..RawInput::default()
        };
        let workbench = &mut self.workbench;
        let mut output = self.context.run_ui(input, |ui| workbench.ui(ui));
        output.textures_delta.clear();
        self.context.tessellate(output.shapes, 1.0).len()
    }
}

fn empty(context: &egui::Context) -> Workbench {
    Workbench::new(
        context,
        Settings::default(),
        Layout::default(),
        PathBuf::new(),
    )
    .unwrap_or_else(|error| unreachable!("{error}"))
}

thread_local! {
    static STAGE: RefCell<Stage> = RefCell::new(Stage::new());
}

fn with_stage(
    bencher: Bencher<'_, '_>,
    prepare: &[Command],
    mut each: impl FnMut(&mut Stage, usize),
) {
    STAGE.with_borrow_mut(|stage| {
        for command in prepare {
            stage.send(command.clone());
        }
        let mut count = 0;
        bencher.bench_local(|| {
            count += 1;
            each(stage, count);
            stage.frame()
        });
    });
}

/// Budgets along the slider.
fn budget(count: usize) -> Command {
    LookCommand::SetBudget(Budget::Tokens(1 + count * 977 % TOKENS)).into()
}

/// Nothing changes: curves, map, strip and text.
#[divan::bench]
fn still(bencher: Bencher<'_, '_>) {
    with_stage(
        bencher,
        &[LayoutCommand::ShowPane(Pane::HEAD_MAP).into()],
        |_, _| {},
    );
}

/// Every frame has another budget.
#[divan::bench]
fn budget_drag(bencher: Bencher<'_, '_>) {
    with_stage(
        bencher,
        &[LayoutCommand::ShowPane(Pane::HEAD_MAP).into()],
        |stage, count| {
            stage.workbench.send(budget(count));
        },
    );
}

/// The same with all six maps side by side.
#[divan::bench]
fn budget_drag_side_by_side(bencher: Bencher<'_, '_>) {
    let prepare = [
        LayoutCommand::ShowPane(Pane::HEAD_MAP).into(),
        LookCommand::SetMapKind(MapKind::SideBySide).into(),
    ];
    with_stage(bencher, &prepare, |stage, count| {
        stage.workbench.send(budget(count))
    });
}

/// The same with the attention picture instead of the map.
#[divan::bench]
fn budget_drag_attention(bencher: Bencher<'_, '_>) {
    STAGE.with_borrow_mut(Stage::show_attention);
    with_stage(bencher, &[], |stage, count| {
        stage.workbench.send(budget(count))
    });
}

/// The pointer runs over the map: each frame another head glows in the curves.
#[divan::bench]
fn pointer_over_the_map(bencher: Bencher<'_, '_>) {
    let prepare = [
        LayoutCommand::ShowPane(Pane::HEAD_MAP).into(),
        LookCommand::SetMapKind(MapKind::Window).into(),
    ];
    with_stage(bencher, &prepare, |stage, count| {
        stage.pointer = Pos2::new(920.0 + (count % 40) as f32 * 8.0, 200.0);
    });
}

/// Every frame has another head selected: its tokens are ranked anew.
#[divan::bench]
fn another_head(bencher: Bencher<'_, '_>) {
    with_stage(
        bencher,
        &[LayoutCommand::ShowPane(Pane::HEAD_MAP).into()],
        |stage, count| {
            let head = HeadAddress {
                layer: count % LAYERS,
                head: count / LAYERS % HEADS,
            };
            stage.workbench.send(LookCommand::SelectHeads {
                heads: vec![head],
                change: SelectionChange::Replace,
            });
        },
    );
}

/// All 1,024 heads after one: the mean over 134 million scores.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn all_heads(bencher: Bencher<'_, '_>) {
    with_stage(bencher, &[], |stage, count| {
        stage.workbench.send(match count % 2 {
            0 => LookCommand::SelectAllHeads,
            _ => LookCommand::SelectHeads {
                heads: vec![HEAD],
                change: SelectionChange::Replace,
            },
        });
    });
}

/// Curves layer by layer: the frame while they are made aside, and those that draw them.
#[divan::bench]
fn by_layer(bencher: Bencher<'_, '_>) {
    with_stage(bencher, &[], |stage, count| {
        stage
            .workbench
            .send(LookCommand::SetByLayer(count % 2 == 0));
    });
}

/// The same, always by layer, while the budget moves: 32 plots of six curves.
#[divan::bench]
fn by_layer_budget_drag(bencher: Bencher<'_, '_>) {
    let prepare = [
        LookCommand::SelectAllHeads.into(),
        LookCommand::SetByLayer(true).into(),
        LayoutCommand::ShowPane(Pane::HEAD_MAP).into(),
    ];
    with_stage(bencher, &prepare, |stage, count| {
        stage.workbench.send(budget(count));
    });
}

/// Curves layer by layer of another metric in every frame: those that are drawn are made aside.
#[divan::bench]
fn by_layer_another_metric(bencher: Bencher<'_, '_>) {
    let prepare = [LookCommand::SetByLayer(true).into()];
    with_stage(bencher, &prepare, |stage, count| {
        let metric = Metric::ALL[count % Metric::ALL.len()];
        stage.workbench.send(LookCommand::SetMetric(metric));
    });
}

/// A workbench from nothing to its first frame.
#[divan::bench]
fn first_frame(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| {
        let context = egui::Context::default();
        let workbench = empty(&context);
        let mut stage = Stage {
            context,
            workbench,
            time_secs: 0.0,
            pointer: Pos2::ZERO,
        };
        stage.frame();
        // what is given back is dropped behind the clock: threads are waited for then
        stage
    });
}
