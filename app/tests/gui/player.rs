//! Stories of the decode player: a row of attention at a time, and the cache that is left.

use std::path::Path;
use std::sync::Arc;

use crate::common::{
    Bench, bench, copied, fixture, inside, inside_mut, opened_at, send, session, wait_for,
};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::attention_picture::{AttentionBlock, AttentionKey, AttentionPicture};
use kvlens::gui::command::{ExportCommand, LayoutCommand, LookCommand};
use kvlens::gui::lanes::Event;
use kvlens::gui::layout::Pane;
use kvlens::gui::questions::Answer;
use kvlens::gui::state::{HeadAddress, SelectionChange, Settings};
use kvlens::gui::workbench::Workbench;
use kvlens_analysis::{Budget, selection};
use kvlens_sessions::Session;

fn step(bench: &Bench<'_>) -> usize {
    inside(bench).settings().choices.decode_step
}

#[test]
fn the_player_tells_what_of_each_steps_attention_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened_at(folder.path(), session(), Pane::PLAYER);
    let head = HeadAddress { layer: 1, head: 0 };
    let change = SelectionChange::Replace;
    let heads = vec![head];
    send(&mut bench, LookCommand::SelectHeads { heads, change });
    send(&mut bench, LookCommand::SetWindow("last:8".to_owned()));
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(52)));
    wait_for(&mut bench, "the attention", |workbench| {
        let picture = workbench.data().answers.attention.value();
        workbench.is_idle()
            && picture.is_some_and(|it| it.key.head == Some(head) && it.key.window == "last:8")
    });
    bench.run_steps(2);
    assert!(bench.query_by_label("Cache at this step").is_some());

    // the same from the session's tensors and the window's ranking
    let sample = inside(&bench).data().shown().unwrap().sample.clone();
    let mut windows = sample.windows.iter();
    let window = windows.find(|window| window.label == "last:8").unwrap();
    let forced = window.keep_rule.at(52);
    let kept = selection(&window.ranked.rankings, 1, 0, forced, 52);
    let shown = inside(&bench).derived().kept_for_player().unwrap();
    assert_eq!(shown, kept);
    let captured = Session::open(session()).unwrap().load_sample(0).unwrap();
    let rows = captured.oracle().query_rows().unwrap();
    let weights = &captured.keys().attention_rows(rows, 1, 0).unwrap()[0];
    let tokens = sample.record.prompt_ids.len();

    inside_mut(&mut bench).send(ExportCommand::CopyNumbers(Pane::PLAYER));
    bench.step();
    let table = copied(&bench);
    let lines = table.lines().map(|line| line.split('\t').collect());
    let lines: Vec<Vec<&str>> = lines.collect();
    let steps = weights.len() / tokens;
    assert_eq!(lines.len(), 1 + steps);
    let words = lines[1..].iter().map(|line| line[2]);
    let words = words.filter(|word| !word.starts_with("<|"));
    assert_eq!(words.collect::<String>(), captured.record.generated);
    for (line, row) in lines[1..].iter().zip(weights.chunks_exact(tokens)) {
        let stays = row.iter().zip(&kept).filter(|(_, kept)| **kept);
        let expected: f64 = stays.map(|(weight, _)| f64::from(*weight)).sum();
        let told: f64 = line[3].parse().unwrap();
        assert!((told - expected).abs() < 1e-6, "{line:?}");
        let all: f64 = row.iter().map(|weight| f64::from(*weight)).sum();
        let gone: f64 = line[4].parse().unwrap();
        assert!((told + gone - all).abs() < 1e-5);
    }
}

#[test]
fn keys_and_buttons_go_from_step_to_step_and_stop_at_the_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened_at(folder.path(), session(), Pane::PLAYER);
    wait_for(&mut bench, "the mean of all heads", Workbench::is_idle);
    bench.run_steps(2);
    assert!(bench.query_by_label("Mean of all heads").is_some());
    let texts = inside(&bench)
        .data()
        .shown()
        .unwrap()
        .sample
        .record
        .generated_texts
        .clone();
    bench
        .get_by_label(&format!("Step 5 {:?}", texts[4]))
        .click();
    bench.run_steps(2);
    assert_eq!(step(&bench), 4, "a word leads to its step");
    bench.get_by_label("First step").click();
    bench.run_steps(2);
    bench.key_press(egui::Key::Comma);
    bench.run_steps(2);
    assert_eq!(step(&bench), 0, "there is none before the first");
    for _ in 0..2 {
        bench.key_press(egui::Key::Period);
        bench.run_steps(2);
    }
    assert_eq!(step(&bench), 2);
    bench.get_by_label("Step before (comma)").click();
    bench.run_steps(2);
    assert_eq!(step(&bench), 1);
    bench.get_by_label("First step").click();
    bench.run_steps(2);
    assert_eq!(step(&bench), 0);
    inside_mut(&mut bench).send(LookCommand::StepDecode(1000));
    bench.run_steps(3);
    let sample = &inside(&bench).data().shown().unwrap().sample;
    let steps = sample.record.generated_ids.len();
    assert_eq!(step(&bench), steps - 1);
    let text = format!("step {steps} of {steps}");
    assert!(bench.query_by_label(&text).is_some(), "{text}");
}

#[test]
fn a_session_that_holds_no_words_of_the_answer_says_why_and_what_the_answer_reads() {
    let mut bench = bench(Path::new("nowhere"), Settings::default());
    let (info, mut sample) = fixture::read();
    sample.record.generated_texts.clear();
    sample.record.generated = "the ochre goldfish".to_owned();
    let tokens = sample.record.prompt_ids.len();
    let steps = sample.record.generated_ids.len();
    let window = sample.windows[0].label.clone();
    let workbench = inside_mut(&mut bench);
    fixture::show_measured(workbench, info, sample);
    let session = workbench.data().session.clone().unwrap();
    let picture = AttentionPicture {
        key: AttentionKey {
            sample: session.place().unwrap(),
            head: None,
            window,
        },
        tokens,
        columns: tokens,
        decode: AttentionBlock {
            label: "decode".to_owned(),
            positions: (tokens..tokens + steps).map(|at| at as u32).collect(),
            texts: vec![String::new(); steps],
            weights: vec![1.0 / tokens as f32; steps * tokens],
        },
        window: None,
        percentile_99: 0.1,
    };
    workbench.receive(Event::Answered(Answer::Attention(Arc::new(picture))));
    send(&mut bench, LayoutCommand::ShowPane(Pane::PLAYER));
    wait_for(&mut bench, "the player", Workbench::is_idle);
    assert!(
        bench
            .query_by_label_contains("an older program captured it")
            .is_some()
    );
    let answers = bench.query_all_by_label("the ochre goldfish");
    assert_eq!(answers.count(), 2, "here and in the inspector");
    // no empty quotes where there is no word
    assert!(
        bench
            .query_by_label_contains("\"\" looks at the prompt")
            .is_none()
    );
}
