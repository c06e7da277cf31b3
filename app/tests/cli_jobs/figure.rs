//! `kvlens figure`: every kind on one session, the files beside it, and refusals.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kvlens_analysis::tables::TableFile;

use crate::support::{names, numbers, read_table, run, run_ok, texts};

fn capture(folder: &Path) {
    let capture = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo:samples=2,length=512",
        "--out",
        "s.kvlens",
        "--windows",
        "last:48",
        "dapq",
        "h2o",
    ];
    run_ok(folder, &capture);
}

const KINDS: [&str; 19] = [
    "profile",
    "evidence",
    "depth",
    "rank-density",
    "layer",
    "complementarity",
    "recall",
    "recall-by-layer",
    "head-map",
    "head-difference",
    "winner",
    "decode-step",
    "horizon",
    "place",
    "hit-rate",
    "kl",
    "queries",
    "allocation",
    "cost",
];

#[test]
fn every_kind_comes_out_of_one_command() {
    let folder = tempfile::tempdir().unwrap();
    capture(folder.path());
    for kind in KINDS {
        let out = format!("figures/{kind}.svg");
        let figure = [
            "figure", "s.kvlens", "--kind", kind, "--out", &out, "--budget", "16",
        ];
        let ran = run_ok(folder.path(), &figure);
        assert!(ran.stdout.contains(&out), "{}", ran.stdout);
        let svg = fs::read_to_string(folder.path().join(&out)).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("<text"), "{kind}");
        // its maps have a cell for each pair of ranks
        let most = if kind == "rank-density" {
            400_000
        } else {
            200_000
        };
        assert!(svg.len() < most, "{kind}: {}", svg.len());
        let data = read_table(&folder.path().join("figures"), &format!("{kind}.parquet"));
        assert!(data.rows() > 0, "{kind}");
        assert!(
            numbers(&data, "value")
                .iter()
                .any(|value| value.is_finite()),
            "{kind}"
        );
        if kind == "hit-rate" {
            // bars stand at 0, 1, ..., and 512 is above nine tenths of the longest prompt
            let names: BTreeSet<String> = texts(&data, "x_name").into_iter().collect();
            assert_eq!(names, BTreeSet::from(["128", "256"].map(str::to_owned)));
        }
        let about = folder.path().join(format!("figures/{kind}.json"));
        let about: serde_json::Value = serde_json::from_slice(&fs::read(about).unwrap()).unwrap();
        assert_eq!(about["data"], format!("{kind}.parquet"));
        let caption = folder.path().join(format!("figures/{kind}.txt"));
        let caption = fs::read_to_string(caption).unwrap();
        assert_eq!(caption.trim_end(), about["caption"].as_str().unwrap());
        for part in ["n=", " T="] {
            assert!(caption.contains(part), "{kind}: {caption}");
        }
        // what two samples cannot resolve is said where something is tested
        let too_few = "With fewer than 6 samples no test can resolve a difference.";
        let is_tested = ["head-difference", "winner"].contains(&kind);
        assert_eq!(caption.contains(too_few), is_tested, "{kind}: {caption}");
        let hash = about["sessions"][0]["manifest_sha256"].as_str().unwrap();
        assert_eq!(hash.len(), 64);
    }
}

