//! Stories of sessions: opened, damaged, copied, measured again; and what is said of them.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{
    Bench, bench, damaged_session, fixture, inside, inside_mut, opened, session,
    session_with_a_changed_bit, shows_a_sample, wait_for,
};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::capture_settings::{CaptureSettings, PromptSource};
use kvlens::gui::command::{CaptureCommand, LayoutCommand, LookCommand, SessionCommand};
use kvlens::gui::data::{SampleRow, SessionInfo, Severity, Slot};
use kvlens::gui::lanes::Event;
use kvlens::gui::layout::Pane;
use kvlens::gui::state::Settings;
use kvlens::gui::workbench::Workbench;
use kvlens_analysis::{Budget, Metric};
use kvlens_sessions::{CancelFlag, Keep, Session, Shrink, pack};

#[test]
fn a_damaged_session_is_reported_and_the_open_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let damaged = damaged_session(folder.path(), |name, bytes| {
        if name != "manifest.json" {
            bytes.truncate(bytes.len() / 2);
        }
    });
    inside_mut(&mut bench).send(SessionCommand::OpenSession(damaged));
    wait_for(&mut bench, "the refusal", |workbench| {
        workbench
            .data()
            .log
            .iter()
            .any(|line| line.severity == Severity::Error)
    });
    wait_for(&mut bench, "the lanes", |workbench| {
        workbench.data().jobs.is_empty()
    });
    let data = inside(&bench).data();
    assert!(data.is_open(session()));
    assert!(data.shown().is_some());
    let error = data
        .log
        .iter()
        .find(|line| line.severity == Severity::Error)
        .unwrap();
    assert!(error.text.contains("truncated"), "{}", error.text);
}

/// What the curves and the attention show: the recall of the first window, and the sample of the picture.
fn in_sight(bench: &Bench<'_>) -> (usize, Vec<f64>, usize) {
    let workbench = inside(bench);
    let bands = workbench.derived().bands();
    let mut recall = bands[0].band(Metric::Recall).unwrap().mean.clone();
    // where every token is kept there is no recall
    recall.retain(|value| value.is_finite());
    let picture = workbench.data().answers.attention.value().unwrap();
    let shown = workbench.data().shown().unwrap().index;
    (shown, recall, picture.key.sample.index)
}

#[test]
fn a_switch_between_two_samples_seen_before_takes_one_frame() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    inside_mut(&mut bench).send(LayoutCommand::ShowPane(Pane::ATTENTION));
    let mut seen = Vec::new();
    for index in [0, 1, 0, 1] {
        inside_mut(&mut bench).send(SessionCommand::SelectSample(index));
        wait_for(&mut bench, "the sample", |workbench| {
            let shown = workbench.data().shown();
            workbench.is_idle() && shown.is_some_and(|shown| shown.index == index)
        });
        seen.push(in_sight(&bench));
    }
    assert_ne!(
        seen[0].1, seen[1].1,
        "or the samples could not be told apart"
    );
    // no frame waits for anything now
    inside_mut(&mut bench).set_patience(Duration::ZERO);
    for index in [0, 1, 0] {
        inside_mut(&mut bench).send(SessionCommand::SelectSample(index));
        bench.step();
        assert!(inside(&bench).is_idle(), "nothing is on its way");
        for computing in ["Averaging the curves", "Ranking the tokens"] {
            assert!(bench.query_by_label(computing).is_none(), "{computing}");
        }
        assert_eq!(in_sight(&bench), seen[index]);
        assert_eq!(seen[index].2, index);
    }
}

