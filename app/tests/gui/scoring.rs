//! Stories of what is compared: queries under one scoring, or methods as published with their ceilings.

use crate::common::{
    Bench, all_of_it, captured, copied, inside, inside_mut, opened_at, send, session, wait_for,
};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use kvlens::gui::command::{ExportCommand, LookCommand};
use kvlens::gui::export::ExportSettings;
use kvlens::gui::layout::Pane;
use kvlens::gui::state::MapScope;
use kvlens::gui::workbench::Workbench;
use kvlens::measurement::MeasureOptions;
use kvlens_analysis::{Budget, Compare, Metric, RowReduction};

fn methods(workbench: &Workbench) -> bool {
    let shown = workbench.data().shown();
    workbench.is_idle() && shown.is_some_and(|shown| shown.options.compare == Compare::Methods)
}

fn has(bench: &Bench<'_>, text: &str) -> bool {
    bench.query_all_by_label_contains(text).count() > 0
}

#[test]
fn queries_reach_one_and_methods_have_ceilings() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened_at(folder.path(), session(), Pane::SCORING);
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(32)));
    assert!(has(&bench, "the decode stage itself: recall 1.000"));
    assert!(has(&bench, "queries, max:7"));
    assert!(bench.query_by_label("Reset the comparison").is_none());
    assert!(bench.query_by_label("Truth rows").is_none());
    let band = &inside(&bench).derived().bands()[0];
    assert!(band.ceiling(Metric::Recall).is_none());

    bench.get_by_label("Which method keeps?").click();
    wait_for(&mut bench, "the methods", methods);
    assert!(!has(&bench, "the decode stage itself: recall 1.000"));
    assert!(has(&bench, "methods, raw truth"));
    assert!(
        has(&bench, "Truth rows"),
        "the truth has a scoring of its own"
    );
    assert!(has(&bench, "as published"));
    let derived = inside(&bench).derived();
    let (band, at) = (&derived.bands()[0], derived.budget_index);
    let sample = &inside(&bench).data().shown().unwrap().sample;
    let ceiling = sample.windows[0].ceiling.as_ref().unwrap();
    let expected = ceiling.mean(Metric::Recall, ceiling.budget_index(32).unwrap());
    let drawn = band.ceiling(Metric::Recall).unwrap()[at];
    assert!((drawn - expected).abs() < 1e-12);
    assert!(expected < 1.0 && expected > band.band(Metric::Recall).unwrap().mean[at]);
    let text = format!("Ceiling of last:32: {expected:.3}");
    send(
        &mut bench,
        kvlens::gui::command::LayoutCommand::ShowPane(Pane::INSPECTOR),
    );
    assert!(has(&bench, &text), "{text}");
    let map = inside(&bench).derived().map().unwrap();
    assert_eq!(map.ceilings.len(), map.values.len());

    inside_mut(&mut bench).send(ExportCommand::CopyNumbers(Pane::INSPECTOR));
    bench.step();
    let table = copied(&bench);
    let mut lines = table
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    let (header, first) = (lines.next().unwrap(), lines.next().unwrap());
    let column = header.iter().position(|name| *name == "recall of").unwrap();
    assert_eq!(first[column], expected.to_string());

    bench.get_by_label("Reset the comparison").click();
    wait_for(&mut bench, "the queries", |workbench| {
        let shown = workbench.data().shown();
        workbench.is_idle() && shown.is_some_and(|shown| shown.options == MeasureOptions::default())
    });
    assert!(has(&bench, "the decode stage itself: recall 1.000"));
}

#[test]
fn what_only_methods_know_is_let_go_when_queries_are_compared_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened_at(folder.path(), session(), Pane::SCORING);
    let mut options = MeasureOptions {
        compare: Compare::Methods,
        ..MeasureOptions::default()
    };
    options.oracle.reduce = Some(RowReduction::Max);
    send(&mut bench, LookCommand::SetMeasureOptions(options));
    wait_for(&mut bench, "the methods", methods);
    assert!(has(&bench, "methods, truth by max of steps"));
    bench.get_by_label("Which queries foresee?").click();
    bench.run_steps(3);
    let measure = inside(&bench).settings().choices.measure;
    assert_eq!(measure, MeasureOptions::default());
    assert_eq!(measure.contradiction(), None);
}

#[test]
fn maps_of_all_samples_and_figures_go_by_the_same_question() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened_at(folder.path(), session(), Pane::HEAD_MAP);
    let options = MeasureOptions {
        compare: Compare::Methods,
        ..MeasureOptions::default()
    };
    send(&mut bench, LookCommand::SetMeasureOptions(options));
    send(&mut bench, LookCommand::SetMapScope(MapScope::Session));
    wait_for(&mut bench, "all samples", |workbench| {
        let maps = workbench.data().answers.maps.value();
        methods(workbench) && maps.is_some_and(|maps| maps.is_complete())
    });
    let map = inside(&bench).derived().map().unwrap();
    assert_eq!(map.ceilings.len(), map.values.len());
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(mean(&map.ceilings) > mean(&map.values));
    let settings = inside(&bench).settings();
    let request = ExportSettings::default().request(
        &all_of_it(&[("last:32", vec!["last:32"])]),
        &settings.choices,
    );
    assert_eq!(request.options.compare, Compare::Methods);
    let words = request.words();
    let at = words.iter().position(|word| word == "--compare").unwrap();
    assert_eq!(words[at + 1], "methods");
    send(
        &mut bench,
        ExportCommand::ToggleExport(Some(Pane::HEAD_MAP)),
    );
    assert!(has(&bench, "Mean over all 4 samples of the session"));
}

#[test]
fn what_as_published_means_stands_window_by_window() {
    let windows = ["last:8", "h2o"];
    let (folder, session) = captured(&windows);
    let mut bench = opened_at(folder.path(), &session, Pane::SCORING);
    // queries are compared under one scoring: no window has one of its own
    for title in ["pooling", "group", "keys"] {
        assert!(bench.query_by_label(title).is_none(), "{title}");
    }
    assert!(has(&bench, "always keeps"));
    bench.get_by_label("Which method keeps?").click();
    wait_for(&mut bench, "the methods", methods);
    bench.run_steps(3);
    for title in ["window", "rows", "keys", "pooling", "group", "always keeps"] {
        assert!(bench.query_all_by_label(title).count() > 0, "{title}");
    }
    // SnapKV sums its rows, pools the maximum over 7 and keeps the rows themselves; H2O accumulates, pools nothing, and
    // KVCache-Factory's keeps the last 32
    let table = bench.get_by_label("always keeps").rect();
    let row = |label: &str| -> Vec<String> {
        let name = bench
            .get_all_by_label(label)
            .map(|node| node.rect())
            .find(|rect| rect.top() > table.bottom() && rect.left() < table.left())
            .unwrap();
        let labels = bench.get_all_by_role(egui::accesskit::Role::Label);
        let cells = labels.filter(|node| {
            let rect = node.rect();
            rect.left() > name.right() && (rect.center().y - name.center().y).abs() < 4.0
        });
        cells
            .filter_map(|node| node.accesskit_node().value())
            .collect()
    };
    let last = row("last:8");
    assert_eq!(last, ["sum", "causal", "max:7", "–", "8 recent"]);
    assert_eq!(row("h2o"), ["sum", "causal", "unpooled", "–", "32 recent"]);
}
