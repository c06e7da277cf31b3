//! The tables of what evictions do to the output.

use kvlens_analysis::Budget;
use kvlens_analysis::importance::HeadKind;
use kvlens_analysis::statistics::Interval;
use kvlens_analysis::tables::{
    FidelityRow, FidelityStepRow, FidelityStepsTable, FidelitySummaryRow, FidelitySummaryTable,
    FidelityTable, RecallFidelityRow, RecallFidelityTable, TableWriter,
};
use tempfile::TempDir;

use super::fixtures::{PROVENANCE, SAMPLE, columns, context, read, some};

#[test]
fn evictions_and_their_steps_have_their_columns() {
    let folder = TempDir::new().unwrap();
    let sample = context();
    let row = FidelityRow {
        sample: &sample,
        window: "last:32",
        head_kind: HeadKind::Query,
        allocation: "uniform",
        budget: Budget::Fraction(0.5),
        budget_tokens: 2,
        budget_fraction: 0.5,
        recall: Some(0.25),
        method_recall: Some(0.125),
        kept_recall: Some(f64::NAN),
        hit_rate: Some(0.5),
        kept_mass: Some(0.75),
        output_error: None,
        steps: 8,
        kl: Some(0.125),
        agreement: Some(0.875),
        answer_nll: None,
        score: Some(1.0),
        generated: "Rome.",
    };
    let full = FidelityRow {
        window: "full",
        answer_nll: Some(0.5),
        score: None,
        ..row
    };
    let mut writer = TableWriter::<FidelityTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&[full, row]).unwrap();
    writer.finish().unwrap();
    let file = read::<FidelityTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, window str, head_kind str, allocation str, budget str, \
         budget_tokens u32, budget_fraction f64, recall f64, method_recall f64, kept_recall f64, hit_rate f64, kept_mass f64, output_error f64, steps u32, kl f64, \
         agreement f64, answer_nll f64, score f64, generated str"
    );
    assert_eq!(columns(&file), expected);
    assert_eq!(file.numbers("kept_mass").unwrap(), some(&[0.75, 0.75]));
    assert_eq!(file.numbers("kept_recall").unwrap(), [None, None]);
    assert_eq!(file.numbers("answer_nll").unwrap(), [Some(0.5), None]);
    assert_eq!(file.numbers("score").unwrap(), [None, Some(1.0)]);

    let step = FidelityStepRow {
        sample: &sample,
        window: "last:32",
        budget: Budget::Tokens(2),
        budget_tokens: 2,
        budget_fraction: 0.5,
        step: 3,
        token_id: 17,
        kl: Some(0.5),
        agrees: false,
    };
    let mut writer = TableWriter::<FidelityStepsTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&[step]).unwrap();
    writer.finish().unwrap();
    let file = read::<FidelityStepsTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, window str, budget str, budget_tokens u32, budget_fraction f64, \
         step u32, token_id u32, kl f64, agrees bool"
    );
    assert_eq!(columns(&file), expected);
    assert_eq!(file.flags("agrees").unwrap(), [Some(false)]);
    assert_eq!(file.counts("token_id").unwrap(), some(&[17]));
}

#[test]
fn means_of_evictions_have_their_columns() {
    let folder = TempDir::new().unwrap();
    let row = FidelitySummaryRow {
        model: "demo",
        task: "facts",
        question_place: None,
        window: "laq",
        budget: Budget::Tokens(64),
        metric: "kl",
        samples: 8,
        mean: 0.5,
        interval: None,
    };
    let mut writer =
        TableWriter::<FidelitySummaryTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&[row]).unwrap();
    writer.finish().unwrap();
    let file = read::<FidelitySummaryTable>(folder.path());
    assert_eq!(
        columns(&file),
        "model str, task str, question_place str, window str, budget str, metric str, samples u32, mean f64, low f64, \
         high f64"
    );
    assert_eq!(file.numbers("mean").unwrap(), some(&[0.5]));
    assert_eq!(file.numbers("high").unwrap(), [None]);
}

#[test]
fn correlations_have_their_columns() {
    let folder = TempDir::new().unwrap();
    let over_windows = RecallFidelityRow {
        model: "demo",
        task: "facts",
        question_place: Some("start"),
        budget: Budget::Fraction(0.05),
        over: "windows",
        window: None,
        foreseen: "recall",
        changed: "kl",
        windows: 13,
        samples: 32,
        spearman: Some(-0.5),
        interval: Some(Interval {
            low: -0.75,
            high: -0.25,
        }),
    };
    let over_samples = RecallFidelityRow {
        question_place: None,
        over: "samples",
        window: Some("laq"),
        spearman: Some(f64::NAN),
        interval: None,
        ..over_windows
    };
    let mut writer = TableWriter::<RecallFidelityTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&[over_windows, over_samples]).unwrap();
    writer.finish().unwrap();
    let file = read::<RecallFidelityTable>(folder.path());
    assert_eq!(
        columns(&file),
        "model str, task str, question_place str, budget str, over str, window str, foreseen str, \
         changed str, windows u32, samples u32, spearman f64, low f64, high f64"
    );
    assert_eq!(file.text("window").unwrap(), [None, Some("laq".to_owned())]);
    assert_eq!(file.numbers("low").unwrap(), [Some(-0.75), None]);
    assert_eq!(file.numbers("spearman").unwrap(), [Some(-0.5), None]);
}