#[test]
fn other_scoring_measures_again_without_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    inside_mut(&mut bench).send(LookCommand::SetBudget(Budget::Tokens(16)));
    bench.run_steps(2);
    let before = inside(&bench).data().shown().unwrap().version;
    let mut options = inside(&bench).settings().choices.measure;
    options.overrides.pool = Some("max:13".parse().unwrap());
    inside_mut(&mut bench).send(LookCommand::SetMeasureOptions(options));
    wait_for(&mut bench, "the new numbers", |workbench| {
        workbench
            .data()
            .shown()
            .is_some_and(|shown| shown.version > before)
    });
    let shown = inside(&bench).data().shown().unwrap();
    assert_eq!(shown.options, options);
    assert_eq!(
        shown.sample.windows[0].scoring.scoring.pool,
        "max:13".parse().unwrap()
    );
}

#[test]
fn a_saved_copy_opens_with_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let before = inside(&bench).data().shown().unwrap().sample.windows[0]
        .comparison
        .clone();
    let copy = folder.path().join("copy.kvlens");
    inside_mut(&mut bench).send(SessionCommand::SaveSessionAs(copy.clone()));
    wait_for(&mut bench, "the copy", |workbench| {
        workbench.data().jobs.is_empty()
    });
    inside_mut(&mut bench).send(SessionCommand::OpenSession(copy.clone()));
    wait_for(&mut bench, "the copy on show", |workbench| {
        shows_a_sample(workbench) && workbench.data().is_open(&copy)
    });
    let after = &inside(&bench).data().shown().unwrap().sample.windows[0].comparison;
    // as text: what is undefined is not equal to itself
    assert!(format!("{after:?}") == format!("{before:?}"));
}

#[test]
fn the_curves_of_a_longer_prompt_are_seen_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    inside_mut(&mut bench).send(CaptureCommand::EditCapture(Box::new(CaptureSettings {
        source: PromptSource::Text,
        text: "The code of Karin is yellow.".to_owned(),
        windows: vec!["last:2".to_owned()],
        ..CaptureSettings::default()
    })));
    inside_mut(&mut bench).send(CaptureCommand::RunCapture);
    wait_for(&mut bench, "the short prompt", shows_a_sample);
    bench.run_steps(3);
    inside_mut(&mut bench).send(SessionCommand::OpenSession(session().to_owned()));
    wait_for(&mut bench, "the long prompt", |workbench| {
        let shown = workbench.data().shown();
        workbench.data().jobs.is_empty()
            && shown.is_some_and(|shown| shown.sample.record.prompt_ids.len() > 400)
    });
    bench.run_steps(3);
    let plot = bench.get_by_label("Curves over the budget").rect();
    let at = plot.right_center() - egui::vec2(3.0, 0.0);
    bench.drag_at(at);
    bench.run_steps(2);
    bench.drop_at(at);
    bench.run_steps(3);
    let budget = inside(&bench).derived().budget_tokens();
    assert!(
        budget > 400,
        "the right end of the curves is at {budget} tokens"
    );
}

#[test]
fn one_damaged_sample_does_not_close_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = session_with_a_changed_bit(folder.path());
    let mut bench = bench(folder.path(), Settings::default());
    inside_mut(&mut bench).send(SessionCommand::OpenSession(damaged.clone()));
    wait_for(&mut bench, "the session", shows_a_sample);
    let data = inside(&bench).data();
    assert!(data.is_open(&damaged));
    assert_eq!(data.shown().unwrap().index, 1, "the first that is whole");
    let id = data.session.as_ref().unwrap().info.samples[0].id.clone();
    let mut log = data.log.iter();
    let warned = log.find(|line| line.severity == Severity::Warning).unwrap();
    assert!(warned.text.contains(&id), "{}", warned.text);
    // asked for by itself, it says what is wrong, and the other one stays
    inside_mut(&mut bench).send(SessionCommand::SelectSample(0));
    wait_for(&mut bench, "the refusal", |workbench| {
        let mut log = workbench.data().log.iter();
        log.any(|line| line.severity == Severity::Error)
    });
    assert_eq!(inside(&bench).data().shown().unwrap().index, 1);
}

