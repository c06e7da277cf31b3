//! Files that others hand over, damaged at random: nothing panics, nothing hangs, and nothing that was hashed is read as
//! something else. The damage is the same in every run.

use std::fs;
use std::path::Path;
use std::time::Instant;

use kvlens_sessions::{CancelFlag, CapturePlan, Keep, Session, Shrink, StartMode, pack, unpack};
use sha2::{Digest as _, Sha256};

use crate::common::{demo_model, demo_samples, plan, run_capture};
use crate::damage::{Numbers, damaged, times};
use crate::readers;

/// Bytes in which most files here have their headers.
const HEADER_BYTES: usize = 4096;

/// Writes damaged forms of a file in the place of it, lets each be read, and puts the file back.
fn with_damages(path: &Path, rounds: u64, mut read: impl FnMut(&[u8])) {
    let whole = fs::read(path).unwrap();
    let mut numbers = Numbers::of(7);
    for _ in 0..rounds * times() {
        let damaged = damaged(&whole, HEADER_BYTES, &mut numbers);
        if damaged != whole {
            fs::write(path, &damaged).unwrap();
            read(&damaged);
        }
    }
    fs::write(path, whole).unwrap();
}

#[test]
fn no_damage_of_a_session_is_read_as_another_session() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let out = folder.path().join("a.kvlens");
    let plan = CapturePlan {
        keep: Some(Keep::KeysAndDecode),
        ..plan(&["last:8", "knorm"], 4)
    };
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    with_damages(&out.join("manifest.json"), 300, |_| {
        assert!(Session::open(&out).is_err());
    });
    with_damages(&out.join("sample-00000.safetensors"), 150, |_| {
        let session = Session::open(&out).unwrap();
        assert!(session.load_sample(0).is_err());
        assert!(session.check_sample(0).is_err());
        // what stands before the tensors is read without the hash: whatever it says, nothing breaks
        let _ = session.load_record(0);
    });
    assert!(Session::open(&out).unwrap().load_sample(0).is_ok());

    // a file to share
    let (file, to) = (folder.path().join("a.zip"), folder.path().join("b.kvlens"));
    let (keys, cancel) = (
        Shrink {
            keep: Keep::Keys,
            numbers: None,
        },
        CancelFlag::default(),
    );
    pack(
        &Session::open(&out).unwrap(),
        &file,
        keys,
        &mut |_, _| {},
        &cancel,
    )
    .unwrap();
    let read = |folder: &Path| fs::read(folder.join("sample-00000.safetensors")).unwrap();
    unpack(&file, &to, &mut |_, _| {}, &cancel).unwrap();
    let packed = read(&to);
    fs::remove_dir_all(&to).unwrap();
    with_damages(&file, 300, |_| {
        if unpack(&file, &to, &mut |_, _| {}, &cancel).is_ok() {
            // what was damaged held nothing of the session
            assert!(read(&to) == packed);
            fs::remove_dir_all(&to).unwrap();
        }
        assert!(!to.exists());
    });
}

#[test]
fn no_damage_of_a_journal_makes_a_sample_of_what_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=3"));
    let out = folder.path().join("a.kvlens");
    let plan = plan(&["last:8"], 4);
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    // as a kill leaves it: the manifest as it began, and what became of samples since
    let manifest = fs::read_to_string(out.join("manifest.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let lines: Vec<String> = (0..)
        .zip(value["samples"].as_array().unwrap())
        .map(|(index, sample)| {
            let mut line = serde_json::Map::from_iter([("index".to_owned(), index.into())]);
            let parts = sample.as_object().unwrap().iter();
            let parts = parts.filter(|(name, _)| *name != "sample_sha256");
            line.extend(parts.map(|(name, part)| (name.clone(), part.clone())));
            let json = serde_json::Value::from(line).to_string();
            let hash = Sha256::digest(json.as_bytes());
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hash} {json}\n")
        })
        .collect();
    let journal = out.join("journal.jsonl");
    fs::write(&journal, lines.concat()).unwrap();
    let whole = Session::open(&out).unwrap().manifest().clone();
    with_damages(&journal, 500, |_| {
        if let Ok(session) = Session::open(&out) {
            assert_eq!(session.manifest(), &whole);
        }
    });
}

