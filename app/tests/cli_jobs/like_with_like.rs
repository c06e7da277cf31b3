//! What is held against what: one truth for every window, the decode stage at 1, ceilings, contents that count once,
//! places of the question in pairs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kvlens_analysis::tables::TableFile;

use crate::support::{numbers, read_table, run, run_ok, texts};

fn capture(folder: &Path, out: &str, data: &str, windows: &[&str]) {
    let arguments = ["capture", "--model", "demo", "--data", data, "--out", out];
    run_ok(folder, &[&arguments[..], &["--windows"], windows].concat());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Every cell of a table, but for those of some columns.
fn cells(table: &TableFile) -> Vec<(String, Vec<String>)> {
    let column = |(name, kind): (String, String)| {
        let cells: Vec<String> = match kind.as_str() {
            "str" => table
                .text(&name)
                .unwrap()
                .into_iter()
                .map(|cell| format!("{cell:?}"))
                .collect(),
            "bool" => table
                .flags(&name)
                .unwrap()
                .into_iter()
                .map(|cell| format!("{cell:?}"))
                .collect(),
            _ => table
                .numbers(&name)
                .unwrap()
                .into_iter()
                .map(|cell| format!("{cell:?}"))
                .collect(),
        };
        (name, cells)
    };
    table.columns().into_iter().map(column).collect()
}

#[test]
fn a_session_measured_with_its_copy_counts_each_prompt_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let data = "demo:samples=2,length=512,question=end";
    capture(path, "s.kvlens", data, &["last:32", "last:8"]);
    copy(&path.join("s.kvlens"), &path.join("copy.kvlens"));
    let budgets = ["--budgets", "16,20%", "--out"];
    let measure = |sessions: &[&str], out: &str| {
        run_ok(
            path,
            &[&["measure"], sessions, &budgets[..], &[out]].concat(),
        )
    };
    let alone = measure(&["s.kvlens"], "alone");
    let both = measure(&["s.kvlens", "copy.kvlens"], "both");
    for table in ["summary.parquet", "difference.parquet", "winner.parquet"] {
        let read = |out: &str| cells(&read_table(&path.join(out), table));
        assert_eq!(read("alone"), read("both"), "{table}");
    }
    assert!(!alone.stdout.contains("again"), "{}", alone.stdout);
    let named = both.stdout.matches("of s again and counts once").count();
    assert_eq!(named, 2, "{}", both.stdout);
    let figure = |sessions: &[&str], out: &str| {
        let words = ["--kind", "recall", "--out", out];
        run_ok(path, &[&["figure"], sessions, &words[..]].concat());
        cells(&read_table(path, &out.replace(".svg", ".parquet")))
    };
    let apart = figure(&["s.kvlens"], "a.svg");
    assert_eq!(apart, figure(&["s.kvlens", "copy.kvlens"], "b.svg"));
}

#[test]
fn a_window_of_two_sessions_has_as_many_samples_as_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let data = "demo:samples=2,length=512,question=end";
    capture(folder.path(), "runs/a.kvlens", data, &["last:32", "last:8"]);
    capture(folder.path(), "runs/b.kvlens", data, &["last:32", "random"]);
    let measure = ["measure", "runs", "--out", "t", "--budgets", "16"];
    run_ok(folder.path(), &measure);
    for (table, rows) in [
        ("summary.parquet", 7 * 4 * 4),
        ("difference.parquet", 2 * 17),
        ("winner.parquet", 16),
    ] {
        let table = read_table(&folder.path().join("t"), table);
        let samples = numbers(&table, "samples");
        assert_eq!(samples, vec![2.0; samples.len()]);
        assert!(
            samples.len() <= rows && !samples.is_empty(),
            "{}",
            samples.len()
        );
    }
}

/// Rows of overlap.parquet: window, and a column, where it is defined.
fn by_window(table: &TableFile, column: &str) -> Vec<(String, Option<f64>)> {
    let values = table.numbers(column).unwrap();
    texts(table, "window").into_iter().zip(values).collect()
}

