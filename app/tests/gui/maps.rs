//! Stories of the maps: side by side, over all samples, who wins, pinned heads, one session against another.

use std::path::Path;

use crate::common::{
    Bench, all_of_it, bench, captured, inside, inside_mut, session, session_with_a_changed_bit,
    shows_a_sample, wait_for,
};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::command::{Command, ExportCommand, JobCommand, LookCommand, SessionCommand};
use kvlens::gui::data::{SampleRow, Severity, Slot};
use kvlens::gui::derived::OverSamples;
use kvlens::gui::export::ExportSettings;
use kvlens::gui::lanes::Event;
use kvlens::gui::state::{
    Choices, CurvesOver, HeadAddress, MapKind, MapScope, SelectionChange, Settings,
};
use kvlens::gui::workbench::Workbench;
use kvlens::jobs::Watch;
use kvlens::measurement::{MeasureOptions, StageProgress, measure_sample};
use kvlens_analysis::tables::TableFile;
use kvlens_analysis::{Budget, ForcedKeep, Metric};
use kvlens_sessions::{CancelFlag, Session};

fn opened<'a>(folder: &Path) -> Bench<'a> {
    let mut bench = bench(folder, Settings::default());
    send(
        &mut bench,
        SessionCommand::OpenSession(session().to_owned()),
    );
    wait_for(&mut bench, "the session", shows_a_sample);
    bench
}

fn send(bench: &mut Bench<'_>, command: impl Into<Command>) {
    inside_mut(bench).send(command);
    bench.run_steps(2);
}

fn all_compared(workbench: &Workbench) -> bool {
    let maps = workbench.data().answers.maps.value();
    workbench.data().jobs.is_empty() && maps.is_some_and(|maps| maps.is_complete())
}

/// Recall of every query head at 32 tokens, sample by sample.
fn recalls(label: &str) -> Vec<Vec<f64>> {
    let session = Session::open(session()).unwrap();
    let of_sample = |index: usize| {
        let captured = session.load_sample(index).unwrap();
        let options = MeasureOptions::default();
        let sample = measure_sample(&captured, &options, |_| vec![32]).unwrap();
        let window = sample.windows.iter().find(|window| window.label == label);
        let comparison = &window.unwrap().comparison;
        let map = comparison.metric_map(Metric::Recall, 0);
        let heads = session.manifest().shape.query_heads;
        let shared = heads / comparison.heads;
        map.into_iter()
            .flat_map(|value| std::iter::repeat_n(value, shared))
            .collect()
    };
    (0..session.sample_count()).map(of_sample).collect()
}

#[test]
fn the_map_of_all_samples_is_their_mean_and_says_what_is_not_resolved() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(32)));
    send(&mut bench, LookCommand::SetMinus(Some("last:8".to_owned())));
    bench.get_by_label("All samples").click();
    bench.run_steps(2);
    wait_for(&mut bench, "all samples", all_compared);
    let map = inside(&bench).derived().map().unwrap().clone();
    let (first, second) = (recalls("last:32"), recalls("last:8"));
    for (head, value) in map.values.iter().enumerate() {
        let differences = first.iter().zip(&second).map(|(a, b)| a[head] - b[head]);
        let expected = differences.sum::<f64>() / first.len() as f64;
        assert!((value - expected).abs() < 1e-6, "head {head}");
    }
    // two documents, each asked in two places, resolve nothing, however many samples they make
    assert_eq!(map.unresolved, vec![true; map.values.len()]);
    assert!(bench.query_by_label("4 samples of 2 documents").is_some());
    send(&mut bench, LookCommand::SetMapScope(MapScope::Sample));
    let map = inside(&bench).derived().map().unwrap();
    assert!(map.unresolved.is_empty());
    assert_eq!(map.values[0], first[0][0] - second[0][0]);
}

