//! Pictures of the workbench, drawn on the CPU: README shows them, so they cannot go stale.
//!
//! The sample in them was measured once from the built-in model and is kept as numbers beside the
//! pictures, because another machine's matrix products may round otherwise and swap two nearly
//! equal tokens. The colours may differ by what `SnapshotOptions` allows for rasterisation.

use std::path::Path;
use std::sync::Arc;

use crate::common::{Bench, bench, fixture, inside_mut, settle};
use egui_kittest::SnapshotOptions;
use kvlens::gui::command::LookCommand;
use kvlens::gui::data::Slot;
use kvlens::gui::lanes::Event;
use kvlens::gui::state::{Settings, ThemeChoice, TokenHeat};
use kvlens_analysis::Budget;

fn settings(theme: ThemeChoice) -> Settings {
    Settings {
        theme,
        ..Settings::default()
    }
}

/// A workbench with the kept sample on show, as it would be after the demo.
fn full<'a>(theme: ThemeChoice) -> Bench<'a> {
    let mut bench = bench(Path::new("nowhere"), settings(theme));
    let (info, sample) = fixture::read();
    let workbench = inside_mut(&mut bench);
    let path = info.path.clone();
    workbench.receive(Event::SessionOpened {
        slot: Slot::Main,
        info,
    });
    workbench.receive(Event::SampleMeasured {
        slot: Slot::Main,
        path,
        index: 1,
        options: Default::default(),
        sample: Arc::new(sample),
    });
    workbench.send(LookCommand::SetBudget(Budget::Fraction(0.1)));
    workbench.send(LookCommand::SetTokenHeat(TokenHeat::Difference));
    settle(&mut bench);
    bench
}

fn compare(bench: &mut Bench<'_>, name: &str) {
    // Rasterisation only: a pixel may be off by a shade, none may be of another colour.
    bench.snapshot_options(name, &SnapshotOptions::new().threshold(0.6));
}

#[test]
fn the_empty_workbench_in_the_dark() {
    empty(ThemeChoice::Dark, "empty-dark");
}

#[test]
fn the_empty_workbench_in_the_light() {
    empty(ThemeChoice::Light, "empty-light");
}

#[test]
fn the_full_workbench_in_the_dark() {
    compare(&mut full(ThemeChoice::Dark), "workbench-dark");
}

#[test]
fn the_full_workbench_in_the_light() {
    compare(&mut full(ThemeChoice::Light), "workbench-light");
}

fn empty(theme: ThemeChoice, name: &str) {
    let mut bench = bench(Path::new("nowhere"), settings(theme));
    settle(&mut bench);
    compare(&mut bench, name);
}

#[test]
#[ignore = "writes the kept sample anew"]
fn renew_the_kept_sample() {
    fixture::renew();
}
