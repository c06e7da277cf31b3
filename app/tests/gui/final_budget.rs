//! A window that looked ahead anew for each budget is one window of the workbench.

use crate::common::{captured, inside, inside_mut, opened_at, wait_for};
use kvlens::gui::command::{LayoutCommand, LookCommand};
use kvlens::gui::layout::Pane;
use kvlens::gui::state::MapKind;
use kvlens_analysis::{Budget, Metric};

const FINAL: &str = "laq:n=4,budget=final";
const ALONE: &str = "laq:n=4,budget=20";

#[test]
fn it_is_one_window_in_lists_curves_maps_and_texts() {
    let (folder, session) = captured(&["last:8", "laq:n=4,budget=final@20+40", ALONE]);
    let mut bench = opened_at(folder.path(), &session, Pane::RECALL);
    wait_for(&mut bench, "the curves", |workbench| {
        !workbench.derived().bands().is_empty()
    });
    let derived = inside(&bench).derived();
    let labels = derived.windows().iter();
    let labels: Vec<&str> = labels.map(|window| window.label.as_str()).collect();
    assert_eq!(labels, ["last:8", FINAL, ALONE]);

    // its curve has the two budgets alone, and there the numbers of the lookahead for that budget
    let mean = |label: &str| {
        let mut bands = derived.bands().iter();
        let window = bands.find(|window| window.label == label).unwrap();
        window.band(Metric::Recall).unwrap().mean.clone()
    };
    let (joined, alone) = (mean(FINAL), mean(ALONE));
    let known: Vec<usize> = (0..joined.len())
        .filter(|&index| joined[index].is_finite())
        .collect();
    let budgets: Vec<usize> = known
        .iter()
        .map(|&index| derived.budgets()[index])
        .collect();
    assert_eq!(budgets, [20, 40]);
    assert_eq!(joined[known[0]].to_bits(), alone[known[0]].to_bits());

    // its map at 20 tokens is the one of `budget=20`; at 30 it has none, and no head is won by it
    let map = |bench: &mut crate::common::Bench<'_>, window: &str, budget: usize| {
        let workbench = inside_mut(bench);
        workbench.send(LayoutCommand::ShowPane(Pane::HEAD_MAP));
        workbench.send(LookCommand::SetMapKind(MapKind::Window));
        workbench.send(LookCommand::SetWindow(window.to_owned()));
        workbench.send(LookCommand::SetBudget(Budget::Tokens(budget)));
        bench.run_steps(3);
        inside(bench).derived().map().unwrap().values.clone()
    };
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    let of_alone = bits(map(&mut bench, ALONE, 20));
    assert_eq!(bits(map(&mut bench, FINAL, 20)), of_alone);
    assert!(
        map(&mut bench, FINAL, 30)
            .iter()
            .all(|value| value.is_nan())
    );
    inside_mut(&mut bench).send(LookCommand::SetMapKind(MapKind::Winner));
    bench.run_steps(3);
    let winners = inside(&bench).derived().winner_map().unwrap();
    assert_eq!(winners.windows, ["last:8", ALONE]);
    assert!(winners.winners.iter().any(Option::is_some));

    // texts show the lookahead for the nearest budget, and say so
    inside_mut(&mut bench).send(LookCommand::SetBudget(Budget::Tokens(36)));
    bench.run_steps(3);
    let nearest = inside(&bench).derived().observation.clone();
    assert_eq!(nearest.as_deref(), Some("laq:n=4,budget=final@40"));
}
