//! Stories of the views that ask further questions of a sample: drift and query similarity.

use std::path::Path;
use std::sync::Arc;

use crate::common::{
    Bench, all_of_it, bench, copied, inside, inside_mut, opened_at, send, session, wait_for,
};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::command::{
    Command, ExportCommand, JobCommand, LayoutCommand, LookCommand, ProgramCommand, SessionCommand,
};
use kvlens::gui::export::ExportSettings;
use kvlens::gui::lanes::Event;
use kvlens::gui::layout::Pane;
use kvlens::gui::question_choices::{DriftChoices, DriftPart};
use kvlens::gui::questions::drift::DriftAnswer;
use kvlens::gui::questions::{Answer, QuestionKind};
use kvlens::gui::state::{Choices, HeadAddress, SelectionChange, Settings};
use kvlens::gui::workbench::Workbench;
use kvlens::measurement::drift::{DriftAsked, window_drift};
use kvlens::measurement::interventions::Intervention;
use kvlens::measurement::places::{Sweep, sweep_places};
use kvlens::measurement::queries::window_queries;
use kvlens_analysis::{Budget, Metric};
use kvlens_sessions::{CapturedSample, Session};

fn opened<'a>(folder: &Path, pane: Pane) -> Bench<'a> {
    opened_at(folder, session(), pane)
}

fn captured() -> CapturedSample {
    Session::open(session()).unwrap().load_sample(0).unwrap()
}

fn drift_is_known(workbench: &Workbench) -> bool {
    workbench.data().jobs.is_empty()
        && workbench
            .derived()
            .drift()
            .is_some_and(|curves| curves.curves.len() == curves.asked_windows)
}

#[test]
fn the_drift_of_a_head_is_that_of_the_tables_and_follows_budget_and_selection() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), Pane::DRIFT);
    wait_for(&mut bench, "the drift", drift_is_known);
    assert!(
        bench
            .query_by_label("Recall over the decode steps")
            .is_some()
    );

    let head = HeadAddress { layer: 2, head: 3 };
    send(
        &mut bench,
        LookCommand::SelectHeads {
            heads: vec![head],
            change: SelectionChange::Replace,
        },
    );
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(40)));
    let shown = inside(&bench).data().shown().unwrap().clone();
    let expected: Vec<_> = shown
        .sample
        .windows
        .iter()
        .map(|window| {
            let drift = window_drift(
                &captured(),
                &shown.options,
                window,
                DriftAsked::at(&[40]),
                &mut |_, _| Ok(()),
            );
            drift.unwrap()
        })
        .collect();
    let curves = inside(&bench).derived().drift().unwrap();
    assert_eq!(curves.budget_tokens, 40);
    assert_eq!(curves.curves.len(), 2);
    for (curve, expected) in curves.curves.iter().zip(&expected) {
        let by_step = &expected.by_head[2 * 4 + 3].recall.by_step;
        let recall: Vec<f64> = by_step.iter().map(|budgets| budgets[0]).collect();
        assert_eq!(curve.band.mean, recall, "{}", curve.label);
        assert_eq!(curves.steps.len(), recall.len());
    }

    bench.get_by_label("Up to a step").click();
    bench.run_steps(3);
    let curves = inside(&bench).derived().drift().unwrap();
    assert_eq!(curves.steps, expected[0].horizons);
    let last = *curves.curves[1].band.mean.last().unwrap();
    let whole = shown.sample.windows[1].comparison.head(2, 3);
    let index = shown.sample.windows[1].comparison.budget_index(40).unwrap();
    assert_eq!(last, whole.curves.recall[index], "all steps are the oracle");

    bench.get_by_label("Copy the drift").click();
    bench.run_steps(2);
    let text = copied(&bench);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 2 * curves_steps(&bench));
    assert_eq!(
        lines[0],
        "window\tbudget_tokens\thorizon\ttoken\trecall\tlow\thigh"
    );
    let first = &shown.sample.record.generated_texts[0];
    let expected = format!("last:32\t40\t1\t{first}\t");
    assert!(lines[1].starts_with(&expected), "{}", lines[1]);

    // the session keeps no values
    send(&mut bench, LookCommand::SetMetric(Metric::OutputError));
    wait_for(&mut bench, "the errors", drift_is_known);
    let said = bench.query_by_label_contains("keeps no values");
    assert!(said.is_some());
}

fn curves_steps(bench: &Bench<'_>) -> usize {
    inside(bench).derived().drift().unwrap().steps.len()
}

