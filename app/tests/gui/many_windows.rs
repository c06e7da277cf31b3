//! Sixteen windows on a small screen: every name and every number can be read without scrolling.

use std::path::Path;

use crate::common::{Bench, bench_of, fixture, inside, inside_mut, made_up, send, settle};
use egui_kittest::kittest::{By, Queryable as _};
use kvlens::gui::command::{LayoutCommand, LookCommand, ProgramCommand};
use kvlens::gui::lanes::Event;
use kvlens::gui::layout::{Layout, Pane};
use kvlens::gui::state::{MapScope, Settings};
use kvlens_analysis::{ForcedKeep, Metric};

const WINDOWS: [&str; 16] = [
    "last:4",
    "last:8",
    "last:16",
    "last:32",
    "last:64",
    "laq:n=8",
    "laq++:w=8,n=8",
    "dapq:n=32",
    "judge-q",
    "lookahead-kv",
    "tova",
    "h2o",
    "streaming",
    "expected",
    "knorm",
    "random",
];

/// The smallest screen that is looked at.
const SCREEN: [f32; 2] = [1280.0, 720.0];

/// The kept sample with sixteen windows, which have the numbers of the kept ones.
fn sixteen<'a>(settings: Settings) -> Bench<'a> {
    let (info, mut sample) = fixture::read();
    let kept = sample.windows.clone();
    let windows = WINDOWS.iter().zip(kept.iter().cycle());
    sample.windows = windows
        .map(|(label, window)| {
            let mut window = window.clone();
            window.label = (*label).to_owned();
            window.keep_rule = ForcedKeep {
                sinks: 4,
                recent: 8,
            }
            .into();
            window
        })
        .collect();
    let mut bench = bench_of(Path::new("nowhere"), settings, Layout::default(), SCREEN);
    fixture::show_measured(inside_mut(&mut bench), info, sample);
    settle(&mut bench);
    bench
}

fn rect(bench: &Bench<'_>, label: &str) -> egui::Rect {
    bench.get_by_label(label).rect()
}

/// Every window's name stands whole beside or above the plot, on the screen, and over no other name.
fn assert_names_are_read(bench: &Bench<'_>, plot: &str, screen: egui::Rect) {
    let plot = rect(bench, plot);
    let names: Vec<egui::Rect> = WINDOWS
        .iter()
        .map(|label| rect(bench, &format!("Curve {label}")))
        .collect();
    for (label, name) in WINDOWS.iter().zip(&names) {
        assert!(screen.contains_rect(*name), "{label}: {name:?}");
        let is_beside = name.left() >= plot.right() - 1.0;
        let is_above = name.bottom() <= plot.top() + 1.0;
        assert!(is_beside || is_above, "{label}: {name:?} in {plot:?}");
    }
    for (index, name) in names.iter().enumerate() {
        for other in &names[index + 1..] {
            assert!(!name.shrink(0.5).intersects(other.shrink(0.5)));
        }
    }
    assert!(screen.contains_rect(plot.shrink(1.0)), "{plot:?}");
}

fn screen(bench: &Bench<'_>) -> egui::Rect {
    bench.ctx.content_rect()
}

#[test]
fn all_names_of_the_curves_are_read_at_once_and_the_plot_keeps_its_room() {
    let mut bench = sixteen(Settings::default());
    assert_names_are_read(&bench, "Curves over the budget", screen(&bench));
    assert!(rect(&bench, "Curves over the budget").height() > 95.0);
    for (pane, plot) in [
        (Pane::EVIDENCE, "Needed tokens over the budget"),
        (Pane::DRIFT, "Recall over the decode steps"),
    ] {
        let version = inside(&bench).data().shown().unwrap().version;
        let tokens = inside(&bench).derived().tokens().unwrap().len();
        inside_mut(&mut bench).receive(Event::Answered(made_up::drift(version, tokens)));
        send(&mut bench, LayoutCommand::ShowPane(pane));
        settle(&mut bench);
        // one legend only: that of the curves over the budget has the same names
        send(&mut bench, LayoutCommand::ShowPane(Pane::COST));
        assert_names_are_read(&bench, plot, screen(&bench));
        send(&mut bench, LayoutCommand::ShowPane(Pane::RECALL));
    }
}

#[test]
fn a_presentation_of_sixteen_windows_leaves_most_of_the_room_to_its_plots() {
    let mut bench = sixteen(Settings::default());
    for pane in Pane::all().filter(|pane| *pane != Pane::RECALL && *pane != Pane::INSPECTOR) {
        inside_mut(&mut bench).send(LayoutCommand::TogglePane(pane));
    }
    bench.run_steps(3);
    bench.key_press(egui::Key::F5);
    bench.run_steps(6);
    let plot = rect(&bench, "Curves over the budget");
    let screen = screen(&bench);
    assert!(
        screen.height() < 500.0,
        "everything is enlarged: {screen:?}"
    );
    assert_names_are_read(&bench, "Curves over the budget", screen);
    // the form below takes less than its half
    assert!(plot.height() > 0.45 * screen.height(), "{plot:?}");
}

