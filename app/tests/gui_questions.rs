//! Stories of the views that ask further questions of a sample: drift.

#![expect(
    clippy::unwrap_used,
    reason = "a test may end where something is missing"
)]

mod gui_common;

use std::path::Path;

use egui_kittest::kittest::Queryable as _;
use gui_common::{Bench, bench, inside, inside_mut, session, shows_a_sample, wait_for};
use kvlens::gui::command::Command;
use kvlens::gui::layout::Pane;
use kvlens::gui::question_choices::{DriftChoices, DriftPart};
use kvlens::gui::questions::QuestionKind;
use kvlens::gui::state::{HeadAddress, SelectionChange, Settings};
use kvlens::gui::workbench::Workbench;
use kvlens::measurement::drift::window_drift;
use kvlens::measurement::places::{Sweep, sweep_places};
use kvlens_analysis::Budget;
use kvlens_sessions::{CapturedSample, Session};

fn opened<'a>(folder: &Path, pane: Pane) -> Bench<'a> {
    let mut bench = bench(folder, Settings::default());
    inside_mut(&mut bench).send(Command::OpenSession(session().to_owned()));
    wait_for(&mut bench, "the session", shows_a_sample);
    inside_mut(&mut bench).send(Command::ShowPane(pane));
    bench.run_steps(2);
    bench
}

fn captured() -> CapturedSample {
    Session::open(session()).unwrap().load_sample(0).unwrap()
}

fn send(bench: &mut Bench<'_>, command: Command) {
    inside_mut(bench).send(command);
    bench.run_steps(3);
}

fn drift_is_known(workbench: &Workbench) -> bool {
    workbench.data().jobs.is_empty()
        && workbench
            .derived()
            .drift()
            .is_some_and(|curves| curves.curves.len() == curves.asked_windows)
}

/// The clipboard after the last frame.
fn copied(bench: &Bench<'_>) -> String {
    let commands = &bench.output().platform_output.commands;
    let text = commands.iter().find_map(|command| match command {
        egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    });
    text.unwrap()
}

#[test]
fn the_drift_of_a_head_is_that_of_the_tables_and_follows_budget_and_selection() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), Pane::Drift);
    wait_for(&mut bench, "the drift", drift_is_known);
    assert!(
        bench
            .query_by_label("Recall over the decode steps")
            .is_some()
    );

    let head = HeadAddress { layer: 2, head: 3 };
    send(
        &mut bench,
        Command::SelectHeads {
            heads: vec![head],
            change: SelectionChange::Replace,
        },
    );
    send(&mut bench, Command::SetBudget(Budget::Tokens(40)));
    let shown = inside(&bench).data().shown().unwrap().clone();
    let expected: Vec<_> = shown
        .sample
        .windows
        .iter()
        .map(|window| {
            let drift = window_drift(&captured(), &shown.options, window, &[40], &mut |_, _| {
                Ok(())
            });
            drift.unwrap()
        })
        .collect();
    let curves = inside(&bench).derived().drift().unwrap();
    assert_eq!(curves.budget_tokens, 40);
    assert_eq!(curves.curves.len(), 2);
    for (curve, expected) in curves.curves.iter().zip(&expected) {
        let by_step = &expected.by_head[2 * 4 + 3].by_step;
        let recall: Vec<f32> = by_step.iter().map(|budgets| budgets[0]).collect();
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
    bench.step();
    let text = copied(&bench);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 2 * curves_steps(&bench));
    assert_eq!(
        lines[0],
        "window\tbudget_tokens\thorizon\trecall\tlow\thigh"
    );
    assert!(lines[1].starts_with("last:32\t40\t1\t"), "{}", lines[1]);
}

fn curves_steps(bench: &Bench<'_>) -> usize {
    inside(bench).derived().drift().unwrap().steps.len()
}

#[test]
fn a_window_is_swept_as_far_as_the_session_keeps_queries() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), Pane::Drift);
    bench.get_by_label("By place").click();
    bench.run_steps(2);
    let choices = DriftChoices {
        part: DriftPart::Places,
        sweep_width: 8,
    };
    send(&mut bench, Command::SetDrift(choices));
    send(&mut bench, Command::SetBudget(Budget::Tokens(16)));
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
    let count = expected.len() as f32;
    for (place, mean) in curves.recall.mean.iter().enumerate() {
        let sum: f32 = expected.iter().map(|head| head[place].recall[0]).sum();
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
        Command::SetDrift(DriftChoices {
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

#[test]
fn a_cancelled_drift_says_so_and_goes_on_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path(), Pane::Log);
    // the worker is busy with a capture, so the drift is still waiting when it is cancelled
    inside_mut(&mut bench).send(Command::RunDemo);
    inside_mut(&mut bench).send(Command::ShowPane(Pane::Drift));
    bench.step();
    assert_eq!(inside(&bench).data().jobs.len(), 2);
    inside_mut(&mut bench).send(Command::CancelJobs);
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
fn without_a_session_the_views_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    send(&mut bench, Command::ToggleHelp(Some(Pane::Drift)));
    assert!(
        bench
            .query_by_label_contains("How long windows foresee")
            .is_some()
    );
    assert!(bench.query_by_label("recall by place").is_some());
}
