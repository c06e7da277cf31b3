//! Pictures of single views, each alone in a window: dark and light, small and large; and what they say where they have
//! nothing to show.
//!
//! They are drawn on the CPU from the kept sample, as those of the whole workbench. What else would come from a
//! session's tensors or from running the model (attention, drift, query similarity, fidelity) is made up, so that
//! no machine draws another digit.

use std::path::Path;
use std::sync::Arc;

use crate::common::{Bench, bench_of, fixture, inside, inside_mut, made_up, settle};
use egui_kittest::kittest::Queryable as _;
use egui_kittest::{SnapshotOptions, SnapshotResults};
use kvlens::gui::attention_picture::{AttentionBlock, AttentionKey, AttentionPicture};
use kvlens::gui::command::{Command, ExportCommand, LayoutCommand, LookCommand, ProgramCommand};
use kvlens::gui::data::{SamplePlace, SessionInfo, Slot};
use kvlens::gui::lanes::Event;
use kvlens::gui::layout::{Layout, Pane};
use kvlens::gui::questions::Answer;
use kvlens::gui::questions::fidelity::EvictedSession;
use kvlens::gui::state::{HeadAddress, MapKind, SelectionChange, Settings, ThemeChoice};

const SMALL: [f32; 2] = [480.0, 320.0];
const LARGE: [f32; 2] = [960.0, 600.0];

const HEAD: HeadAddress = HeadAddress { layer: 2, head: 1 };

/// A layout with one view.
fn only(pane: Pane) -> Layout {
    let mut layout = Layout::default();
    for other in Pane::all() {
        if other != pane {
            layout.toggle(other);
        }
    }
    layout
}

fn settings(theme: ThemeChoice) -> Settings {
    Settings {
        theme,
        hide_capture: true,
        ..Settings::default()
    }
}

/// A session without a finished sample.
fn empty<'a>(pane: Pane, theme: ThemeChoice, size: [f32; 2]) -> Bench<'a> {
    let mut bench = bench_of(Path::new("nowhere"), settings(theme), only(pane), size);
    let (info, _) = fixture::read();
    let info = SessionInfo {
        samples: Vec::new(),
        ..info
    };
    let slot = Slot::Main;
    inside_mut(&mut bench).receive(Event::SessionOpened { slot, info });
    bench.run_steps(4);
    bench
}

/// The kept sample with a head selected and another one pinned.
fn full<'a>(pane: Pane, theme: ThemeChoice, size: [f32; 2]) -> Bench<'a> {
    let mut bench = bench_of(Path::new("nowhere"), settings(theme), only(pane), size);
    let (tokens, window) = show_the_sample(&mut bench);
    let workbench = inside_mut(&mut bench);
    let session = workbench.data().session.clone().unwrap();
    let sample = session.place().unwrap();
    let version = session.shown.as_ref().unwrap().version;
    let answer = match pane.name() {
        "Attention" | "Player" => Some(Event::Answered(Answer::Attention(Arc::new(attention(
            sample, tokens, window,
        ))))),
        "Drift" => Some(Event::Answered(made_up::drift(version, tokens))),
        "DecodeCache" => Some(Event::Answered(made_up::decode_cache(version, tokens))),
        "Queries" => Some(Event::Answered(made_up::queries(sample))),
        "Profile" => Some(Event::Answered(made_up::profile(
            version,
            &session.shown.as_ref().unwrap().sample,
        ))),
        "Fidelity" => Some(Event::Answered(made_up::fidelity(
            EvictedSession::of(&session).unwrap(),
        ))),
        _ => None,
    };
    if let Some(answer) = answer {
        workbench.receive(answer);
    }
    workbench.send(LookCommand::Pin(Some(HeadAddress { layer: 1, head: 3 })));
    workbench.send(LookCommand::SelectHeads {
        heads: vec![HEAD],
        change: SelectionChange::Replace,
    });
    bench.run_steps(6);
    bench
}

/// Opens the kept sample; gives the length of its prompt and its first window.
fn show_the_sample(bench: &mut Bench<'_>) -> (usize, String) {
    let (info, sample) = fixture::read();
    let tokens = sample.record.prompt_ids.len();
    let window = sample.windows[0].label.clone();
    fixture::show_measured(inside_mut(bench), info, sample);
    (tokens, window)
}

