//! Stories of the palette, the presets and the views of attention, ranks and cost.

use std::path::Path;

use crate::common::{Bench, bench, inside, inside_mut, send, session, shows_a_sample, wait_for};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::command::{
    Command, ExportCommand, LayoutCommand, LessonCommand, LookCommand, ProgramCommand,
    SessionCommand,
};
use kvlens::gui::lanes::Event;
use kvlens::gui::layout::{Pane, Preset};
use kvlens::gui::state::{HeadAddress, SelectionChange, Settings};
use kvlens::gui::workbench::Workbench;
use kvlens::measurement::{MeasureOptions, OracleDefinition, measure_sample};
use kvlens_analysis::Metric;
use kvlens_sessions::Session;

fn opened<'a>(folder: &Path) -> Bench<'a> {
    let mut bench = bench(folder, Settings::default());
    inside_mut(&mut bench).send(SessionCommand::OpenSession(session().to_owned()));
    wait_for(&mut bench, "the session", shows_a_sample);
    bench
}

fn select(bench: &mut Bench<'_>, layer: usize, head: usize) {
    inside_mut(bench).send(LookCommand::SelectHeads {
        heads: vec![HeadAddress { layer, head }],
        change: SelectionChange::Replace,
    });
    bench.run_steps(2);
}

#[test]
fn a_command_is_found_by_its_letters() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::K);
    bench.run_steps(3);
    assert!(bench.query_by_label("Type a command").is_some());
    bench.get_by_label("Type a command").type_text("metjac");
    bench.run_steps(3);
    bench.key_press(egui::Key::Enter);
    bench.run_steps(3);
    assert_eq!(inside(&bench).settings().choices.metric, Metric::Jaccard);
    assert!(bench.query_by_label("Type a command").is_none());
    bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::P);
    bench.run_steps(3);
    assert!(bench.query_by_label("Type a command").is_some());
    bench.key_press(egui::Key::Escape);
    bench.run_steps(3);
    assert!(bench.query_by_label("Type a command").is_none());
}

#[test]
fn the_attention_of_a_head_is_what_the_session_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    inside_mut(&mut bench).send(LayoutCommand::ShowPane(Pane::ATTENTION));
    bench.run_steps(3);
    let of_any = |head: Option<HeadAddress>| {
        move |workbench: &kvlens::gui::workbench::Workbench| {
            let picture = workbench.data().answers.attention.value();
            picture.is_some_and(|picture| picture.key.head == head)
        }
    };
    let of = |head: HeadAddress| of_any(Some(head));
    // without a selection it is the mean of all heads
    wait_for(&mut bench, "the mean", of_any(None));
    let captured = Session::open(session()).unwrap().load_sample(0).unwrap();
    let mean = inside(&bench)
        .data()
        .answers
        .attention
        .value()
        .cloned()
        .unwrap();
    let rows = captured.oracle().query_rows().unwrap();
    let mut sum = 0.0;
    for (layer, group) in (0..4).flat_map(|layer| [(layer, 0), (layer, 1)]) {
        let heads = captured.keys().attention_rows(rows, layer, group).unwrap();
        sum += heads
            .iter()
            .map(|weights| f64::from(weights[7]))
            .sum::<f64>();
    }
    assert!((f64::from(mean.decode.weights[7]) - sum / 16.0).abs() < 1e-7);
    select(&mut bench, 2, 3);
    wait_for(
        &mut bench,
        "the attention",
        of(HeadAddress { layer: 2, head: 3 }),
    );
    assert!(bench.query_by_label("Attention of decode").is_some());
    assert!(bench.query_by_label("Attention of last:32").is_some());

    // four query heads share two key/value heads: head 3 is the second of group 1
    let expected = &captured.keys().attention_rows(rows, 2, 1).unwrap()[1];
    let picture = inside(&bench)
        .data()
        .answers
        .attention
        .value()
        .cloned()
        .unwrap();
    assert_eq!(&picture.decode.weights, expected);
    assert_eq!(picture.window.as_ref().unwrap().positions.len(), 32);

    select(&mut bench, 0, 0);
    wait_for(
        &mut bench,
        "another head",
        of(HeadAddress { layer: 0, head: 0 }),
    );
}

