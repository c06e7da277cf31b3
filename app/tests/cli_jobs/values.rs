//! Sessions with values: output errors, weights, heads and needed tokens; and what is said without them.

use std::path::Path;

use crate::support::{numbers, read_table, run, run_ok, texts};

/// Two prompts of the built-in model under three windows.
fn capture(folder: &Path, out: &str, keep: &[&str]) {
    let plan = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo:length=512,samples=2",
        "--windows",
        "last:8",
        "random",
        "knorm",
        "--decode",
        "16",
        "--out",
        out,
    ];
    run_ok(folder, &[&plan[..], keep].concat());
}

fn mean(table: &kvlens_analysis::tables::TableFile, column: &str, window: &str) -> f64 {
    let windows = texts(table, "window");
    let values = table.numbers(column).unwrap();
    let of_window = windows.iter().zip(values);
    let known: Vec<f64> = of_window
        .filter_map(|(label, value)| value.filter(|_| label == window))
        .collect();
    assert!(!known.is_empty(), "{window} has no {column}");
    known.iter().sum::<f64>() / known.len() as f64
}

#[test]
fn output_errors_stand_beside_mass_and_fall_with_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    capture(at, "s.kvlens", &[]);
    let measure = [
        "measure",
        "s.kvlens",
        "--out",
        "tables",
        "--budgets",
        "5%,20%",
        "--compare",
        "methods",
        "--metric",
        "output-error",
        "--equivalent",
        "0.02",
        "--also",
        "profile",
    ];
    run_ok(at, &measure);
    let tables = at.join("tables");
    let overlap = read_table(&tables, "overlap.parquet");
    let [decode, last, random] =
        ["decode", "last:8", "random"].map(|window| mean(&overlap, "output_error", window));
    assert!(
        0.0 < decode && decode < last && last < random,
        "{decode} {last} {random}"
    );
    let (budgets, errors) = (
        texts(&overlap, "budget"),
        overlap.numbers("output_error").unwrap(),
    );
    let at_budget = |budget: &str| -> f64 {
        let known = budgets
            .iter()
            .zip(&errors)
            .filter(|(known, _)| *known == budget);
        known.filter_map(|(_, error)| *error).sum()
    };
    assert!(at_budget("20%") < at_budget("5%"));
    let summary = read_table(&tables, "summary.parquet");
    let metrics = texts(&summary, "metric");
    assert!(metrics.iter().any(|metric| metric == "output_error"));
    let difference = read_table(&tables, "difference.parquet");
    assert!(
        texts(&difference, "metric")
            .iter()
            .all(|metric| metric == "output_error")
    );
    assert_eq!(numbers(&difference, "margin")[0], 0.02);
    // the lowest wins
    let winner = read_table(&tables, "winner.parquet");
    let winners: Vec<String> = winner
        .text("window")
        .unwrap()
        .into_iter()
        .flatten()
        .collect();
    let won = |label: &str| winners.iter().filter(|winner| *winner == label).count();
    assert!(won("last:8") > won("random"), "{winners:?}");
    let profile = read_table(&tables, "profile.parquet");
    assert_eq!(profile.rows(), 2 * 16, "samples, heads");
    let shares = numbers(&profile, "prompt_share");
    assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
    let neighbour = read_table(&tables, "neighbour.parquet");
    assert_eq!(neighbour.rows(), 2 * 16 * 2, "samples, heads, budgets");
    for column in ["next_step", "steps_before", "layer_below"] {
        let overlaps = neighbour.numbers(column).unwrap();
        let known: Vec<f64> = overlaps.iter().flatten().copied().collect();
        assert!(known.iter().all(|overlap| (0.0..=1.0).contains(overlap)));
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        // 5 % and 20 % of the tokens by chance; what a head attends to does not change that much
        assert!(mean > 0.2, "{column}: {mean}");
    }
    // the lowest layer of four has none below
    let below = neighbour.numbers("layer_below").unwrap();
    let lacking = below.iter().filter(|overlap| overlap.is_none()).count();
    assert_eq!(lacking, 2 * 4 * 2);
    let stability = read_table(&tables, "profile_stability.parquet");
    let numbers_of_heads = (9 + 2 * 4) * 16;
    assert!(
        stability.rows() == 0 || stability.rows() == numbers_of_heads,
        "two samples are of one group or of two: {}",
        stability.rows()
    );
    let evidence = read_table(&tables, "evidence.parquet");
    let lost = mean(&evidence, "lost_everywhere", "random");
    assert!((0.0..=1.0).contains(&lost));
    assert!(mean(&evidence, "kept", "decode") > mean(&evidence, "kept", "random"));
}

