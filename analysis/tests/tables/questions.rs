//! The tables of further questions, of means and of figures: their columns are those of README.

use kvlens_analysis::collection::{CollectedSample, CollectedWindow};
use kvlens_analysis::figure::FigureRow;
use kvlens_analysis::importance::HeadKind;
use kvlens_analysis::tables::{
    AllocationRow, AllocationTable, DriftRow, DriftTable, FigureTable, PlaceRow, PlaceTable,
    QueryRow, QueryTable, SummaryRow, SummaryTable, Table, TableFile, TableOutput, WindowHead,
};
use kvlens_analysis::{Budget, Collection, Metric, SampleGroup, SampleKey};
use tempfile::TempDir;

use super::fixtures::{PROVENANCE, SAMPLE, columns, compared, context, names, read};

fn written<T: Table>(rows: &[T::Row<'_>]) -> TableFile {
    let folder = TempDir::new().unwrap();
    let mut table = TableOutput::<T>::create(folder.path(), PROVENANCE, true).unwrap();
    table.write(rows).unwrap();
    table.finish().unwrap();
    let expected: Vec<String> = TableOutput::<T>::file_names(true)
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let mut sorted = expected.clone();
    sorted.sort();
    assert_eq!(names(folder.path()), sorted);
    read::<T>(folder.path())
}

fn with_sample(rest: &str) -> String {
    format!("{SAMPLE}, {rest}")
}

#[test]
fn questions_have_their_columns() {
    let sample = &context();
    let (window, head_kind) = ("laq", HeadKind::Kv);
    let (layer, head) = (1, 2);
    let window_head = WindowHead::at(window, 6, 4, head_kind);
    let budget = Budget::Fraction(0.5);
    let drift = written::<DriftTable>(&[DriftRow {
        sample,
        head: window_head,
        part: "step",
        step: 3,
        budget,
        budget_tokens: 2,
        recall: Some(0.5),
        output_error: None,
    }]);
    assert_eq!(drift.counts("layer").unwrap(), [Some(1)]);
    assert_eq!(drift.counts("head").unwrap(), [Some(2)]);
    let expected = "window str, layer u32, head u32, head_kind str, part str, step u32, \
                    budget str, budget_tokens u32, recall f64, output_error f64";
    assert_eq!(columns(&drift), with_sample(expected));
    let place = written::<PlaceTable>(&[PlaceRow {
        sample,
        width: 32,
        layer,
        head,
        head_kind,
        last_position: 9,
        budget,
        budget_tokens: 2,
        recall: Some(0.5),
        visible: Some(0.75),
    }]);
    let expected = "width u32, layer u32, head u32, head_kind str, last_position u32, \
                    budget str, budget_tokens u32, recall f64, visible f64";
    assert_eq!(columns(&place), with_sample(expected));
    let query = written::<QueryTable>(&[QueryRow {
        sample,
        window,
        layer,
        head,
        rows: 8,
        position_gap: -40.0,
        cosine_before_rotation: None,
        cosine_after_rotation: Some(0.25),
    }]);
    let expected = "window str, layer u32, head u32, rows u32, position_gap f64, \
                    cosine_before_rotation f64, cosine_after_rotation f64";
    assert_eq!(columns(&query), with_sample(expected));
    assert_eq!(query.numbers("cosine_before_rotation").unwrap(), [None]);
    let allocation = written::<AllocationTable>(&[AllocationRow {
        sample,
        head: window_head,
        allocation: "pyramid",
        budget,
        budget_tokens: 2,
        tokens: 3,
        recall: Some(0.5),
        kept_recall: Some(0.25),
        hit_rate: Some(0.75),
        selected_mass: Some(0.25),
    }]);
    let expected = "window str, layer u32, head u32, head_kind str, allocation str, \
                    budget str, budget_tokens u32, tokens u32, recall f64, kept_recall f64, hit_rate f64, selected_mass f64";
    assert_eq!(columns(&allocation), with_sample(expected));
}

#[test]
fn means_and_figures_have_their_columns() {
    let (_, comparison) = compared(&[2]);
    let mut collection = Collection::new(&[Budget::Tokens(2)], &[], Metric::Recall);
    let group = SampleGroup {
        model: "demo".to_owned(),
        task: "facts".to_owned(),
        question_place: None,
    };
    let window = CollectedWindow {
        label: "laq",
        score_kind: "attention",
        comparison: &comparison,
        ceiling: Some(&comparison),
    };
    let key = SampleKey {
        content: "a".to_owned(),
        document: None,
        prompt: "a".to_owned(),
    };
    let sample = CollectedSample {
        key: &key,
        session: "s",
        sample: "a",
        prompt_tokens: 4,
    };
    collection.add(&group, sample, &[window]);
    let rows: Vec<_> = collection.summaries(Metric::HitRate, 0);
    let rows: Vec<_> = rows
        .into_iter()
        .map(|summary| SummaryRow::new(summary, "methods"))
        .collect();
    let summary = written::<SummaryTable>(&rows);
    assert_eq!(
        columns(&summary),
        "model str, task str, question_place str, window str, compare str, score_kind str, metric str, \
         budget str, samples u32, heads u32, all_heads u32, mean f64, low f64, high f64, ceiling f64"
    );
    assert_eq!(summary.counts("all_heads").unwrap(), [Some(4)]);
    assert_eq!(
        summary.numbers("ceiling").unwrap(),
        summary.numbers("mean").unwrap()
    );
    assert_eq!(summary.text("question_place").unwrap(), [None]);
    assert_eq!(
        summary.numbers("low").unwrap(),
        [None],
        "one sample has no interval"
    );
    let figure = written::<FigureTable>(&[FigureRow {
        panel: String::new(),
        series: "laq".to_owned(),
        x: 64.0,
        y: None,
        value: 0.5,
        low: Some(0.25),
        high: Some(0.75),
        ceiling: None,
        samples: 8,
        resolved: None,
        equivalent: None,
        x_name: None,
    }]);
    assert_eq!(
        columns(&figure),
        "panel str, series str, x f64, y f64, value f64, low f64, high f64, ceiling f64, samples u32, resolved bool, equivalent bool, x_name str"
    );
}
