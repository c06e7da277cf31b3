//! A method of another program through a file: kvpress's SnapKV is `snapkv-kvpress` in every table. The file was written
//! by `scripts/export_press_scores.py` with kvpress 0.5.5.

use std::path::{Path, PathBuf};

use crate::support::{read_table, run_ok, texts};

/// kvpress gives the window's own tokens the largest score, so that they are kept: both rank them apart.
const WINDOW: &str = "64";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sessions/tests/fixtures")
}

fn capture(at: &Path) {
    let prompt = std::fs::read_to_string(fixtures().join("prompt.txt")).unwrap();
    let row = serde_json::json!({ "prompt": prompt });
    std::fs::write(at.join("prompts.jsonl"), format!("{row}\n")).unwrap();
    let model = fixtures().join("llama-gqa-untied");
    let scores = fixtures().join("llama-gqa-untied.press.safetensors");
    let press = format!("file:{},name=press,recent={WINDOW}", scores.display());
    let capture = [
        "capture",
        "--data",
        "prompts.jsonl",
        "--decode",
        "8",
        "--ignore-eos",
    ];
    let model = ["--model", model.to_str().unwrap(), "--keep", "keys,values"];
    let windows = [
        "--windows",
        "snapkv-kvpress",
        &press,
        "last:16",
        "--out",
        "s.kvlens",
    ];
    run_ok(at, &[&capture[..], &model, &windows].concat());
}

/// The largest difference of a column between both windows; cells that are missing must be missing in both.
fn apart(folder: &Path, table: &str, column: &str) -> f64 {
    let read = read_table(folder, &format!("{table}.parquet"));
    let labels = texts(
        &read,
        if table == "complementarity" {
            "first"
        } else {
            "window"
        },
    );
    let values = read.numbers(column).unwrap();
    let of = |label: &str| -> Vec<Option<f64>> {
        let rows = labels.iter().zip(&values);
        rows.filter(|(known, _)| *known == label)
            .map(|(_, value)| *value)
            .collect()
    };
    let (own, press) = (of("snapkv-kvpress"), of("press"));
    assert!(!own.is_empty() && own.len() == press.len(), "{table}");
    let pairs = own.iter().zip(&press);
    let differences = pairs.map(|pair| match pair {
        (Some(own), Some(press)) => (own - press).abs(),
        (None, None) => 0.0,
        _ => f64::INFINITY,
    });
    differences.fold(0.0, f64::max)
}

#[test]
fn kvpress_through_a_file_is_kvpress_in_every_table() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    capture(at);
    let measured = |exempt: &str| {
        let out = format!("tables-{exempt}");
        let measure = ["measure", "s.kvlens", "--compare", "methods", "--out", &out];
        let how = [
            "--budgets",
            "70,80,90",
            "--against",
            "last:16",
            "--importance",
        ];
        let also = ["--also", "allocation", "--exempt-recent", exempt];
        run_ok(at, &[&measure[..], &how, &also].concat());
        at.join(out)
    };
    // what is kept is the same as it stands
    let tables = measured("0");
    for (table, column) in [
        ("overlap", "kept_recall"),
        ("overlap", "hit_rate"),
        ("overlap", "output_error"),
        ("allocation", "kept_recall"),
        ("allocation", "selected_mass"),
    ] {
        assert_eq!(apart(&tables, table, column), 0.0, "{table}.{column}");
    }
    // and so is every number about the tokens that scores decide on
    let tables = measured(WINDOW);
    for (table, columns) in [
        (
            "overlap",
            &[
                "recall",
                "kept_recall",
                "hit_rate",
                "jaccard",
                "mass",
                "mass_of_oracle",
                "output_error",
            ][..],
        ),
        (
            "agreement",
            &[
                "spearman",
                "kendall",
                "rbo",
                "kl",
                "js",
                "total_variation",
                "cosine",
                "recall_auc",
            ],
        ),
        (
            "complementarity",
            &[
                "both",
                "first_only",
                "second_only",
                "neither",
                "union_tokens",
            ],
        ),
        (
            "allocation",
            &[
                "tokens",
                "recall",
                "kept_recall",
                "hit_rate",
                "selected_mass",
            ],
        ),
        ("importance", &["rank"]),
        ("summary", &["mean"]),
    ] {
        for column in columns {
            // both compute scores in single precision
            let apart = apart(&tables, table, column);
            assert!(apart < 1e-6, "{table}.{column}: {apart}");
        }
    }
}
