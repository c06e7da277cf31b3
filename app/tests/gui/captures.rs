//! Stories of captures: from the empty state, cancelled, refused, of models of every kind.

use std::path::Path;

use crate::common::{
    bench, copied, inside, inside_mut, inspector_number, send, shows_a_sample, wait_for,
};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::capture_refusal::CapturePart;
use kvlens::gui::capture_settings::{CaptureSettings, PromptSource};
use kvlens::gui::command::{CaptureCommand, JobCommand, LookCommand, SessionCommand};
use kvlens::gui::state::{HeadAddress, Settings};
use kvlens_analysis::Budget;
use kvlens_sessions::Session;

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
        let said = workbench.data().capture_estimate.clone();
        said == Some(Ok("no/such-model will be fetched from the hub".to_owned()))
    });
    inside_mut(&mut bench).send(CaptureCommand::EditCapture(Box::new(edited("demo"))));
    wait_for(&mut bench, "the estimate", |workbench| {
        let said = &workbench.data().capture_estimate;
        matches!(said, Some(Ok(said)) if said.starts_with("Needs about ") && said.ends_with(" of disk"))
    });
    bench.run_steps(2);
    assert!(bench.query_by_label_contains("Needs about ").is_some());
    assert!(bench.query_by_label("Recent models").is_none());
    inside_mut(&mut bench).send(CaptureCommand::RunCapture);
    wait_for(&mut bench, "the capture", shows_a_sample);
    assert_eq!(inside(&bench).settings().recent_models, ["demo"]);
    bench.run_steps(2);
    assert!(bench.query_by_label("Recent models").is_some());
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

        // one head, two windows, one minus the other
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

/// What a capture of six prompts is asked for by.
fn of_six(out: &Path) -> CaptureSettings {
    CaptureSettings {
        source: PromptSource::File,
        data: "demo:length=512,question=end\ndemo:question=start".to_owned(),
        windows: vec!["last:8".to_owned(), "laq:n=4".to_owned()],
        decode_tokens: 12,
        ignore_eos: true,
        out: out.display().to_string(),
        ..CaptureSettings::default()
    }
}

/// Every tensor of every sample of a session, as bytes.
fn samples_of(session: &Session) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(session.path()).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|ending| ending == "safetensors")
    });
    files.sort();
    let read = |file: std::path::PathBuf| {
        let bytes = std::fs::read(&file).unwrap();
        // the header tells times, which no two runs share; the numbers stand behind it
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        (name, bytes[8 + header..].to_vec())
    };
    files.into_iter().map(read).collect()
}

#[test]
fn a_capture_of_six_that_was_stopped_at_two_is_resumed_in_another_window_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let [stopped, unbroken] =
        ["stopped", "unbroken"].map(|name| folder.path().join(format!("{name}.kvlens")));
    let mut first = bench(folder.path(), Settings::default());
    inside_mut(&mut first).send(CaptureCommand::EditCapture(Box::new(of_six(&stopped))));
    inside_mut(&mut first).send(CaptureCommand::RunCapture);
    wait_for(&mut first, "the second sample", |workbench| {
        let session = workbench.data().session.as_ref();
        session.is_some_and(|session| session.info.samples.len() >= 2)
    });
    inside_mut(&mut first).send(JobCommand::StopCapture);
    wait_for(&mut first, "the cancel", shows_a_sample);
    let (_, lacking) = inside(&first).data().going_on().unwrap();
    let kept = Session::open(&stopped).unwrap().sample_count();
    assert_eq!(kept + lacking, 6);
    assert!((2..6).contains(&kept), "{kept}");
    let told = format!("{kept} finished samples were kept and {lacking} are to go");
    let log = &inside(&first).data().log;
    assert!(log.iter().any(|line| line.text.contains(&told)), "{log:?}");
    drop(first);

    // another window knows of it by the session alone
    let mut second = bench(folder.path(), Settings::default());
    inside_mut(&mut second).send(SessionCommand::OpenSession(stopped.clone()));
    wait_for(&mut second, "the session", shows_a_sample);
    second.run_steps(2);
    second
        .get_by_label(&format!("Resume stopped: {lacking} to go"))
        .click();
    second.run_steps(2);
    wait_for(&mut second, "the rest", |workbench| {
        shows_a_sample(workbench) && workbench.data().going_on().is_none()
    });
    let session = inside(&second).data().session.as_ref().unwrap();
    assert_eq!(session.info.samples.len(), 6);

    inside_mut(&mut second).send(CaptureCommand::EditCapture(Box::new(of_six(&unbroken))));
    inside_mut(&mut second).send(CaptureCommand::RunCapture);
    wait_for(&mut second, "the unbroken run", |workbench| {
        let session = workbench.data().session.as_ref();
        shows_a_sample(workbench)
            && session.is_some_and(|it| it.info.path == unbroken && it.info.samples.len() == 6)
    });
    let [stopped, unbroken] = [stopped, unbroken].map(|path| Session::open(&path).unwrap());
    let (resumed, whole) = (samples_of(&stopped), samples_of(&unbroken));
    assert_eq!(resumed.len(), 6);
    for (resumed, whole) in resumed.iter().zip(&whole) {
        assert_eq!(resumed.0, whole.0);
        assert!(resumed.1 == whole.1, "{} differs", resumed.0);
    }

    // the form takes up what the open session was captured by, and the command line says the same
    send(&mut second, CaptureCommand::EditCapture(Box::default()));
    send(&mut second, CaptureCommand::FollowSession);
    let followed = inside(&second).settings().capture.clone();
    let asked = of_six(Path::new(""));
    assert_eq!(followed, asked);
    inside_mut(&mut second).send(CaptureCommand::CopyCapture);
    second.step();
    let line = copied(&second);
    let words: Vec<&str> = line.split(' ').collect();
    let out = folder.path().join("typed.kvlens");
    let at = words.iter().position(|word| *word == "--out").unwrap();
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_kvlens"))
        .args(&words[1..at])
        .arg("--out")
        .arg(&out)
        .args(&words[at + 2..])
        .output()
        .unwrap();
    assert!(run.status.success(), "{line}: {run:?}");
    let typed = Session::open(&out).unwrap();
    assert_eq!(typed.manifest().plan, unbroken.manifest().plan);
}

