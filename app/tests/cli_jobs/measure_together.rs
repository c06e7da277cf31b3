//! `kvlens measure` of several samples and sessions together: means, differences, winners, CSV, and what
//! counts as the oracle.

use std::fs;
use std::path::Path;

use kvlens_datasets::{LoadOptions, load_with};
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{CancelFlag, CapturePlan, Session, SessionError, StartMode, capture};

use crate::support::{names, numbers, read_table, run, run_ok, texts};

fn capture_demo(folder: &Path, out: &str, data: &str, windows: &[&str]) {
    let mut arguments = vec!["capture", "--model", "demo", "--data", data, "--out", out];
    arguments.push("--windows");
    arguments.extend(windows);
    run_ok(folder, &arguments);
}

/// A session of which no sample was captured yet.
fn begin_a_capture(out: &Path) {
    let plan = CapturePlan::plain(ModelSource::Demo, vec!["demo".to_owned()]);
    let model = Model::load(&plan.model, DeviceChoice::Cpu, DtypeChoice::F32).unwrap();
    let samples = load_with(&["demo".parse().unwrap()], &LoadOptions::default())
        .unwrap()
        .samples;
    let stopped = CancelFlag::default();
    let ended = capture(
        &plan,
        &model,
        &samples,
        out,
        StartMode::New,
        &mut |_| stopped.cancel(),
        &stopped,
    );
    assert!(matches!(ended, Err(SessionError::Cancelled)));
    assert_eq!(Session::open(out).unwrap().sample_count(), 0);
}

#[test]
fn a_folder_of_sessions_is_measured_as_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("runs/more")).unwrap();
    let data = "demo:samples=2,length=512,question=end";
    capture_demo(folder.path(), "runs/a.kvlens", data, &["last:32"]);
    capture_demo(
        folder.path(),
        "runs/more/b.kvlens",
        data,
        &["last:8", "random"],
    );
    let apart = ["measure", "runs", "--out", "t", "--budgets", "16,20%"];
    let ran = run_ok(folder.path(), &apart);
    assert!(
        ran.stdout
            .contains("facts, question at the end, 2 samples of"),
        "{}",
        ran.stdout
    );
    let tables = folder.path().join("t");

    // one session holds last:32, the other what is compared with it: paired by prompt and decode stage
    let difference = read_table(&tables, "difference.parquet");
    assert_eq!(difference.rows(), 2 * 2 * (1 + 16));
    assert_eq!(texts(&difference, "second"), vec!["last:32"; 2 * 2 * 17]);
    assert!(
        numbers(&difference, "samples")
            .iter()
            .all(|count| *count == 2.0)
    );

    // the mean over heads of the heads' differences is the difference of the means
    let (kinds, values) = (
        texts(&difference, "head_kind"),
        numbers(&difference, "difference"),
    );
    for block in 0..4 {
        let rows = block * 17..(block + 1) * 17;
        assert_eq!(kinds[rows.start], "all");
        let heads = &values[rows.start + 1..rows.end];
        let mean = heads.iter().sum::<f64>() / 16.0;
        assert!((mean - values[rows.start]).abs() < 1e-6, "{mean}");
    }

    let summary = read_table(&tables, "summary.parquet");
    // 3 windows and the decode stage: 8 metrics at 16 and 20%, two of them at 128, 256 and 512 tokens
    assert_eq!(summary.rows(), 4 * (8 * 2 + 2 * 3));
    let winner = read_table(&tables, "winner.parquet");
    // no session has all three windows, but the samples are the same
    assert_eq!(winner.rows(), 2 * 16);

    // a capture that was stopped at once stops no measurement of the others
    begin_a_capture(&folder.path().join("runs/begun.kvlens"));
    let ran = run_ok(folder.path(), &apart);
    let told = "a session is left out, it has no finished sample: runs/begun.kvlens";
    assert_eq!(ran.stderr.matches(told).count(), 1, "{}", ran.stderr);
    assert_eq!(
        texts(&read_table(&tables, "summary.parquet"), "window"),
        texts(&summary, "window")
    );
    let ran = run(
        folder.path(),
        &[
            "measure",
            "runs/a.kvlens",
            "runs/begun.kvlens",
            "--out",
            "u",
        ],
    );
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(
        ran.stderr
            .contains("no finished sample; go on with its capture")
    );

    let inside = ["measure", "runs/a.kvlens", "--out", "runs/a.kvlens"];
    let ran = run(folder.path(), &inside);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(
        ran.stderr.contains("a session's own folder"),
        "{}",
        ran.stderr
    );
    let twice = ["measure", "runs", "runs/a.kvlens", "--out", "u"];
    let ran = run(folder.path(), &twice);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("named twice"), "{}", ran.stderr);
}

