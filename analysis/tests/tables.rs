//! The tables as they lie on disk: columns, types, metadata, row groups, and nothing half-written.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at its first wrong number"
)]

use std::fs;
use std::path::Path;

use kvlens_analysis::Metric;
use kvlens_analysis::agreement::agreement_by_head;
use kvlens_analysis::budget::Budget;
use kvlens_analysis::comparison::{Comparison, ComparisonInput, compare};
use kvlens_analysis::complementarity::complementarity;
use kvlens_analysis::importance::{HeadKind, Importance};
use kvlens_analysis::ranking::Rankings;
use kvlens_analysis::scoring::ForcedKeep;
use kvlens_analysis::statistics::{
    WindowValues, paired_differences_by_head, stability_by_head, winners_by_head,
};
use kvlens_analysis::tables::{
    AgreementTable, ComplementarityTable, CostRow, CostTable, CsvWriter, DifferenceTable,
    ImportanceInput, ImportanceTable, MapContext, OverlapTable, SampleContext, SampleRow,
    SamplesTable, Table, TableError, TableFile, TableWriter, WinnerTable, agreement_rows,
    complementarity_rows, difference_rows, overlap_rows, winner_rows,
};
use tempfile::TempDir;

const PROVENANCE: &str = r#"{"kvlens":"0.1.0"}"#;
const SAMPLE: &str = "session str, model str, dataset str, task str, sample str";
const EXEMPT: ForcedKeep = ForcedKeep {
    sinks: 1,
    recent: 0,
};

fn context() -> SampleContext {
    SampleContext {
        session: "first".to_owned(),
        model: "demo".to_owned(),
        dataset: "builtin".to_owned(),
        task: "demo".to_owned(),
        sample: "demo-0".to_owned(),
        prompt_tokens: 4,
        decode_tokens: 16,
    }
}

/// Two layers of two heads over four tokens; the last head holds nothing.
fn scored() -> (Importance, Rankings) {
    let scores = [
        [0.5, 0.25, 0.125, 0.0],
        [0.0, 0.125, 0.25, 0.5],
        [0.125, 0.25, 0.5, 0.0],
        [0.0, 0.0, 0.0, 0.0],
    ];
    let shares = vec![0.875, 0.875, 0.875, 0.0];
    let importance = Importance::new(2, 2, HeadKind::Kv, 4, scores.concat(), shares).unwrap();
    let rankings = Rankings::of(&importance, EXEMPT).unwrap();
    (importance, rankings)
}

fn compared(budgets: &[usize]) -> (Importance, Comparison) {
    let (importance, rankings) = scored();
    let comparison = compare(ComparisonInput {
        oracle: &rankings,
        window: &rankings,
        oracle_mass: &importance,
        forced_keep: ForcedKeep::default(),
        budgets,
    })
    .unwrap();
    (importance, comparison)
}

fn columns(file: &TableFile) -> String {
    let named: Vec<String> = file
        .columns()
        .iter()
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    named.join(", ")
}

