//! The tables of one sample, and how a file is written.

use std::fs;
use std::path::Path;

use kvlens_analysis::agreement::agreement_by_head;
use kvlens_analysis::budget::Budget;
use kvlens_analysis::importance::{HeadKind, Importance};
use kvlens_analysis::ranking::Rankings;
use kvlens_analysis::scoring::ForcedKeep;
use kvlens_analysis::tables::{
    AgreementTable, CostRow, CostTable, ImportanceInput, ImportanceTable, OverlapTable, SampleRow,
    SamplesTable, TableError, TableFile, TableWriter, agreement_rows, overlap_rows,
};
use tempfile::TempDir;

use super::fixtures::{
    EXEMPT, PROVENANCE, SAMPLE, columns, compared, context, names, read, scored, some,
    window_context,
};

#[test]
fn overlap_has_its_columns_and_both_kinds_of_budget() {
    let folder = TempDir::new().unwrap();
    let context = context();
    let (_, comparison) = compared(&[1, 2, 4]);
    let budgets: Vec<Budget> = ["2", "20%", "64"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let window = window_context(&context, "last:32");
    let rows = overlap_rows(window, &comparison, None, &budgets).unwrap();
    let mut writer = TableWriter::<OverlapTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();

    let file = read::<OverlapTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, window str, layer u32, head u32, head_kind str, compare str, score_kind str, \
         budget str, budget_tokens u32, budget_fraction f64, visible_tokens u32, recall f64, \
         kept_recall f64, hit_rate f64, jaccard f64, mass f64, mass_of_oracle f64, \
         evidence_kept f64, ceiling f64, output_error f64"
    );
    assert_eq!(columns(&file), expected);
    assert_eq!(file.rows(), 12);
    let typed = ["2", "20%", "64"].map(str::to_owned);
    assert_eq!(file.text("budget").unwrap()[..3], some(&typed));
    assert_eq!(file.counts("budget_tokens").unwrap()[..3], some(&[2, 1, 4]));
    assert_eq!(file.numbers("ceiling").unwrap(), vec![None; 12]);
    assert_eq!(
        file.text("question_place").unwrap()[0].as_deref(),
        Some("end")
    );
    assert_eq!(file.counts("asked_length").unwrap()[0], None);
    assert_eq!(
        file.numbers("budget_fraction").unwrap()[..3],
        some(&[0.5, 0.2, 1.0])
    );
    assert_eq!(file.counts("layer").unwrap()[5..7], some(&[0, 1]));
    assert_eq!(file.counts("head").unwrap()[2..4], some(&[0, 1]));
    // Three tokens are ranked, so a budget of four asks nothing.
    assert_eq!(file.numbers("recall").unwrap()[..2], some(&[1.0, 1.0]));
    assert_eq!(file.numbers("mass").unwrap()[..2], some(&[0.375, 0.25]));
    assert_eq!(file.text("head_kind").unwrap()[0].as_deref(), Some("kv"));
    assert_eq!(file.text("window").unwrap()[11].as_deref(), Some("last:32"));
}

#[test]
fn a_budget_that_was_not_compared_is_refused() {
    let context = context();
    let (_, comparison) = compared(&[1, 4]);
    let window = window_context(&context, "last:32");
    let refused = overlap_rows(window, &comparison, None, &[Budget::Tokens(2)]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the comparison holds no curve point at a budget of 2 tokens"
    );
}

#[test]
fn agreement_has_its_columns_and_leaves_out_what_is_undefined() {
    let folder = TempDir::new().unwrap();
    let context = context();
    let (importance, comparison) = compared(&[1]);
    let agreement = agreement_by_head(&importance, &importance, EXEMPT).unwrap();
    let window = window_context(&context, "last:8");
    let rows =
        agreement_rows(window, &agreement, &comparison, &importance.prompt_shares()).unwrap();
    let mut writer = TableWriter::<AgreementTable>::create(folder.path(), PROVENANCE).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();

    let file = read::<AgreementTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, window str, layer u32, head u32, head_kind str, compare str, score_kind str, \
         spearman f64, kendall f64, rbo f64, kl f64, js f64, total_variation f64, cosine f64, \
         recall_auc f64, prompt_share f64"
    );
    assert_eq!(columns(&file), expected);
    let spearman = file.numbers("spearman").unwrap();
    assert_eq!(spearman[..3], some(&[1.0, 1.0, 1.0]));
    assert_eq!(spearman[3], None);
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
        observations: 1,
        rows: 32,
        seconds: 0.5,
        flops: 1e15,
        extra_tokens: 8,
        peak_bytes: 5_000_000_000,
        score_kind: "attention",
    };
    writer.write(&[cost]).unwrap();
    writer.finish().unwrap();
    let file = read::<CostTable>(folder.path());
    let expected = format!(
        "{SAMPLE}, window str, score_kind str, observations u32, rows u32, seconds f64, flops f64, \
         extra_tokens u32, peak_bytes u64"
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
        "{SAMPLE}, prompt str, generated str, answer str, \
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
            first_layer: 0,
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
    let (kind, shares) = (HeadKind::Query, vec![1.0; 3]);
    let importance = Importance::new(1, 3, kind, tokens, scores, shares, vec![0]).unwrap();
    let mut writer = TableWriter::<ImportanceTable>::create(folder.path(), PROVENANCE).unwrap();
    writer
        .write_importance(ImportanceInput {
            sample: &context(),
            first_layer: 0,
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
        first_layer: 0,
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
    assert_eq!(file.metadata("schema_version"), Some("5"));
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
    assert_eq!((empty.rows(), empty.columns().len()), (0, 19));
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