#[test]
fn another_budget_or_scoring_makes_another_map_of_all_samples() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(32)));
    send(&mut bench, LookCommand::SetMapScope(MapScope::Session));
    wait_for(&mut bench, "all samples", all_compared);
    let at_32 = inside(&bench).derived().map().unwrap().values.clone();
    let exempt_sinks = MeasureOptions {
        exempt: ForcedKeep {
            sinks: 4,
            recent: 0,
        },
        ..MeasureOptions::default()
    };
    for change in [
        LookCommand::SetBudget(Budget::Tokens(64)),
        LookCommand::SetMeasureOptions(exempt_sinks),
    ] {
        send(&mut bench, change.clone());
        wait_for(&mut bench, "all samples", all_compared);
        let new = inside(&bench).derived().map().unwrap().values.clone();
        assert_ne!(new, at_32, "{change:?} makes another map");
    }
}

#[test]
fn maps_of_all_samples_are_made_anew_when_a_capture_adds_samples() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LookCommand::SetMapScope(MapScope::Session));
    wait_for(&mut bench, "all samples", all_compared);
    let before = inside(&bench).data().answers.maps.version();
    let session = inside(&bench).data().session.as_ref().unwrap();
    let mut info = session.info.clone();
    let added = SampleRow {
        id: "added".to_owned(),
        ..info.samples[0].clone()
    };
    info.samples.push(added);
    inside_mut(&mut bench).receive(Event::SampleCaptured(info));
    bench.run_steps(2);
    wait_for(&mut bench, "all samples again", all_compared);
    assert!(inside(&bench).data().answers.maps.version() > before);
}

#[test]
fn maps_of_an_earlier_choice_are_not_shown_where_those_of_the_new_one_were_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(32)));
    send(&mut bench, LookCommand::SetMapScope(MapScope::Session));
    wait_for(&mut bench, "all samples", all_compared);
    for change in [
        LookCommand::SetBudget(Budget::Tokens(64)),
        LookCommand::SetBudget(Budget::Tokens(16)),
    ] {
        // the lane is busy with a figure, so the comparison still waits when it is cancelled
        let out = folder.path().join("recall.svg").display().to_string();
        let settings = ExportSettings {
            out,
            ..ExportSettings::default()
        };
        let figure = settings.request(&all_of_it(&[]), &Choices::default());
        inside_mut(&mut bench).send(ExportCommand::Export(Box::new(figure)));
        inside_mut(&mut bench).send(change.clone());
        bench.step();
        inside_mut(&mut bench).send(JobCommand::CancelJobs);
        wait_for(&mut bench, "the cancel", |workbench| {
            workbench.data().jobs.is_empty()
        });
        assert!(inside(&bench).derived().map().is_none(), "{change:?}");
        assert!(bench.query_by_label("4 samples of 2 documents").is_none());
        bench.get_by_label("Measure all samples").click();
        bench.run_steps(2);
        wait_for(&mut bench, "all samples again", |workbench| {
            all_compared(workbench) && workbench.derived().map().is_some()
        });
        assert!(bench.query_by_label("4 samples of 2 documents").is_some());
    }
}

#[test]
fn a_cancelled_map_of_all_samples_is_made_again_only_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    inside_mut(&mut bench).send(LookCommand::SetMapScope(MapScope::Session));
    bench.step();
    inside_mut(&mut bench).send(JobCommand::CancelJobs);
    wait_for(&mut bench, "the cancel", |workbench| {
        workbench.data().jobs.is_empty()
    });
    bench.run_steps(3);
    assert!(inside(&bench).data().jobs.is_empty());
    // some samples may have been measured before the cancel was heard
    let is_complete = inside(&bench).data().answers.maps.value();
    if !is_complete.is_some_and(|maps| maps.is_complete()) {
        bench.get_by_label("Measure all samples").click();
        bench.run_steps(2);
    }
    wait_for(&mut bench, "all samples", all_compared);
    assert!(inside(&bench).derived().map().is_some());
    assert!(bench.query_by_label("Measure all samples").is_none());
}