#[test]
fn a_window_is_swept_as_far_as_the_session_keeps_queries() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), Pane::DRIFT);
    bench.get_by_label("By place").click();
    bench.run_steps(2);
    let choices = DriftChoices {
        part: DriftPart::Places,
        sweep_width: 8,
    };
    send(&mut bench, LookCommand::SetDrift(choices));
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(16)));
    wait_for(&mut bench, "the sweep", |workbench| {
        let swept = workbench.derived().places();
        swept.is_some_and(|curves| curves.width == 8 && curves.budget_tokens == 16)
    });
    let shown = inside(&bench).data().shown().unwrap().clone();
    let expected = sweep_places(
        &captured(),
        &shown.options,
        Sweep::by_halves(8),
        &[16],
        &mut |_, _| Ok(()),
    );
    let expected = expected.unwrap().unwrap();
    let curves = inside(&bench).derived().places().unwrap();
    assert_eq!(curves.heads, expected.len());
    let count = expected.len() as f64;
    for (place, mean) in curves.recall.mean.iter().enumerate() {
        let sum: f64 = expected.iter().map(|head| head[place].recall[0]).sum();
        assert!((sum / count - mean).abs() < 1e-5);
        assert_eq!(curves.positions[place], expected[0][place].last_position);
    }
    assert!(
        bench
            .query_by_label_contains("keeps the prompt's last 32 queries")
            .is_some()
    );
    assert!(
        bench
            .query_by_label("Recall by the place of the window")
            .is_some()
    );

    // no run of queries is that long
    send(
        &mut bench,
        LookCommand::SetDrift(DriftChoices {
            sweep_width: 128,
            ..choices
        }),
    );
    wait_for(&mut bench, "the refusal", |workbench| {
        let swept = workbench.derived().places();
        swept.is_some_and(|curves| curves.width == 128)
    });
    assert!(
        bench
            .query_by_label_contains("last:128 to sweep it")
            .is_some()
    );
}

/// Keeps the lane that reads sessions busy for a while.
fn a_figure(folder: &Path) -> Command {
    let settings = ExportSettings {
        out: folder.join("recall.svg").display().to_string(),
        ..ExportSettings::default()
    };
    let figure = settings.request(&all_of_it(&[]), &Choices::default());
    ExportCommand::Export(Box::new(figure)).into()
}

#[test]
fn a_cancelled_drift_says_so_and_goes_on_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), Pane::LOG);
    // the lane is busy with a figure, so the drift is still waiting when it is cancelled
    inside_mut(&mut bench).send(a_figure(folder.path()));
    inside_mut(&mut bench).send(LayoutCommand::ShowPane(Pane::DRIFT));
    bench.step();
    assert_eq!(inside(&bench).data().jobs.len(), 2);
    inside_mut(&mut bench).send(JobCommand::CancelJobs);
    wait_for(&mut bench, "the end of the job", |workbench| {
        workbench.data().jobs.is_empty()
    });
    let title = QuestionKind::Drift.job_title();
    assert!(bench.query_by_label("Not measured to the end").is_some());
    bench.run_steps(5);
    assert!(inside(&bench).data().jobs.is_empty(), "nobody asked again");
    bench.get_by_label(title).click();
    wait_for(&mut bench, "the drift", drift_is_known);
    assert!(bench.query_by_label("Not measured to the end").is_none());
}

#[test]
fn a_drift_that_was_stopped_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), Pane::DRIFT);
    wait_for(&mut bench, "the drift", drift_is_known);
    let whole = inside(&bench)
        .data()
        .answers
        .drift
        .value()
        .cloned()
        .unwrap();
    let mut half = DriftAnswer::clone(&whole);
    half.windows.truncate(1);
    let event = Event::Answered(Answer::Drift(Arc::new(half)));
    inside_mut(&mut bench).receive(event);
    bench.run_steps(2);
    let title = QuestionKind::Drift.job_title();
    bench.get_by_label(title).click();
    wait_for(&mut bench, "the rest", drift_is_known);
    let again = inside(&bench)
        .data()
        .answers
        .drift
        .value()
        .cloned()
        .unwrap();
    assert!(Arc::ptr_eq(&again.windows[0], &whole.windows[0]));
    assert!(!Arc::ptr_eq(&again.windows[1], &whole.windows[1]));
}

