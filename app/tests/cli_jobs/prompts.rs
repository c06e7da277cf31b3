//! Prompts as they lie on disk, through the program: what is read as what, and that nothing goes without a word.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::support::{model_copy, numbers, read_table, run, run_ok, texts};

/// The samples that `data show` gives of one file, and what it says of the file.
fn shown(text: &[u8], more: &[&str]) -> (Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows.jsonl"), text).unwrap();
    let arguments = [&["data", "show", "rows.jsonl", "--json"], more].concat();
    let ran = run_ok(folder.path(), &arguments);
    let lines = ran.stdout.lines();
    let samples = lines.map(|line| serde_json::from_str(line).unwrap());
    (samples.collect(), ran.stderr)
}

fn line(row: &Value) -> Vec<u8> {
    format!("{row}\n").into_bytes()
}

#[test]
fn a_babilong_row_keeps_its_question_and_its_answer() {
    let row = json!({"input": "Ann went to the office.", "question": "Where is Ann?", "target": "office"});
    let (samples, _) = shown(&line(&row), &[]);
    let prompt = samples[0]["sample"]["prompt"].as_str().unwrap();
    assert!(
        prompt.contains("Ann went") && prompt.contains("Where is Ann?"),
        "{prompt}"
    );
    assert_eq!(samples[0]["sample"]["answer"], "office");
}

#[test]
fn an_infinitebench_row_keeps_instruction_context_question_and_number() {
    let row = json!({"prompt": "Find the number.", "context": "Much text. 88. More.", "input": "Which?", "answer": 88});
    let (samples, _) = shown(&line(&row), &[]);
    let prompt = samples[0]["sample"]["prompt"].as_str().unwrap();
    for part in ["Find the number.", "Much text. 88.", "Which?"] {
        assert!(prompt.contains(part), "{prompt}");
    }
    assert_eq!(samples[0]["sample"]["answer"], "88");
}

#[test]
fn a_loogle_row_is_a_prompt_for_each_question() {
    let pairs =
        "[{'Q': 'Who?', 'A': 'Ann', 'S': ['Ann came.']}, {'Q': 'When?', 'A': 'noon', 'S': []}]";
    let row = json!({"input": "Ann came. It was noon.", "title": "t", "qa_pairs": pairs, "output": "none"});
    let (samples, _) = shown(&line(&row), &[]);
    assert_eq!(samples.len(), 2);
    let prompt = samples[1]["sample"]["prompt"].as_str().unwrap();
    assert!(
        prompt.contains("It was noon.") && prompt.contains("When?"),
        "{prompt}"
    );
}

#[test]
fn fields_that_are_not_read_are_named_and_stand_in_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let row = json!({"prompt": "Ann lives in Rome. Ann lives in", "mood": "good", "index": 3});
    fs::write(folder.path().join("rows.jsonl"), line(&row)).unwrap();
    let capture = [
        "capture",
        "--model",
        "demo",
        "--data",
        "rows.jsonl",
        "--decode",
        "2",
        "--ignore-eos",
    ];
    for ends in [&["--estimate"][..], &["--out", "a.kvlens"][..]] {
        let ran = run_ok(folder.path(), &[&capture[..], ends].concat());
        assert!(
            ran.stderr.contains("read: index as id, prompt as prompt"),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains("not read: mood"), "{}", ran.stderr);
    }
    let manifest = fs::read(folder.path().join("a.kvlens/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(
        manifest["plan"]["read"]["sources"][0]["unread"],
        json!({"mood": 1})
    );
}