#[test]
fn every_view_of_a_preset_is_drawn_with_and_without_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    select(&mut bench, 1, 2);
    for preset in Preset::ALL {
        inside_mut(&mut bench).send(LayoutCommand::UsePreset(preset));
        for pane in Pane::all() {
            inside_mut(&mut bench).send(LayoutCommand::ShowPane(pane));
            bench.run_steps(2);
            assert!(
                bench.query_all_by_label(pane.title()).count() > 0,
                "{pane:?}"
            );
        }
    }
    inside_mut(&mut bench).send(LayoutCommand::ShowPane(Pane::RANK_AGREEMENT));
    inside_mut(&mut bench).send(LayoutCommand::ShowPane(Pane::COST));
    bench.run_steps(3);
    assert!(bench.query_by_label("MFLOP").is_some());
    let ranks = inside(&bench).derived().rank_agreement().unwrap();
    let bins = ranks.density.bins();
    let first_row: f64 = ranks.shares[..bins].iter().sum();
    assert!((first_row - 1.0).abs() < 1e-5);
    assert_eq!(ranks.heads, 1);
}

#[test]
fn the_question_mark_of_a_view_explains_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    bench.get_by_label("Help for Recall vs budget").click();
    bench.run_steps(3);
    assert!(bench.query_by_label("What it shows").is_some());
    assert!(bench.query_all_by_label_contains("|top_B(truth)").count() > 0);
    bench.get_by_label("Help for Tokens").click();
    bench.run_steps(3);
    assert!(bench.query_by_label_contains("framed ones").is_some());
    bench.get_by_label("Help for Tokens").click();
    bench.run_steps(3);
    assert!(bench.query_by_label("What it shows").is_none());
    inside_mut(&mut bench).send(ProgramCommand::ToggleHelp(None));
    bench.run_steps(3);
    assert!(bench.query_by_label("Forced-keep tokens").is_some());
}

#[test]
fn curves_stand_layer_by_layer_and_a_click_selects_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    bench.get_by_label("By layer").click();
    bench.run_steps(3);
    let curves = inside(&bench).derived().by_layer();
    let layers = inside(&bench).data().session.as_ref().unwrap().info.layers;
    assert_eq!(curves.len(), layers);
    let shown = inside(&bench).data().shown().unwrap().clone();
    let comparison = &shown.sample.windows[1].comparison;
    let heads: Vec<_> = (0..comparison.heads).map(|head| (2, head)).collect();
    let expected = comparison.band(Metric::Recall, &heads).mean;
    // as text: what is undefined is not equal to itself
    assert_eq!(format!("{:?}", curves[2].means[1]), format!("{expected:?}"));
    bench.get_by_label("Layer 2").click();
    bench.run_steps(3);
    let selected = &inside(&bench).settings().choices.heads;
    assert!(selected.len() == 4 && selected.iter().all(|head| head.layer == 2));
    bench.get_by_label("By layer").click();
    bench.run_steps(3);
    assert!(bench.query_by_label("Curves of layer 2").is_none());
}

#[test]
fn a_lesson_captures_what_it_needs_and_its_steps_set_the_views() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    bench.get_by_label("Why the last window misses").click();
    bench.run_steps(3);
    assert!(
        bench
            .query_by_label_contains("Guess from the end of the prompt")
            .is_some()
    );
    wait_for(&mut bench, "the lesson's prompts", |workbench| {
        shows_a_sample(workbench) && workbench.data().shown().unwrap().index == 0
    });
    bench.run_steps(30);
    let place = |bench: &Bench<'_>| {
        let session = inside(bench).data().session.as_ref().unwrap();
        let index = session.shown.as_ref().unwrap().index;
        session.info.samples[index].id.clone()
    };
    assert!(place(&bench).contains("end"));
    assert_eq!(inside(&bench).derived().window.as_deref(), Some("last:8"));
    bench.get_by_label("Next").click();
    bench.run_steps(3);
    assert!(
        bench
            .query_by_label_contains("Ask at the start instead")
            .is_some()
    );
    // the views are set after the prediction
    bench.get_by_label("none").click();
    bench.run_steps(3);
    wait_for(&mut bench, "the other prompt", |workbench| {
        let shown = workbench.data().shown().unwrap();
        workbench.data().jobs.is_empty() && shown.index == 1
    });
    assert!(place(&bench).contains("start"));
    let kept = inside(&bench).derived().evidence();
    assert!(
        kept.window < kept.oracle,
        "{kept:?}: the lesson would be wrong"
    );
    bench.get_by_label("End the lesson").click();
    bench.run_steps(3);
    assert!(bench.query_by_label("Try it").is_none());
}