#[test]
fn the_options_of_a_window_are_a_form() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    let capture = CaptureSettings {
        windows: vec!["lats:32".to_owned(), "laq:n=8".to_owned()],
        ..CaptureSettings::default()
    };
    send(&mut bench, CaptureCommand::EditCapture(Box::new(capture)));
    assert!(
        bench
            .query_by_label("there is no window 'lats', the nearest is 'last'")
            .is_some()
    );
    bench.get_by_label("Options of window 2").click();
    bench.run_steps(3);
    assert!(
        bench
            .query_by_label_contains("how that cache is evicted (default snapkv)")
            .is_some()
    );
}

#[test]
fn a_model_that_is_not_there_is_said_once_beside_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    let nowhere = folder.path().join("nowhere.gguf").display().to_string();
    let edited = CaptureSettings {
        model: nowhere.clone(),
        ..CaptureSettings::default()
    };
    inside_mut(&mut bench).send(CaptureCommand::EditCapture(Box::new(edited)));
    let refusal = |workbench: &kvlens::gui::workbench::Workbench| {
        let refusal = workbench.data().capture_refusal(CapturePart::Model);
        refusal.map(str::to_owned)
    };
    wait_for(&mut bench, "the refusal", |workbench| {
        refusal(workbench).is_some()
    });
    let sentence = refusal(inside(&bench)).unwrap();
    assert!(sentence.contains("nowhere.gguf"), "{sentence}");
    let said: Vec<_> = bench
        .get_all_by_label(&sentence)
        .map(|node| node.rect())
        .collect();
    assert_eq!(said.len(), 1, "once");
    let device = bench.get_all_by_label("Device").next().unwrap().rect();
    let between = bench.get_by_label("Model").rect().bottom()..device.top();
    assert!(
        between.contains(&said[0].center().y),
        "{said:?} in {between:?}"
    );
    // a try says it in the log, and not once more in the panel
    bench.get_by_label("Run").click();
    wait_for(&mut bench, "the capture", |workbench| {
        workbench.data().jobs.is_empty() && workbench.data().capture_error.is_some()
    });
    let error = inside(&bench).data().capture_error.clone().unwrap();
    let run = bench.get_by_label("Run").rect();
    let told = bench.query_all_by_label_contains(&error);
    assert!(
        told.map(|node| node.rect())
            .all(|rect| rect.left() > run.right() || rect.center().y < between.end),
        "not by the button"
    );
}

#[test]
fn windows_are_offered_in_two_columns_and_a_click_adds_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    let before = inside(&bench).settings().capture.windows.len();
    bench.get_by_label("Add window").click();
    bench.run_steps(5);
    let kinds = kvlens_sessions::windows::registered();
    let tova = kinds.iter().find(|kind| kind.name == "tova").unwrap();
    bench
        .get_by_label(&format!("tova: {}", tova.summary))
        .click();
    bench.run_steps(3);
    let windows = &inside(&bench).settings().capture.windows;
    assert_eq!(windows.len(), before + 1);
    assert_eq!(windows.last().unwrap(), tova.example);
}