#[test]
fn queries_alone_have_their_figure_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let capture = "capture --model demo --data demo:samples=2,length=512,question=end --windows last:8 dapq:n=8,content=decode --keep queries --out q.kvlens";
    run_ok(folder.path(), &words(capture));
    run_ok(
        folder.path(),
        &["figure", "q.kvlens", "--kind", "queries", "--out", "q.svg"],
    );
    let data = read_table(folder.path(), "q.parquet");
    assert!(
        numbers(&data, "value")
            .iter()
            .all(|cosine| cosine.abs() <= 1.0)
    );
    let names: BTreeSet<String> = texts(&data, "x_name").into_iter().collect();
    assert_eq!(
        names,
        BTreeSet::from(["last:8", "dapq:n=8,content=decode"].map(str::to_owned))
    );
    // a query held against itself scatters over nothing, and the others' intervals end at 1
    let rows = texts(&data, "x_name")
        .into_iter()
        .zip(data.numbers("high").unwrap());
    for (window, high) in rows {
        match window.as_str() {
            "last:8" => assert!(high.is_some_and(|high| high <= 1.0), "{high:?}"),
            _ => assert_eq!(high, None),
        }
    }
    let refused = run(folder.path(), &["measure", "q.kvlens", "--out", "t"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(
        refused.stderr.contains("figure --kind queries"),
        "{}",
        refused.stderr
    );
}

/// Two samples of 517 and 513 tokens, whose answers have 20 and 19: a curve goes on as long as half of the samples do, so
/// it is of the longer one alone.
#[test]
fn a_caption_tells_the_prompts_of_the_samples_that_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let capture = "capture --model demo --data demo:samples=2,length=512,question=end --windows last:8 --out s.kvlens";
    run_ok(folder.path(), &words(capture));
    let caption = |kind: &str| {
        let figure = [
            "figure", "s.kvlens", "--kind", kind, "--out", "f.svg", "--budget", "16",
        ];
        run_ok(folder.path(), &figure);
        fs::read_to_string(folder.path().join("f.txt")).unwrap()
    };
    for kind in ["decode-step", "horizon"] {
        let told = caption(kind);
        assert!(told.contains("n=1 sample, T=517 tokens"), "{kind}: {told}");
    }
}

#[test]
fn the_command_beside_a_figure_makes_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    capture(folder.path());
    let figure = [
        "figure",
        "s.kvlens",
        "--kind",
        "recall",
        "--out",
        "one.pdf",
        "--window",
        "dapq",
        "last:48",
        "--layer",
        "1,2",
        "--metric",
        "mass-of-oracle",
        "--width",
        "double",
        "--oracle-steps",
        "4",
    ];
    run_ok(folder.path(), &figure);
    let picture = || fs::read(folder.path().join("one.pdf")).unwrap();
    let (first, data) = (
        picture(),
        fs::read(folder.path().join("one.parquet")).unwrap(),
    );
    let about = fs::read(folder.path().join("one.json")).unwrap();
    let about: serde_json::Value = serde_json::from_slice(&about).unwrap();
    assert_eq!(about["options"]["oracle"]["steps"], "4");
    assert_eq!(about["compare"], "queries");
    let command = about["command"].as_str().unwrap().to_owned();
    fs::remove_file(folder.path().join("one.pdf")).unwrap();
    let again: Vec<&str> = command.split(' ').skip(1).collect();
    run_ok(folder.path(), &again);
    assert!(first == picture());
    assert!(data == fs::read(folder.path().join("one.parquet")).unwrap());
    let table = read_table(folder.path(), "one.parquet");
    let mut windows = texts(&table, "series");
    windows.dedup();
    assert_eq!(
        windows[..2],
        ["dapq", "last:48"],
        "in the order that was asked for"
    );
}

#[test]
fn the_curve_is_the_mean_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    capture(folder.path());
    let figure = [
        "figure", "s.kvlens", "--kind", "recall", "--out", "r.png", "--window", "dapq",
    ];
    run_ok(folder.path(), &figure);
    let measure = [
        "measure",
        "s.kvlens",
        "--out",
        "t",
        "--budgets",
        "32",
        "--metric",
        "recall",
    ];
    run_ok(folder.path(), &measure);
    let curve = read_table(folder.path(), "r.parquet");
    let summary = read_table(&folder.path().join("t"), "summary.parquet");
    let (metrics, windows) = (texts(&summary, "metric"), texts(&summary, "window"));
    let budgets = texts(&summary, "budget");
    let means = numbers(&summary, "mean");
    // one group for each place of the question, and a panel for each
    let expected: Vec<f64> = (0..summary.rows())
        .filter(|&row| metrics[row] == "recall" && windows[row] == "dapq" && budgets[row] == "32")
        .map(|row| means[row])
        .collect();
    let (budgets, values) = (numbers(&curve, "x"), numbers(&curve, "value"));
    let series = texts(&curve, "series");
    let found: Vec<f64> = (0..curve.rows())
        .filter(|&row| budgets[row] == 32.0 && series[row] == "dapq")
        .map(|row| values[row])
        .collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