#[test]
fn the_decode_stage_reaches_one_whatever_the_scoring_and_no_share_exceeds_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = "demo:samples=1,length=512,question=start";
    let windows = ["last:8", "h2o", "knorm", "random"];
    capture(folder.path(), "s.kvlens", data, &windows);
    let scorings: [&[&str]; 10] = [
        &[],
        &["--pool", "none"],
        &["--pool", "max:7"],
        &["--pool", "avg:5", "--reduce", "max"],
        &["--group", "mean"],
        &["--group", "max", "--order", "group-first"],
        &["--group", "layer"],
        &["--keys", "prompt", "--reduce", "sum"],
        &["--exempt-recent", "8", "--exempt-sinks", "4"],
        &["--oracle-steps", "2-5", "--keep-recent", "50%"],
    ];
    for compare in ["queries", "methods"] {
        for scoring in scorings {
            let measure = ["measure", "s.kvlens", "--out", "t", "--compare", compare];
            let more = ["--budgets", "1,16,128,50%"];
            run_ok(folder.path(), &[&measure[..], &more, scoring].concat());
            let overlap = read_table(&folder.path().join("t"), "overlap.parquet");
            assert!(
                texts(&overlap, "compare")
                    .iter()
                    .all(|cell| cell == compare)
            );
            let recall = by_window(&overlap, "recall");
            let of_decode = recall.iter().filter(|(window, _)| window == "decode");
            let of_decode: Vec<Option<f64>> = of_decode.map(|(_, recall)| *recall).collect();
            assert!(of_decode.len() >= 4 * 4, "{scoring:?}");
            assert_eq!(
                of_decode,
                vec![Some(1.0); of_decode.len()],
                "{compare} {scoring:?}"
            );
            for (window, share) in by_window(&overlap, "mass_of_oracle") {
                let share = share.unwrap();
                assert!(
                    (0.0..=1.0).contains(&share),
                    "{compare} {scoring:?} {window}: {share}"
                );
            }
            let beyond = recall
                .iter()
                .any(|(window, recall)| window != "decode" && *recall != Some(1.0));
            assert!(beyond, "{scoring:?}");
        }
    }
}

#[test]
fn methods_have_ceilings_which_the_decode_stages_own_rows_reach() {
    let folder = tempfile::tempdir().unwrap();
    let own = "dapq:n=8,content=decode";
    let arguments = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo:samples=2,length=512,question=end",
        "--decode",
        "8",
        "--ignore-eos",
        "--out",
        "s.kvlens",
        "--windows",
        "last:32",
        own,
        "tova",
    ];
    run_ok(folder.path(), &arguments);
    let measure = |compare: &str| {
        let arguments = [
            "measure",
            "s.kvlens",
            "--out",
            "t",
            "--budgets",
            "16,64",
            "--compare",
            compare,
        ];
        let ran = run_ok(folder.path(), &arguments);
        let table = |name| read_table(&folder.path().join("t"), name);
        (
            ran.stdout,
            table("overlap.parquet"),
            table("summary.parquet"),
        )
    };
    let (told, overlap, summary) = measure("methods");
    assert!(told.starts_with("Methods compared"), "{told}");
    assert!(told.contains(" of 0."), "{told}");
    let ceilings = by_window(&overlap, "ceiling");
    assert!(
        ceilings
            .iter()
            .all(|(window, ceiling)| (window == "decode") == ceiling.is_none())
    );
    let mean = |table: &TableFile, column: &str, wanted: &str| {
        let of_window = by_window(table, column)
            .into_iter()
            .filter(|(window, _)| window == wanted);
        let values: Vec<f64> = of_window.map(|(_, value)| value.unwrap()).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    // the same queries at the same places, under the same scoring
    let (reached, possible) = (
        mean(&overlap, "recall", own),
        mean(&overlap, "ceiling", own),
    );
    assert!((reached - possible).abs() < 0.005, "{reached} {possible}");
    assert!(
        possible < 0.9,
        "pooling keeps even the decode stage from its raw top: {possible}"
    );
    // TOVA's last row is not pooled, so nothing keeps the decode stage from more
    assert!(mean(&overlap, "ceiling", "tova") > possible);
    let metrics = texts(&summary, "metric");
    for ((window, ceiling), metric) in by_window(&summary, "ceiling").into_iter().zip(metrics) {
        let known = window != "decode" && metric != "evidence_kept";
        assert!(!known || ceiling.is_some(), "{window} {metric}");
    }

    let (told, overlap, summary) = measure("queries");
    assert!(told.starts_with("Queries compared"), "{told}");
    assert!(!told.contains(" of 0."), "{told}");
    for table in [&overlap, &summary] {
        assert!(
            by_window(table, "ceiling")
                .iter()
                .all(|(_, ceiling)| ceiling.is_none())
        );
    }
    assert!(mean(&overlap, "recall", own) > 0.99);

    let apart = [
        "measure",
        "s.kvlens",
        "--out",
        "u",
        "--oracle-keys",
        "prompt",
    ];
    let refused = run(folder.path(), &apart);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(
        refused.stderr.contains("--compare methods"),
        "{}",
        refused.stderr
    );
    assert!(!folder.path().join("u").exists());
    run_ok(
        folder.path(),
        &[&apart[..], &["--compare", "methods"]].concat(),
    );
}