/// Whole files of each reader, and how often each of them is damaged.
fn wholes() -> Vec<(&'static str, u64, Vec<u8>)> {
    let seeds = readers::sessions::seeds();
    let of_package = |path: &str| fs::read(readers::of_package(path)).unwrap();
    let fixture = |name: &str| of_package(&format!("tests/fixtures/{name}"));
    let micro = |name: &str| fixture(&format!("llama-gqa-untied/{name}"));
    vec![
        ("manifest", 100, seeds.manifest),
        ("sample", 100, seeds.sample),
        ("pack", 50, seeds.pack),
        ("scores", 150, fixture("llama-gqa-untied.press.safetensors")),
        (
            "trained",
            150,
            of_package("builtin/demo/judge-q.safetensors"),
        ),
        (
            "trained",
            150,
            of_package("builtin/demo/lookahead-kv.safetensors"),
        ),
        ("gguf", 100, fixture("gguf/qwen2-bias-tied.gguf")),
        ("gguf", 100, fixture("gguf/sentence-piece.gguf")),
        ("weights", 150, micro("model.safetensors")),
        ("config", 150, micro("config.json")),
        ("generation_config", 150, CONFIG.into()),
        ("tokenizer", 150, micro("tokenizer.json")),
        ("tokenizer_config", 150, CONFIG.into()),
        ("template", 400, TEMPLATE.into()),
    ]
}

/// A clock of their own ends templates that go on and on; most of what is damaged needs none.
const MOST_SECONDS: u64 = 300;

/// What was found by fuzzing once, too: `tests/corpus` has a folder for each reader.
#[test]
fn no_damage_of_a_file_ends_the_program_or_goes_on_without_end() {
    let begin = Instant::now();
    let mut numbers = Numbers::of(7);
    let wholes = wholes();
    for (name, read) in readers::ALL {
        let corpus = readers::of_package("tests/corpus").join(name);
        let mut found: Vec<_> = fs::read_dir(corpus).into_iter().flatten().collect();
        found.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
        for entry in found {
            read(&fs::read(entry.unwrap().path()).unwrap());
        }
        let own = wholes.iter().filter(|(of, ..)| *of == name);
        assert!(own.clone().count() > 0, "{name}");
        for (_, rounds, whole) in own {
            assert!(read(whole), "{name}");
            for _ in 0..rounds * times() {
                read(&damaged(whole, HEADER_BYTES, &mut numbers));
            }
        }
    }
    fs::remove_dir_all(readers::folder()).unwrap();
    assert!(begin.elapsed().as_secs() < MOST_SECONDS * times());
}

/// With what templates of published models are made of.
const TEMPLATE: &str = "{%- set ns = namespace(n=0) -%}{{ bos_token }}{% for message in messages %}\
    {%- if message['role'] == 'user' and loop.index0 % 2 == 0 -%}{% set ns.n = ns.n + 1 %}\
    <|{{ message.role }}|>{{ message['content'] | trim | upper ~ '\\n' }}{{ message | tojson }}\
    {%- elif message.content is defined and not message.content.split(' ')[0] -%}{{ raise_exception('no') }}\
    {%- endif -%}{% endfor %}{% macro m(x, y=2) %}{{ x * y }}{% endmacro %}{{ m(ns.n) }}\
    {%- if add_generation_prompt %}<|assistant|>{% endif %}";

const CONFIG: &str = "{\"bos_token\": {\"content\": \"<s>\", \"lstrip\": false}, \"eos_token_id\": [1, 2], \
    \"add_bos_token\": true, \"chat_template\": [{\"name\": \"default\", \"template\": \"{{ messages }}\"}]}";