#[test]
fn a_drift_gives_way_to_what_is_clicked() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), Pane::DRIFT);
    wait_for(&mut bench, "the drift", drift_is_known);
    // the figure keeps the lane busy, so the order of what waits behind it can be seen
    inside_mut(&mut bench).send(a_figure(folder.path()));
    inside_mut(&mut bench).send(LookCommand::SetDrift(DriftChoices {
        part: DriftPart::Places,
        sweep_width: 16,
    }));
    bench.step();
    inside_mut(&mut bench).send(SessionCommand::SelectSample(1));
    bench.run_steps(2);
    let waiting: Vec<(&str, bool)> = inside(&bench)
        .data()
        .jobs
        .iter()
        .map(|job| (job.title.as_str(), job.cancel.is_cancelled()))
        .collect();
    let sweep = QuestionKind::Places.job_title();
    assert_eq!(
        waiting[1..],
        [("Measuring the sample", false), (sweep, false)]
    );
    inside_mut(&mut bench).send(JobCommand::CancelJobs);
    wait_for(&mut bench, "the end", |workbench| {
        workbench.data().jobs.is_empty()
    });
}

#[test]
fn without_a_session_the_views_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    send(&mut bench, ProgramCommand::ToggleHelp(Some(Pane::DRIFT)));
    assert!(
        bench
            .query_by_label_contains("How long windows foresee")
            .is_some()
    );
    assert!(bench.query_by_label("Recall by place").is_some());
    send(&mut bench, ProgramCommand::ToggleHelp(Some(Pane::QUERIES)));
    let term = "where only content counts";
    assert!(bench.query_all_by_label_contains(term).count() > 0);
}

#[test]
fn queries_are_compared_as_in_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), Pane::QUERIES);
    wait_for(&mut bench, "the cosines", |workbench| {
        workbench.derived().queries().is_some()
    });
    let rope = Session::open(session())
        .unwrap()
        .manifest()
        .shape
        .rope
        .clone();
    let captured = captured();
    let expected = window_queries(&captured, &captured.windows()[0], rope.as_ref());
    let expected = expected.unwrap().unwrap();
    let (before, after) = (expected.before_rotation.unwrap(), expected.after_rotation);
    let said = |when: &str, cosine: f64| format!("Cosine {when} RoPE of last:32: {cosine:.3}");
    assert!(
        bench
            .query_by_label(&said("before", before.mean()))
            .is_some()
    );
    assert!(bench.query_by_label(&said("after", after.mean())).is_some());

    let head = HeadAddress { layer: 1, head: 2 };
    let one_head = LookCommand::SelectHeads {
        heads: vec![head],
        change: SelectionChange::Replace,
    };
    send(&mut bench, one_head);
    let of_head = after.by_head()[4 + 2];
    assert!(bench.query_by_label(&said("after", of_head)).is_some());
    bench.get_by_label("Copy the cosines").click();
    bench.run_steps(2);
    let text = copied(&bench);
    let line = text.lines().nth(1).unwrap();
    assert!(line.starts_with("last:32\t\t"), "{line}");
    let copied: f32 = line.rsplit('\t').next().unwrap().parse().unwrap();
    assert_eq!(copied, of_head as f32);
}

#[test]
fn interventions_keep_what_they_do_not_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), Pane::QUERIES);
    wait_for(&mut bench, "the cosines", |workbench| {
        workbench.derived().queries().is_some()
    });
    bench.get_by_label("Run the interventions").click();
    wait_for(&mut bench, "the interventions", |workbench| {
        let lines = workbench.derived().queries();
        lines.is_some_and(|lines| lines.has_interventions)
    });
    assert!(bench.query_by_label("Run the interventions").is_none());
    let lines = inside(&bench).derived().queries().unwrap();
    let line = |wanted: Intervention| {
        let mut lines = lines.lines.iter();
        lines
            .find(|line| line.intervention == Some(wanted))
            .unwrap()
    };
    let cosines = |wanted: Intervention| {
        let line = line(wanted);
        let before = line.before.as_ref().unwrap().selected.mean;
        (before, line.after.selected.mean)
    };
    // the same tokens at the same positions are the decode stage itself
    let (before, after) = cosines(Intervention::Nothing);
    assert!(before > 0.9999 && after > 0.9999, "{before} {after}");
    // a rotation by the same angle leaves angles between vectors alone
    let (before, after) = cosines(Intervention::OtherContent);
    assert!((before - after).abs() < 1e-3, "{before} {after}");
    assert!(after < 0.9999);
    // another angle does not
    let (before, after) = cosines(Intervention::OtherPositions);
    assert!(after < before, "{before} {after}");
    assert!(line(Intervention::OtherPositions).position_gap < -100.0);
    assert_eq!(line(Intervention::OtherContent).position_gap, 0.0);
}
