//! User stories, driven by accessible label through the code that the program draws with.

use std::path::Path;

use crate::common::{Bench, bench, inside, inside_mut, session, shows_a_sample, wait_for};
use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use kvlens::gui::capture_settings::{CaptureSettings, PromptSource};
use kvlens::gui::command::{
    CaptureCommand, JobCommand, LayoutCommand, LookCommand, SessionCommand,
};
use kvlens::gui::data::Severity;
use kvlens::gui::state::{HeadAddress, Settings, ThemeChoice};
use kvlens_analysis::{Budget, Metric};
use kvlens_sessions::Session;

/// A workbench with the shared session on show.
fn opened<'a>(folder: &Path) -> Bench<'a> {
    let mut bench = bench(folder, Settings::default());
    inside_mut(&mut bench).send(SessionCommand::OpenSession(session().to_owned()));
    wait_for(&mut bench, "the session", shows_a_sample);
    bench
}

/// The inspector's number, as a screen reader would say it.
fn inspector_number(bench: &Bench<'_>, what: &str) -> f64 {
    let node = bench.get_by_label_contains(what);
    let node = node.accesskit_node();
    // A label says its text as its value.
    let said = node.label().or_else(|| node.value()).unwrap();
    said.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn the_demo_runs_from_the_empty_state() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    assert!(bench.query_by_label("Recall vs budget").is_none());
    bench.get_by_label("Run the demo").click();
    bench.run_steps(3);
    assert!(inside(&bench).data().capture_job().is_some());
    assert!(bench.query_all_by_label("Cancel").count() > 0);
    wait_for(&mut bench, "the first sample", |workbench| {
        workbench.data().shown().is_some()
    });
    assert!(
        inside(&bench).data().capture_job().is_some(),
        "the first sample is shown while the others are captured"
    );
    wait_for(&mut bench, "the demo", shows_a_sample);

    let session = inside(&bench).data().session.as_ref().unwrap();
    assert_eq!(session.info.samples.len(), 8);
    assert_eq!(session.info.name, "demo");
    assert!(folder.path().join("demo.kvlens/manifest.json").is_file());
    assert!(bench.query_by_label("Recall vs budget").is_some());
    assert!(bench.query_by_label("Strip of the whole prompt").is_some());
    assert!(inside(&bench).derived().budget_tokens() > 1);
}

#[test]
fn the_budget_moves_every_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let before = inside(&bench).derived().budget_tokens();
    let recall_before = inspector_number(&bench, "recall of last:32");

    let slider = bench
        .get_by_role_and_label(Role::Slider, "Budget in tokens")
        .rect();
    bench.drag_at(slider.center());
    bench.run_steps(2);
    bench.hover_at(slider.right_center() - egui::vec2(2.0, 0.0));
    bench.run_steps(2);
    bench.drop_at(slider.right_center() - egui::vec2(2.0, 0.0));
    bench.run_steps(3);

    let prompt_tokens = inside(&bench)
        .data()
        .shown()
        .unwrap()
        .sample
        .record
        .prompt_ids
        .len();
    assert!(inside(&bench).derived().budget_tokens() > before);
    assert_eq!(inside(&bench).derived().budget_tokens(), prompt_tokens);
    // every window holds all tokens there, so that nothing is compared
    assert!(bench.query_by_label("recall of last:32: –").is_some());
    assert!(recall_before < 1.0);

    // The same number that the analysis gives for the mean over all heads.
    inside_mut(&mut bench).send(LookCommand::SetBudget(Budget::Tokens(16)));
    bench.run_steps(2);
    let shown = inside(&bench).data().shown().unwrap().clone();
    let window = &shown.sample.windows[0].comparison;
    let index = window
        .budgets
        .iter()
        .position(|budget| *budget == 16)
        .unwrap();
    let expected = window.mean(Metric::Recall, index);
    let said = inspector_number(&bench, "recall of last:32");
    assert!(
        (said - expected).abs() <= 0.0005,
        "{said} is not {expected}"
    );
}

