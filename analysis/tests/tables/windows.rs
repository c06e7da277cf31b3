//! The tables that hold windows against each other.

use kvlens_analysis::collection::{Contrast, HeadShape, PairedMap, SampleGroup, WinnerMap};
use kvlens_analysis::complementarity::complementarity;
use kvlens_analysis::importance::HeadKind;
use kvlens_analysis::statistics::{
    WindowValues, paired_differences_by_head, stability_by_head, winners_by_head,
};
use kvlens_analysis::tables::{
    ComplementarityTable, DifferenceTable, TableWriter, WinnerTable, complementarity_rows,
    difference_rows, winner_rows,
};
use kvlens_analysis::{Budget, Metric};
use tempfile::TempDir;

use super::fixtures::{PROVENANCE, SAMPLE, columns, context, read, scored, some};

const SHAPE: HeadShape = HeadShape {
    layers: 2,
    heads: 2,
    head_kind: HeadKind::Kv,
};

/// Two windows, eight samples, two layers of two heads; the first window leads in the last head alone, and the
/// first head is undefined in one sample.
fn values() -> WindowValues {
    let row = |window: usize, sample: usize| {
        let lead = if window == 0 { 0.25 } else { 0.0 };
        let scatter = (sample * 3 % 8) as f64 / 100.0;
        let first = if sample == 5 { f64::NAN } else { 0.5 };
        [
            first,
            0.5,
            0.5,
            0.5 + lead * (1.0 + scatter) - scatter / 2.0,
        ]
    };
    let rows = (0..2).flat_map(|window| (0..8).flat_map(move |sample| row(window, sample)));
    WindowValues::new(2, 8, 4, rows.collect(), Some((0.0, 1.0))).unwrap()
}

#[test]
fn differences_have_their_columns() {
    let folder = TempDir::new().unwrap();
    let by_head = paired_differences_by_head(&values(), 0, 1, 1).unwrap();
    let pair = PairedMap {
        contrast: Contrast::Window,
        model: Some("demo"),
        task: "facts",
        question_place: Some("end"),
        window: None,
        metric: Metric::MassOfOracle,
        budget: Budget::Fraction(0.05),
        first: "laq",
        second: "last:32",
        samples: 8,
        overall: by_head[3].unwrap().difference,
        shape: Some(SHAPE),
        by_head,
    };
    let places = PairedMap {
        contrast: Contrast::QuestionPlace,
        question_place: None,
        window: Some("laq"),
        first: "start",
        second: "end",
        shape: None,
        by_head: Vec::new(),
        ..pair.clone()
    };
    let mut writer = TableWriter::<DifferenceTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&difference_rows(&pair, Some(0.02))).unwrap();
    writer.write(&difference_rows(&places, None)).unwrap();
    writer.finish().unwrap();
    let file = read::<DifferenceTable>(folder.path());
    assert_eq!(
        columns(&file),
        "contrast str, model str, task str, question_place str, window str, first str, second str, \
         metric str, budget str, samples u32, layer u32, head u32, head_kind str, difference f64, \
         low f64, high f64, p f64, p_holm f64, p_bh f64, resolved bool, margin f64, \
         equivalent bool"
    );
    assert_eq!(file.rows(), 6);
    // within 0.02 eight samples are too few to call even equal heads equivalent, which they are within a wide margin;
    // nothing is said where no margin was
    let wide = difference_rows(&pair, Some(0.9));
    assert_eq!(
        (wide[2].equivalent, wide[3].equivalent),
        (Some(true), Some(true))
    );
    assert_eq!(
        file.flags("equivalent").unwrap(),
        [
            Some(false),
            None,
            Some(false),
            Some(false),
            Some(false),
            None
        ]
    );
    assert_eq!(file.numbers("margin").unwrap()[4..], [Some(0.02), None]);
    let text = |column: &str, row: usize| file.text(column).unwrap()[row].clone();
    assert_eq!(text("budget", 0).as_deref(), Some("5%"));
    assert_eq!(text("metric", 0).as_deref(), Some("mass_of_oracle"));
    assert_eq!(text("contrast", 5).as_deref(), Some("question_place"));
    assert_eq!(
        (text("window", 0), text("window", 5).as_deref()),
        (None, Some("laq"))
    );
    assert_eq!(
        (
            text("question_place", 0).as_deref(),
            text("question_place", 5)
        ),
        (Some("end"), None)
    );
    let kinds = file.text("head_kind").unwrap();
    assert_eq!(kinds[..2], some(&["all".to_owned(), "kv".to_owned()]));
    // the overall row, an undefined head, two equal ones, and one of three that are tested together
    let p = 2.0 / 256.0;
    assert_eq!(
        file.numbers("p").unwrap()[..5],
        [Some(p), None, Some(1.0), Some(1.0), Some(p)]
    );
    assert_eq!(file.numbers("p_bh").unwrap()[4], Some(3.0 * p));
    assert_eq!(file.counts("head").unwrap()[3..], [Some(0), Some(1), None]);
    assert_eq!(
        file.flags("resolved").unwrap()[..5],
        [Some(true), None, Some(false), Some(false), Some(true)]
    );
}