#[test]
fn the_start_is_paired_with_the_end_of_the_same_document() {
    let folder = tempfile::tempdir().unwrap();
    capture(folder.path(), "s.kvlens", "demo", &["last:8", "knorm"]);
    let measure = ["measure", "s.kvlens", "--out", "t", "--budgets", "16,64"];
    let ran = run_ok(folder.path(), &measure);
    let tables = folder.path().join("t");
    let difference = read_table(&tables, "difference.parquet");
    let contrasts = texts(&difference, "contrast");
    let (kinds, firsts, seconds) = (
        texts(&difference, "head_kind"),
        texts(&difference, "first"),
        texts(&difference, "second"),
    );
    let windows = difference.text("window").unwrap();
    let (budgets, values, samples) = (
        texts(&difference, "budget"),
        numbers(&difference, "difference"),
        numbers(&difference, "samples"),
    );
    let means = summary_means(&read_table(&tables, "summary.parquet"));
    let mut met = 0;
    for row in 0..difference.rows() {
        if contrasts[row] != "question_place" || kinds[row] != "all" {
            continue;
        }
        assert_eq!(
            (firsts[row].as_str(), seconds[row].as_str()),
            ("start", "end")
        );
        assert_eq!(samples[row], 4.0);
        let window = windows[row].clone().unwrap();
        let mean = |place: &str| means[&(window.clone(), place.to_owned(), budgets[row].clone())];
        // all four documents stand on both sides
        let expected = mean("start") - mean("end");
        assert!(
            (values[row] - expected).abs() < 1e-12,
            "{} {expected}",
            values[row]
        );
        met += 1;
    }
    assert_eq!(met, 2 * 2);
    let title = "facts: recall with the question at the start minus at the end";
    assert!(ran.stdout.contains(title), "{}", ran.stdout);
}

/// Mean recall by window, place of the question and budget.
fn summary_means(summary: &TableFile) -> BTreeMap<(String, String, String), f64> {
    let metrics = texts(summary, "metric");
    let [windows, places, budgets] =
        ["window", "question_place", "budget"].map(|column| texts(summary, column));
    let means = numbers(summary, "mean");
    let rows = (0..summary.rows()).filter(|&row| metrics[row] == "recall");
    rows.map(|row| {
        let key = (
            windows[row].clone(),
            places[row].clone(),
            budgets[row].clone(),
        );
        (key, means[row])
    })
    .collect()
}

/// As README's snippet does it.
#[test]
fn the_summary_is_redone_from_the_overlap() {
    let folder = tempfile::tempdir().unwrap();
    capture(
        folder.path(),
        "s.kvlens",
        "demo:samples=4,length=512",
        &["last:8", "h2o"],
    );
    let measure = [
        "measure",
        "s.kvlens",
        "--out",
        "t",
        "--budgets",
        "16,5%,20%",
    ];
    run_ok(folder.path(), &measure);
    let tables = folder.path().join("t");
    let overlap = read_table(&tables, "overlap.parquet");
    let [windows, places, budgets, contents] =
        ["window", "question_place", "budget", "content"].map(|column| texts(&overlap, column));
    let mut of_samples: BTreeMap<_, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
    for (row, recall) in numbers(&overlap, "recall").into_iter().enumerate() {
        let key = (
            windows[row].clone(),
            places[row].clone(),
            budgets[row].clone(),
        );
        let samples = of_samples.entry(key).or_default();
        samples
            .entry(contents[row].clone())
            .or_default()
            .push(recall);
    }
    let summary = summary_means(&read_table(&tables, "summary.parquet"));
    assert_eq!(of_samples.len(), 3 * 2 * 3, "groups");
    for (key, samples) in of_samples {
        let mean = |values: &mut dyn Iterator<Item = f64>| {
            let values: Vec<f64> = values.collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        let redone = mean(
            &mut samples
                .values()
                .map(|heads| mean(&mut heads.iter().copied())),
        );
        assert!((summary[&key] - redone).abs() < 1e-12, "{key:?}: {redone}");
    }
}

/// All layers of this checkpoint but the first see the last 48 keys.
fn sliding(folder: &Path) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sessions/tests/fixtures");
    let prompt = fs::read_to_string(fixtures.join("prompt.txt")).unwrap();
    fs::write(folder.join("p.txt"), prompt.repeat(3)).unwrap();
    fixtures.join("qwen2-swa48-from-layer2")
}