fn read<T: Table>(folder: &Path) -> TableFile {
    TableFile::read(&folder.join(T::FILE_NAME)).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn some<V: Clone>(values: &[V]) -> Vec<Option<V>> {
    values.iter().cloned().map(Some).collect()
}

#[test]
fn overlap_has_its_columns_and_both_kinds_of_budget() {
    let folder = TempDir::new().unwrap();
    let context = context();
    let (_, comparison) = compared(&[1, 2, 4]);
    let budgets: Vec<Budget> = ["2", "20%", "64"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let rows = overlap_rows(&context, "last:32", &comparison, &budgets).unwrap();
    let mut writer = TableWriter::<OverlapTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();

    let file = read::<OverlapTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, prompt_tokens u32, decode_tokens u32, window str, layer u32, head u32, \
         head_kind str, budget_tokens u32, budget_fraction f64, recall f64, hit_rate f64, \
         jaccard f64, mass f64, mass_of_oracle f64"
    );
    assert_eq!(columns(&file), expected);
    assert_eq!(file.rows(), 12);
    assert_eq!(file.counts("budget_tokens").unwrap()[..3], some(&[2, 1, 4]));
    assert_eq!(
        file.numbers("budget_fraction").unwrap()[..3],
        some(&[0.5, 0.2, 1.0])
    );
    assert_eq!(file.counts("layer").unwrap()[5..7], some(&[0, 1]));
    assert_eq!(file.counts("head").unwrap()[2..4], some(&[0, 1]));
    assert_eq!(file.numbers("recall").unwrap(), vec![Some(1.0); 12]);
    assert_eq!(
        file.numbers("mass").unwrap()[..3],
        some(&[0.375, 0.25, 0.375])
    );
    assert_eq!(file.text("head_kind").unwrap()[0].as_deref(), Some("kv"));
    assert_eq!(file.text("window").unwrap()[11].as_deref(), Some("last:32"));
}

#[test]
fn a_budget_that_was_not_compared_is_refused() {
    let context = context();
    let (_, comparison) = compared(&[1, 4]);
    let refused = overlap_rows(&context, "last:32", &comparison, &[Budget::Tokens(2)]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the comparison holds no curve point at a budget of 2 tokens"
    );
}

#[test]
fn agreement_has_its_columns_and_keeps_nan() {
    let folder = TempDir::new().unwrap();
    let context = context();
    let (importance, comparison) = compared(&[1]);
    let agreement = agreement_by_head(&importance, &importance, EXEMPT).unwrap();
    let rows = agreement_rows(&context, "last:8", &agreement, &comparison, &importance).unwrap();
    let mut writer = TableWriter::<AgreementTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();

    let file = read::<AgreementTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, prompt_tokens u32, decode_tokens u32, window str, layer u32, head u32, \
         head_kind str, spearman f64, kendall f64, kl f64, js f64, cosine f64, recall_auc f64, \
         prompt_share f64, rbo f64, total_variation f64"
    );
    assert_eq!(columns(&file), expected);
    let spearman = file.numbers("spearman").unwrap();
    assert_eq!(spearman[..3], some(&[1.0, 1.0, 1.0]));
    assert!(spearman[3].unwrap().is_nan());
    assert_eq!(file.numbers("recall_auc").unwrap(), some(&[1.0; 4]));
    assert_eq!(
        file.numbers("prompt_share").unwrap(),
        some(&[0.875, 0.875, 0.875, 0.0])
    );
}

#[test]
fn cost_and_samples_have_their_columns() {
    let folder = TempDir::new().unwrap();
    let sample = context();
    let mut writer = TableWriter::<CostTable>::create(folder.path(), PROVENANCE).unwrap();
    let cost = CostRow {
        sample: &sample,
        window: "last:32",
        rows: 32,
        seconds: 0.5,
        flops: 1e15,
        extra_tokens: 8,
        peak_bytes: 5_000_000_000,
    };
    writer.write(&[cost]).unwrap();
    writer.finish().unwrap();
    let file = read::<CostTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, prompt_tokens u32, decode_tokens u32, window str, rows u32, seconds f64, \
         flops f64, extra_tokens u32, peak_bytes u64"
    );
    assert_eq!(columns(&file), expected);
    assert_eq!(file.counts("peak_bytes").unwrap(), [Some(5_000_000_000)]);
    assert_eq!(file.counts("decode_tokens").unwrap(), [Some(16)]);

    let mut writer = TableWriter::<SamplesTable>::create(folder.path(), PROVENANCE).unwrap();
    let scored = SampleRow {
        sample: &sample,
        prompt: "Where?\n\"Here\" – ø",
        generated: "",
        answer: Some("here"),
        score: Some(0.25),
        seconds: 1.5,
    };
    let unscored = SampleRow {
        answer: None,
        score: None,
        ..scored
    };
    writer.write(&[scored, unscored]).unwrap();
    writer.finish().unwrap();
    let file = read::<SamplesTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, prompt_tokens u32, decode_tokens u32, prompt str, generated str, answer str, \
         score f64, seconds f64"
    );
    assert_eq!(columns(&file), expected);
    assert_eq!(
        file.text("prompt").unwrap()[0].as_deref(),
        Some("Where?\n\"Here\" – ø")
    );
    assert_eq!(
        file.text("answer").unwrap(),
        [Some("here".to_owned()), None]
    );
    assert_eq!(file.numbers("score").unwrap(), [Some(0.25), None]);
}