#[test]
fn winners_have_their_columns() {
    let folder = TempDir::new().unwrap();
    let values = values();
    let group = SampleGroup {
        model: "demo".to_owned(),
        task: "facts".to_owned(),
        question_place: None,
    };
    let map = WinnerMap {
        group: &group,
        metric: Metric::Recall,
        budget: Budget::Tokens(64),
        windows: vec!["laq", "last:32"],
        samples: 8,
        shape: SHAPE,
        winners: winners_by_head(&values, 1).unwrap(),
        stability: stability_by_head(&values),
    };
    let mut writer = TableWriter::<WinnerTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&winner_rows(&map).unwrap()).unwrap();
    writer.finish().unwrap();
    let file = read::<WinnerTable>(folder.path());
    assert_eq!(
        columns(&file),
        "model str, task str, question_place str, metric str, budget str, samples u32, layer u32, \
         head u32, head_kind str, window str, mean f64, runner_up str, margin f64, low f64, high f64, \
         p f64, p_bh f64, resolved bool, usual_best str, usual_best_share f64, concordance f64"
    );
    let windows = file.text("window").unwrap();
    assert_eq!(
        (windows[0].clone(), windows[3].as_deref()),
        (None, Some("laq"))
    );
    assert_eq!(
        file.flags("resolved").unwrap(),
        [None, Some(false), Some(false), Some(true)]
    );
    assert_eq!(
        file.numbers("usual_best_share").unwrap(),
        [None, Some(0.5), Some(0.5), Some(1.0)]
    );
    let nameless = WinnerMap {
        windows: vec!["laq"],
        ..map
    };
    assert!(winner_rows(&nameless).is_err());
}

#[test]
fn complementarity_has_its_columns() {
    let folder = TempDir::new().unwrap();
    let sample = context();
    let (_, rankings) = scored();
    let split = complementarity(&rankings, &rankings, &rankings, &[1, 4]).unwrap();
    let budgets = [Budget::Fraction(0.25), Budget::Tokens(64)];
    let windows = ("laq", "last:32");
    let rows = complementarity_rows(&sample, windows, rankings.shape(), &budgets, &split).unwrap();
    let mut writer =
        TableWriter::<ComplementarityTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    let file = read::<ComplementarityTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, first str, second str, layer u32, head u32, head_kind str, budget str, \
         budget_tokens u32, both f64, first_only f64, second_only f64, neither f64, union_tokens u32"
    );
    assert_eq!(columns(&file), expected);
    assert_eq!(file.text("budget").unwrap()[1].as_deref(), Some("64"));
    assert_eq!(file.counts("union_tokens").unwrap()[..2], some(&[1, 3]));
    assert!(
        complementarity_rows(&sample, windows, rankings.shape(), &budgets[..1], &split).is_err()
    );
}
