//! What the lessons say, held against the state that each of their steps shows.

use std::path::Path;
use std::sync::Arc;

use crate::common::{Bench, bench, captured, inside, inside_mut, shows_a_sample, wait_for};
use kvlens::demo::DEMO_WINDOWS;
use kvlens::gui::command::{LessonCommand, LookCommand, SessionCommand};
use kvlens::gui::derived::EvidenceKept;
use kvlens::gui::lessons::{Lesson, lessons};
use kvlens::gui::state::{HeadAddress, SelectionChange, Settings};
use kvlens::gui::workbench::Workbench;
use kvlens_analysis::{Budget, Metric};

/// The built-in prompts in a workbench.
fn opened<'a>(session: &Path) -> Bench<'a> {
    let mut bench = bench(Path::new("nowhere"), Settings::default());
    inside_mut(&mut bench).send(SessionCommand::OpenSession(session.to_owned()));
    wait_for(&mut bench, "the session", shows_a_sample);
    bench
}

/// The mean of a metric over the selected heads at the budget.
fn value(workbench: &Workbench, window: &str, metric: Metric) -> f64 {
    let derived = workbench.derived();
    let mut bands = derived.bands().iter();
    let bands = bands.find(|bands| bands.label == window).unwrap();
    bands.band(metric).unwrap().mean[derived.budget_index]
}

#[test]
#[ignore = "a help for whoever writes a lesson: prints what heads show"]
fn numbers_for_lessons() {
    let (_folder, session) = captured(&DEMO_WINDOWS);
    let mut bench = opened(&session);
    for (sample, budget) in [(0, "10%"), (1, "10%"), (0, "2%")] {
        inside_mut(&mut bench).send(SessionCommand::SelectSample(sample));
        inside_mut(&mut bench).send(LookCommand::SetBudget(budget.parse::<Budget>().unwrap()));
        wait_for(&mut bench, "the sample", |workbench| {
            workbench.is_idle()
                && workbench
                    .data()
                    .shown()
                    .is_some_and(|it| it.index == sample)
        });
        let print = |bench: &mut Bench<'_>, name: &str| {
            let mut line = format!("{sample} {budget} {name}:");
            for window in DEMO_WINDOWS {
                inside_mut(bench).send(LookCommand::SetWindow(window.to_owned()));
                bench.run_steps(3);
                let EvidenceKept {
                    oracle,
                    window: kept,
                    needed,
                } = inside(bench).derived().evidence();
                let recall = value(inside(bench), window, Metric::Recall);
                let mass = value(inside(bench), window, Metric::Mass);
                let share = value(inside(bench), window, Metric::MassOfOracle);
                line += &format!(
                    " {window} {recall:.2} {mass:.2} {share:.2} {kept}/{oracle}/{needed};"
                );
            }
            println!("{line}");
        };
        inside_mut(&mut bench).send(LookCommand::SelectAllHeads);
        bench.run_steps(3);
        print(&mut bench, "all");
        for head in 0..16 {
            let heads = vec![HeadAddress {
                layer: head / 4,
                head: head % 4,
            }];
            let change = SelectionChange::Replace;
            inside_mut(&mut bench).send(LookCommand::SelectHeads { heads, change });
            bench.run_steps(3);
            print(&mut bench, &format!("{}.{}", head / 4, head % 4));
        }
    }
}