#[test]
fn a_damaged_sample_is_marked_in_the_list_and_stepped_over() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = damaged_session(folder.path(), |name, bytes| {
        if name == "sample-00001.safetensors" {
            *bytes.last_mut().unwrap() ^= 1;
        }
    });
    let mut bench = bench(folder.path(), Settings::default());
    inside_mut(&mut bench).send(SessionCommand::OpenSession(damaged));
    wait_for(&mut bench, "the session", shows_a_sample);
    let ids: Vec<String> = {
        let info = &inside(&bench).data().session.as_ref().unwrap().info;
        info.samples.iter().map(|row| row.id.clone()).collect()
    };
    let mark = format!("{} cannot be read", ids[1]);
    assert!(
        bench.query_by_label(&mark).is_none(),
        "nobody looked at it yet"
    );
    bench.get_by_label(&ids[1]).click();
    bench.run_steps(2);
    wait_for(&mut bench, "the refusal", Workbench::is_idle);
    let log = &inside(&bench).data().log;
    let told: Vec<_> = log
        .iter()
        .filter(|line| line.text.contains("SHA-256 differs"))
        .collect();
    assert_eq!(told.len(), 1, "once: {told:?}");
    assert!(told[0].severity == Severity::Error && told[0].text.contains(&ids[1]));
    bench.run_steps(3);
    // the name stands beside the mark
    let (sign, name) = (
        bench.get_by_label(&mark).rect(),
        bench.get_by_label(&ids[1]).rect(),
    );
    assert!(name.left() > sign.right() && name.y_range().contains(sign.center().y));
    bench.get_by_label(&mark).hover();
    bench.run_steps(60);
    let why = format!("{}: ", ids[1]);
    assert!(
        bench.query_all_by_label_contains(&why).count() > 0,
        "the reason stands at the pointer"
    );
    // the next one is the next that can be read
    inside_mut(&mut bench).send(SessionCommand::StepSample(1));
    wait_for(&mut bench, "the sample behind it", |workbench| {
        workbench.data().shown().unwrap().index == 2
    });
    inside_mut(&mut bench).send(SessionCommand::StepSample(-1));
    wait_for(&mut bench, "the sample before it", |workbench| {
        workbench.data().shown().unwrap().index == 0
    });
}

#[test]
fn the_list_of_samples_comes_to_the_one_on_show_however_it_was_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let (info, sample) = fixture::read();
    let rows = (0..60).map(|number| SampleRow {
        id: format!("prompt-{number:02}"),
        ..info.samples[1].clone()
    });
    let info = SessionInfo {
        samples: rows.collect(),
        ..info
    };
    let mut bench = bench(folder.path(), Settings::default());
    fixture::show_measured(inside_mut(&mut bench), info.clone(), sample.clone());
    bench.run_steps(3);
    assert!(bench.query_by_label("prompt-45").is_none(), "far below");
    inside_mut(&mut bench).receive(Event::SampleMeasured {
        slot: Slot::Main,
        path: info.path,
        index: 45,
        options: Default::default(),
        sample: Arc::new(sample),
    });
    bench.run_steps(3);
    let row = bench.get_all_by_label("prompt-45");
    let heights: Vec<f32> = row.map(|node| node.rect().center().y).collect();
    let samples = bench.get_by_label("Samples").rect();
    assert!(
        heights.iter().any(|y| *y > samples.bottom()),
        "{heights:?} below {samples:?}"
    );
    // and may be scrolled away again
    let over = bench.get_by_label("prompt-44").rect().center();
    bench.hover_at(over);
    bench.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        source: egui::MouseWheelSource::Wheel,
        delta: egui::vec2(0.0, 5000.0),
        phase: egui::TouchPhase::Move,
        modifiers: egui::Modifiers::NONE,
    });
    bench.run_steps(30);
    assert!(bench.query_by_label("prompt-02").is_some());
}

