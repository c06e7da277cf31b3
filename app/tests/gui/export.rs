//! Stories of taking results away: a figure with its numbers, and the command that makes both again.

use std::path::Path;

use crate::common::{
    Bench, bench, captured, copied_now, inside, inside_mut, opened_at, send, session,
    shows_a_sample, wait_for,
};
use assert_cmd::Command as Program;
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::command::{ExportCommand, LayoutCommand, LookCommand, SessionCommand};
use kvlens::gui::data::Severity;
use kvlens::gui::export::{ExportFormat, ExportSettings};
use kvlens::gui::layout::Pane;
use kvlens::gui::question_choices::{DriftChoices, DriftPart};
use kvlens::gui::state::{HeadAddress, SelectionChange, Settings};
use kvlens_analysis::Metric;
use kvlens_analysis::tables::TableFile;

fn opened<'a>(folder: &Path, export: ExportSettings) -> Bench<'a> {
    let settings = Settings {
        export,
        ..Settings::default()
    };
    let mut bench = bench(folder, settings);
    inside_mut(&mut bench).send(SessionCommand::OpenSession(session().to_owned()));
    wait_for(&mut bench, "the session", shows_a_sample);
    bench
}

fn to(out: &Path, format: ExportFormat) -> ExportSettings {
    ExportSettings {
        format,
        out: out.display().to_string(),
        ..ExportSettings::default()
    }
}

fn said(bench: &Bench<'_>, severity: Severity) -> Option<String> {
    let log = inside(bench).data().log.iter();
    let mut found = log.filter(|message| message.severity == severity);
    found.next().map(|message| message.text.clone())
}

#[test]
fn a_figure_and_its_numbers_are_exported_and_the_command_makes_them_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("recall.svg");
    let mut bench = opened(folder.path(), to(&out, ExportFormat::Svg));
    bench.get_by_label("Take away Recall vs budget").click();
    bench.run_steps(3);
    bench.get_by_label("Export a figure…").click();
    bench.run_steps(3);
    assert!(bench.query_by_label_contains("kvlens figure").is_some());
    // the dialog has the keyboard as it opens
    bench.key_press(egui::Key::Enter);
    bench.run_steps(2);
    wait_for(&mut bench, "the figure", |workbench| {
        let log = &workbench.data().log;
        log.iter().any(|message| message.severity != Severity::Info)
    });
    assert_eq!(said(&bench, Severity::Error), None);
    assert!(
        said(&bench, Severity::Success)
            .unwrap()
            .contains("recall.parquet")
    );
    let mut log = inside(&bench).data().log.iter();
    let done = log.find(|message| message.severity == Severity::Success);
    let named = done.and_then(|message| message.path.clone());
    assert_eq!(named.as_deref(), Some(folder.path()), "the log opens it");
    let drawn = std::fs::read(&out).unwrap();
    // the session has several samples, and the figure is of the one on show, as the curve is
    let table = TableFile::read(&out.with_extension("parquet")).unwrap();
    let column = |name: &str| table.numbers(name).unwrap();
    let (budgets, values, samples) = (column("x"), column("value"), column("samples"));
    assert!(samples.iter().all(|samples| *samples == Some(1.0)));
    let band = inside(&bench).derived().bands()[0]
        .band(Metric::Recall)
        .unwrap();
    let at = budgets.iter().position(|budget| *budget == Some(32.0));
    let value = values[at.unwrap()].unwrap();
    assert!((value - band.mean[31]).abs() < 1e-9, "{value}");

    let about = std::fs::read(out.with_extension("json")).unwrap();
    let about: serde_json::Value = serde_json::from_slice(&about).unwrap();
    let command = about["command"].as_str().unwrap();
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    std::fs::remove_file(&out).unwrap();
    let mut program = Program::cargo_bin("kvlens").unwrap();
    program.args(words).assert().success();
    assert_eq!(std::fs::read(&out).unwrap(), drawn, "the same bytes again");
}

#[test]
fn the_dialog_offers_what_the_view_shows_and_refuses_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("file");
    std::fs::write(&nowhere, "no folder").unwrap();
    let out = nowhere.join("map.pdf");
    let mut bench = opened(folder.path(), to(&out, ExportFormat::Pdf));
    inside_mut(&mut bench).send(ExportCommand::ToggleExport(Some(Pane::HEAD_MAP)));
    bench.run_steps(3);
    assert_eq!(inside(&bench).settings().export.kind.name(), "head-map");
    // a slide wants larger text than a paper
    bench.get_by_label("Width of the figure").click();
    bench.run_steps(3);
    bench.get_by_label_contains("a slide").click();
    bench.run_steps(3);
    let export = &inside(&bench).settings().export;
    assert_eq!((export.width.name(), export.font_size), ("slides", 14.0));
    // the command can be read where it stands, in lines as high as those of other text, and copied
    let line = bench.get_by_label_contains("kvlens figure ").rect();
    let lines = (line.height() / 15.0).round();
    assert!(lines >= 2.0 && line.width() < 480.0, "{line:?}");
    bench.get_by_label("Copy command").click();
    let line = (0..6).find_map(|_| {
        bench.step();
        copied_now(&bench)
    });
    assert!(line.unwrap().contains("--kind head-map"));
    bench.get_by_label("Export").click();
    bench.run_steps(2);
    wait_for(&mut bench, "the refusal", |workbench| {
        let log = &workbench.data().log;
        log.iter()
            .any(|message| message.severity == Severity::Error)
    });
    let reason = said(&bench, Severity::Error).unwrap();
    assert!(reason.starts_with("Exporting: "), "{reason}");
    bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::E);
    bench.run_steps(3);
    assert!(
        bench.query_by_label("Copy command").is_none(),
        "Ctrl+E closes"
    );
}