/// Numbers of a figure's rows by series, those of one place on the horizontal axis.
fn at(table: &TableFile, x: f64, column: &str) -> Vec<(String, Option<f64>)> {
    let (series, places) = (texts(table, "series"), numbers(table, "x"));
    let values = table.numbers(column).unwrap();
    let rows = (0..table.rows()).filter(|&row| places[row] == x);
    rows.map(|row| (series[row].clone(), values[row])).collect()
}

#[test]
fn curves_carry_chance_and_where_methods_are_compared_their_ceilings() {
    let folder = tempfile::tempdir().unwrap();
    let data = "demo:samples=2,length=512,question=end";
    let windows = ["last:48", "tova"];
    let capture = [
        "capture",
        "--model",
        "demo",
        "--data",
        data,
        "--out",
        "s.kvlens",
        "--windows",
    ];
    run_ok(folder.path(), &[&capture[..], &windows].concat());
    let figure = |kind: &str, compare: &str| {
        let out = format!("{kind}.svg");
        let words = [
            "figure",
            "s.kvlens",
            "--kind",
            kind,
            "--out",
            &out,
            "--compare",
            compare,
        ];
        run_ok(folder.path(), &[&words[..], &["--budget", "16"]].concat());
        let svg = fs::read_to_string(folder.path().join(&out)).unwrap();
        (svg, read_table(folder.path(), &format!("{kind}.parquet")))
    };
    let words = |svg: &str, wanted: &str| {
        // the note is set in lines, each a text of its own
        let texts = svg.split('<').filter_map(|part| part.split_once('>'));
        let text: Vec<&str> = texts
            .flat_map(|(_, text)| text.split_whitespace())
            .collect();
        let text = text.join(" ");
        assert!(text.contains(wanted), "{wanted}: {text}");
    };

    let (svg, curve) = figure("recall", "methods");
    for (series, ceiling) in at(&curve, 16.0, "ceiling") {
        assert_eq!(ceiling.is_some(), series != "chance", "{series}");
    }
    let prompts = read_prompt_tokens(folder.path());
    let chance = prompts.iter().map(|tokens| 16.0 / tokens).sum::<f64>() / prompts.len() as f64;
    let drawn = at(&curve, 16.0, "value")
        .into_iter()
        .find(|(series, _)| series == "chance");
    assert!((drawn.unwrap().1.unwrap() - chance).abs() < 1e-12);
    words(&svg, "Methods compared:");
    words(&svg, "n=2 samples");
    words(
        &svg,
        "Thin lines: ceilings: what the decode stage's own queries reach",
    );

    let (svg, curve) = figure("recall", "queries");
    assert!(
        at(&curve, 16.0, "ceiling")
            .iter()
            .all(|(_, ceiling)| ceiling.is_none())
    );
    words(&svg, "Queries compared:");

    let (_, map) = figure("head-map", "methods");
    let panels = texts(&map, "panel");
    assert!(
        panels.iter().all(|panel| panel.contains("(ceiling ")),
        "{panels:?}"
    );
    let (svg, _) = figure("winner", "methods");
    words(&svg, "Ceilings, ");
    let (_, bars) = figure("hit-rate", "methods");
    assert!(bars.numbers("ceiling").unwrap().iter().all(Option::is_some));
}

fn read_prompt_tokens(folder: &Path) -> Vec<f64> {
    run_ok(
        folder,
        &["measure", "s.kvlens", "--out", "t", "--no-head-tests"],
    );
    numbers(
        &read_table(&folder.join("t"), "samples.parquet"),
        "prompt_tokens",
    )
}

