//! Needle grids: what is known before anything is measured, and a row of maps for each window.

use crate::common::{Bench, captured_of, inside, opened_at, session, wait_for};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::layout::Pane;
use kvlens::gui::workbench::Workbench;

fn details_are_read(workbench: &Workbench) -> bool {
    let session = workbench.data().session.as_ref();
    session.is_some_and(|session| {
        let mut samples = session.info.samples.iter();
        samples.all(|sample| sample.details.is_some())
    })
}

fn rect(bench: &Bench<'_>, label: &str) -> egui::Rect {
    bench.get_by_label(label).rect()
}

#[test]
fn a_session_without_a_grid_says_so_at_once_and_what_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened_at(folder.path(), session(), Pane::NEEDLE);
    wait_for(&mut bench, "the samples' files", details_are_read);
    let said = bench.query_by_label_contains("No prompt of this session has a length");
    assert!(said.is_some());
    let form = "kvlens capture --model MODEL --data niah:length=1k..8k/4,depth=0..1/5";
    assert!(bench.query_by_label_contains(form).is_some());
    // measuring would bring nothing
    assert!(bench.query_by_label("Measure all samples").is_none());
}

#[test]
fn every_window_has_a_row_of_maps() {
    let data = "niah:length=256..384/2,depth=0..1/2,samples=1";
    let (_kept, path) = captured_of(data, &["last:8", "last:32"]);
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened_at(folder.path(), &path, Pane::NEEDLE);
    wait_for(&mut bench, "the samples' files", details_are_read);
    let said = "4 prompts of 2 lengths and 2 depths: not measured yet";
    assert!(bench.query_by_label(said).is_some());
    bench.get_by_label("Measure all samples").click();
    bench.run_steps(2);
    wait_for(&mut bench, "all samples", |workbench| {
        let maps = workbench.data().answers.maps.value();
        workbench.data().jobs.is_empty() && maps.is_some_and(|maps| maps.is_complete())
    });
    let maps = inside(&bench).data().answers.maps.value().unwrap();
    assert_eq!(maps.needles.len(), 1);
    let map = |of: &str| rect(&bench, &format!("Length by depth map of {of}"));
    let full = map("full cache: score");
    let [first, second] = ["last:8", "last:32"].map(|label| {
        let (kept, recall) = (
            map(&format!("{label}: evidence kept")),
            map(&format!("{label}: recall")),
        );
        assert!(
            (kept.top() - recall.top()).abs() < 1.0,
            "{kept:?} {recall:?}"
        );
        assert!(kept.right() <= recall.left());
        kept
    });
    assert!(full.bottom() <= first.top() && first.bottom() <= second.top());
    assert!((full.left() - first.left()).abs() < 1.0);
}