fn importance_file(folder: &Path) -> Result<(), TableError> {
    let sample = context();
    let (importance, rankings) = scored();
    let token_texts = ["<s>", "The", " sky", "."].map(str::to_owned);
    let mut writer = TableWriter::<ImportanceTable>::create(folder, PROVENANCE)?;
    for window in ["decode", "last:32"] {
        writer.write_importance(ImportanceInput {
            sample: &sample,
            window,
            token_ids: &[1, 40, 41, 9],
            token_texts: &token_texts,
            importance: &importance,
            rankings: &rankings,
        })?;
    }
    writer.finish()
}

#[test]
fn importance_has_a_row_group_for_each_window_and_layer() {
    let folder = TempDir::new().unwrap();
    importance_file(folder.path()).unwrap();
    let file = read::<ImportanceTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, window str, layer u32, head u32, head_kind str, token str, position u32, \
         token_id u32, score f32, rank u32"
    );
    assert_eq!(columns(&file), expected);
    assert_eq!(file.row_groups(), [8, 8, 8, 8]);
    assert_eq!(
        file.numbers("score").unwrap()[..4],
        some(&[0.5, 0.25, 0.125, 0.0])
    );
    let ranks = file.counts("rank").unwrap();
    assert_eq!(ranks[..4], [None, Some(0), Some(1), Some(2)]);
    assert_eq!(ranks[4..8], [None, Some(2), Some(1), Some(0)]);
    assert_eq!(file.text("token").unwrap()[5].as_deref(), Some("The"));
    assert_eq!(
        file.counts("token_id").unwrap()[28..],
        some(&[1, 40, 41, 9])
    );
    assert_eq!(file.counts("position").unwrap()[28..], some(&[0, 1, 2, 3]));
    assert_eq!(file.text("window").unwrap()[16].as_deref(), Some("last:32"));
}

#[test]
fn a_layer_of_many_tokens_is_split_between_heads() {
    let folder = TempDir::new().unwrap();
    let tokens = 100_000;
    let scores = vec![0.5; 3 * tokens];
    let importance = Importance::new(1, 3, HeadKind::Query, tokens, scores, vec![1.0; 3]).unwrap();
    let mut writer = TableWriter::<ImportanceTable>::create(folder.path(), PROVENANCE).unwrap();
    writer
        .write_importance(ImportanceInput {
            sample: &context(),
            window: "decode",
            token_ids: &vec![7; tokens],
            token_texts: &vec!["a".to_owned(); tokens],
            importance: &importance,
            rankings: &Rankings::of(&importance, ForcedKeep::default()).unwrap(),
        })
        .unwrap();
    writer.finish().unwrap();
    let file = read::<ImportanceTable>(folder.path());
    assert_eq!(file.row_groups(), [200_000, 100_000]);
    assert_eq!(file.counts("rank").unwrap().last(), Some(&Some(99_999)));
}

#[test]
fn tokens_that_do_not_fit_are_refused() {
    let folder = TempDir::new().unwrap();
    let (importance, rankings) = scored();
    let mut writer = TableWriter::<ImportanceTable>::create(folder.path(), PROVENANCE).unwrap();
    let refused = writer.write_importance(ImportanceInput {
        sample: &context(),
        window: "decode",
        token_ids: &[1, 2, 3],
        token_texts: &vec![String::new(); 4],
        importance: &importance,
        rankings: &rankings,
    });
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the ids of the prompt's tokens holds 3 values, its dimensions [tokens 4] need 4"
    );
}

#[test]
fn metadata_says_version_and_provenance_and_the_bytes_repeat() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    importance_file(first.path()).unwrap();
    importance_file(second.path()).unwrap();
    let file = read::<ImportanceTable>(first.path());
    assert_eq!(file.metadata("schema_version"), Some("2"));
    assert_eq!(file.metadata("provenance"), Some(PROVENANCE));
    assert_eq!(file.metadata("author"), None);
    let bytes = |folder: &TempDir| fs::read(folder.path().join("importance.parquet")).unwrap();
    assert_eq!(bytes(&first), bytes(&second));
}

