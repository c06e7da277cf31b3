//! Stories of several jobs at once: what runs, what answers meanwhile, and what asks before it is stopped.

use std::path::Path;

use crate::common::{
    Bench, all_of_it, bench, captured, inside, inside_mut, send, session, shows_a_sample, wait_for,
};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::capture_settings::{CaptureSettings, PromptSource};
use kvlens::gui::command::{
    CaptureCommand, Command, ExportCommand, JobCommand, ProgramCommand, SessionCommand,
};
use kvlens::gui::data::Severity;
use kvlens::gui::export::ExportSettings;
use kvlens::gui::lanes::JobKey;
use kvlens::gui::state::{Choices, Settings};
use kvlens::gui::workbench::Workbench;
use kvlens::jobs::figure::FigureRequest;
use kvlens_sessions::Session;

/// A capture that runs for as long as any of these stories.
fn long_capture() -> Settings {
    Settings {
        capture: CaptureSettings {
            decode_tokens: 1000,
            ignore_eos: true,
            ..CaptureSettings::default()
        },
        ..Settings::default()
    }
}

/// A session on show, and a capture that decodes.
fn capturing<'a>(folder: &Path) -> Bench<'a> {
    let mut bench = bench(folder, long_capture());
    inside_mut(&mut bench).send(SessionCommand::OpenSession(session().to_owned()));
    wait_for(&mut bench, "the session", shows_a_sample);
    inside_mut(&mut bench).send(CaptureCommand::RunCapture);
    wait_for(&mut bench, "the capture to decode", |workbench| {
        let job = workbench.data().capture_job();
        job.is_some_and(|job| job.progress.stage == "Decode")
    });
    bench
}

fn is_capturing(workbench: &Workbench) -> bool {
    let job = workbench.data().capture_job();
    job.is_some_and(|job| !job.cancel.is_cancelled())
}

fn stop(bench: &mut Bench<'_>) {
    send(bench, JobCommand::StopCapture);
    wait_for(bench, "the end", |workbench| {
        workbench.data().jobs.is_empty()
    });
}

fn errors(bench: &Bench<'_>) -> Vec<String> {
    let log = inside(bench).data().log.iter();
    log.filter(|message| message.severity == Severity::Error)
        .map(|message| message.text.clone())
        .collect()
}

fn figure(out: &Path) -> FigureRequest {
    let settings = ExportSettings {
        out: out.display().to_string(),
        ..ExportSettings::default()
    };
    settings.request(
        &all_of_it(&[("last:32", vec!["last:32"]), ("last:8", vec!["last:8"])]),
        &Choices::default(),
    )
}

#[test]
fn while_a_capture_runs_samples_sessions_and_exports_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (_kept, other) = captured(&["last:8"]);
    let mut bench = capturing(folder.path());
    send(&mut bench, SessionCommand::SelectSample(2));
    wait_for(&mut bench, "another sample", |workbench| {
        workbench
            .data()
            .shown()
            .is_some_and(|shown| shown.index == 2)
    });
    assert!(is_capturing(inside(&bench)), "the sample came meanwhile");

    let out = folder.path().join("recall.svg");
    send(&mut bench, ExportCommand::Export(Box::new(figure(&out))));
    wait_for(&mut bench, "the figure", |workbench| {
        workbench.data().job(&JobKey::Export(out.clone())).is_none()
    });
    assert!(out.exists(), "{:?}", errors(&bench));
    assert!(is_capturing(inside(&bench)), "the figure came meanwhile");

    send(&mut bench, SessionCommand::OpenSession(other.clone()));
    wait_for(&mut bench, "another session", |workbench| {
        workbench.data().is_open(&other) && workbench.data().shown().is_some()
    });
    assert!(is_capturing(inside(&bench)), "the session came meanwhile");
    assert_eq!(errors(&bench), Vec::<String>::new());
    stop(&mut bench);
    assert!(inside(&bench).data().is_open(&other), "it stays on show");
}