/// Made-up weights: a few columns that all rows look at, and a diagonal.
fn attention(sample: SamplePlace, tokens: usize, window: String) -> AttentionPicture {
    let block = |label: &str, rows: usize| AttentionBlock {
        label: label.to_owned(),
        positions: (0..rows).map(|row| (tokens - rows + row) as u32).collect(),
        texts: vec!["the".to_owned(); rows],
        weights: (0..rows * tokens)
            .map(|index| match (index / tokens, index % tokens) {
                (_, column) if column % 97 == 0 => 0.4,
                (row, column) if column / 8 == row => 0.1,
                _ => 0.001,
            })
            .collect(),
    };
    AttentionPicture {
        key: AttentionKey {
            sample,
            head: Some(HEAD),
            window: window.clone(),
        },
        tokens,
        columns: tokens,
        decode: block("decode", 20),
        window: Some(block(&window, 32)),
        percentile_99: 0.4,
    }
}

/// The results of several harnesses must come together.
#[derive(Default)]
struct Pictures(SnapshotResults);

impl Pictures {
    fn compare(&mut self, bench: &mut Bench<'_>, name: &str) {
        bench.snapshot_options(name, &SnapshotOptions::new().threshold(0.6));
        self.0.extend(bench.take_snapshot_results());
    }
}

fn name(pane: Pane, state: &str, theme: ThemeChoice, size: [f32; 2]) -> String {
    let theme = theme.label().to_lowercase();
    let size = if size == SMALL { "small" } else { "large" };
    format!("views/{pane:?}-{state}-{theme}-{size}").to_lowercase()
}

fn each_theme_and_size(mut picture: impl FnMut(ThemeChoice, [f32; 2])) {
    for theme in [ThemeChoice::Dark, ThemeChoice::Light] {
        for size in [SMALL, LARGE] {
            picture(theme, size);
        }
    }
}

/// What a view says of a session without a finished sample: what is missing, and what to do.
fn said_of_nothing(pane: Pane) -> Option<&'static str> {
    Some(match pane.name() {
        "Recall" => "Run a capture or open a session to see its curves",
        "HeadMap" => "Run a capture or open a session to see its heads",
        "Heads" => "Open a session to see its heads",
        "Player" => "Run a capture or open a session to see it decode",
        "Attention" => "Run a capture or open a session to see its attention",
        "RankAgreement" => "Run a capture or open a session to see its ranks",
        "Drift" => "Run a capture or open a session to see how long its windows foresee",
        "DecodeCache" => {
            "Run a capture or open a session to see how well its cache is ranked while it decodes"
        }
        "Queries" => {
            "Run a capture or open a session to compare its queries with those of decoding"
        }
        "Fidelity" => "Run a capture or open a session to see what eviction does to its answers",
        "Cost" => "Run a capture or open a session to see what its windows cost",
        "Tokens" => "Run a capture or open a session to read its prompt",
        "Inspector" => "Open a session to see its numbers",
        "Samples" => "No sample of this session is finished",
        "Scoring" => "Open a session to score it otherwise",
        "Needle" => {
            "Run a capture of a grid such as niah:length=256|512,depth=0..1/5, or open its session"
        }
        "Profile" => "Open a session to see what its heads are like",
        "Complementarity" => {
            "Run a capture or open a session to see what its windows find together"
        }
        "Evidence" => {
            "Open a session to see what its windows keep of the tokens that the answer needs"
        }
        "Log" => "Opened demo",
        _ => return None,
    })
}

#[test]
fn every_view_without_a_sample_says_what_to_do() {
    for pane in Pane::all() {
        let bench = empty(pane, ThemeChoice::Dark, SMALL);
        let said = said_of_nothing(pane).expect("a sentence for every view");
        assert!(bench.query_by_label(said).is_some(), "{pane:?}: {said}");
    }
}