/// Decode stages of several lengths: a mean over those that go on would be over other prompts.
#[test]
fn step_curves_are_over_the_same_samples_throughout() {
    let folder = tempfile::tempdir().unwrap();
    let lines = ["a red fox", "the tall old clock of the town", "no"].map(|answer| {
        let prompt =
            " Ann Bell lives in Rome. Bob Hall lives in Oslo. Question: Report all. Answer:";
        format!(r#"{{"prompt": "{prompt}", "answer": " {answer}."}}"#)
    });
    fs::write(folder.path().join("p.jsonl"), lines.join("\n")).unwrap();
    let capture = [
        "capture",
        "--model",
        "demo",
        "--data",
        "p.jsonl",
        "--teacher-forced",
        "--windows",
        "last:4",
        "--out",
        "s.kvlens",
    ];
    run_ok(folder.path(), &capture);
    for kind in ["decode-step", "horizon"] {
        let out = format!("{kind}.svg");
        let figure = [
            "figure", "s.kvlens", "--kind", kind, "--out", &out, "--budget", "4",
        ];
        run_ok(folder.path(), &figure);
        let table = read_table(folder.path(), &format!("{kind}.parquet"));
        let samples = numbers(&table, "samples");
        assert!(table.rows() > 1 && samples[0] >= 1.0);
        assert_eq!(samples, vec![samples[0]; samples.len()], "{kind}");
        assert!(samples[0] < 3.0, "{kind}: all three have one length");
    }
}

/// Drawn of a session of two, a sample has the numbers that it has in a session of its own.
#[test]
fn a_figure_of_one_sample_is_of_that_sample_alone() {
    let folder = tempfile::tempdir().unwrap();
    capture(folder.path());
    let data = "demo:samples=1,length=512";
    let alone = [
        "capture",
        "--model",
        "demo",
        "--data",
        data,
        "--out",
        "one.kvlens",
        "--windows",
        "last:48",
        "dapq",
        "h2o",
    ];
    run_ok(folder.path(), &alone);
    let manifest = fs::read_to_string(folder.path().join("one.kvlens/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let id = manifest["samples"][0]["id"].as_str().unwrap();
    let draw = |session: &str, out: &str, more: &[&str]| {
        let mut figure = vec!["figure", session, "--kind", "recall", "--out", out];
        figure.extend(more);
        run_ok(folder.path(), &figure);
        let table = read_table(folder.path(), &out.replace(".svg", ".parquet"));
        (numbers(&table, "samples"), numbers(&table, "value"))
    };
    let of_one = draw("s.kvlens", "a.svg", &["--sample", id]);
    assert_eq!(of_one, draw("one.kvlens", "b.svg", &[]));
    assert_ne!(of_one, draw("s.kvlens", "c.svg", &[]));
}

#[test]
fn what_cannot_be_drawn_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    capture(folder.path());
    let before = names(folder.path());
    for (more, words) in [
        (
            &["--kind", "recall", "--out", "a.jpg"][..],
            ".svg, .pdf or .png",
        ),
        (
            &["--kind", "recall", "--out", "a.svg", "--window", "laq"],
            "there are last:48, dapq, h2o",
        ),
        (
            &["--kind", "recall", "--out", "a.svg", "--sample", "no-such"],
            "no session has a finished sample 'no-such'",
        ),
        (
            &["--kind", "recall", "--out", "a.svg", "--layer", "0,99"],
            "no session has a layer 99",
        ),
        (
            &["--kind", "head-map", "--out", "a.svg", "--head", "64"],
            "no session has a head 64",
        ),
        (
            &["--kind", "head-map", "--out", "a.svg", "--budget", "90000"],
            "nothing to draw: no sample has these windows, layers and heads",
        ),
        (
            &["--kind", "needle", "--out", "a.svg"],
            "nothing to draw: no sample has an asked length and depth",
        ),
        (
            &["--kind", "recall", "--out", "a.svg", "--font-size", "900"],
            "font size",
        ),
        (
            &["--kind", "recall", "--out", "a.svg", "--range", "1:0"],
            "from low to high",
        ),
    ] {
        let figure = [&["figure", "s.kvlens"], more].concat();
        let ran = run(folder.path(), &figure);
        assert_eq!(ran.code, 2, "{more:?}: {ran:#?}");
        assert!(ran.stderr.contains(words), "{more:?}: {}", ran.stderr);
        assert_eq!(names(folder.path()), before, "{more:?}");
    }
}

fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

#[test]
fn fidelity_is_drawn_from_what_the_command_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = "capture --model demo --data facts:length=128,samples=2,seed=5 --windows last:8 random --decode 6 --out s.kvlens";
    run_ok(folder.path(), &words(arguments));
    run_ok(
        folder.path(),
        &words("fidelity s.kvlens --budgets 16,50% --out f"),
    );
    for kind in ["fidelity-kl", "fidelity-agreement", "fidelity-recall"] {
        let figure = format!("figure f --kind {kind} --window last:8 --out {kind}.svg");
        run_ok(folder.path(), &words(&figure));
    }
    let table = TableFile::read(&folder.path().join("f/fidelity.parquet")).unwrap();
    let drawn = TableFile::read(&folder.path().join("fidelity-kl.parquet")).unwrap();
    let of_window = texts(&table, "window")
        .into_iter()
        .zip(texts(&table, "budget"));
    let rows = of_window.zip(numbers(&table, "kl"));
    let kl: Vec<f64> = rows
        .filter(|((window, budget), _)| window == "last:8" && budget == "16")
        .map(|(_, kl)| kl)
        .collect();
    let place = numbers(&drawn, "x")
        .iter()
        .position(|x| *x == 16.0)
        .unwrap();
    let mean = kl.iter().sum::<f64>() / kl.len() as f64;
    assert_eq!(kl.len(), 2);
    assert!((numbers(&drawn, "value")[place] - mean).abs() < 1e-12);
    assert!(
        texts(&drawn, "series")
            .iter()
            .all(|series| series == "last:8")
    );
    let refused = run(
        folder.path(),
        &words("figure s.kvlens --kind fidelity-kl --out no.svg"),
    );
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("kvlens fidelity"),
        "{}",
        refused.stderr
    );
}