#[test]
fn keys_step_the_budget_and_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let budget = |bench: &Bench<'_>| inside(bench).derived().budget_tokens();
    let before = budget(&bench);
    bench.key_press(egui::Key::ArrowRight);
    bench.run_steps(2);
    assert_eq!(budget(&bench), before + 1);
    bench.key_press(egui::Key::OpenBracket);
    bench.run_steps(2);
    assert_eq!(budget(&bench), before - 15);
    bench.key_press(egui::Key::ArrowDown);
    bench.run_steps(2);
    wait_for(&mut bench, "the next sample", |workbench| {
        shows_a_sample(workbench)
            && workbench
                .data()
                .shown()
                .is_some_and(|shown| shown.index == 1)
    });
}

#[test]
fn the_typed_budget_is_taken_when_it_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let type_budget = |bench: &mut Bench<'_>, text: &str| {
        bench
            .get_by_role_and_label(Role::TextInput, "Budget")
            .click();
        bench.run_steps(2);
        bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
        bench.run_steps(1);
        bench.event(egui::Event::Text(text.to_owned()));
        bench.run_steps(2);
        bench.key_press(egui::Key::Enter);
        bench.run_steps(3);
    };
    type_budget(&mut bench, "64");
    assert_eq!(inside(&bench).settings().choices.budget, Budget::Tokens(64));
    assert_eq!(inside(&bench).derived().budget_tokens(), 64);
    type_budget(&mut bench, "many");
    assert_eq!(inside(&bench).settings().choices.budget, Budget::Tokens(64));
    type_budget(&mut bench, "5%");
    assert_eq!(
        inside(&bench).settings().choices.budget,
        Budget::Fraction(0.05)
    );
}

#[test]
fn selecting_a_head_in_the_map_changes_all_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    inside_mut(&mut bench).send(LookCommand::SetBudget(Budget::Tokens(16)));
    bench.run_steps(2);
    let all = inspector_number(&bench, "recall of last:32");

    let map = bench.get_by_label("Layer by head map").rect();
    // The map's cells begin right of the numbers of the layers, and layer 0 lies at the bottom.
    let top_left = map.min + egui::vec2(52.0, 10.0);
    bench.hover_at(top_left);
    bench.run_steps(1);
    bench.drag_at(top_left);
    bench.run_steps(1);
    bench.drop_at(top_left);
    bench.run_steps(3);

    let heads = inside(&bench).settings().choices.heads.clone();
    let info = inside(&bench).data().session.as_ref().unwrap().info.clone();
    assert!(!heads.is_empty());
    assert!(heads.contains(&HeadAddress {
        layer: info.layers - 1,
        head: 0
    }));
    let shown = inside(&bench).data().shown().unwrap().clone();
    let window = &shown.sample.windows[0].comparison;
    let index = window
        .budgets
        .iter()
        .position(|budget| *budget == 16)
        .unwrap();
    let expected = window.head(info.layers - 1, 0).curves.recall[index];
    let one = inspector_number(&bench, "recall of last:32");
    assert!((one - expected).abs() <= 0.0005, "{one} is not {expected}");
    assert_ne!(one, all);

    bench.get_by_role_and_label(Role::Button, "All").click();
    bench.run_steps(3);
    assert_eq!(inspector_number(&bench, "recall of last:32"), all);
}

#[test]
fn heads_can_be_typed_and_the_choice_undone() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    bench.run_steps(12);
    bench
        .get_by_role_and_label(Role::TextInput, "Heads")
        .click();
    bench.run_steps(2);
    bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    bench.run_steps(1);
    bench.event(egui::Event::Text("1.*, 0.2".to_owned()));
    bench.run_steps(2);
    bench.key_press(egui::Key::Enter);
    bench.run_steps(12);
    let heads = inside(&bench).settings().choices.heads.len();
    let query_heads = inside(&bench)
        .data()
        .session
        .as_ref()
        .unwrap()
        .info
        .query_heads;
    assert_eq!(heads, query_heads + 1);
    bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Z);
    bench.run_steps(3);
    assert!(inside(&bench).settings().choices.heads.is_empty());
    bench.key_press_modifiers(
        egui::Modifiers::COMMAND | egui::Modifiers::SHIFT,
        egui::Key::Z,
    );
    bench.run_steps(3);
    assert_eq!(inside(&bench).settings().choices.heads.len(), heads);
}