#[test]
fn what_a_sliding_layer_does_not_see_is_ranked_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let model = sliding(path);
    let model = model.to_str().unwrap();
    let arguments = [
        "capture",
        "--model",
        model,
        "--data",
        "p.txt",
        "--decode",
        "8",
        "--windows",
        "last:8",
        "knorm",
        "random",
        "h2o",
        "--out",
        "s.kvlens",
    ];
    run_ok(path, &arguments);
    let measure = [
        "measure",
        "s.kvlens",
        "--out",
        "t",
        "--budgets",
        "16,47,5%,10%,20%",
        "--also",
        "drift",
        "allocation",
    ];
    let ran = run_ok(path, &measure);
    let tables = path.join("t");
    let overlap = read_table(&tables, "overlap.parquet");
    let tokens = numbers(&overlap, "prompt_tokens")[0];
    let (layers, visible, budgets) = (
        numbers(&overlap, "layer"),
        numbers(&overlap, "visible_tokens"),
        numbers(&overlap, "budget_tokens"),
    );
    let recall = overlap.numbers("recall").unwrap();
    assert!(tokens > 150.0, "{tokens}");
    for row in 0..overlap.rows() {
        // the first decode step sees itself and 47 keys before it
        let expected = if layers[row] < 1.0 { tokens } else { 47.0 };
        assert_eq!(visible[row], expected);
        assert_eq!(recall[row].is_none(), budgets[row] >= visible[row]);
    }

    // random is right by chance, in the mean over heads
    let windows = texts(&overlap, "window");
    let of_random =
        (0..overlap.rows()).filter(|&row| windows[row] == "random" && budgets[row] == 16.0);
    let (mut sum, mut expected, mut variance, mut heads) = (0.0, 0.0, 0.0, 0.0);
    for row in of_random {
        let share = budgets[row] / visible[row];
        sum += recall[row].unwrap();
        expected += share;
        // of a hypergeometric draw, as a share of the budget
        variance += share * (1.0 - share) / budgets[row];
        heads += 1.0;
    }
    // pooling makes runs of seven of both sides' tokens, which are drawn together
    let deviation = (7.0 * variance).sqrt() / heads;
    let off = (sum - expected) / heads;
    assert!(off.abs() < 4.0 * deviation, "{off} {deviation}");

    let summary = read_table(&tables, "summary.parquet");
    let (in_mean, all) = (numbers(&summary, "heads"), numbers(&summary, "all_heads"));
    let (typed, metrics) = (texts(&summary, "budget"), texts(&summary, "metric"));
    for row in (0..summary.rows()).filter(|&row| metrics[row] == "recall") {
        let tokens = match typed[row].as_str() {
            "5%" => (0.05 * tokens).round(),
            "10%" => (0.1 * tokens).round(),
            "20%" => (0.2 * tokens).round(),
            typed => typed.parse().unwrap(),
        };
        let undefined = tokens >= 47.0;
        assert_eq!(
            in_mean[row] < all[row],
            undefined,
            "{} {}",
            typed[row],
            in_mean[row]
        );
    }
    assert!(
        ran.stdout.contains("heads in the means, of"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.contains("only what the first decode step sees"),
        "{}",
        ran.stderr
    );

    the_last_horizon_is_the_whole(&tables, &overlap);
    training_measures_alike(path, model, &summary);
}

/// A number, or nothing, by window, layer, head and budget.
fn by_place(
    table: &TableFile,
    wanted: impl Fn(usize) -> bool,
) -> BTreeMap<(String, u64, u64, String), Option<f64>> {
    let (windows, budgets) = (texts(table, "window"), texts(table, "budget"));
    let (layers, heads) = (numbers(table, "layer"), numbers(table, "head"));
    let recall = table.numbers("recall").unwrap();
    let rows = (0..table.rows()).filter(|&row| wanted(row));
    rows.map(|row| {
        let key = (
            windows[row].clone(),
            layers[row] as u64,
            heads[row] as u64,
            budgets[row].clone(),
        );
        (key, recall[row])
    })
    .collect()
}

