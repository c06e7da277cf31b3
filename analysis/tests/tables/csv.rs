//! The same tables as text.

use std::fs;

use kvlens_analysis::agreement::agreement_by_head;
use kvlens_analysis::tables::{
    AgreementTable, CsvWriter, SampleContext, SampleRow, SamplesTable, agreement_rows,
};
use tempfile::TempDir;

use super::fixtures::{EXEMPT, PROVENANCE, compared, context, names, window_context};

#[test]
fn csv_holds_what_parquet_holds() {
    let folder = TempDir::new().unwrap();
    let sample = SampleContext {
        task: "a \"quoted\", long\ntask".to_owned(),
        ..context()
    };
    let (importance, comparison) = compared(&[1]);
    let agreement = agreement_by_head(&importance, &importance, EXEMPT).unwrap();
    let window = window_context(&sample, "last:8");
    let rows =
        agreement_rows(window, &agreement, &comparison, &importance.prompt_shares()).unwrap();
    let mut writer = CsvWriter::<AgreementTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&rows).unwrap();
    assert_eq!(
        names(folder.path()),
        ["agreement.csv.json.partial", "agreement.csv.partial"]
    );
    writer.finish().unwrap();
    assert_eq!(
        names(folder.path()),
        ["agreement.csv", "agreement.csv.json"]
    );

    let text = fs::read_to_string(folder.path().join("agreement.csv")).unwrap();
    let header = text.lines().next().unwrap();
    assert!(
        header
            .starts_with("session,model,dataset,task,sample,content,question_place,prompt_tokens,")
    );
    assert!(header.ends_with(",total_variation,cosine,recall_auc,prompt_share"));
    let first = "first,demo,builtin,\"a \"\"quoted\"\", long\ntask\",demo-0,c0,end,4,16,,0.5,last:8,0,0,kv,queries,attention,1,1,1,0,0,0,1,1,0.875\n";
    assert!(text.contains(first), "{text}");
    assert!(text.ends_with(",queries,attention,,,1,,,,,1,0\n"), "{text}");
    assert_eq!(text.matches("last:8").count(), 4);

    let about = fs::read_to_string(folder.path().join("agreement.csv.json")).unwrap();
    let about: serde_json::Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["schema_version"], "5");
    assert_eq!(about["provenance"]["kvlens"], "0.1.0");
    assert_eq!(about["columns"][7]["name"], "prompt_tokens");
    assert_eq!(about["columns"][7]["type"], "u32");
}

#[test]
fn csv_leaves_missing_values_empty_and_an_unfinished_one_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let sample = context();
    let row = SampleRow {
        sample: &sample,
        prompt: "Where?",
        generated: "here",
        answer: None,
        score: None,
        seconds: 0.1,
    };
    let mut writer = CsvWriter::<SamplesTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&[row]).unwrap();
    drop(writer);
    assert!(names(folder.path()).is_empty());
    let mut writer = CsvWriter::<SamplesTable>::create(folder.path(), "no JSON").unwrap();
    writer.write(&[row]).unwrap();
    writer.finish().unwrap();
    let text = fs::read_to_string(folder.path().join("samples.csv")).unwrap();
    assert!(text.ends_with(",Where?,here,,,0.1\n"), "{text}");
}