#[test]
fn a_running_capture_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        capture: CaptureSettings {
            decode_tokens: 1000,
            ignore_eos: true,
            ..CaptureSettings::default()
        },
        ..Settings::default()
    };
    let mut bench = bench(folder.path(), settings);
    bench.run_steps(2);
    bench.get_by_label("Run").click();
    wait_for(&mut bench, "the capture to decode", |workbench| {
        let job = workbench.data().capture_job();
        job.is_some_and(|job| job.progress.stage == "Decode")
    });
    bench.get_all_by_label("Cancel").next().unwrap().click();
    bench.run_steps(3);
    bench.get_by_label("Stop the capture").click();
    wait_for(&mut bench, "the cancel", |workbench| {
        workbench.data().jobs.is_empty()
    });
    assert!(inside(&bench).data().session.is_none());
    let log = &inside(&bench).data().log;
    assert!(
        log.iter().any(|line| line.text.contains("Cancelled")),
        "{log:?}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_capture_that_is_cancelled_in_the_middle_keeps_what_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    bench.get_by_label("Run the demo").click();
    wait_for(&mut bench, "the first sample", |workbench| {
        workbench.data().shown().is_some()
    });
    inside_mut(&mut bench).send(JobCommand::StopCapture);
    wait_for(&mut bench, "the cancel", shows_a_sample);
    let session = inside(&bench).data().session.as_ref().unwrap();
    let kept = session.info.samples.len();
    assert!((1..8).contains(&kept), "{kept}");
    let on_disk = Session::open(&session.info.path).unwrap();
    assert_eq!(on_disk.sample_count(), kept);
}

#[test]
fn a_damaged_session_is_reported_and_the_open_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let damaged = folder.path().join("damaged.kvlens");
    std::fs::create_dir(&damaged).unwrap();
    for entry in std::fs::read_dir(session()).unwrap() {
        let entry = entry.unwrap();
        let mut bytes = std::fs::read(entry.path()).unwrap();
        if entry.file_name() != "manifest.json" {
            bytes.truncate(bytes.len() / 2);
        }
        std::fs::write(damaged.join(entry.file_name()), bytes).unwrap();
    }
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

#[test]
fn what_cannot_run_is_said_in_the_panel() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    let capture = CaptureSettings {
        windows: vec!["nonsense:3".to_owned()],
        ..CaptureSettings::default()
    };
    inside_mut(&mut bench).send(CaptureCommand::EditCapture(Box::new(capture)));
    bench.run_steps(2);
    bench.get_by_label("Run").click();
    bench.run_steps(3);
    let error = inside(&bench).data().capture_error.clone().unwrap();
    assert!(error.contains("nonsense"));
    assert!(bench.query_all_by_label_contains("nonsense").count() > 0);
    assert!(inside(&bench).data().capture_job().is_none());
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
fn the_theme_is_switched_and_panes_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    inside_mut(&mut bench).send(LayoutCommand::SetTheme(ThemeChoice::Light));
    bench.run_steps(3);
    assert!(!bench.ctx.global_style().visuals.dark_mode);
    inside_mut(&mut bench).send(LayoutCommand::SetTheme(ThemeChoice::Dark));
    bench.run_steps(3);
    assert!(bench.ctx.global_style().visuals.dark_mode);

    bench.get_by_label("View").click();
    bench.run_steps(3);
    bench
        .get_by_role_and_label(Role::CheckBox, "Inspector")
        .click();
    bench.run_steps(3);
    assert!(bench.query_by_label_contains("recall of last:32").is_none());
    inside_mut(&mut bench).send(LayoutCommand::ResetLayout);
    bench.run_steps(3);
    assert!(bench.query_by_label_contains("recall of last:32").is_some());
}