#[test]
fn an_unfinished_table_leaves_nothing_and_harms_nothing() {
    let folder = TempDir::new().unwrap();
    let unfinished = TableWriter::<CostTable>::create(folder.path(), PROVENANCE).unwrap();
    assert_eq!(names(folder.path()), ["cost.parquet.partial"]);
    drop(unfinished);
    assert!(names(folder.path()).is_empty());

    fs::write(folder.path().join("cost.parquet"), "an earlier table").unwrap();
    drop(TableWriter::<CostTable>::create(folder.path(), PROVENANCE).unwrap());
    let kept = fs::read_to_string(folder.path().join("cost.parquet")).unwrap();
    assert_eq!(kept, "an earlier table");

    TableWriter::<CostTable>::create(folder.path(), PROVENANCE)
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(names(folder.path()), ["cost.parquet"]);
    let empty = read::<CostTable>(folder.path());
    assert_eq!((empty.rows(), empty.columns().len()), (0, 13));
}

#[test]
fn a_folder_that_does_not_exist_and_a_broken_file_are_named() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("nowhere");
    let refused = TableWriter::<CostTable>::create(&missing, PROVENANCE).unwrap_err();
    let path = missing.join("cost.parquet.partial");
    assert_eq!(
        refused.to_string(),
        format!("could not create {}", path.display())
    );

    let broken = folder.path().join("broken.parquet");
    fs::write(&broken, "PAR1 and nothing more").unwrap();
    let refused = TableFile::read(&broken).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("could not read the Parquet file {}", broken.display())
    );
}

#[test]
fn a_column_is_read_as_what_it_is() {
    let folder = TempDir::new().unwrap();
    importance_file(folder.path()).unwrap();
    let file = read::<ImportanceTable>(folder.path());
    assert!(file.counts("score").is_err());
    assert!(file.numbers("token").is_err());
    assert!(file.text("rank").is_err());
    assert!(file.text("tokens").is_err());
}

fn map() -> MapContext {
    MapContext {
        model: "demo".to_owned(),
        task: "facts".to_owned(),
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
    let rows = difference_rows(&map, "laq", "last:32", &differences).unwrap();
    let mut writer = TableWriter::<DifferenceTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    let file = read::<DifferenceTable>(folder.path());
    assert_eq!(
        columns(&file),
        "model str, task str, metric str, budget str, samples u32, first str, second str, layer u32, \
         head u32, head_kind str, difference f64, low f64, high f64, p f64, p_holm f64, p_bh f64, \
         resolved bool"
    );
    assert_eq!(file.text("budget").unwrap()[0].as_deref(), Some("5%"));
    assert_eq!(
        file.text("metric").unwrap()[0].as_deref(),
        Some("mass_of_oracle")
    );
    assert_eq!(file.numbers("p").unwrap()[2..], some(&[1.0, 2.0 / 256.0]));
    assert_eq!(file.numbers("p_bh").unwrap()[3], Some(8.0 / 256.0));
    assert_eq!(
        file.flags("resolved").unwrap(),
        some(&[false, false, false, true])
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
         p_bh f64, resolved bool, usual_best str, usual_best_share f64, concordance f64"
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
    assert_eq!(file.numbers("both").unwrap(), some(&[1.0; 8]));
    assert_eq!(file.counts("union_tokens").unwrap()[..2], some(&[1, 3]));
}

#[test]
fn csv_holds_what_parquet_holds() {
    let folder = TempDir::new().unwrap();
    let sample = SampleContext {
        task: "a \"quoted\", long\ntask".to_owned(),
        ..context()
    };
    let (importance, comparison) = compared(&[1]);
    let agreement = agreement_by_head(&importance, &importance, EXEMPT).unwrap();
    let rows = agreement_rows(&sample, "last:8", &agreement, &comparison, &importance).unwrap();
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
    assert!(header.starts_with("session,model,dataset,task,sample,prompt_tokens"));
    assert!(header.ends_with(",recall_auc,prompt_share,rbo,total_variation"));
    let first = "first,demo,builtin,\"a \"\"quoted\"\", long\ntask\",demo-0,4,16,last:8,0,0,kv,1,1,0,0,1,1,0.875,";
    assert!(text.contains(first), "{text}");
    assert!(text.ends_with(",NaN,NaN,NaN,NaN,NaN,1,0,1,NaN\n"), "{text}");
    assert_eq!(text.matches("last:8").count(), 4);

    let about = fs::read_to_string(folder.path().join("agreement.csv.json")).unwrap();
    let about: serde_json::Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["schema_version"], "2");
    assert_eq!(about["provenance"]["kvlens"], "0.1.0");
    assert_eq!(about["columns"][5]["name"], "prompt_tokens");
    assert_eq!(about["columns"][5]["type"], "u32");
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