#[test]
fn complementarity_has_a_cell_for_every_two_windows_and_none_beside_itself() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = "capture --model demo --data facts:length=128,samples=2,seed=5 --windows last:8 laq random --decode 6 --out s.kvlens";
    run_ok(folder.path(), &words(arguments));
    let figure = "figure s.kvlens --kind complementarity --budget 16 --out c.svg";
    run_ok(folder.path(), &words(figure));
    let layer = "figure s.kvlens --kind layer --budget 16 --out l.svg";
    run_ok(folder.path(), &words(layer));
    let drawn = TableFile::read(&folder.path().join("c.parquet")).unwrap();
    let [x, y, values] = ["x", "y", "value"].map(|name| numbers(&drawn, name));
    assert_eq!(values.len(), 9);
    // what one finds and the other misses differs by what each finds: recall, from the figure by layer
    let layers = TableFile::read(&folder.path().join("l.parquet")).unwrap();
    let recall = |label: &str| {
        let rows = texts(&layers, "series")
            .into_iter()
            .zip(numbers(&layers, "value"));
        let of_label: Vec<f64> = rows
            .filter(|(series, _)| series == label)
            .map(|(_, value)| value)
            .collect();
        of_label.iter().sum::<f64>() / of_label.len() as f64
    };
    let cell = |first: f64, second: f64| {
        let cells = x.iter().zip(&y).zip(&values);
        let mut found = cells.filter(|((x, y), _)| (**y, **x) == (first, second));
        *found.next().unwrap().1
    };
    for (index, label) in ["last:8", "laq", "random"].iter().enumerate() {
        assert_eq!(cell(index as f64, index as f64), 0.0);
        let gap = recall(label) - recall("laq");
        let cells = cell(index as f64, 1.0) - cell(1.0, index as f64);
        assert!((gap - cells).abs() < 1e-9, "{label}: {gap}, {cells}");
    }
}