/// Means of both together would be of no model.
#[test]
fn models_of_one_name_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for dtype in ["f32", "bf16"] {
        let out = format!("runs/{dtype}.kvlens");
        let arguments = [
            "capture",
            "--model",
            "demo",
            "--data",
            "demo:samples=1,length=512",
        ];
        run_ok(
            folder.path(),
            &[&arguments[..], &["--dtype", dtype, "--out", &out]].concat(),
        );
    }
    run_ok(folder.path(), &["measure", "runs", "--out", "t"]);
    let summary = read_table(&folder.path().join("t"), "summary.parquet");
    let mut models = texts(&summary, "model");
    models.sort();
    models.dedup();
    assert_eq!(models, ["demo bf16", "demo f32"]);
    run_ok(folder.path(), &["measure", "runs/f32.kvlens", "--out", "u"]);
    let alone = read_table(&folder.path().join("u"), "summary.parquet");
    assert!(texts(&alone, "model").iter().all(|model| model == "demo"));
}

/// One prompt that was decoded twice is no second sample: two sessions of it would resolve what one cannot.
#[test]
fn decode_stages_of_one_prompt_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for decode in ["4", "8"] {
        let out = format!("runs/{decode}.kvlens");
        let data = "demo:samples=2,length=512,question=end";
        let capture = [
            "capture", "--model", "demo", "--data", data, "--decode", decode, "--out", &out,
        ];
        run_ok(folder.path(), &capture);
    }
    run_ok(
        folder.path(),
        &["measure", "runs", "--out", "t", "--budgets", "16"],
    );
    let summary = read_table(&folder.path().join("t"), "summary.parquet");
    assert!(
        numbers(&summary, "samples")
            .iter()
            .all(|&count| count == 2.0)
    );
    let mut models = texts(&summary, "model");
    models.sort();
    models.dedup();
    assert_eq!(models, ["demo, decode 4", "demo, decode 8"]);
    // the same prompt by both is a pair
    let difference = read_table(&folder.path().join("t"), "difference.parquet");
    let contrasts = texts(&difference, "contrast");
    assert!(
        contrasts.iter().any(|contrast| contrast == "model"),
        "{contrasts:?}"
    );
}

#[test]
fn layers_that_see_only_the_last_keys_are_spoken_of() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sessions/tests/fixtures");
    let model = fixtures.join("mistral-swa64-untied");
    fs::copy(fixtures.join("prompt.txt"), folder.path().join("p.txt")).unwrap();
    let arguments = [
        "capture",
        "--model",
        model.to_str().unwrap(),
        "--data",
        "p.txt",
    ];
    let more = [
        "--decode",
        "8",
        "--windows",
        "last:8",
        "knorm",
        "--out",
        "s.kvlens",
    ];
    run_ok(folder.path(), &[&arguments[..], &more].concat());
    let ran = run_ok(
        folder.path(),
        &["measure", "s.kvlens", "--out", "t", "--importance"],
    );
    assert!(ran.stderr.contains("layers see"), "{}", ran.stderr);
    let figure = ["figure", "s.kvlens", "--kind", "recall", "--out", "f.svg"];
    run_ok(folder.path(), &figure);
    let caption = fs::read_to_string(folder.path().join("f.txt")).unwrap();
    let told = "Layers that see the last 64 tokens alone rank no more than these";
    assert!(caption.contains(told), "{caption}");
    let table = read_table(&folder.path().join("t"), "importance.parquet");
    let positions = numbers(&table, "position");
    let ranks = table.numbers("rank").unwrap();
    let tokens = positions
        .iter()
        .fold(0.0_f64, |most, &position| most.max(position))
        + 1.0;
    // a query behind the prompt sees itself and 63 keys before it
    let first_visible = tokens + 1.0 - 64.0;
    assert!(
        first_visible > 8.0,
        "the prompt is too short to show anything"
    );
    for (position, rank) in positions.iter().zip(&ranks) {
        let is_ranked = rank.is_some_and(|rank| rank < tokens - first_visible);
        assert_eq!(
            is_ranked,
            *position >= first_visible,
            "{position}: {rank:?}"
        );
    }
}

#[test]
fn a_layer_can_rank_its_tokens_once_for_all_heads() {
    let folder = tempfile::tempdir().unwrap();
    let data = "demo:samples=1,length=512,question=end";
    capture_demo(folder.path(), "s.kvlens", data, &["last:200", "tova"]);
    let arguments = [
        "measure",
        "s.kvlens",
        "--out",
        "t",
        "--group",
        "layer",
        "--importance",
    ];
    let also = ["--also", "drift", "places", "allocation", "--budgets", "16"];
    run_ok(folder.path(), &[&arguments[..], &also].concat());
    let tables = folder.path().join("t");
    for name in [
        "overlap",
        "agreement",
        "drift",
        "place",
        "allocation",
        "importance",
    ] {
        let table = read_table(&tables, &format!("{name}.parquet"));
        assert!(table.rows() > 0, "{name}");
        assert!(
            texts(&table, "head_kind")
                .iter()
                .all(|kind| kind == "layer"),
            "{name}"
        );
        assert!(
            numbers(&table, "head").iter().all(|head| *head == 0.0),
            "{name}"
        );
    }
    let of_layers = read_table(&tables, "importance.parquet");
    let alone = [
        "measure",
        "s.kvlens",
        "--out",
        "u",
        "--group",
        "none",
        "--importance",
    ];
    run_ok(folder.path(), &alone);
    let of_heads = read_table(&folder.path().join("u"), "importance.parquet");
    // both begin with the decode stage, layer by layer: 4 heads for one, and their mean
    let tokens = 1 + numbers(&of_layers, "position")
        .iter()
        .fold(0, |most, &at| most.max(at as usize));
    let (layers, heads) = (numbers(&of_layers, "score"), numbers(&of_heads, "score"));
    for layer in 0..4 {
        for token in 0..tokens {
            let head = |head: usize| heads[(layer * 4 + head) * tokens + token];
            let mean = (0..4).map(head).sum::<f64>() / 4.0;
            assert!((layers[layer * tokens + token] - mean).abs() < 1e-7);
        }
    }
}

