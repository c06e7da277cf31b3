//! Stories of the fidelity view: the model run again on evicted caches.

use std::path::{Path, PathBuf};

use crate::common::{
    Bench, bench, copied, fixture, inside, inside_mut, made_up, opened_at, send, session, settle,
    wait_for,
};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::capture_settings::CaptureSettings;
use kvlens::gui::command::{
    CaptureCommand, ExportCommand, JobCommand, LayoutCommand, LookCommand, ProgramCommand,
    SessionCommand,
};
use kvlens::gui::export::{ExportFormat, ExportSettings};
use kvlens::gui::lanes::Event;
use kvlens::gui::lanes::JobKey;
use kvlens::gui::layout::Pane;
use kvlens::gui::question_choices::{FidelityChoices, FidelityMetric, FidelityPlot};
use kvlens::gui::questions::QuestionKind;
use kvlens::gui::questions::fidelity::{EvictedSession, FidelityPoint};
use kvlens::gui::state::Settings;
use kvlens::gui::workbench::Workbench;
use kvlens::measurement::allocations::AllocationKind;
use kvlens::measurement::fidelity::figures::Figures;
use kvlens::measurement::fidelity::{EvictionPlan, SampleRun};
use kvlens::measurement::{MeasureOptions, StageProgress};
use kvlens_analysis::Budget;
use kvlens_analysis::tables::TableFile;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{CancelFlag, Session};

struct Silent;

impl StageProgress for Silent {
    fn stage(&mut self, _name: &str, _done: usize, _total: usize) {}
    fn note(&self, _line: &str) {}
}

fn opened<'a>(folder: &Path) -> Bench<'a> {
    opened_at(folder, session(), Pane::FIDELITY)
}

fn measured(workbench: &Workbench) -> &[FidelityPoint] {
    let results = workbench.data().answers.fidelity.value();
    results.map_or(&[], |results| &results.points)
}

fn fidelity_failed(workbench: &Workbench) -> bool {
    let key = JobKey::Question(QuestionKind::Fidelity);
    workbench.data().answers.failure(&key).is_some()
}

fn choices(budgets: &str) -> FidelityChoices {
    FidelityChoices {
        budgets: budgets.to_owned(),
        ..FidelityChoices::default()
    }
}

/// What `kvlens fidelity` computes for the first sample, window by window.
fn expected(budgets: &[Budget]) -> Vec<(String, Vec<Figures>)> {
    let session = Session::open(session()).unwrap();
    let captured = session.load_sample(0).unwrap();
    let model = Model::load(&ModelSource::Demo, DeviceChoice::Cpu, DtypeChoice::Auto).unwrap();
    let plan = EvictionPlan {
        options: MeasureOptions::default(),
        allocation: AllocationKind::Uniform,
        decode: None,
        join_final_budgets: false,
    };
    let (cancel, mut progress) = (CancelFlag::default(), Silent);
    let decode = &session.manifest().plan.decode;
    let run = SampleRun::begin(
        &plan,
        decode,
        &model,
        &captured.record,
        &cancel,
        &mut progress,
    );
    let outcomes = run.unwrap().run(&captured, budgets).unwrap();
    let outcomes = outcomes.into_iter();
    outcomes
        .map(|window| {
            let figures = window.by_budget.iter().map(Figures::of).collect();
            (window.label, figures)
        })
        .collect()
}