#[test]
fn escape_closes_what_is_open_before_it_stops_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    bench.get_by_label("Edit").click();
    bench.run_steps(3);
    assert!(bench.query_by_label_contains("Redo").is_some());
    bench.key_press(egui::Key::Escape);
    bench.run_steps(3);
    assert!(bench.query_by_label_contains("Redo").is_none());
    for open in [
        Command::from(ExportCommand::ToggleExport(None)),
        ProgramCommand::ToggleShortcuts.into(),
        ProgramCommand::ToggleHelp(None).into(),
    ] {
        let titles = ["Copy command", "Budget one step down", "Forced-keep tokens"];
        inside_mut(&mut bench).send(open.clone());
        bench.run_steps(3);
        let is_open = |bench: &Bench<'_>| {
            let mut titles = titles.iter();
            titles.any(|title| bench.query_by_label(title).is_some())
        };
        assert!(is_open(&bench), "{open:?}");
        bench.key_press(egui::Key::Escape);
        bench.run_steps(3);
        assert!(!is_open(&bench), "{open:?}");
    }
}

#[test]
fn undo_brings_the_panes_back_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    // a step of undo is what has stood still for a second
    bench.run_steps(150);
    inside_mut(&mut bench).send(LayoutCommand::TogglePane(Pane::TOKENS));
    bench.run_steps(150);
    assert!(!inside(&bench).layout().has(Pane::TOKENS));
    bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Z);
    bench.run_steps(3);
    assert!(inside(&bench).layout().has(Pane::TOKENS));
    inside_mut(&mut bench).send(LookCommand::Redo);
    bench.run_steps(3);
    assert!(!inside(&bench).layout().has(Pane::TOKENS));
}

#[test]
fn the_heads_where_the_last_window_misses_the_needle_are_found_in_the_map() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    inside_mut(&mut bench).send(SessionCommand::SelectSample(1));
    wait_for(&mut bench, "the question at the start", |workbench| {
        shows_a_sample(workbench) && workbench.data().shown().unwrap().index == 1
    });
    inside_mut(&mut bench).send(LookCommand::SetWindow("last:8".to_owned()));
    inside_mut(&mut bench).send(LookCommand::SetBudget(kvlens_analysis::Budget::Fraction(
        0.1,
    )));
    bench.run_steps(3);
    let map = inside(&bench).derived().map().unwrap().clone();
    // per head: needed tokens among the best of the decode stage, and among those of the window
    let shown = inside(&bench).data().shown().unwrap().clone();
    let budget = inside(&bench).derived().budget_tokens();
    let window = &shown.sample.windows[1];
    assert_eq!(window.label, "last:8");
    let forced_keep = window.keep_rule.at(budget);
    let kept = |rankings: &kvlens_analysis::Rankings, head: usize| {
        let (layer, head) = (head / map.heads, head % map.heads);
        let kept = kvlens_analysis::selection(rankings, layer, head, forced_keep, budget);
        let needed = shown
            .sample
            .record
            .evidence_tokens
            .iter()
            .cloned()
            .flatten();
        needed.filter(|token| kept[*token]).count()
    };
    let missed = |head: &usize| {
        kept(&shown.sample.truth.rankings, *head) as i64
            - kept(&window.ranked.rankings, *head) as i64
    };
    let worst = (0..map.values.len()).max_by_key(missed).unwrap();
    assert!(missed(&worst) > 0, "the window misses nothing");
    let brightest = map.values.iter().copied().fold(0.0, f64::max);
    assert!(
        map.values[worst] < brightest,
        "the head that misses most is not the brightest"
    );

    select(&mut bench, worst / map.heads, worst % map.heads);
    let evidence = inside(&bench).derived().evidence();
    assert_eq!(
        (evidence.oracle, evidence.window),
        (
            kept(&shown.sample.truth.rankings, worst),
            kept(&window.ranked.rankings, worst)
        ),
        "the inspector counts the same tokens"
    );
    // what both sides keep of the whole prompt is what the hit rate counts
    let derived = inside(&bench).derived();
    let tokens = 0..derived.tokens().unwrap().len();
    let marked = derived.kept().unwrap();
    let by_window = tokens.clone().filter(|token| marked.by_window(*token));
    assert_eq!(by_window.count(), budget);
    let by_both = tokens.filter(|token| marked.by_window(*token) && marked.by_oracle(*token));
    let hit_rates = &window.comparison;
    let hit_rates = hit_rates.metric_map(Metric::HitRate, derived.budget_index);
    assert_eq!(by_both.count() as f64 / budget as f64, hit_rates[worst]);
    let text = format!("oracle {} of {}", evidence.oracle, evidence.needed);
    assert!(bench.query_by_label(&text).is_some(), "{text}");
}