#[test]
fn a_session_without_keys_has_no_rows_of_attention() {
    let mut bench = full(Pane::ATTENTION, ThemeChoice::Dark, SMALL);
    let (_, sample) = fixture::read();
    let (tokens, window) = (
        sample.record.prompt_ids.len(),
        sample.windows[0].label.clone(),
    );
    let session = inside(&bench).data().session.clone().unwrap();
    let mut rows = attention(session.place().unwrap(), tokens, window);
    rows.window = None;
    rows.decode.positions.clear();
    rows.decode.texts.clear();
    rows.decode.weights.clear();
    let answer = Event::Answered(Answer::Attention(Arc::new(rows)));
    inside_mut(&mut bench).receive(answer);
    bench.run_steps(4);
    let told = bench.query_by_label_contains("keeps scores in place of keys");
    assert!(told.is_some());
}

#[test]
fn every_view_with_a_sample() {
    let mut pictures = Pictures::default();
    // the log tells the time of day, which is never the same twice
    for pane in Pane::all().filter(|pane| *pane != Pane::LOG) {
        each_theme_and_size(|theme, size| {
            let mut bench = full(pane, theme, size);
            pictures.compare(&mut bench, &name(pane, "full", theme, size));
        });
    }
}

#[test]
fn the_other_kinds_of_map() {
    let mut pictures = Pictures::default();
    for (state, kind, minus) in [
        ("side-by-side", MapKind::SideBySide, None),
        ("winner", MapKind::Winner, None),
        ("difference", MapKind::Window, Some("last:8".to_owned())),
    ] {
        for theme in [ThemeChoice::Dark, ThemeChoice::Light] {
            let mut bench = full(Pane::HEAD_MAP, theme, SMALL);
            inside_mut(&mut bench).send(LookCommand::SetMinus(minus.clone()));
            inside_mut(&mut bench).send(LookCommand::SetMapKind(kind));
            bench.run_steps(4);
            pictures.compare(&mut bench, &name(Pane::HEAD_MAP, state, theme, SMALL));
        }
    }
}

#[test]
fn the_windows_above_the_views() {
    let mut pictures = Pictures::default();
    for (state, command) in [
        (
            "export",
            Command::from(ExportCommand::ToggleExport(Some(Pane::RECALL))),
        ),
        ("palette", ProgramCommand::TogglePalette.into()),
        (
            "help",
            ProgramCommand::ToggleHelp(Some(Pane::RECALL)).into(),
        ),
        ("shortcuts", ProgramCommand::ToggleShortcuts.into()),
    ] {
        let mut bench = full(Pane::RECALL, ThemeChoice::Dark, LARGE);
        inside_mut(&mut bench).send(command);
        bench.run_steps(20);
        pictures.compare(&mut bench, &format!("views/{state}"));
    }
}

#[test]
fn the_whole_workbench_on_a_large_screen() {
    let mut pictures = Pictures::default();
    for theme in [ThemeChoice::Dark, ThemeChoice::Light] {
        let large = [2560.0, 1440.0];
        let settings = Settings {
            theme,
            ..Settings::default()
        };
        let mut bench = bench_of(Path::new("nowhere"), settings, Layout::default(), large);
        show_the_sample(&mut bench);
        settle(&mut bench);
        let name = format!("views/workbench-{}-2560", theme.label().to_lowercase());
        pictures.compare(&mut bench, &name);
    }
}

#[test]
fn what_was_saved_is_drawn_the_same_again() {
    let mut bench = full(Pane::HEAD_MAP, ThemeChoice::Dark, LARGE);
    inside_mut(&mut bench).send(LookCommand::SetMetric(kvlens_analysis::Metric::HitRate));
    inside_mut(&mut bench).send(LookCommand::ToggleWindow("last:8".to_owned()));
    inside_mut(&mut bench).send(LayoutCommand::ShowPane(Pane::RECALL));
    bench.run_steps(30);
    let settings = serde_json::to_string(inside(&bench).settings()).unwrap();
    let layout = serde_json::to_string(inside(&bench).layout()).unwrap();
    let before = bench.render().unwrap();

    let mut again = bench_of(
        Path::new("nowhere"),
        serde_json::from_str(&settings).unwrap(),
        serde_json::from_str(&layout).unwrap(),
        LARGE,
    );
    show_the_sample(&mut again);
    again.run_steps(30);
    let after = again.render().unwrap();
    assert_eq!(after.dimensions(), before.dimensions());
    let differ = before.pixels().zip(after.pixels()).filter(|(a, b)| a != b);
    // letters come from an atlas whose order is that of their first use, which may shade an edge otherwise
    assert!(differ.count() <= 16, "another picture");
}