#[test]
fn a_packed_session_is_unpacked_beside_itself_and_opened() {
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("shared.kvlens.zip");
    let scores = Shrink {
        keep: Keep::Scores,
        numbers: None,
    };
    let never = CancelFlag::default();
    let whole = Session::open(session()).unwrap();
    pack(&whole, &packed, scores, &mut |_, _| {}, &never).unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    inside_mut(&mut bench).send(SessionCommand::OpenSession(packed.clone()));
    wait_for(&mut bench, "the session", shows_a_sample);
    let unpacked = folder.path().join("shared.kvlens");
    let data = inside(&bench).data();
    assert!(data.is_open(&unpacked));
    assert_eq!(data.session.as_ref().unwrap().info.samples.len(), 4);
    // another session in its place is not taken for it, nor one in the place beside that
    std::fs::remove_dir_all(&unpacked).unwrap();
    let other = damaged_session(folder.path(), |_, _| {});
    std::fs::rename(other, &unpacked).unwrap();
    inside_mut(&mut bench).send(SessionCommand::OpenSession(packed.clone()));
    let beside = folder.path().join("shared-packed.kvlens");
    wait_for(&mut bench, "the session beside", |workbench| {
        workbench.data().is_open(&beside) && shows_a_sample(workbench)
    });
    std::fs::remove_dir_all(&beside).unwrap();
    let other = damaged_session(folder.path(), |_, _| {});
    std::fs::rename(other, &beside).unwrap();
    inside_mut(&mut bench).send(SessionCommand::OpenSession(packed));
    wait_for(&mut bench, "the refusal", |workbench| {
        let mut log = workbench.data().log.iter();
        log.any(|line| {
            line.text
                .contains("other sessions lie where it would be unpacked")
        })
    });
}

#[test]
fn a_file_of_prompts_where_a_session_is_expected_is_offered_to_be_captured() {
    let folder = tempfile::tempdir().unwrap();
    let prompts = folder.path().join("mine.jsonl");
    std::fs::write(&prompts, "{\"prompt\": \"Karin's code is yellow.\"}\n").unwrap();
    let mut bench = opened(folder.path());
    inside_mut(&mut bench).send(LayoutCommand::ToggleCapturePanel);
    inside_mut(&mut bench).send(SessionCommand::OpenSession(prompts.clone()));
    bench.run_steps(4);
    let settings = inside(&bench).settings();
    assert_eq!(settings.capture.source, PromptSource::File);
    assert_eq!(settings.capture.data, prompts.display().to_string());
    assert!(
        bench.query_by_label("Run").is_some(),
        "the panel is in sight"
    );
    assert!(inside(&bench).data().is_open(session()));
    let log = &inside(&bench).data().log;
    assert!(log.iter().any(|line| line.text.contains("press Run")));
    assert!(log.iter().all(|line| line.severity != Severity::Error));
}

#[test]
fn a_long_message_wraps_and_covers_no_bar() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let nowhere = format!("/no/such/place/{}/run.kvlens", "deep/".repeat(60));
    inside_mut(&mut bench).send(SessionCommand::OpenSession(nowhere.into()));
    wait_for(&mut bench, "the refusal", |workbench| {
        let mut log = workbench.data().log.iter();
        workbench.data().jobs.is_empty() && log.any(|line| line.severity == Severity::Error)
    });
    bench.run_steps(4);
    let message = bench.get_by_label_contains("no/such/place").rect();
    let window = bench.ctx.content_rect();
    assert!(window.contains_rect(message), "{message:?} in {window:?}");
    assert!(message.height() > 30.0, "it wraps: {message:?}");
    for bar in ["Budget in tokens", "Budget", "Run", "Sample after"] {
        let bar_rect = bench.get_by_label(bar).rect();
        assert!(
            !message.intersects(bar_rect),
            "{bar}: {bar_rect:?}, {message:?}"
        );
    }
    bench.get_by_label("Close the message").click();
    bench.run_steps(3);
    assert!(bench.query_by_label_contains("no/such/place").is_none());
}