fn type_into(bench: &mut Bench<'_>, label: &str, text: &str) {
    bench.get_by_label(label).focus();
    bench.run_steps(2);
    bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    bench.run_steps(2);
    bench.get_by_label(label).type_text(text);
    bench.run_steps(2);
    bench.key_press(egui::Key::Enter);
    bench.run_steps(2);
}

#[test]
fn the_oracle_and_what_is_kept_are_defined_in_the_scoring_view() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    inside_mut(&mut bench).send(LayoutCommand::ShowPane(Pane::SCORING));
    bench.run_steps(4);
    type_into(&mut bench, "Decode steps", "nonsense");
    let options = inside(&bench).settings().choices.measure;
    assert_eq!(options, MeasureOptions::default());

    type_into(&mut bench, "Decode steps", "2-4");
    type_into(&mut bench, "Keep recent", "50%");
    let options = MeasureOptions {
        keep_recent: Some("50%".parse().unwrap()),
        oracle: OracleDefinition {
            steps: "2-4".parse().unwrap(),
            ..OracleDefinition::default()
        },
        ..MeasureOptions::default()
    };
    assert_eq!(inside(&bench).settings().choices.measure, options);
    wait_for(&mut bench, "the new numbers", |workbench| {
        workbench.is_idle() && workbench.data().shown().unwrap().options == options
    });
    let captured = Session::open(session()).unwrap().load_sample(0).unwrap();
    let budgets = inside(&bench).derived().budgets().to_vec();
    let expected = measure_sample(&captured, &options, |_| budgets.clone()).unwrap();
    let published = MeasureOptions::default();
    let otherwise = measure_sample(&captured, &published, |_| budgets.clone()).unwrap();
    let shown = &inside(&bench).data().shown().unwrap().sample;
    // as text: what is undefined is not equal to itself
    let text = |sample: &kvlens::measurement::MeasuredSample| {
        format!("{:?}", sample.windows[0].comparison)
    };
    assert!(text(shown) == text(&expected));
    assert!(text(shown) != text(&otherwise));

    // steps behind the end of the decode stage: said, and the good numbers stay
    type_into(&mut bench, "Decode steps", "900-999");
    wait_for(&mut bench, "the refusal", Workbench::is_idle);
    let said = &inside(&bench).data().log.last().unwrap().text;
    assert!(
        said.contains("lie behind the end of a decode stage"),
        "{said}"
    );
    assert_eq!(inside(&bench).data().shown().unwrap().options, options);
}

#[test]
fn the_palette_has_every_command_that_can_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, ProgramCommand::TogglePalette);
    for text in [
        "Reset layout",
        "Copy picture: Tokens",
        "Save picture: Log",
        "Copy numbers: Drift",
        "Export a figure: Query similarity",
        "Hide or show: last:8",
        "Window: last:8",
        "Sample: facts-512-end-0",
        "Choose a file of prompts",
        "Forget recent sessions",
        "Open a lesson",
        "Show: Inspector",
        "Hide: Inspector",
        "Clear the log",
    ] {
        assert!(bench.query_by_label_contains(text).is_some(), "{text}");
    }
    // nothing was undone, and no session stands beside
    for text in ["Redo", "Swap A and B"] {
        assert!(bench.query_by_label_contains(text).is_none(), "{text}");
    }
}

#[test]
fn a_lesson_of_ones_own_is_read_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let lesson = "# Mine\n\nAn aim.\n\n## First\n\nLook at {budget} tokens.\n\n```json\n[{\"SetBudget\": \"64\"}]\n```\n";
    std::fs::write(folder.path().join("lesson.md"), lesson).unwrap();
    let mut bench = opened(folder.path());
    send(
        &mut bench,
        LessonCommand::OpenLesson(folder.path().to_owned()),
    );
    bench.run_steps(3);
    assert!(bench.query_by_label("Mine").is_some());
    assert!(bench.query_by_label("Look at 64 tokens.").is_some());
    assert_eq!(inside(&bench).derived().budget_tokens(), 64);
    let nowhere = folder.path().join("nowhere");
    send(&mut bench, LessonCommand::OpenLesson(nowhere));
    let log = &inside(&bench).data().log;
    assert!(
        log.last()
            .unwrap()
            .text
            .contains("the lesson cannot be read")
    );
}

