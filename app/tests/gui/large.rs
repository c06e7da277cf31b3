//! Stories at a real model's size, where curves and scores are made on threads of their own.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::large::{HEADS, LAYERS, TOKENS, VISIBLE, WINDOWS, info, measured};
use crate::common::{Bench, bench, copied, inside, inside_mut, send, wait_for};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::command::{ExportCommand, LayoutCommand, LookCommand};
use kvlens::gui::data::Slot;
use kvlens::gui::lanes::Event;
use kvlens::gui::layout::Pane;
use kvlens::gui::questions::Answer;
use kvlens::gui::questions::fidelity::{
    EvictedSample, EvictedSession, FidelityPart, FidelityPoint,
};
use kvlens::gui::state::Settings;
use kvlens::gui::workbench::Workbench;
use kvlens::measurement::fidelity::Foreseen;
use kvlens::measurement::fidelity::figures::Figures;
use kvlens_analysis::fidelity::MeanFidelity;
use kvlens_analysis::{Budget, Metric, SampleGroup};

/// The first sample on show, everything made.
fn opened<'a>() -> Bench<'a> {
    let mut bench = bench(Path::new("nowhere"), Settings::default());
    let workbench = inside_mut(&mut bench);
    workbench.set_patience(Duration::from_millis(2));
    workbench.receive(Event::SessionOpened {
        slot: Slot::Main,
        info: info("large"),
    });
    workbench.receive(measured(Slot::Main, "large", 0));
    wait_for(&mut bench, "the curves", Workbench::is_idle);
    bench
}

fn evicted(index: usize, label: &str, tokens: usize, kl: f64) -> FidelityPoint {
    FidelityPoint {
        index,
        sample: Arc::new(EvictedSample {
            group: SampleGroup {
                model: "large".to_owned(),
                task: "facts".to_owned(),
                question_place: Some("end".to_owned()),
            },
            content: index.to_string(),
            prompt_tokens: TOKENS,
        }),
        label: label.to_owned(),
        budget: Budget::Tokens(tokens),
        budget_tokens: tokens,
        figures: Figures {
            foreseen: Foreseen {
                recall: 1.0 / (1.0 + kl),
                method_recall: 0.5,
                kept_recall: 0.5,
                hit_rate: 0.5,
                kept_mass: 0.5,
                output_error: f64::NAN,
            },
            fidelity: MeanFidelity { kl, agreement: 1.0 },
            answer_nll: None,
            score: None,
        },
        generated: "".into(),
    }
}

#[test]
fn the_curves_of_fidelity_are_there_as_soon_as_another_sample_is() {
    let mut bench = opened();
    send(&mut bench, LayoutCommand::ShowPane(Pane::FIDELITY));
    let points = (0..2).flat_map(|index| {
        let of_window = move |(place, label): (usize, &&'static str)| {
            let kl = 1.0 + place as f64 + index as f64;
            [
                evicted(index, label, 16, kl),
                evicted(index, label, 64, kl / 2.0),
            ]
        };
        WINDOWS.iter().enumerate().flat_map(of_window)
    });
    let of = EvictedSession::of(inside(&bench).data().session.as_ref().unwrap());
    inside_mut(&mut bench).receive(Event::Answered(Answer::Fidelity(FidelityPart {
        of: of.unwrap(),
        points: points.collect(),
        is_last: true,
    })));
    let labels = |bench: &Bench<'_>| -> Vec<String> {
        let curves = inside(bench).derived().fidelity();
        let curves = curves.iter().flat_map(|curves| &curves.curves);
        curves.map(|curve| curve.label.clone()).collect()
    };
    wait_for(&mut bench, "the means", Workbench::is_idle);
    assert_eq!(labels(&bench), WINDOWS);
    inside_mut(&mut bench).receive(measured(Slot::Main, "large", 1));
    bench.step();
    assert!(!inside(&bench).is_idle(), "its own curves are on their way");
    assert_eq!(labels(&bench), WINDOWS);
    wait_for(&mut bench, "the curves", Workbench::is_idle);
    assert_eq!(labels(&bench), WINDOWS);
    let first = &inside(&bench).derived().fidelity().unwrap().curves[0];
    assert_eq!(first.points[0].value, 2.0, "those of the second sample");
}

