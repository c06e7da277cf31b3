//! The tables as they are told, against the files, and README's way from overlap to summary.

use std::collections::BTreeMap;
use std::fs::File;

use kvlens_analysis::collection::{CollectedSample, CollectedWindow};
use kvlens_analysis::importance::{HeadKind, Importance};
use kvlens_analysis::ranking::Rankings;
use kvlens_analysis::scoring::ForcedKeep;
use kvlens_analysis::tables::{
    AllocationTable, DecodeEvictionTable, EvidenceTable, NeighbourTable, OverlapTable,
    ProfileStabilityTable, ProfileTable, SUMMARY_SNIPPET, SampleContext, SummaryTable, Table,
    TableFile, TableWriter, declared, markdown, markdown_columns, overlap_rows,
};
use kvlens_analysis::{
    Budget, Collection, ComparisonInput, Metric, SampleGroup, SampleKey, compare,
};
use polars::prelude::{ParquetReader, SerReader};
use tempfile::TempDir;

use super::fixtures::{PROVENANCE, context, window_context};

/// Writes a table without rows and holds its columns to what is declared.
fn check<T: Table>() {
    let folder = TempDir::new().unwrap();
    let writer = TableWriter::<T>::create(folder.path(), PROVENANCE).unwrap();
    writer.finish().unwrap();
    let file = TableFile::read(&folder.path().join(T::FILE_NAME)).unwrap();
    let told: Vec<(String, String)> = T::declaration()
        .columns
        .iter()
        .map(|column| {
            let kind = if column.kind == "text" {
                "str"
            } else {
                column.kind
            };
            (column.name.to_owned(), kind.to_owned())
        })
        .collect();
    assert_eq!(file.columns(), told);
}

#[test]
fn files_have_the_columns_that_are_declared() {
    check::<OverlapTable>();
    check::<SummaryTable>();
    check::<AllocationTable>();
    check::<EvidenceTable>();
    check::<ProfileTable>();
    check::<NeighbourTable>();
    check::<ProfileStabilityTable>();
    check::<DecodeEvictionTable>();
}

#[test]
fn every_table_is_told_once_and_every_column_has_a_meaning() {
    let tables = declared();
    let mut files: Vec<&str> = tables.iter().map(|table| table.file).collect();
    files.sort_unstable();
    files.dedup();
    assert_eq!((files.len(), tables.len()), (25, 25));
    for table in &tables {
        assert!(!table.one_row_per.is_empty(), "{}", table.file);
        for column in &table.columns {
            assert!(column.meaning.ends_with('.'), "{} {column:?}", table.file);
        }
        let has = |name: &str| table.columns.iter().any(|column| column.name == name);
        assert!(has("budget") || !has("budget_tokens"), "{}", table.file);
        let of_samples = has("session") && has("sample");
        assert!(
            !of_samples || has("question_place") && has("depth"),
            "{}",
            table.file
        );
    }
}

#[test]
fn readme_tells_files_and_columns() {
    let files = markdown();
    assert!(files.starts_with("| file | one row per | columns |\n|---|---|---|\n| `overlap.parquet` | window, head and budget | *the sample's*, window (text), layer, head (u32), head_kind, compare, score_kind, budget (text), budget_tokens (u32), budget_fraction (f64), visible_tokens (u32), recall, kept_recall,"), "{files}");
    assert_eq!(files.lines().count(), 29);
    let shared = files.lines().last().unwrap();
    assert!(shared.starts_with("*the sample's* columns are session, model, dataset, "));
    let columns = markdown_columns();
    assert!(columns.contains("| `depth` | f64? | Where the evidence lies in the document, from 0 at its start to 1 at its end. |\n"), "{columns}");
    assert_eq!(columns.matches("| `session` |").count(), 1, "told once");
}

/// Scores of one layer of two heads; what varies is which tokens stand in front.
fn rankings(salt: usize) -> (Importance, Rankings) {
    let scores = (0..32).map(|index| ((index * 7 + salt * 5) % 16) as f32);
    let importance = Importance::new(
        1,
        2,
        HeadKind::Query,
        16,
        scores.collect(),
        vec![1.0; 2],
        vec![0],
    )
    .unwrap();
    let rankings = Rankings::of(&importance, ForcedKeep::default()).unwrap();
    (importance, rankings)
}