#[test]
fn the_figures_are_those_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    assert!(
        bench
            .query_by_label_contains("press 'Measure fidelity'")
            .is_some()
    );
    send(&mut bench, LookCommand::SetFidelity(choices("32, 10%")));
    // the window whose curve is hidden is not measured
    send(&mut bench, LookCommand::ToggleWindow("last:8".to_owned()));
    bench.get_by_label("Measure fidelity").click();
    wait_for(&mut bench, "the fidelity", |workbench| {
        workbench.data().jobs.is_empty() && !measured(workbench).is_empty()
    });
    let budgets = [Budget::Tokens(32), Budget::Fraction(0.1)];
    for (label, figures) in expected(&budgets) {
        let found: Vec<Figures> = measured(inside(&bench))
            .iter()
            .filter(|point| point.label == label)
            .map(|point| point.figures)
            .collect();
        match label.as_str() {
            "last:8" => assert!(found.is_empty()),
            // as text: what is undefined is not equal to itself
            _ => assert_eq!(format!("{found:?}"), format!("{figures:?}"), "{label}"),
        }
    }
    let curves = inside(&bench).derived().fidelity().unwrap();
    let labels: Vec<&str> = curves
        .curves
        .iter()
        .map(|curve| curve.label.as_str())
        .collect();
    assert_eq!(labels, ["decode", "last:32"]);
    assert!(curves.curves[1].points[0].budget_tokens < curves.curves[1].points[1].budget_tokens);
    assert!(
        bench
            .query_by_label("Fidelity against the budget")
            .is_some()
    );

    bench.get_by_label("By recall").click();
    bench.run_steps(3);
    let plot = inside(&bench).settings().choices.fidelity.plot;
    assert_eq!(plot, FidelityPlot::Recall);
    assert!(bench.query_by_label("Fidelity against recall").is_some());
    bench.get_by_label("Copy the fidelity").click();
    bench.run_steps(2);
    let text = copied(&bench);
    // the full cache, and oracle and one window at two budgets
    assert_eq!(text.lines().count(), 1 + 1 + 2 * 2);

    send(
        &mut bench,
        LookCommand::SetFidelity(FidelityChoices {
            metric: FidelityMetric::Score,
            ..choices("32, 10%")
        }),
    );
    let curves = inside(&bench).derived().fidelity().unwrap();
    let session = Session::open(session()).unwrap();
    assert_eq!(curves.full, session.load_sample(0).unwrap().record.score);

    // another sample has not been measured
    send(&mut bench, SessionCommand::SelectSample(1));
    wait_for(&mut bench, "the next sample", |workbench| {
        workbench
            .data()
            .shown()
            .is_some_and(|shown| shown.index == 1)
    });
    assert!(
        bench
            .query_by_label_contains("This sample was not measured yet")
            .is_some()
    );
}

#[test]
fn what_was_measured_before_a_cancel_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let all = FidelityChoices {
        all_samples: true,
        ..choices("2%, 5%, 10%, 20%, 50%")
    };
    send(&mut bench, LookCommand::SetFidelity(all));
    bench.get_by_label("Measure fidelity").click();
    wait_for(&mut bench, "the first window", |workbench| {
        measured(workbench).len() > 1
    });
    bench.get_by_label("Cancel fidelity").click();
    wait_for(&mut bench, "the end of the job", |workbench| {
        workbench.data().jobs.is_empty()
    });
    let kept = measured(inside(&bench)).len();
    let all = 4 * (1 + 3 * 5);
    assert!(kept > 1 && kept < all, "{kept} of {all}");
    assert!(
        bench
            .query_by_label("Fidelity against the budget")
            .is_some()
    );
    assert!(bench.query_by_label("Measure fidelity").is_some());
    let log = &inside(&bench).data().log;
    assert!(
        log.iter()
            .any(|line| line.text.contains("what was measured is kept"))
    );
}