#[test]
fn every_column_of_the_tables_is_on_the_screen() {
    let mut bench = sixteen(Settings::default());
    send(&mut bench, LookCommand::SetMetric(Metric::HitRate));
    settle(&mut bench);
    let right = |text: &str| bench.get_by_label_contains(text).rect().right();
    for label in WINDOWS {
        // the last column of the sample, which has no values
        let last = right(&format!("evidence kept of {label}: "));
        assert!(last <= SCREEN[0], "{label}: {last}");
    }
    send(&mut bench, LayoutCommand::ShowPane(Pane::COST));
    let table = rect(&bench, "What windows cost");
    for title in ["MFLOP", "MiB"] {
        let titles = bench.query_all_by_label(title);
        // the inspector has a table of costs, too
        let column = titles
            .map(|title| title.rect())
            .min_by(|a, b| a.left().total_cmp(&b.left()));
        let right = column.unwrap().right();
        assert!(right <= table.right() + 12.0, "{title}: {right}");
    }
}

#[test]
fn a_field_stays_beside_its_name() {
    let mut bench = sixteen(Settings::default());
    for command in [
        LookCommand::SetMinus(Some("last:8".to_owned())),
        LookCommand::SetMapScope(MapScope::Session),
    ] {
        send(&mut bench, command);
    }
    let parts = bench.query_all(By::new().label("Equal within").include_labels());
    let parts: Vec<egui::Rect> = parts.map(|part| part.rect()).collect();
    assert_eq!(parts.len(), 2, "a name and its field");
    assert!(
        (parts[0].center().y - parts[1].center().y).abs() < 4.0,
        "{parts:?}"
    );
    assert!(
        parts[0].height() < 24.0,
        "the name does not break: {parts:?}"
    );

    send(&mut bench, LayoutCommand::ShowPane(Pane::TOKENS));
    let heat = kvlens::gui::state::TokenHeat::Difference;
    send(&mut bench, LookCommand::SetTokenHeat(heat));
    let marks = ["kept by last:4", "missed", "needed"];
    let marks = marks.map(|mark| rect(&bench, mark).center().y);
    assert!(
        marks.iter().all(|at| (at - marks[0]).abs() < 1.0),
        "{marks:?}"
    );
}

#[test]
fn a_phrase_is_not_broken_in_its_middle() {
    let mut bench = sixteen(Settings::default());
    send(&mut bench, LayoutCommand::ShowPane(Pane::COMPLEMENTARITY));
    settle(&mut bench);
    let tokens = inside(&bench).derived().budget_tokens();
    let shares = format!("shares of the decode stage's top {tokens} tokens,");
    for phrase in ["and each other window:", &shares, "mean of 16 heads"] {
        let part = rect(&bench, phrase);
        assert!(part.height() < 24.0, "{phrase}: {part:?}");
    }
}

#[test]
fn the_plot_of_costs_keeps_most_of_its_view() {
    let mut bench = sixteen(Settings::default());
    send(&mut bench, LayoutCommand::ShowPane(Pane::COST));
    settle(&mut bench);
    let top = bench
        .get_by_label_contains("Beyond prefill and decoding")
        .rect()
        .bottom();
    // the plot with its axis ends where the header of the table begins
    let plot = rect(&bench, "Extra").top() - top;
    let tab_below = rect(&bench, "Tokens").top();
    assert!(
        plot >= 0.6 * (tab_below - top),
        "{plot} of {}",
        tab_below - top
    );
}

#[test]
fn what_the_palette_shows_comes_to_the_front_and_never_closes() {
    let mut bench = sixteen(Settings::default());
    let run = |bench: &mut Bench<'_>, words: &str| {
        send(bench, ProgramCommand::TogglePalette);
        bench.get_by_label("Type a command").type_text(words);
        bench.run_steps(3);
        bench.key_press(egui::Key::Enter);
        bench.run_steps(3);
    };
    for _ in 0..2 {
        run(&mut bench, "show head profile");
        let layout = inside(&bench).layout();
        assert!(layout.has(Pane::PROFILE) && layout.visible().contains(&Pane::PROFILE));
    }
    run(&mut bench, "hide head profile");
    assert!(!inside(&bench).layout().has(Pane::PROFILE));
    send(&mut bench, ProgramCommand::TogglePalette);
    assert!(
        bench
            .query_by_label_contains("Hide: Head profile")
            .is_none()
    );
    assert!(
        bench
            .query_by_label_contains("Show: Head profile")
            .is_some()
    );
}