#[test]
fn without_values_the_rest_works_and_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    capture(at, "keys.kvlens", &["--keep", "keys"]);
    run_ok(
        at,
        &[
            "measure",
            "keys.kvlens",
            "--out",
            "tables",
            "--budgets",
            "10%",
        ],
    );
    let overlap = read_table(&at.join("tables"), "overlap.parquet");
    assert!(
        overlap
            .numbers("output_error")
            .unwrap()
            .iter()
            .all(Option::is_none)
    );
    assert!(mean(&overlap, "recall", "last:8") > 0.0);
    let asked = [
        "measure",
        "keys.kvlens",
        "--out",
        "o",
        "--metric",
        "output-error",
    ];
    let told = run_ok(at, &asked).stderr;
    assert!(told.contains("--keep keys,values"), "{told}");
    let weighed = [
        "measure",
        "keys.kvlens",
        "--out",
        "weighed",
        "--budgets",
        "10%",
        "--weight",
        "value-norm",
    ];
    let refused = run(at, &weighed);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("--keep keys,values"),
        "{}",
        refused.stderr
    );
    let refused = run(
        at,
        &[
            "capture", "--model", "demo", "--data", "demo", "--keep", "values", "--out", "x.kvlens",
        ],
    );
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("write keys,values"),
        "{}",
        refused.stderr
    );

    capture(at, "all.kvlens", &["--keep", "keys,values"]);
    let weigh = |weight: &str| {
        let out = format!("by-{weight}");
        run_ok(
            at,
            &[
                "measure",
                "all.kvlens",
                "--out",
                &out,
                "--budgets",
                "10%",
                "--weight",
                weight,
            ],
        );
        let overlap = read_table(&at.join(out), "overlap.parquet");
        // what is compared with itself is the same whatever it is weighed by
        assert!((mean(&overlap, "recall", "decode") - 1.0).abs() < 1e-12);
        mean(&overlap, "recall", "last:8")
    };
    let found = ["none", "value-norm", "output-norm"].map(weigh);
    assert!(found[0] != found[1] && found[1] != found[2], "{found:?}");

    let told = run_ok(
        at,
        &[
            "session",
            "shrink",
            "all.kvlens",
            "--out",
            "small.kvlens",
            "--keep",
            "keys",
            "--numbers",
            "f16",
        ],
    );
    assert!(
        told.stdout.contains("importance changed by at most"),
        "{}",
        told.stdout
    );
    let check = run_ok(at, &["session", "check", "small.kvlens"]);
    assert!(check.stdout.starts_with("2 whole"), "{}", check.stdout);
    run_ok(
        at,
        &[
            "measure",
            "small.kvlens",
            "--out",
            "small",
            "--budgets",
            "10%",
        ],
    );
    let small = read_table(&at.join("small"), "overlap.parquet");
    assert!((mean(&small, "recall", "last:8") - mean(&overlap, "recall", "last:8")).abs() < 0.02);
}

#[test]
fn a_session_of_scores_has_the_tables_of_the_one_with_keys_and_says_what_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    capture(at, "keys.kvlens", &["--keep", "keys"]);
    let shrink = ["session", "shrink", "keys.kvlens", "--out", "scores.kvlens"];
    run_ok(at, &[&shrink[..], &["--keep", "scores"]].concat());
    for compare in ["queries", "methods"] {
        for session in ["keys", "scores"] {
            let (input, out) = (format!("{session}.kvlens"), format!("{session}-{compare}"));
            let measure = ["measure", &input, "--out", &out, "--compare", compare];
            let also = ["--csv", "--importance", "--also", "profile", "allocation"];
            run_ok(at, &[&measure[..], &also].concat());
        }
        let [keys, scores] =
            ["keys", "scores"].map(|session| at.join(format!("{session}-{compare}")));
        for table in [
            "overlap",
            "agreement",
            "profile",
            "allocation",
            "importance",
        ] {
            let read = |folder: &Path| std::fs::read_to_string(folder.join(format!("{table}.csv")));
            let [keys, scores] = [&keys, &scores].map(|folder| read(folder).unwrap());
            // but for the session's name
            assert_eq!(
                keys.replace("keys,", "scores,"),
                scores.replace("keys,", "scores,"),
                "{table}"
            );
        }
    }
    for (asked, said) in [
        (["--reduce", "max"], "scores in place of keys"),
        (["--oracle-steps", "4"], "one score for all rows"),
        (["--also", "drift"], "keeps no queries"),
        (["--also", "queries"], "keeps no queries"),
    ] {
        let measure = ["measure", "scores.kvlens", "--out", "refused"];
        let ran = run(at, &[&measure[..], &asked].concat());
        assert_ne!(ran.code, 0, "{asked:?}");
        assert!(ran.stderr.contains(said), "{asked:?}: {}", ran.stderr);
        assert!(!at.join("refused").exists());
    }
}