/// What README's lines do, in the same engine: the mean over heads by group and content, then over contents.
#[test]
#[expect(
    deprecated,
    reason = "the engine's own word for a mean of groups without its lazy half, which is not built here"
)]
fn the_summary_can_be_redone_from_the_overlap_as_readme_says() {
    let folder = TempDir::new().unwrap();
    let budgets = [Budget::Tokens(4), Budget::Fraction(0.5)];
    let mut collection = Collection::new(&budgets, &[], Metric::Recall);
    let mut writer = TableWriter::<OverlapTable>::create(folder.path(), PROVENANCE).unwrap();
    // Five samples of which the last is the first one's copy; two windows, two places of the question.
    for sample in 0..5_usize {
        let place = ["start", "end"][sample % 2];
        let key = SampleKey {
            content: format!("content {}", sample % 4),
            document: None,
            prompt: String::new(),
        };
        let context = SampleContext {
            sample: format!("sample {sample}"),
            content: key.content.clone(),
            question_place: Some(place.to_owned()),
            ..context()
        };
        let group = SampleGroup {
            model: context.model.clone(),
            task: context.task.clone(),
            question_place: context.question_place.clone(),
        };
        let (mass, oracle) = rankings(sample % 4);
        for (label, salt) in [("last", 3), ("laq", 6)] {
            let comparison = compare(ComparisonInput {
                truth: &oracle,
                window: &rankings(sample % 4 + salt).1,
                decode_mass: &mass,
                keep_rule: ForcedKeep::default().into(),
                evidence: &[],
                budgets: &[4, 8],
            })
            .unwrap();
            let window = window_context(&context, label);
            writer
                .write(&overlap_rows(window, &comparison, None, &budgets).unwrap())
                .unwrap();
            let sample = CollectedSample {
                key: &key,
                session: &context.session,
                sample: &context.sample,
                prompt_tokens: 16,
            };
            let window = CollectedWindow {
                label,
                score_kind: "attention",
                comparison: &comparison,
                ceiling: None,
            };
            collection.add(&group, sample, &[window]);
        }
    }
    writer.finish().unwrap();

    let group = ["model", "task", "question_place", "window", "budget"];
    let file = File::open(folder.path().join("overlap.parquet")).unwrap();
    let overlap = ParquetReader::new(file).finish().unwrap();
    let of_samples = overlap
        .group_by(group.iter().chain(&["content"]).copied())
        .and_then(|groups| groups.select(["recall"]).mean())
        .unwrap();
    let summary = of_samples
        .group_by(group)
        .and_then(|groups| groups.select(["recall_mean"]).mean())
        .unwrap();
    let cell = |name: &str, row: usize| {
        let cell = summary.column(name).unwrap().get(row).unwrap();
        cell.get_str().unwrap().to_owned()
    };
    let redone: BTreeMap<[String; 3], f64> = (0..summary.height())
        .map(|row| {
            let key = ["question_place", "window", "budget"].map(|name| cell(name, row));
            let mean = summary
                .column("recall_mean_mean")
                .unwrap()
                .get(row)
                .unwrap();
            (key, mean.try_extract().unwrap())
        })
        .collect();

    let told = collection.summaries(Metric::Recall, 1);
    assert_eq!((told.len(), redone.len()), (8, 8));
    assert!(
        told.iter().any(|summary| summary.mean != told[0].mean),
        "nothing varies"
    );
    for summary in told {
        let key = [
            summary.group.question_place.clone().unwrap(),
            summary.window.to_owned(),
            summary.budget.to_string(),
        ];
        assert!((redone[&key] - summary.mean).abs() < 1e-12, "{key:?}");
        assert_eq!(summary.samples, 2);
    }
}

#[test]
fn readmes_lines_name_columns_that_exist() {
    let columns: Vec<&str> = OverlapTable::declaration()
        .columns
        .iter()
        .map(|column| column.name)
        .collect();
    let quoted: Vec<&str> = SUMMARY_SNIPPET.split('"').skip(1).step_by(2).collect();
    let no_columns = ["runs/*/overlap.parquet", "samples", "streaming"];
    for name in quoted.iter().filter(|name| !no_columns.contains(name)) {
        assert!(columns.contains(name), "{name}");
    }
    assert!(quoted.contains(&"content") && quoted.contains(&"budget"));
}