#[test]
fn all_samples_have_means_though_every_window_is_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    for label in ["last:32", "last:8"] {
        send(&mut bench, LookCommand::ToggleWindow(label.to_owned()));
    }
    send(&mut bench, LookCommand::SetMapScope(MapScope::Session));
    wait_for(&mut bench, "the job", |workbench| {
        workbench.data().jobs.is_empty()
    });
    let log = &inside(&bench).data().log;
    let error = log.iter().find(|line| line.severity == Severity::Error);
    assert_eq!(error, None);
    assert!(all_compared(inside(&bench)));
    assert!(inside(&bench).derived().map().is_some());
    send(&mut bench, LookCommand::SetMapKind(MapKind::Winner));
    wait_for(&mut bench, "the job", |workbench| {
        workbench.data().jobs.is_empty()
    });
    assert!(
        bench
            .query_by_label_contains("Every window is hidden")
            .is_some()
    );
}

#[test]
fn the_winner_of_a_head_is_the_window_with_the_highest_recall() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(32)));
    send(&mut bench, LookCommand::SetMapKind(MapKind::Winner));
    assert!(bench.query_by_label("Winner in every head").is_some());
    let map = inside(&bench).derived().winner_map().unwrap();
    assert_eq!(map.windows, ["last:32", "last:8"]);
    let (first, second) = (&recalls("last:32")[0], &recalls("last:8")[0]);
    for (head, winner) in map.winners.iter().enumerate() {
        let best = usize::from(second[head] > first[head]);
        let winner = winner.as_ref().unwrap();
        assert_eq!(winner.winner, best, "head {head}");
        let margin = (first[head] - second[head]).abs();
        assert!((winner.margin - margin).abs() < 1e-6);
    }
    send(&mut bench, LookCommand::ToggleWindow("last:8".to_owned()));
    let map = inside(&bench).derived().winner_map().unwrap();
    assert_eq!(map.windows, ["last:32"], "a hidden window cannot win");
}

#[test]
fn every_visible_window_has_a_map_and_a_click_selects_in_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LookCommand::SetMapKind(MapKind::SideBySide));
    bench.get_by_label("Layer by head map of last:32").click();
    bench.run_steps(3);
    let heads = inside(&bench).settings().choices.heads.clone();
    assert!(!heads.is_empty());
    assert!(
        bench
            .query_by_label("Layer by head map of last:8")
            .is_some()
    );
    assert_eq!(inside(&bench).derived().side_by_side().len(), 2);
    send(&mut bench, LookCommand::ToggleWindow("last:8".to_owned()));
    assert!(
        bench
            .query_by_label("Layer by head map of last:8")
            .is_none()
    );
}

#[test]
fn a_pinned_head_keeps_its_numbers_while_others_are_selected() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(32)));
    bench.get_by_label("Layer by head map").click_secondary();
    bench.run_steps(3);
    let pinned = inside(&bench).settings().choices.pinned.unwrap();
    let heads = vec![HeadAddress { layer: 0, head: 0 }];
    let change = SelectionChange::Replace;
    send(&mut bench, LookCommand::SelectHeads { heads, change });
    let curve = inside(&bench).derived().pinned_curve().unwrap().clone();
    assert_eq!(curve.head, pinned);
    let expected = recalls("last:32")[0][pinned.layer * 4 + pinned.head];
    let at = inside(&bench).derived().budget_index;
    assert_eq!(curve.values[at], expected);
    bench.get_by_label("Unpin").click();
    bench.run_steps(3);
    assert!(inside(&bench).derived().pinned_curve().is_none());
}