#[test]
fn the_glossary_is_searched_as_one_types() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, ProgramCommand::ToggleHelp(None));
    bench.run_steps(3);
    assert!(bench.query_by_label("Answer likelihood").is_some());
    // the field has the keyboard from the start
    bench.event(egui::Event::Text("nll reference".to_owned()));
    bench.run_steps(3);
    let field = bench.get_by_label("Search the glossary");
    assert_eq!(field.value().as_deref(), Some("nll reference"));
    bench.get_by_label("Search the glossary").focus();
    bench.run_steps(2);
    bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    bench.event(egui::Event::Text("arxiv judge".to_owned()));
    bench.run_steps(3);
    assert!(bench.query_by_label("Judge Q").is_some());
    assert!(bench.query_by_label("Answer likelihood").is_none());
    bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    bench.event(egui::Event::Text("no such thing".to_owned()));
    bench.run_steps(3);
    assert!(bench.query_by_label("No term has these words").is_some());
    // closed and opened again, it shows all
    bench.key_press(egui::Key::Escape);
    bench.run_steps(3);
    assert!(bench.query_by_label("Search the glossary").is_none());
    send(&mut bench, ProgramCommand::ToggleHelp(None));
    bench.run_steps(3);
    assert!(bench.query_by_label("Answer likelihood").is_some());
}

#[test]
fn a_line_of_the_log_that_names_a_file_opens_its_folder_and_gives_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LayoutCommand::ShowPane(Pane::LOG));
    assert!(bench.query_by_label("Copy path").is_none());
    // as errors of a session say it that was opened by a path from here
    let said = "the file is damaged: tests/gui/views.rs".to_owned();
    inside_mut(&mut bench).receive(Event::Warning(said));
    bench.run_steps(3);
    // a path that is longer than the view breaks in it
    let deep = format!("no such file: {}.json", "deep".repeat(40));
    inside_mut(&mut bench).receive(Event::Warning(deep.clone()));
    bench.run_steps(3);
    let lines = bench.get_all_by_label(&deep).map(|node| node.rect());
    let clear = bench.get_by_label("Clear").rect();
    for line in lines {
        assert!(line.right() <= 1280.0, "{line:?}");
    }
    let buttons = bench.get_by_label("Open folder").rect();
    assert!(buttons.left() > clear.left(), "{buttons:?}");
    let here = std::env::current_dir().unwrap();
    bench.get_by_label("Copy path").click();
    bench.step();
    let path = here.join("tests/gui/views.rs").display().to_string();
    assert_eq!(crate::common::copied_now(&bench), Some(path));
    bench.get_by_label("Open folder").click();
    bench.step();
    let opened = bench.output().platform_output.commands.iter().any(|command| {
        matches!(command, egui::OutputCommand::OpenUrl(url) if url.url.ends_with("tests/gui"))
    });
    assert!(opened);
}

#[test]
fn fields_of_a_menu_stand_below_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    bench.get_all_by_label("File").next().unwrap().click();
    bench.run_steps(4);
    let lefts = |label: &str| -> Vec<f32> {
        let nodes = bench.query_all_by_label(label);
        nodes.map(|node| node.rect().left()).collect()
    };
    let buttons = lefts("Go");
    assert!(buttons.len() >= 3, "{buttons:?}");
    assert!(
        buttons.iter().all(|left| (left - buttons[0]).abs() < 0.5),
        "{buttons:?}"
    );
}

#[test]
fn the_inspector_puts_the_answer_beside_the_table_where_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let mut beside = |command: LayoutCommand| {
        send(&mut bench, command);
        bench.run_steps(3);
        let number = bench.get_by_label_contains("recall of last:32: ").rect();
        let answer = bench.get_by_label_contains("Answer").rect();
        let mut titles = bench.get_all_by_label("recall").map(|node| node.rect());
        assert!(
            titles.any(|title| (title.right() - number.right()).abs() < 1.0),
            "a title at the right end of {number:?}"
        );
        answer.left() > number.right() && answer.top() < number.bottom()
    };
    assert!(!beside(LayoutCommand::ShowPane(Pane::INSPECTOR)), "narrow");
    assert!(beside(LayoutCommand::TogglePresentation), "wide");
}