fn the_last_horizon_is_the_whole(tables: &Path, overlap: &TableFile) {
    let windows = texts(overlap, "window");
    let expected = by_place(overlap, |row| windows[row] != "decode");
    let drift = read_table(tables, "drift.parquet");
    let (parts, steps) = (texts(&drift, "part"), numbers(&drift, "step"));
    let all = numbers(&drift, "decode_tokens")[0];
    let last = by_place(&drift, |row| parts[row] == "horizon" && steps[row] == all);
    let allocation = read_table(tables, "allocation.parquet");
    let kinds = texts(&allocation, "allocation");
    let uniform = by_place(&allocation, |row| kinds[row] == "uniform");
    for found in [last, uniform] {
        assert_eq!(found.len(), expected.len());
        for (key, recall) in found {
            let (Some(recall), Some(expected)) = (recall, expected[&key]) else {
                assert_eq!((recall, expected[&key]), (None, None), "{key:?}");
                continue;
            };
            assert!(
                (recall - expected).abs() < 1e-6,
                "{key:?}: {recall} {expected}"
            );
        }
    }
}

/// The recall that training prints for windows on held-out prompts is that of the tables.
fn training_measures_alike(path: &Path, model: &str, summary: &TableFile) {
    let training = [
        "train",
        "judge-q",
        "--model",
        model,
        "--data",
        "p.txt",
        "--held-out",
        "p.txt",
        "--baselines",
        "knorm",
        "last:8",
        "h2o",
        "--steps",
        "1",
        "--step-prompts",
        "1",
        "--soft-tokens",
        "2",
        "--decode",
        "8",
        "--out",
        "w",
    ];
    let trained = run_ok(path, &training);
    let (windows, budgets, metrics) = (
        texts(summary, "window"),
        texts(summary, "budget"),
        texts(summary, "metric"),
    );
    let means = numbers(summary, "mean");
    for window in ["knorm", "last:8", "h2o"] {
        let of_budget = |budget: &str| {
            let mut rows = 0..summary.rows();
            let row = rows.find(|&row| {
                (
                    windows[row].as_str(),
                    budgets[row].as_str(),
                    metrics[row].as_str(),
                ) == (window, budget, "recall")
            });
            means[row.unwrap()]
        };
        let measured = ["5%", "10%", "20%"].map(of_budget);
        let line = trained
            .stdout
            .lines()
            .find(|line| line.trim().starts_with(&format!("{window} ")));
        let told: Vec<f64> = line
            .unwrap()
            .split_whitespace()
            .skip(1)
            .map(|number| number.parse().unwrap())
            .collect();
        for (told, measured) in told.iter().zip(measured) {
            assert!(
                (told - measured).abs() < 0.0006,
                "{window}: {told} {measured}"
            );
        }
        assert_eq!(told.len(), 3);
    }
}

/// 128 tokens are above nine tenths of the shorter prompts.
#[test]
fn a_budget_is_of_the_same_samples_whether_it_was_asked_for_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let data = "facts:length=135|300,samples=2,seed=4";
    capture(path, "s.kvlens", data, &["last:8"]);
    let of_128 = |out: &str, budgets: &str| -> Vec<(String, u64, f64)> {
        run_ok(
            path,
            &["measure", "s.kvlens", "--out", out, "--budgets", budgets],
        );
        let table = read_table(&path.join(out), "summary.parquet");
        let texts = ["window", "metric", "budget"].map(|column| texts(&table, column));
        let [windows, metrics, budgets] = &texts;
        let (samples, means) = (numbers(&table, "samples"), numbers(&table, "mean"));
        (0..table.rows())
            .filter(|&row| windows[row] == "last:8" && budgets[row] == "128")
            .filter(|&row| ["hit_rate", "kept_recall"].contains(&metrics[row].as_str()))
            .map(|row| (metrics[row].clone(), samples[row] as u64, means[row]))
            .collect()
    };
    let unasked = of_128("unasked", "16");
    assert_eq!(unasked.len(), 2);
    assert!(
        unasked.iter().all(|(_, samples, _)| *samples == 4),
        "{unasked:?}"
    );
    assert_eq!(unasked, of_128("asked", "16,128"));
}