/// A copy of the session whose manifest says that the model was somewhere that is no more.
fn moved_session(folder: &Path) -> PathBuf {
    let copy = folder.join("moved.kvlens");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(session()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let manifest = copy.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["plan"]["model"] = "/gone/model".into();
    // without its own hash, as manifests of an earlier version are
    value["format_version"] = 2.into();
    value.as_object_mut().unwrap().remove("manifest_sha256");
    std::fs::write(&manifest, value.to_string()).unwrap();
    copy
}

#[test]
fn a_model_that_has_moved_is_taken_from_the_capture_panel() {
    let folder = tempfile::tempdir().unwrap();
    let moved = moved_session(folder.path());
    let mut bench = opened_at(folder.path(), &moved, Pane::FIDELITY);
    let with_model = |model: &str| {
        CaptureCommand::EditCapture(Box::new(CaptureSettings {
            model: model.to_owned(),
            ..CaptureSettings::default()
        }))
    };
    send(&mut bench, with_model("/gone/too"));
    send(&mut bench, LookCommand::SetFidelity(choices("10%")));
    inside_mut(&mut bench).send(JobCommand::Ask(QuestionKind::Fidelity));
    wait_for(&mut bench, "the refusal", |workbench| {
        fidelity_failed(workbench)
    });
    assert!(
        bench
            .query_all_by_label_contains("this needs the model")
            .count()
            > 0
    );
    assert!(measured(inside(&bench)).is_empty());

    send(&mut bench, with_model("demo"));
    bench.get_by_label("Measure fidelity").click();
    wait_for(&mut bench, "the fidelity", |workbench| {
        workbench.data().jobs.is_empty() && !measured(workbench).is_empty()
    });
    assert!(!fidelity_failed(inside(&bench)));
}

#[test]
fn budgets_that_are_none_cannot_be_measured() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LookCommand::SetFidelity(choices("10%, many")));
    bench.get_by_label("Measure fidelity").click();
    bench.run_steps(3);
    assert!(inside(&bench).data().jobs.is_empty());
    send(&mut bench, ProgramCommand::ToggleHelp(Some(Pane::FIDELITY)));
    assert!(bench.query_by_label("Top-1 agreement").is_some());
}

#[test]
fn what_was_evicted_is_exported_as_the_figure_of_the_view() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LookCommand::SetFidelity(choices("32, 64")));
    bench.get_by_label("Measure fidelity").click();
    wait_for(&mut bench, "the fidelity", |workbench| {
        workbench.data().jobs.is_empty() && !measured(workbench).is_empty()
    });
    let out = folder.path().join("kl.svg");
    inside_mut(&mut bench).send(ExportCommand::ToggleExport(Some(Pane::FIDELITY)));
    bench.run_steps(2);
    assert_eq!(inside(&bench).settings().export.kind.name(), "fidelity-kl");
    let export = ExportSettings {
        format: ExportFormat::Svg,
        out: out.display().to_string(),
        ..inside(&bench).settings().export.clone()
    };
    inside_mut(&mut bench).send(ExportCommand::EditExport(export));
    bench.run_steps(2);
    bench.get_by_label("Export").click();
    bench.run_steps(2);
    wait_for(&mut bench, "the figure", |workbench| {
        workbench.data().jobs.is_empty() && out.exists()
    });
    let table = TableFile::read(&out.with_extension("parquet")).unwrap();
    let (windows, values) = (
        table.text("series").unwrap(),
        table.numbers("value").unwrap(),
    );
    let points = measured(inside(&bench))
        .iter()
        .filter(|point| point.label != "full");
    let mut drawn = 0;
    for point in points {
        let rows = windows.iter().zip(&values);
        let of_window = rows.filter(|(window, _)| window.as_deref() == Some(&point.label));
        let found = of_window.filter(|(_, value)| **value == Some(point.figures.fidelity.kl));
        assert!(found.count() >= 1, "{} at {}", point.label, point.budget);
        drawn += 1;
    }
    assert_eq!(drawn, values.len());
    assert!(out.with_extension("txt").exists());
}

#[test]
fn against_recall_every_budget_has_a_sign_of_its_own() {
    let mut bench = bench(Path::new("nowhere"), Settings::default());
    let (info, sample) = fixture::read();
    fixture::show_measured(inside_mut(&mut bench), info, sample);
    settle(&mut bench);
    let of = EvictedSession::of(inside(&bench).data().session.as_ref().unwrap()).unwrap();
    inside_mut(&mut bench).receive(Event::Answered(made_up::fidelity(of)));
    send(&mut bench, LayoutCommand::ShowPane(Pane::FIDELITY));
    settle(&mut bench);
    assert!(bench.query_by_label("Line 16 tokens").is_none());
    send(
        &mut bench,
        LookCommand::SetFidelity(FidelityChoices {
            plot: FidelityPlot::Recall,
            ..FidelityChoices::default()
        }),
    );
    settle(&mut bench);
    for tokens in [16, 32, 64, 128, 256] {
        let sign = format!("Line {tokens} tokens");
        assert!(bench.query_by_label(&sign).is_some(), "{sign}");
    }
}