#[test]
fn a_figure_of_the_drift_view_is_of_the_part_that_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("places.svg");
    let mut bench = opened(folder.path(), to(&out, ExportFormat::Svg));
    inside_mut(&mut bench).send(LookCommand::SetDrift(DriftChoices {
        part: DriftPart::Places,
        sweep_width: 8,
    }));
    inside_mut(&mut bench).send(ExportCommand::ToggleExport(Some(Pane::DRIFT)));
    bench.run_steps(3);
    assert_eq!(inside(&bench).settings().export.kind.name(), "place");
    assert!(
        bench
            .query_by_label_contains("--place-width=8 --place-stride=4")
            .is_some()
    );
    bench.get_by_label("Export").click();
    bench.run_steps(2);
    wait_for(&mut bench, "the figure", |workbench| {
        let log = &workbench.data().log;
        log.iter().any(|message| message.severity != Severity::Info)
    });
    assert_eq!(said(&bench, Severity::Error), None);
    assert!(out.exists());
}

#[test]
fn the_numbers_of_every_view_are_copied_as_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), ExportSettings::default());
    inside_mut(&mut bench).send(LookCommand::SelectHeads {
        heads: vec![HeadAddress { layer: 1, head: 0 }],
        change: SelectionChange::Replace,
    });
    bench.run_steps(2);
    inside_mut(&mut bench).send(LayoutCommand::ShowPane(Pane::ATTENTION));
    wait_for(&mut bench, "the attention", |workbench| {
        workbench.data().answers.attention.value().is_some() && workbench.data().jobs.is_empty()
    });
    for pane in [
        Pane::RECALL,
        Pane::HEAD_MAP,
        Pane::ATTENTION,
        Pane::RANK_AGREEMENT,
        Pane::COST,
        Pane::TOKENS,
        Pane::INSPECTOR,
        Pane::SAMPLES,
    ] {
        inside_mut(&mut bench).send(ExportCommand::CopyNumbers(pane));
        bench.step();
        let commands = &bench.output().platform_output.commands;
        let text = commands.iter().find_map(|command| match command {
            egui::OutputCommand::CopyText(text) => Some(text.clone()),
            _ => None,
        });
        let text = text.unwrap_or_else(|| panic!("{pane:?} copies nothing"));
        let mut lines = text.lines().map(|line| line.split('\t').count());
        let columns = lines.next().unwrap();
        assert!(columns > 1 && lines.clone().count() > 1, "{pane:?}");
        assert!(lines.all(|cells| cells == columns), "{pane:?} is ragged");
    }
}

#[test]
fn the_copied_curve_is_the_one_that_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), ExportSettings::default());
    inside_mut(&mut bench).send(ExportCommand::CopyNumbers(Pane::RECALL));
    bench.step();
    let commands = bench.output().platform_output.commands.clone();
    let Some(egui::OutputCommand::CopyText(text)) = commands.first() else {
        panic!("nothing was copied");
    };
    let bands = inside(&bench).derived().bands();
    let band = bands[0].band(Metric::Recall).unwrap();
    let line = text.lines().nth(33).unwrap();
    let cells: Vec<f64> = line.split('\t').map(|cell| cell.parse().unwrap()).collect();
    assert_eq!(cells[..2], [33.0, band.mean[32]]);
    assert_eq!(cells[2..4], [band.low[32], band.high[32]]);

    // held against a baseline, the difference is drawn and copied
    send(
        &mut bench,
        LookCommand::SetBaseline(Some("last:8".to_owned())),
    );
    assert!(bench.query_by_label("Line chance").is_none());
    inside_mut(&mut bench).send(ExportCommand::CopyNumbers(Pane::RECALL));
    bench.step();
    let text = copied_now(&bench).unwrap();
    assert!(text.starts_with("budget_tokens\tlast:32 recall minus last:8\t"));
    let bands = inside(&bench).derived().bands();
    let [last_32, last_8] = [0, 1].map(|window| &bands[window].band(Metric::Recall).unwrap().mean);
    let line = text.lines().nth(33).unwrap();
    let cells: Vec<f64> = line.split('\t').map(|cell| cell.parse().unwrap()).collect();
    assert_eq!(cells, [33.0, last_32[32] - last_8[32], 0.0]);
}

#[test]
fn the_dialog_says_of_what_a_figure_is_and_draws_it_first() {
    let (folder, session) = captured(&["last:32", "last:8"]);
    let mut bench = opened_at(folder.path(), &session, Pane::RECALL);
    send(&mut bench, ExportCommand::ToggleExport(Some(Pane::RECALL)));
    assert!(bench.query_by_label("All 16 query heads").is_some());
    bench.get_by_label("Preview").click();
    wait_for(&mut bench, "the preview", |workbench| {
        workbench.data().preview.is_some() && workbench.is_idle()
    });
    bench.run_steps(2);
    // as wide as the dialog, and larger by a click
    let preview = bench.get_by_label("Preview of the figure").rect();
    assert!(preview.width() > 400.0, "{preview:?}");
    bench.get_by_label("Preview of the figure").click();
    bench.run_steps(4);
    let large = bench.get_by_label("The figure, large").rect();
    assert!(large.width() > 1.5 * preview.width(), "{large:?}");
    bench.get_by_label("Close the large figure").click();
    bench.run_steps(3);
    assert!(bench.query_by_label("The figure, large").is_none());
    let files = std::fs::read_dir(folder.path()).unwrap();
    assert_eq!(files.count(), 1, "nothing but the session");
    // another figure has to be drawn anew
    send(&mut bench, LookCommand::SetMetric(Metric::Mass));
    assert!(bench.query_by_label("Preview of the figure").is_none());
}