#[test]
fn what_the_pointer_is_on_glows_in_the_other_views() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    bench.get_by_label("Layer by head map").hover();
    bench.run_steps(3);
    let curve = inside(&bench).derived().hovered_curve().unwrap();
    assert_eq!(curve.values.len(), inside(&bench).derived().budgets().len());
    bench.get_by_label("Strip of the whole prompt").hover();
    bench.run_steps(3);
    assert!(inside(&bench).derived().hovered_curve().is_none());
    let token = inside(&bench).hover().token.unwrap();
    let tokens = inside(&bench).derived().tokens().unwrap().len();
    assert!(token.abs_diff(tokens / 2) <= 2, "the middle of the strip");
}

#[test]
fn one_session_is_held_against_another_of_its_samples() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(32)));
    send(&mut bench, LookCommand::SetMapKind(MapKind::Beside));
    let hint = "Open a second session with File > Open beside";
    assert!(bench.query_by_label(hint).is_some());
    send(&mut bench, SessionCommand::OpenBeside(session().to_owned()));
    let is_shown = |index: usize| {
        move |workbench: &Workbench| {
            let beside = workbench.data().slot(Slot::Beside);
            let shown = beside.and_then(|beside| beside.shown.as_ref());
            workbench.data().jobs.is_empty() && shown.is_some_and(|shown| shown.index == index)
        }
    };
    wait_for(&mut bench, "B", is_shown(0));
    let map = inside(&bench).derived().map_between().unwrap();
    assert!(map.values.iter().all(|value| *value == 0.0));
    // its picture is kept by the version of its numbers, and is not the picture of A
    assert_ne!(map.version, inside(&bench).derived().map().unwrap().version);
    // A alone, B alone, and the difference again
    for (key, kind) in [
        (egui::Key::A, MapKind::Window),
        (egui::Key::B, MapKind::InB),
        (egui::Key::D, MapKind::Beside),
    ] {
        bench.key_press(key);
        bench.run_steps(3);
        assert_eq!(inside(&bench).settings().choices.map_kind, kind);
        let map = bench.query_by_label("Layer by head map");
        assert!(map.is_some(), "{kind:?}");
    }
    send(&mut bench, SessionCommand::SelectSampleBeside(1));
    wait_for(&mut bench, "another sample of B", is_shown(1));
    let recalls = recalls("last:32");
    let map = inside(&bench).derived().map_between().unwrap().clone();
    for (head, value) in map.values.iter().enumerate() {
        assert_eq!(*value, recalls[0][head] - recalls[1][head], "head {head}");
    }
    bench.get_by_label("Swap A and B").click();
    bench.run_steps(3);
    let swapped = inside(&bench).derived().map_between().unwrap();
    assert_eq!(swapped.values[0], -map.values[0]);
    assert_eq!(inside(&bench).data().shown().unwrap().index, 1);
    // the table tells the difference of the chosen metric
    wait_for(&mut bench, "the curves", Workbench::is_idle);
    let mean = |recalls: &[f64]| recalls.iter().sum::<f64>() / recalls.len() as f64;
    let expected = mean(&recalls[1]) - mean(&recalls[0]);
    let text = format!("A − B of last:32: {expected:+.2}").replace('-', "−");
    assert!(bench.query_by_label(&text).is_some(), "{text}");
    bench.get_by_label("Close B").click();
    bench.run_steps(3);
    assert!(inside(&bench).data().beside.is_none());
    let kind = inside(&bench).settings().choices.map_kind;
    assert_eq!(kind, MapKind::Window, "the difference goes with B");
}

#[test]
fn without_a_chosen_window_b_shows_the_one_that_a_shows() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    assert_eq!(inside(&bench).settings().choices.window, None);
    let of_a = inside(&bench).derived().window.clone().unwrap();
    let (_kept, other) = captured(&["random", &of_a]);
    send(&mut bench, LookCommand::SetMapKind(MapKind::Beside));
    send(&mut bench, SessionCommand::OpenBeside(other));
    wait_for(&mut bench, "B", |workbench| {
        let beside = workbench.data().slot(Slot::Beside);
        workbench.data().jobs.is_empty() && beside.is_some_and(|beside| beside.shown.is_some())
    });
    bench.run_steps(3);
    let map = inside(&bench).derived().map_between().unwrap();
    assert_eq!(map.title, format!("{of_a}, A − B"));
    // B's curves have a name
    assert!(bench.query_by_label("Line in B").is_some());
}

