//! The tables that hold windows against each other.

use kvlens_analysis::Metric;
use kvlens_analysis::budget::Budget;
use kvlens_analysis::complementarity::complementarity;
use kvlens_analysis::importance::HeadKind;
use kvlens_analysis::statistics::{
    WindowValues, paired_differences_by_head, stability_by_head, winners_by_head,
};
use kvlens_analysis::tables::{
    ComplementarityTable, DifferenceTable, MapContext, TableWriter, WinnerTable,
    complementarity_rows, difference_rows, overall_difference_row, winner_rows,
};
use tempfile::TempDir;

use super::fixtures::{PROVENANCE, SAMPLE, columns, context, read, scored, some};

fn map() -> MapContext {
    MapContext {
        model: "demo".to_owned(),
        task: "facts".to_owned(),
        question_place: Some("end".to_owned()),
        metric: Metric::MassOfOracle,
        budget: Budget::Fraction(0.05),
        samples: 8,
        heads: 2,
        head_kind: HeadKind::Kv,
    }
}

/// Two windows, eight samples, two layers of two heads; the first window leads in the last head alone.
fn values() -> WindowValues {
    let row = |window: usize, sample: usize| {
        let lead = if window == 0 { 0.25 } else { 0.0 };
        let scatter = (sample * 3 % 8) as f64 / 100.0;
        [0.5, 0.5, 0.5, 0.5 + lead * (1.0 + scatter)]
    };
    let rows = (0..2).flat_map(|window| (0..8).flat_map(move |sample| row(window, sample)));
    WindowValues::new(2, 8, 4, rows.collect()).unwrap()
}

#[test]
fn differences_and_winners_have_their_columns() {
    let folder = TempDir::new().unwrap();
    let (map, values) = (map(), values());
    let differences = paired_differences_by_head(&values, 0, 1, 1).unwrap();
    let mut rows = difference_rows(&map, "laq", "last:32", &differences).unwrap();
    let overall = differences[3].difference;
    rows.push(overall_difference_row(&map, "laq", "last:32", overall));
    let mut writer = TableWriter::<DifferenceTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    let file = read::<DifferenceTable>(folder.path());
    assert_eq!(
        columns(&file),
        "model str, task str, metric str, budget str, samples u32, first str, second str, layer u32, \
         head u32, head_kind str, difference f64, low f64, high f64, p f64, p_holm f64, p_bh f64, \
         resolved bool, question_place str"
    );
    assert_eq!(file.text("budget").unwrap()[0].as_deref(), Some("5%"));
    assert_eq!(
        file.text("metric").unwrap()[0].as_deref(),
        Some("mass_of_oracle")
    );
    let p = [1.0, 2.0 / 256.0, 2.0 / 256.0];
    assert_eq!(file.numbers("p").unwrap()[2..], some(&p));
    assert_eq!(file.counts("head").unwrap()[3..], [Some(1), None]);
    assert_eq!(file.text("head_kind").unwrap()[4].as_deref(), Some("all"));
    assert_eq!(file.numbers("p_bh").unwrap()[3], Some(8.0 / 256.0));
    assert_eq!(
        file.flags("resolved").unwrap(),
        some(&[false, false, false, true, true])
    );

    let winners = winners_by_head(&values, 1).unwrap();
    let stability = stability_by_head(&values);
    let rows = winner_rows(&map, &["laq", "last:32"], &winners, &stability).unwrap();
    let mut writer = TableWriter::<WinnerTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    let file = read::<WinnerTable>(folder.path());
    assert_eq!(
        columns(&file),
        "model str, task str, metric str, budget str, samples u32, layer u32, head u32, \
         head_kind str, window str, mean f64, runner_up str, margin f64, low f64, high f64, p f64, \
         p_bh f64, resolved bool, usual_best str, usual_best_share f64, concordance f64, \
         question_place str"
    );
    assert_eq!(file.text("window").unwrap()[3].as_deref(), Some("laq"));
    assert_eq!(
        file.flags("resolved").unwrap(),
        some(&[false, false, false, true])
    );
    assert_eq!(
        file.numbers("usual_best_share").unwrap()[2..],
        some(&[0.5, 1.0])
    );
    assert!(winner_rows(&map, &["laq"], &winners, &stability).is_err());
    assert!(difference_rows(&map, "laq", "last:32", &differences[..3]).is_err());
}

#[test]
fn complementarity_has_its_columns() {
    let folder = TempDir::new().unwrap();
    let sample = context();
    let (_, rankings) = scored();
    let split = complementarity(&rankings, &rankings, &rankings, &[1, 4]).unwrap();
    let rows = complementarity_rows(&sample, "laq", "last:32", &rankings, &split).unwrap();
    let mut writer =
        TableWriter::<ComplementarityTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    let file = read::<ComplementarityTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, prompt_tokens u32, decode_tokens u32, first str, second str, layer u32, head u32, \
         head_kind str, budget_tokens u32, both f64, first_only f64, second_only f64, neither f64, \
         union_tokens u32"
    );
    assert_eq!(columns(&file), expected);
    assert_eq!(file.numbers("both").unwrap()[0], Some(1.0));
    assert_eq!(file.counts("union_tokens").unwrap()[..2], some(&[1, 3]));
}