#[test]
fn the_question_mark_lists_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    bench.key_press(egui::Key::Questionmark);
    bench.run_steps(3);
    for entry in kvlens::gui::command::shortcuts() {
        let text = entry.full_text();
        assert!(bench.query_all_by_label(&text).count() > 0, "{text}");
    }
}

#[test]
fn what_a_capture_takes_is_said_before_it_runs_and_its_model_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    let edited = |model: &str| CaptureSettings {
        model: model.to_owned(),
        data: "demo:samples=1".to_owned(),
        source: kvlens::gui::capture_settings::PromptSource::File,
        decode_tokens: 4,
        ..CaptureSettings::default()
    };
    inside_mut(&mut bench).send(CaptureCommand::EditCapture(Box::new(edited(
        "no/such-model",
    ))));
    wait_for(&mut bench, "what will be fetched", |workbench| {
        let said = workbench
            .data()
            .capture_memory
            .as_deref()
            .unwrap_or_default();
        said == "no/such-model will be fetched from the hub"
    });
    inside_mut(&mut bench).send(CaptureCommand::EditCapture(Box::new(edited("demo"))));
    wait_for(&mut bench, "the estimate", |workbench| {
        let said = workbench
            .data()
            .capture_memory
            .as_deref()
            .unwrap_or_default();
        said.starts_with("Memory: ") && said.contains("session: ")
    });
    bench.run_steps(2);
    assert!(bench.query_by_label_contains("Memory: ").is_some());
    assert!(bench.query_by_label("Recent models").is_none());
    inside_mut(&mut bench).send(CaptureCommand::RunCapture);
    wait_for(&mut bench, "the capture", shows_a_sample);
    assert_eq!(inside(&bench).settings().recent_models, ["demo"]);
    bench.run_steps(2);
    assert!(bench.query_by_label("Recent models").is_some());
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
fn a_checkpoint_folder_and_a_gguf_file_are_loaded_and_captured() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sessions/tests/fixtures");
    for model in ["qwen2-bias-tied", "gguf/llama-gqa-tied-rope3.gguf"] {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = bench(folder.path(), Settings::default());
        // a model of random weights says what no font can draw
        bench
            .ctx
            .set_missing_glyph_policy(egui::MissingGlyphPolicy::Tofu);
        bench.run_steps(2);
        let model = fixtures.join(model);
        inside_mut(&mut bench).send(CaptureCommand::EditCapture(Box::new(CaptureSettings {
            model: model.display().to_string(),
            source: PromptSource::Text,
            text: "The ferry stood in the shade, and the code of Karin is yellow.".to_owned(),
            windows: vec!["last:8".to_owned(), "laq:n=4".to_owned()],
            decode_tokens: 8,
            ignore_eos: true,
            ..CaptureSettings::default()
        })));
        bench.run_steps(2);
        bench.get_by_label("Run").click();
        bench.run_steps(2);
        wait_for(&mut bench, "the capture", |workbench| {
            shows_a_sample(workbench) || workbench.data().capture_error.is_some()
        });
        assert_eq!(inside(&bench).data().capture_error, None, "{model:?}");
        let shown = inside(&bench).data().shown().unwrap().clone();
        assert_eq!(shown.sample.record.generated_ids.len(), 8);

        // one head, two windows, one less the other
        let heads = vec![HeadAddress { layer: 1, head: 1 }];
        let change = kvlens::gui::state::SelectionChange::Replace;
        inside_mut(&mut bench).send(LookCommand::SelectHeads { heads, change });
        inside_mut(&mut bench).send(LookCommand::SetWindow("laq:n=4".to_owned()));
        inside_mut(&mut bench).send(LookCommand::SetMinus(Some("last:8".to_owned())));
        inside_mut(&mut bench).send(LookCommand::SetBudget(Budget::Tokens(4)));
        bench.run_steps(3);
        let laq = inspector_number(&bench, "recall of laq:n=4");
        let last = inspector_number(&bench, "recall of last:8");
        let map = inside(&bench).derived().map().unwrap();
        // heads that share keys share a cell
        let cell = map.heads + 1 / map.query_heads_per_cell;
        assert!((map.values[cell] - (laq - last)).abs() < 2e-3, "{model:?}");
    }
}
