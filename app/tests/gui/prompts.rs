//! Stories of choosing prompts: a file that is brought in, and a task with its options.

use egui_kittest::kittest::Queryable as _;
use kvlens::gui::capture_refusal::CapturePart;
use kvlens::gui::capture_settings::{CaptureSettings, PromptSource};
use kvlens::gui::command::{CaptureCommand, SessionCommand};
use kvlens::gui::state::Settings;

use crate::common::{bench, inside, inside_mut, wait_for};

const ROWS: &str = r#"{"context":"Ann lives in Rome. Bo sells tea.","ask":"Where does Ann live?","answer":"Rome","task":"qa","source":"hand"}
{"context":"Cy left for Oslo.","ask":"Where did Cy go?","answer":"Oslo","task":"qa"}
{"prompt":"Say something.","task":"talk"}
"#;

/// What the panel tells of the prompts, a line each.
fn told(workbench: &kvlens::gui::workbench::Workbench) -> Vec<String> {
    let preview = workbench.data().capture_prompts.as_ref();
    let mut lines = preview.map_or_else(Vec::new, |preview| {
        let tasks = preview.tasks.iter().map(|task| task.line());
        tasks.chain(preview.report.iter().cloned()).collect()
    });
    let refusal = workbench.data().capture_refusal(CapturePart::Prompts);
    lines.extend(refusal.map(str::to_owned));
    lines
}

#[test]
fn a_file_that_is_brought_in_shows_its_tasks_and_what_is_read_as_what() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.jsonl");
    std::fs::write(&path, ROWS).unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    // what a drop sends
    inside_mut(&mut bench).send(SessionCommand::OpenSession(path));
    bench.run_steps(3);
    bench.get_by_label("Which of them").click();
    bench.run_steps(20);
    bench
        .get_by_label("Leave out rows that are no prompt")
        .click();
    bench.run_steps(3);
    bench.get_by_label("Fields of a file").focus();
    bench.run_steps(2);
    bench
        .get_by_label("Fields of a file")
        .type_text("question=ask");
    bench.run_steps(3);
    assert_eq!(
        inside(&bench).settings().capture.prompts.field,
        ["question=ask"]
    );
    wait_for(&mut bench, "what is read as what", |workbench| {
        told(workbench)
            .iter()
            .any(|line| line.contains("ask as question"))
    });
    let lines = told(inside(&bench));
    let has = |words: &str| lines.iter().any(|line| line.contains(words));
    assert!(has("qa: 2 prompts of "), "{lines:?}");
    assert!(has("talk: 1 prompt of "), "{lines:?}");
    assert!(has("not read: source (in 1 of 3)"), "{lines:?}");
}

#[test]
fn a_task_has_its_options_as_fields_and_its_prompts_are_counted_in_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        capture: CaptureSettings {
            source: PromptSource::File,
            data: "niah_single_2:length=256,samples=2".to_owned(),
            ..CaptureSettings::default()
        },
        ..Settings::default()
    };
    let mut bench = bench(folder.path(), settings);
    bench.run_steps(2);
    let is_told = |workbench: &kvlens::gui::workbench::Workbench, words: &str| {
        told(workbench).iter().any(|line| line.contains(words))
    };
    wait_for(&mut bench, "the tokens", |workbench| {
        is_told(workbench, "niah_single_2: 2 prompts of 25")
    });
    bench.get_by_label("Options of niah_single_2").click();
    bench.run_steps(20);
    bench.get_by_label("seed").focus();
    bench.run_steps(2);
    bench.get_by_label("seed").type_text("7");
    bench.run_steps(3);
    bench
        .get_by_role_and_label(egui::accesskit::Role::ComboBox, "question")
        .click();
    bench.run_steps(5);
    bench.get_by_label("absent").click();
    bench.run_steps(3);
    let data = &inside(&bench).settings().capture.data;
    assert_eq!(
        data,
        "niah_single_2:length=256,samples=2,seed=7,question=absent"
    );
    wait_for(&mut bench, "the question", |workbench| {
        let preview = workbench.data().capture_prompts.as_ref();
        preview.is_some_and(|preview| preview.first.contains("Asked afterwards"))
    });
}

/// The line that tells the tokens goes while a window is no window, and comes when it is one again.
#[test]
fn a_window_is_typed_below_lines_that_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        capture: CaptureSettings {
            source: PromptSource::File,
            data: "niah_single_2:length=256,samples=2".to_owned(),
            windows: vec!["last:8".to_owned(), String::new()],
            ..CaptureSettings::default()
        },
        ..Settings::default()
    };
    let mut bench = bench(folder.path(), settings);
    bench.run_steps(2);
    let counts = |workbench: &kvlens::gui::workbench::Workbench| {
        told(workbench)
            .iter()
            .any(|line| line.contains("prompts of 25"))
    };
    wait_for(&mut bench, "the tokens", counts);
    bench.get_by_label("Window 2").focus();
    bench.run_steps(2);
    bench.get_by_label("Window 2").type_text("l");
    wait_for(
        &mut bench,
        "no tokens while the window is none",
        |workbench| !counts(workbench),
    );
    bench.run_steps(2);
    for letter in ["a", "q"] {
        bench.get_by_label("Window 2").type_text(letter);
        bench.run_steps(2);
    }
    assert!(bench.get_by_label("Window 2").is_focused());
    wait_for(&mut bench, "the tokens again", counts);
    assert_eq!(inside(&bench).settings().capture.windows, ["last:8", "laq"]);
}

#[test]
fn a_file_with_a_row_that_is_refused_still_shows_how_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, rows: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, rows).unwrap();
        path
    };
    let some = write("some.jsonl", ROWS);
    let none = write(
        "none.jsonl",
        "{\"context\":\"c\",\"ask\":\"q\",\"gold\":\"a\"}\n",
    );
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    for (path, lines) in [
        (
            some,
            &[
                "talk: 1 prompt of ",
                "left out: line 1 has a context but no question",
            ][..],
        ),
        (none, &["its fields are context, ask, gold"][..]),
    ] {
        inside_mut(&mut bench).send(SessionCommand::OpenSession(path));
        for words in lines {
            wait_for(&mut bench, words, |workbench| {
                told(workbench).iter().any(|line| line.contains(words))
            });
        }
    }
    // what the model has no positions for is said in full, too
    let mut edited = inside(&bench).settings().capture.clone();
    edited.data = "niah:length=4k,samples=1".to_owned();
    inside_mut(&mut bench).send(CaptureCommand::EditCapture(Box::new(edited)));
    wait_for(&mut bench, "the positions", |workbench| {
        let lines = told(workbench);
        lines.iter().any(|line| line.contains("the model has 4096"))
            && lines
                .iter()
                .any(|line| line.starts_with("niah: 1 prompt of 40"))
    });
}