#[test]
fn a_line_that_is_no_json_stops_the_run_or_is_left_out_as_asked() {
    let text =
        b"{\"prompt\": \"good\", \"id\": \"a\"}\n{\"prompt\": \"\\ud800\"}\n{\"prompt\": NaN}\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows.jsonl"), text).unwrap();
    let ran = run(folder.path(), &["data", "show", "rows.jsonl"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("line 2") && ran.stderr.contains("rows.jsonl"),
        "{}",
        ran.stderr
    );
    let (samples, said) = shown(text, &["--skip-bad-rows"]);
    assert_eq!(samples.len(), 1);
    for word in [
        "left out: line 2 holds half of a surrogate pair",
        "left out: line 3 holds NaN",
    ] {
        assert!(said.contains(word), "{said}");
    }
    let ran = run(folder.path(), &["data", "check", "rows.jsonl"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stdout.contains("line 2") && ran.stdout.contains("line 3"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.contains("2 rows are no prompts"),
        "{}",
        ran.stderr
    );
}

/// Three prompts, the second of which no model position is left for.
fn one_too_long(folder: &Path) {
    let rows: Vec<u8> = [("a", 5), ("b", 40_000), ("c", 6)]
        .into_iter()
        .flat_map(|(id, words)| line(&json!({"id": id, "prompt": "noon ".repeat(words)})))
        .collect();
    fs::write(folder.join("rows.jsonl"), rows).unwrap();
}

#[test]
fn prompts_that_are_too_long_are_left_out_or_cut_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    one_too_long(folder.path());
    let show = |more: &[&str]| {
        let ran = run_ok(
            folder.path(),
            &[&["data", "show", "rows.jsonl", "--json"], more].concat(),
        );
        let lines: Vec<Value> = ran
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (lines, ran.stderr)
    };
    let (samples, said) = show(&["--skip-too-long"]);
    assert_eq!(samples.len(), 2);
    assert!(said.contains("too long, left out: b of"), "{said}");
    let (samples, said) = show(&["--truncate", "middle"]);
    assert_eq!(samples.len(), 3);
    assert!(said.contains("cut: b from"), "{said}");
    // the demo's 4,096 positions without the default decode stage of 64 tokens
    let config = include_str!("../../../sessions/builtin/demo/config.json");
    let config: Value = serde_json::from_str(config).unwrap();
    let limit = config["max_position_embeddings"].as_u64().unwrap() - 64;
    let tokens = samples[1]["tokens"].as_u64().unwrap();
    assert!(
        tokens <= limit && tokens + 2 >= limit,
        "{tokens} of {limit}"
    );
    let refused = run(
        folder.path(),
        &[
            "capture",
            "--model",
            "demo",
            "--data",
            "rows.jsonl",
            "--estimate",
        ],
    );
    assert_eq!(refused.code, 2, "{refused:#?}");
}

#[test]
fn evidence_counts_bytes_or_characters_and_what_falls_inside_a_letter_is_refused() {
    // the needle begins at byte 6 and at character 5: the accent takes two bytes
    let row = |offsets: Value| line(&json!({"prompt": "Été: Ann is here.", "evidence": offsets}));
    let evidence = |offsets: Value, more: &[&str]| {
        let (samples, _) = shown(&row(offsets), more);
        samples[0]["sample"]["evidence"][0].clone()
    };
    assert_eq!(
        evidence(json!([[7, 10]]), &[]),
        json!({"start": 7, "end": 10})
    );
    assert_eq!(
        evidence(json!([[5, 8]]), &["--evidence-unit", "chars"]),
        json!({"start": 7, "end": 10})
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows.jsonl"), row(json!([[1, 3]]))).unwrap();
    let ran = run(folder.path(), &["data", "show", "rows.jsonl"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("line 1"), "{}", ran.stderr);
}

#[test]
fn fields_are_mapped_a_question_is_moved_and_one_sample_is_taken() {
    let rows: Vec<u8> = ["x", "y", "z"]
        .into_iter()
        .flat_map(|id| line(&json!({"key": id, "body": "Ann lives in Rome.", "ask": "Where?"})))
        .collect();
    let mapped = [
        "--field",
        "document=body",
        "--field",
        "question=ask",
        "--field",
        "id=key",
        "--question",
        "start",
        "--sample",
        "y",
    ];
    let (samples, said) = shown(&rows, &mapped);
    assert_eq!(samples.len(), 1);
    let prompt = samples[0]["sample"]["prompt"].as_str().unwrap();
    assert!(
        prompt.find("Where?").unwrap() < prompt.find("Ann lives").unwrap(),
        "{prompt}"
    );
    assert!(said.contains("ask as question"), "{said}");
    let (samples, _) = shown(&rows, &["--field", "prompt=body", "--limit", "2"]);
    assert_eq!(samples.len(), 2);
}

#[test]
fn parquet_is_read_like_any_other_rows() {
    let folder = tempfile::tempdir().unwrap();
    let file = include_bytes!("../../../analysis/tests/fixtures/prompts.parquet");
    fs::write(folder.path().join("rows.parquet"), file).unwrap();
    let ran = run_ok(
        folder.path(),
        &["data", "show", "rows.parquet", "--json", "--limit", "1"],
    );
    let sample: Value = serde_json::from_str(ran.stdout.trim()).unwrap();
    let prompt = sample["sample"]["prompt"].as_str().unwrap();
    assert!(
        prompt.contains("Ann lives in Rome.") && prompt.contains("Where?"),
        "{prompt}"
    );
    assert!(ran.stderr.contains("share"), "{}", ran.stderr);
    fs::write(folder.path().join("bad.parquet"), "no table").unwrap();
    let ran = run(folder.path(), &["data", "check", "bad.parquet"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("bad.parquet"), "{}", ran.stderr);
}

#[test]
fn generated_prompts_are_written_and_read_again_and_fit_the_asked_length() {
    let folder = tempfile::tempdir().unwrap();
    let spec = "niah_single_2:length=1k,depth=0..1/3,samples=1,seed=4";
    run_ok(
        folder.path(),
        &["data", "generate", spec, "--out", "p.jsonl"],
    );
    let again = run(
        folder.path(),
        &["data", "generate", spec, "--out", "p.jsonl"],
    );
    assert_ne!(again.code, 0, "a file that is there stays");
    let other = run(folder.path(), &["data", "generate", spec, "--out", "p.txt"]);
    assert!(other.stderr.contains(".jsonl"), "{other:#?}");
    assert!(!folder.path().join("p.txt").exists());
    let ran = run_ok(folder.path(), &["data", "show", "p.jsonl", "--json"]);
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    for line in lines {
        let tokens = line["tokens"].as_u64().unwrap();
        assert!((1_014..=1_024).contains(&tokens), "{tokens}");
        assert_eq!(line["sample"]["asked_length"], 1_024);
    }
}

/// Of every kind of generated task, at one length each and in a grid.
#[test]
fn lengths_are_those_of_the_model_that_was_named_and_never_beyond_it() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = |spec: &str| -> Vec<u64> {
        let shown = run_ok(folder.path(), &["data", "show", spec, "--json"]).stdout;
        let lines = shown
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines
            .map(|line: Value| line["tokens"].as_u64().unwrap())
            .collect()
    };
    for task in ["facts", "niah", "list", "vt", "qa_1"] {
        for tokens in tokens(&format!("{task}:length=1k,samples=2,seed=8")) {
            assert!((1_014..=1_024).contains(&tokens), "{task}: {tokens}");
        }
    }
    // names are cut by the model's tokenizer
    assert!(tokens("facts:length=1k,samples=1,count=words")[0] > 1_024);
    for (spec, too_long) in [
        ("niah:length=9000", "length=9000"),
        ("niah_single_2:length=512|16k", "length=16384"),
    ] {
        let refused = run(folder.path(), &["data", "show", spec]);
        assert_eq!(refused.code, 2, "{refused:#?}");
        let sentence = format!("cannot have {too_long}: the model has 4096 positions");
        assert!(refused.stderr.contains(&sentence), "{}", refused.stderr);
    }
    // as asked in words, and said to be too long
    let words = "niah:length=9000,samples=1,count=words";
    let shown = run_ok(folder.path(), &["data", "show", words]).stdout;
    assert!(shown.contains("too long for the model"), "{shown}");
    // left out where that is asked
    let specs = [
        "data",
        "show",
        "niah:length=256|9000,samples=1",
        "--skip-too-long",
    ];
    let shown = run_ok(folder.path(), &specs);
    assert!(
        shown.stderr.contains("too long, left out: niah-9000"),
        "{}",
        shown.stderr
    );
    assert!(shown.stdout.contains("niah-256-end"), "{}", shown.stdout);
    // without a model there is no tokenizer
    let checked = run_ok(folder.path(), &["data", "check", "niah:samples=2"]).stdout;
    assert!(
        checked.contains("lengths count words and punctuation marks"),
        "{checked}"
    );
    let checked = run_ok(
        folder.path(),
        &["data", "check", "niah:samples=2,count=words"],
    )
    .stdout;
    assert_eq!(checked, "2 samples\n");
}

#[test]
fn tasks_are_told_by_data_and_no_longer_by_doctor() {
    let folder = tempfile::tempdir().unwrap();
    let listed = run_ok(folder.path(), &["data", "list"]).stdout;
    for word in [
        "niah_single_1",
        "variable-tracking",
        "depth=0..1|sweep",
        "longbench-v2",
    ] {
        assert!(listed.contains(word), "{word}: {listed}");
    }
    let ran = run_ok(folder.path(), &["data", "list", "--json"]);
    let listed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(listed["tasks"][0]["name"], "demo");
    assert!(
        !run_ok(folder.path(), &["doctor"])
            .stdout
            .contains("data niah")
    );
}

/// The texts of a sample's tokens, joined: the prompt as it was run.
fn run_text(session: &Path) -> String {
    let session = kvlens_sessions::Session::open(session).unwrap();
    session.load_sample(0).unwrap().record.token_texts.concat()
}

#[test]
fn an_answer_prefix_follows_the_assistants_header() {
    let folder = tempfile::tempdir().unwrap();
    model_copy(&folder.path().join("model"));
    let template = "user: {{ messages[0]['content'] }} assistant:";
    fs::write(folder.path().join("model/chat_template.jinja"), template).unwrap();
    let row = json!({"prompt": "Where is Ann?", "answer_prefix": " Ann is in", "answer": "Rome"});
    fs::write(folder.path().join("rows.jsonl"), line(&row)).unwrap();
    let capture = |out: &str, more: &[&str]| {
        let arguments = [
            &[
                "capture",
                "--model",
                "model",
                "--data",
                "rows.jsonl",
                "--decode",
                "2",
            ][..],
            &["--ignore-eos", "--out", out],
            more,
        ];
        run_ok(folder.path(), &arguments.concat());
        run_text(&folder.path().join(out))
    };
    let chat = capture("chat.kvlens", &["--chat"]);
    assert!(
        chat.ends_with("Where is Ann? assistant: Ann is in"),
        "{chat}"
    );
    let plain = capture("plain.kvlens", &[]);
    assert!(plain.ends_with("Where is Ann? Ann is in"), "{plain}");
}

#[test]
fn questions_that_come_after_the_prompt_are_captured_measured_and_evicted_for() {
    let folder = tempfile::tempdir().unwrap();
    let document = "Ann lives in Rome. Bo digs in Oslo. ".repeat(8);
    let rows: Vec<u8> = ["Where does Ann live?", "Where does Bo dig?"]
        .into_iter()
        .flat_map(|question| line(&json!({"context": document, "question": question})))
        .collect();
    fs::write(folder.path().join("rows.jsonl"), rows).unwrap();
    let shown = run_ok(
        folder.path(),
        &["data", "show", "rows.jsonl", "--question", "absent"],
    );
    assert!(
        shown.stdout.contains("asked afterwards:") && shown.stdout.contains("question: absent"),
        "{}",
        shown.stdout
    );
    let capture = [
        "capture",
        "--model",
        "demo",
        "--data",
        "rows.jsonl",
        "--question",
        "absent",
        "--decode",
        "4",
        "--ignore-eos",
        "--windows",
        "last:8",
        "h2o",
        "--out",
        "s.kvlens",
    ];
    run_ok(folder.path(), &capture);
    let session = kvlens_sessions::Session::open(&folder.path().join("s.kvlens")).unwrap();
    let records = [0, 1].map(|index| session.load_sample(index).unwrap().record);
    for (record, question) in records.iter().zip(["Ann live?", "Bo dig?"]) {
        assert!(record.token_texts.concat().trim_end().ends_with("in Oslo."));
        let later = record.asked_later.as_ref().unwrap();
        assert!(later.text.ends_with(question), "{}", later.text);
        assert!(later.ids.len() > 3);
    }
    assert_eq!(records[0].prompt_ids, records[1].prompt_ids);
    run_ok(
        folder.path(),
        &["measure", "s.kvlens", "--out", "t", "--budgets", "16"],
    );
    let samples = read_table(&folder.path().join("t"), "samples.parquet");
    assert_eq!(texts(&samples, "question_place"), ["absent", "absent"]);
    // one prompt, two questions: two samples, even where the answers are one
    let contents = texts(&samples, "content");
    assert_ne!(contents[0], contents[1]);
    run_ok(
        folder.path(),
        &["fidelity", "s.kvlens", "--out", "f", "--budgets", "16"],
    );
    let fidelity = read_table(&folder.path().join("f"), "fidelity.parquet");
    let (windows, divergence) = (texts(&fidelity, "window"), numbers(&fidelity, "kl"));
    for (window, kl) in windows.iter().zip(divergence) {
        assert!(window != "full" || kl == 0.0, "{window}: {kl}");
    }
}

#[test]
fn a_benchmarks_answer_length_is_the_default_and_a_flag_goes_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let row = json!({"prompt": "Where is Ann?", "max_new_tokens": 3});
    fs::write(folder.path().join("rows.jsonl"), line(&row)).unwrap();
    for (out, more, expected) in [("a", &[][..], 3), ("b", &["--decode", "5"][..], 5)] {
        let capture = [
            "capture",
            "--model",
            "demo",
            "--data",
            "rows.jsonl",
            "--ignore-eos",
            "--out",
            out,
        ];
        run_ok(folder.path(), &[&capture[..], more].concat());
        let session = kvlens_sessions::Session::open(&folder.path().join(out)).unwrap();
        let record = session.load_sample(0).unwrap().record;
        assert_eq!(record.generated_ids.len(), expected);
    }
}

#[test]
fn a_plan_file_names_a_template() {
    let folder = tempfile::tempdir().unwrap();
    let row = json!({"context": "Ann digs.", "question": "Who?"});
    fs::write(folder.path().join("rows.jsonl"), line(&row)).unwrap();
    fs::write(
        folder.path().join("words.txt"),
        "{document} Q: {question} A:",
    )
    .unwrap();
    let plan = "model = ['demo']\ndata = ['rows.jsonl']\ntemplate = 'words.txt'\ndecode = 2\n\
        ignore-eos = true\nout = 'runs'";
    fs::write(folder.path().join("plan.toml"), plan).unwrap();
    run_ok(folder.path(), &["capture", "--plan", "plan.toml"]);
    let text = run_text(&folder.path().join("runs/demo-rows.kvlens"));
    assert!(text.ends_with("Ann digs. Q: Who? A:"), "{text}");
}

/// A grid of two lengths and depths: its table is the mean of the table of heads, and its picture shows the table.
#[test]
fn a_needle_grid_is_a_table_and_maps() {
    let folder = tempfile::tempdir().unwrap();
    let capture = [
        "capture",
        "--model",
        "demo",
        "--data",
        "niah:length=256|512,depth=0..1/2,samples=2",
        "--windows",
        "last:8",
        "random",
        "--decode",
        "8",
        "--ignore-eos",
        "--out",
        "s.kvlens",
    ];
    run_ok(folder.path(), &capture);
    run_ok(
        folder.path(),
        &["measure", "s.kvlens", "--out", "t", "--budgets", "32"],
    );
    let tables = folder.path().join("t");
    let samples = read_table(&tables, "samples.parquet");
    let tokens = numbers(&samples, "prompt_tokens");
    for (tokens, asked) in tokens.iter().zip(numbers(&samples, "asked_length")) {
        assert!(
            (0.99 * asked..=asked).contains(tokens),
            "{tokens} of {asked}"
        );
    }
    let grid = read_table(&tables, "needle.parquet");
    assert_eq!(grid.rows(), 2 * 2 * 2);
    let (windows, depths) = (texts(&grid, "window"), numbers(&grid, "depth"));
    let (lengths, kept) = (
        numbers(&grid, "asked_length"),
        numbers(&grid, "evidence_kept"),
    );
    let recalls = numbers(&grid, "recall");
    let heads = read_table(&tables, "overlap.parquet");
    let of_heads = |column: &str, row: usize| {
        let (labels, at) = (texts(&heads, "window"), numbers(&heads, "depth"));
        let (asked, budgets) = (numbers(&heads, "asked_length"), texts(&heads, "budget"));
        let values = heads.numbers(column).unwrap();
        let found: Vec<f64> = (0..heads.rows())
            .filter(|&head| labels[head] == windows[row] && at[head] == depths[row])
            .filter(|&head| asked[head] == lengths[row] && budgets[head] == "32")
            .filter_map(|head| values[head])
            .collect();
        found.iter().sum::<f64>() / found.len() as f64
    };
    for row in 0..grid.rows() {
        assert!((kept[row] - of_heads("evidence_kept", row)).abs() < 1e-6);
        assert!((recalls[row] - of_heads("recall", row)).abs() < 1e-6);
    }
    let figure = [
        "figure", "s.kvlens", "--kind", "needle", "--budget", "32", "--out", "n.svg",
    ];
    run_ok(folder.path(), &figure);
    let svg = fs::read_to_string(folder.path().join("n.svg")).unwrap();
    for words in ["evidence kept", "score of the answers", "512", "depth"] {
        assert!(svg.contains(words), "{words}");
    }
    let data = read_table(folder.path(), "n.parquet");
    let (panels, values) = (texts(&data, "panel"), data.numbers("value").unwrap());
    let (x, y) = (numbers(&data, "x"), numbers(&data, "y"));
    for row in 0..grid.rows() {
        let panel = format!("{}: evidence kept", windows[row]);
        let place = (0..data.rows())
            .find(|&at| panels[at] == panel && x[at] == lengths[row] && y[at] == depths[row]);
        let found = values[place.unwrap()].unwrap();
        assert!((found - kept[row]).abs() < 1e-6, "{panel}");
    }
    // what the model answers after each eviction stands in a table and, with its folder beside the session, in maps
    assert!(
        !svg.contains("score after eviction"),
        "fidelity was not run"
    );
    run_ok(
        folder.path(),
        &["fidelity", "s.kvlens", "--out", "f", "--budgets", "32"],
    );
    let evicted = folder.path().join("f");
    let (one, cells) = (
        read_table(&evicted, "fidelity.parquet"),
        read_table(&evicted, "fidelity_needle.parquet"),
    );
    // the full cache, the decode stage and two windows
    assert_eq!(cells.rows(), 4 * 2 * 2);
    let scores_of = |window: &str, length: f64, depth: f64| -> f64 {
        let (labels, scores) = (texts(&one, "window"), numbers(&one, "score"));
        let (asked, at) = (numbers(&one, "asked_length"), numbers(&one, "depth"));
        let found: Vec<f64> = (0..one.rows())
            .filter(|&row| labels[row] == window && asked[row] == length && at[row] == depth)
            .map(|row| scores[row])
            .collect();
        assert_eq!(found.len(), 2, "{window} {length} {depth}");
        found.iter().sum::<f64>() / 2.0
    };
    let cell = |row: usize| {
        let window = texts(&cells, "window")[row].clone();
        (
            window,
            numbers(&cells, "asked_length")[row],
            numbers(&cells, "depth")[row],
        )
    };
    for row in 0..cells.rows() {
        let (window, length, depth) = cell(row);
        let expected = scores_of(&window, length, depth);
        assert!(
            (numbers(&cells, "score")[row] - expected).abs() < 1e-12,
            "{window}"
        );
    }
    let figure = [
        "figure", "s.kvlens", "f", "--kind", "needle", "--budget", "32", "--out", "e.svg",
    ];
    run_ok(folder.path(), &figure);
    let data = read_table(folder.path(), "e.parquet");
    let (panels, values) = (texts(&data, "panel"), data.numbers("value").unwrap());
    let (x, y) = (numbers(&data, "x"), numbers(&data, "y"));
    for (window, length, depth) in (0..cells.rows()).map(cell) {
        let panel = format!("{window}: score after eviction");
        let place =
            (0..data.rows()).find(|&at| panels[at] == panel && x[at] == length && y[at] == depth);
        let is_shown = ["last:8", "random"].contains(&window.as_str());
        assert_eq!(place.is_some(), is_shown, "{panel}");
        if let Some(place) = place {
            let expected = scores_of(&window, length, depth);
            assert!((values[place].unwrap() - expected).abs() < 1e-12, "{panel}");
        }
    }
    // samples without a depth have no grid
    let refused = run(
        folder.path(),
        &[
            "capture",
            "--model",
            "demo",
            "--data",
            "demo:samples=1",
            "--decode",
            "4",
            "--out",
            "d.kvlens",
        ],
    );
    assert_eq!(refused.code, 0, "{refused:#?}");
    let figure = [
        "figure", "d.kvlens", "--kind", "needle", "--budget", "32", "--out", "d.svg",
    ];
    let ran = run(folder.path(), &figure);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(
        ran.stderr.contains("asked length and depth"),
        "{}",
        ran.stderr
    );
}