#[test]
fn a_map_of_two_sessions_is_not_kept_for_a_start_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let choices = Choices {
        map_kind: MapKind::Beside,
        ..Choices::default()
    };
    let settings = Settings {
        choices,
        ..Settings::default()
    };
    let bench = bench(folder.path(), settings);
    assert_eq!(inside(&bench).settings().choices.map_kind, MapKind::Window);
}

/// The rows of the figure `recall` of all samples, as its file has them.
fn figure_rows(folder: &Path) -> TableFile {
    let settings = ExportSettings {
        all_samples: true,
        out: folder.join("recall.svg").display().to_string(),
        ..ExportSettings::default()
    };
    let windows = [("last:32", vec!["last:32"]), ("last:8", vec!["last:8"])];
    let request = settings.request(&all_of_it(&windows), &Choices::default());
    let mut watch = Nobody;
    kvlens::jobs::figure::run(&request, &mut watch, &CancelFlag::default()).unwrap();
    TableFile::read(&folder.join("recall.parquet")).unwrap()
}

struct Nobody;

impl StageProgress for Nobody {
    fn stage(&mut self, _name: &str, _done: usize, _total: usize) {}
    fn note(&self, _line: &str) {}
}

impl Watch for Nobody {
    fn sample(&mut self, _index: usize, _count: usize, _id: &str) {}
}

/// The curves over samples once all of a session's are measured.
fn over_samples(bench: &mut Bench<'_>, over: CurvesOver, counted: usize) -> OverSamples {
    send(bench, LookCommand::SetCurvesOver(over));
    wait_for(bench, "the curves over samples", |workbench| {
        let found = workbench.derived().over_samples();
        let is_whole = |found: &OverSamples| (found.counted, found.looked_at) == (counted, [4, 4]);
        workbench.is_idle() && found.is_some_and(is_whole)
    });
    inside(bench).derived().over_samples().unwrap().clone()
}

/// The figure has a panel for each place of the question, two samples each.
#[test]
fn curves_over_a_group_have_the_means_and_the_band_of_the_figure() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let of_group = over_samples(&mut bench, CurvesOver::Group, 2);
    // the four samples are two documents, each asked in both places
    let of_session = over_samples(&mut bench, CurvesOver::Session, 2);
    assert!(of_session.are_documents && !of_group.are_documents);
    let shown = inside(&bench).data().shown().unwrap();
    let place = shown.sample.record.question_place.unwrap().to_string();
    let rows = figure_rows(folder.path());
    let (panels, series) = (rows.text("panel").unwrap(), rows.text("series").unwrap());
    let numbers = |name: &str| -> Vec<f64> {
        let numbers = rows.numbers(name).unwrap();
        numbers
            .into_iter()
            .map(|it| it.unwrap_or(f64::NAN))
            .collect()
    };
    let budgets = numbers("x");
    let parts = [numbers("value"), numbers("low"), numbers("high")];
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12 || (a.is_nan() && b.is_nan());
    let is_of_group = |row: &usize| panels[*row].as_deref().unwrap().contains(&place);
    let of_figure: Vec<usize> = (0..series.len()).filter(is_of_group).collect();
    for &row in &of_figure {
        let label = series[row].as_deref().unwrap();
        let curve = of_group.curve(label).unwrap();
        let at = curve
            .budgets
            .iter()
            .position(|known| *known as f64 == budgets[row]);
        let at = at.unwrap();
        for (part, own) in parts.iter().zip([&curve.mean, &curve.low, &curve.high]) {
            assert!(near(own[at], part[row]), "{label} {}", budgets[row]);
        }
    }
    let all = of_group.curves.iter().map(|curve| curve.budgets.len());
    assert_eq!(
        of_figure.len(),
        all.sum::<usize>(),
        "no point more, and none less"
    );
    // two groups of two samples: the mean over all is the mean of the groups' means
    let whole = of_session.curve("last:32").unwrap();
    let of_label = |row: &usize| series[*row].as_deref() == Some("last:32");
    for (at, budget) in whole.budgets.iter().enumerate() {
        let rows = (0..series.len()).filter(of_label);
        let here = rows.filter(|row| budgets[*row] == *budget as f64);
        let means: Vec<f64> = here.map(|row| parts[0][row]).collect();
        assert_eq!(means.len(), 2, "{budget}");
        assert!(
            near(whole.mean[at], 0.5 * (means[0] + means[1])),
            "{budget}"
        );
    }
}