#[test]
fn csv_stands_beside_every_table() {
    let folder = tempfile::tempdir().unwrap();
    let data = "demo:samples=1,length=512,question=end";
    capture_demo(folder.path(), "s.kvlens", data, &["last:8", "h2o"]);
    let arguments = ["measure", "s.kvlens", "--out", "t", "--csv", "--importance"];
    run_ok(folder.path(), &arguments);
    let tables = folder.path().join("t");
    let all = names(&tables);
    let parquet: Vec<&String> = all
        .iter()
        .filter(|name| name.ends_with(".parquet"))
        .collect();
    assert_eq!(parquet.len(), 10, "{all:?}");
    for name in parquet {
        let csv = name.replace(".parquet", ".csv");
        let text = fs::read_to_string(tables.join(&csv)).unwrap();
        let table = read_table(&tables, name);
        let header: Vec<String> = table.columns().into_iter().map(|(name, _)| name).collect();
        assert_eq!(text.lines().next().unwrap(), header.join(","), "{csv}");
        assert!(tables.join(csv + ".json").is_file());
    }
    let overlap = read_table(&tables, "overlap.parquet");
    let kinds = texts(&overlap, "score_kind");
    for (window, kind) in texts(&overlap, "window").iter().zip(kinds) {
        let expected = match window.as_str() {
            "h2o" => "accumulated-attention",
            _ => "attention",
        };
        assert_eq!(kind, expected, "{window}");
    }
    // the session must stay outside what a later `measure FOLDER` takes for sessions
    assert!(!tables.join("manifest.json").exists());
    let about = fs::read_to_string(tables.join("tables.json")).unwrap();
    let about: serde_json::Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["options"]["oracle"]["steps"], "all");
}

#[test]
fn the_oracle_is_what_the_flags_say() {
    let folder = tempfile::tempdir().unwrap();
    let data = "demo:samples=1,length=512,question=end";
    capture_demo(folder.path(), "s.kvlens", data, &["last:8"]);
    let recall = |out: &str, more: &[&str]| {
        let mut arguments = vec!["measure", "s.kvlens", "--out", out, "--budgets", "16"];
        arguments.extend_from_slice(more);
        run_ok(folder.path(), &arguments);
        let table = read_table(&folder.path().join(out), "overlap.parquet");
        let provenance = table.metadata("provenance").unwrap().to_owned();
        (numbers(&table, "recall"), provenance)
    };
    let (all, _) = recall("all", &[]);
    let (first, about) = recall("first", &["--oracle-steps", "1"]);
    assert_ne!(all, first);
    let about: serde_json::Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["options"]["oracle"]["steps"], "1");
    // one step is its own mean, sum and maximum
    let methods = ["--compare", "methods"];
    let (largest, about) = recall(
        "largest",
        &[
            &methods[..],
            &["--oracle-steps", "1-1", "--oracle-reduce", "max"],
        ]
        .concat(),
    );
    let (first, _) = recall("alone", &[&methods[..], &["--oracle-steps", "1"]].concat());
    assert_eq!(first, largest);
    let about: serde_json::Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["truth"]["scoring"]["reduce"], "max");
    let window = &about["sessions"][0]["windows"][0];
    assert_eq!(
        window["scoring"]["reduce"], "sum",
        "the window keeps its own"
    );
    assert_eq!(window["ceiling"]["scoring"], window["scoring"]);
    // more steps than there are end with the last
    assert_eq!(recall("many", &["--oracle-steps", "9999"]).0, all);

    let beyond = [
        "measure",
        "s.kvlens",
        "--out",
        "none",
        "--oracle-steps",
        "900-999",
    ];
    let ran = run(folder.path(), &beyond);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("900-999"), "{}", ran.stderr);
    assert!(!folder.path().join("none").exists());
    let unknown = ["measure", "s.kvlens", "--out", "none", "--against", "laq"];
    let ran = run(folder.path(), &unknown);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("it has last:8"), "{}", ran.stderr);
}