#[test]
fn the_curves_of_the_session_beside_ask_for_the_frame_that_shows_them() {
    let mut bench = opened();
    inside_mut(&mut bench).receive(Event::SessionOpened {
        slot: Slot::Beside,
        info: info("other"),
    });
    inside_mut(&mut bench).receive(measured(Slot::Beside, "other", 1));
    // without the pointer, nothing but the thread that made them asks for another frame
    bench.step();
    bench.step();
    assert!(!inside(&bench).is_idle());
    let asked = Instant::now();
    while !bench.ctx.has_requested_repaint() {
        assert!(
            asked.elapsed() < Duration::from_secs(60),
            "no frame was asked for"
        );
        thread::sleep(Duration::from_millis(1));
    }
    wait_for(&mut bench, "B", Workbench::is_idle);
    assert!(bench.query_by_label_contains("tokens in B").is_some());
    let numbers = bench.query_all_by_label_contains("recall of last:32: ");
    assert_eq!(numbers.count(), 2, "one in A and one in B");
}

#[test]
fn commands_and_copied_numbers_have_every_window_while_its_curves_are_made() {
    let mut bench = opened();
    send(&mut bench, LookCommand::ToggleWindow("last:8".to_owned()));
    send(&mut bench, ExportCommand::ToggleExport(None));
    inside_mut(&mut bench).receive(measured(Slot::Main, "large", 1));
    inside_mut(&mut bench).send(ExportCommand::CopyNumbers(Pane::INSPECTOR));
    bench.step();
    assert!(!inside(&bench).is_idle());
    let command = "--window last:32 laq:n=8";
    assert!(bench.query_by_label_contains(command).is_some());
    let mut text = None;
    for _ in 0..2000 {
        bench.step();
        let commands = &bench.output().platform_output.commands;
        if !commands.is_empty() {
            text = Some(copied(&bench));
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = text.unwrap();
    let labels: Vec<&str> = text
        .lines()
        .skip(1)
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    assert_eq!(labels, WINDOWS);
}

#[test]
fn curves_by_layer_are_made_aside() {
    let mut bench = opened();
    // no frame waits for them, and the one that asks for them ends before they are there
    inside_mut(&mut bench).set_patience(Duration::ZERO);
    inside_mut(&mut bench).send(LookCommand::SetByLayer(true));
    let mut are_awaited = false;
    for _ in 0..3 {
        bench.step();
        let is_empty = inside(&bench).derived().by_layer().is_empty();
        are_awaited |= !inside(&bench).is_idle() && is_empty;
    }
    assert!(are_awaited, "on a thread of their own");
    wait_for(&mut bench, "the layers", Workbench::is_idle);
    assert_eq!(inside(&bench).derived().by_layer().len(), LAYERS);
}

#[test]
fn what_a_layer_cannot_rank_is_hatched_named_and_left_out() {
    let mut bench = opened();
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(64)));
    wait_for(&mut bench, "the map", Workbench::is_idle);
    let derived = inside(&bench).derived();
    let map = derived.map().unwrap();
    for layer in 0..LAYERS {
        assert_eq!(
            map.is_undefined((layer, 3)),
            layer % 2 == 1,
            "layer {layer}"
        );
    }
    let bands = &derived.bands()[0];
    let at = derived.budget_index;
    assert_eq!(bands.defined_heads(Metric::Recall, at), LAYERS * HEADS / 2);
    let mean = bands.band(Metric::Recall).unwrap().mean[at];
    let defined = map.values.iter().filter(|value| !value.is_nan());
    let expected = defined.sum::<f64>() / (LAYERS * HEADS / 2) as f64;
    assert!((mean - expected).abs() < 1e-12, "{mean} is not {expected}");
    // half of the heads would reach 64 / 1024 by chance, the others rank no more than 48 tokens
    assert_eq!(derived.chance()[at], 64.0 / TOKENS as f64);
    let text = "recall is undefined in 256 of 512 heads";
    assert!(bench.query_by_label(text).is_some(), "{text}");
    let map_area = bench.get_by_label("Layer by head map").rect();
    let mut seen = false;
    for step in 1..24 {
        let at = map_area.left_top()
            + egui::vec2(
                map_area.width() * 0.4,
                map_area.height() * step as f32 / 24.0,
            );
        bench.hover_at(at);
        bench.run_steps(3);
        let text = format!("undefined: the layer sees only {VISIBLE} tokens");
        seen |= bench.query_by_label(&text).is_some();
        if seen {
            break;
        }
    }
    assert!(seen, "no cell says why it is hatched");
}