#[test]
fn curves_and_maps_of_a_session_go_on_without_a_damaged_sample_and_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = session_with_a_changed_bit(folder.path());
    let mut bench = bench(folder.path(), Settings::default());
    send(&mut bench, SessionCommand::OpenSession(damaged));
    wait_for(&mut bench, "the session", shows_a_sample);
    let id = inside(&bench).data().session.as_ref().unwrap().info.samples[0]
        .id
        .clone();
    let told = format!("1 sample left out: {id}");
    let found = over_samples(&mut bench, CurvesOver::Session, 2);
    assert_eq!(found.left_out.to_string(), told);
    assert!(bench.query_by_label(&told).is_some());
    send(&mut bench, LookCommand::SetCurvesOver(CurvesOver::Sample));
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(32)));
    send(&mut bench, LookCommand::SetMapScope(MapScope::Session));
    wait_for(&mut bench, "all samples", all_compared);
    let maps = inside(&bench).data().answers.maps.value().unwrap();
    assert_eq!((maps.samples, maps.left_out.count()), (3, 1));
    assert_eq!(maps.documents, 2);
    let recalls = recalls("last:32");
    for (head, mean) in maps.mean_of("last:32").unwrap().iter().enumerate() {
        let second_document = 0.5 * (recalls[2][head] + recalls[3][head]);
        let expected = 0.5 * (recalls[1][head] + second_document);
        assert!((mean - expected).abs() < 1e-12, "head {head}");
    }
    assert!(bench.query_by_label(&told).is_some());
    let log = &inside(&bench).data().log;
    let damage = |text: &str| text.contains(&id) && text.contains("SHA-256 differs");
    assert!(log.iter().any(|line| damage(&line.text)));
}

#[test]
fn a_margin_marks_what_is_shown_to_be_equal_and_an_empty_one_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(32)));
    send(&mut bench, LookCommand::SetMinus(Some("last:8".to_owned())));
    send(&mut bench, LookCommand::SetMapScope(MapScope::Session));
    // no difference of two recalls leaves it
    send(&mut bench, LookCommand::SetMargin(Some(2.5)));
    wait_for(&mut bench, "all samples", all_compared);
    let map = inside(&bench).derived().map().unwrap();
    assert_eq!(map.equivalent, vec![true; map.values.len()]);
    let said = format!("{} equal within 2.5", map.values.len());
    assert!(bench.query_by_label_contains(&said).is_some());
    send(&mut bench, LookCommand::SetMargin(Some(1e-9)));
    let map = inside(&bench).derived().map().unwrap();
    let differ = map.values.iter().zip(&map.equivalent);
    assert!(
        differ
            .clone()
            .all(|(value, equal)| !*equal || *value == 0.0)
    );
    send(&mut bench, LookCommand::SetMargin(None));
    assert!(
        inside(&bench)
            .derived()
            .map()
            .unwrap()
            .equivalent
            .is_empty()
    );
}