#[test]
fn however_fast_somebody_types_the_memory_is_estimated_for_the_last_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = capturing(folder.path());
    let mut typed = CaptureSettings {
        source: PromptSource::Text,
        ..CaptureSettings::default()
    };
    for _ in 0..200 {
        typed.text.push_str("word ");
        inside_mut(&mut bench).send(CaptureCommand::EditCapture(Box::new(typed.clone())));
        bench.step();
        let jobs = inside(&bench).data().jobs.iter();
        let estimates = jobs.filter(|job| job.key == JobKey::Estimate);
        let wanted = estimates.filter(|job| !job.cancel.is_cancelled());
        assert!(wanted.count() <= 1, "only what was typed last counts");
    }
    wait_for(&mut bench, "the estimate", |workbench| {
        workbench.data().job(&JobKey::Estimate).is_none()
    });
    assert!(inside(&bench).data().capture_estimate.is_some());
    assert_eq!(errors(&bench), Vec::<String>::new());
    assert!(is_capturing(inside(&bench)));
    stop(&mut bench);
}

#[test]
fn a_job_is_cancelled_by_its_own_button_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = capturing(folder.path());
    let out = folder.path().join("recall.svg");
    send(&mut bench, ExportCommand::Export(Box::new(figure(&out))));
    if inside(&bench)
        .data()
        .job(&JobKey::Export(out.clone()))
        .is_some()
    {
        bench.get_by_label("1 more").click();
        bench.run_steps(3);
        if let Some(button) = bench.query_by_label("Cancel: Exporting") {
            button.click();
        }
        bench.run_steps(3);
    }
    wait_for(&mut bench, "the end of the export", |workbench| {
        workbench.data().job(&JobKey::Export(out.clone())).is_none()
    });
    assert!(is_capturing(inside(&bench)));
    stop(&mut bench);
}

#[test]
fn a_capture_asks_before_it_is_stopped_and_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    bench.get_by_label("Run the demo").click();
    wait_for(&mut bench, "the first sample", |workbench| {
        workbench.data().shown().is_some()
    });
    for command in [
        Command::from(JobCommand::CancelJobs),
        JobCommand::CancelJob(JobKey::Capture).into(),
        ProgramCommand::Quit.into(),
    ] {
        send(&mut bench, command.clone());
        assert!(is_capturing(inside(&bench)), "{command:?} asks first");
        let no = match command {
            Command::Program(ProgramCommand::Quit) => "Stay",
            _ => "Let it run",
        };
        bench.get_by_label(no).click();
        bench.run_steps(3);
        assert!(bench.query_by_label(no).is_none());
    }
    send(&mut bench, JobCommand::CancelJobs);
    bench.get_by_label("Stop the capture").click();
    wait_for(&mut bench, "the cancel", shows_a_sample);
    let data = inside(&bench).data();
    let path = data.session.as_ref().unwrap().info.path.clone();
    let kept = Session::open(&path).unwrap().sample_count();
    assert!((1..8).contains(&kept), "{kept}");
    assert_eq!(data.session.as_ref().unwrap().info.samples.len(), kept);

    let resume = format!("Resume demo: {} to go", 8 - kept);
    bench.get_by_label(&resume).click();
    bench.run_steps(3);
    assert!(bench.query_by_label(&resume).is_none());
    wait_for(&mut bench, "the rest", |workbench| {
        shows_a_sample(workbench) && workbench.data().resumable.is_none()
    });
    let session = inside(&bench).data().session.as_ref().unwrap();
    assert_eq!(session.info.path, path);
    assert_eq!(session.info.samples.len(), 8);
    assert_eq!(errors(&bench), Vec::<String>::new());
}

/// Whether the palette offers such a command now.
fn is_offered(bench: &mut Bench<'_>, text: &str) -> bool {
    send(bench, ProgramCommand::TogglePalette);
    let is_offered = bench.query_by_label_contains(text).is_some();
    send(bench, ProgramCommand::TogglePalette);
    is_offered
}

#[test]
fn the_palette_stops_a_capture_and_goes_on_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = capturing(folder.path());
    assert!(!is_offered(&mut bench, "Resume the capture"));
    send(&mut bench, ProgramCommand::TogglePalette);
    let field = bench.get_by_label("Type a command");
    field.type_text("Cancel: Capturing");
    bench.run_steps(3);
    bench.key_press(egui::Key::Enter);
    bench.run_steps(3);
    assert!(is_capturing(inside(&bench)), "it asks first");
    bench.get_by_label("Stop the capture").click();
    wait_for(&mut bench, "the end", |workbench| {
        workbench.data().jobs.is_empty()
    });
    assert!(!is_offered(&mut bench, "Cancel: Capturing"));
    let can_go_on = inside(&bench).data().resumable.is_some();
    assert_eq!(is_offered(&mut bench, "Resume the capture"), can_go_on);
}
