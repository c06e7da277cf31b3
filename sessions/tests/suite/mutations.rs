//! Files that others hand over, damaged at random: nothing panics, nothing hangs, and nothing that was hashed is read as
//! something else. The damage is the same in every run.

use std::fs;
use std::path::Path;
use std::time::Instant;

use kvlens_sessions::model::{ChatVariables, DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::windows::parse_window;
use kvlens_sessions::{CancelFlag, CapturePlan, Keep, Session, Shrink, StartMode, pack, unpack};
use sha2::{Digest as _, Sha256};

use crate::common::{
    demo_model, demo_samples, fixtures, micro_model, micro_prompt, plan, prefill, run_capture,
    try_observe,
};

/// A sequence of numbers by Knuth's MMIX generator; its high bits are used.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

/// What readers stumble over: brackets, signs, lengths far too large.
const BAD: [&[u8]; 12] = [
    b"\"",
    b"{",
    b"]",
    b",",
    b"-1",
    b"1e999",
    b"null",
    b"\xff",
    b"\0",
    b"18446744073709551615",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
];

/// One to four damages, most of them where the headers are.
fn damaged(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=numbers.below(4) {
        let front = match numbers.below(4) {
            0 => bytes.len() + 1,
            _ => (bytes.len() + 1).min(4096),
        };
        let at = numbers.below(front);
        match numbers.below(5) {
            0 => bytes.truncate(at),
            1 => {
                let end = (at + numbers.below(12)).min(bytes.len());
                bytes.drain(at..end);
            }
            2 => {
                let end = (at + numbers.below(60)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            3 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            _ => {
                let bad = BAD[numbers.below(BAD.len())];
                let end = (at + bad.len()).min(bytes.len());
                bytes.splice(at..end, bad.iter().copied());
            }
        }
    }
    bytes
}

/// A variable that says how many times as many damages are tried, other ones for each number.
const TIMES: &str = "KVLENS_DAMAGES";

/// Writes damaged forms of a file in the place of it, lets each be read, and puts the file back.
fn with_damages(path: &Path, rounds: usize, mut read: impl FnMut(&[u8])) {
    let whole = fs::read(path).unwrap();
    let times: usize = std::env::var(TIMES).map_or(1, |times| times.parse().unwrap());
    let mut numbers = Numbers(6 + times as u64);
    for _ in 0..rounds * times {
        let damaged = damaged(&whole, &mut numbers);
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
    with_damages(&file, 300, |_| {
        if unpack(&file, &to, &mut |_, _| {}, &cancel).is_ok() {
            // what was damaged held nothing of the session
            assert!(read(&to) == read(&out));
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

#[test]
fn no_damage_of_a_score_file_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let model = micro_model("llama-gqa-untied");
    let path = folder.path().join("scores.safetensors");
    fs::copy(fixtures().join("llama-gqa-untied.press.safetensors"), &path).unwrap();
    let label = format!("file:{},name=press,recent=64", path.display());
    let scores = || {
        let window = parse_window(&label.parse().unwrap()).and_then(|window| window.ready(&model));
        let window = window.map_err(|error| error.to_string())?;
        let mut prefilled = prefill(&model, &micro_prompt(&model), &[&window]);
        try_observe(&window, &model, &mut prefilled).map(drop)
    };
    scores().unwrap();
    with_damages(&path, 150, |_| {
        if let Err(error) = scores() {
            assert!(!error.to_string().is_empty());
        }
    });
}

#[test]
fn no_damage_of_a_chat_template_ends_the_program_or_goes_on_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("model");
    fs::create_dir(&to).unwrap();
    let builtin = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama-gqa-untied");
    for entry in fs::read_dir(builtin).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let template = to.join("chat_template.jinja");
    fs::write(&template, TEMPLATE).unwrap();
    let render = || {
        let source = ModelSource::Folder(to.clone());
        let model = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32)?;
        model.encode_prompt("What?", Some(&ChatVariables::default()))
    };
    assert!(!render().unwrap().ids.is_empty());
    let begin = Instant::now();
    with_damages(&template, 400, |_| {
        let _ = render();
    });
    // each is ended after some seconds by a clock of its own; most need none of them
    assert!(begin.elapsed().as_secs() < 120);
    for name in ["generation_config.json", "tokenizer_config.json"] {
        fs::write(to.join(name), CONFIG).unwrap();
        with_damages(&to.join(name), 150, |_| {
            let _ = render();
        });
    }
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

#[test]
fn no_damage_of_a_checkpoint_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let (source, to) = (
        fixtures().join("llama-gqa-untied"),
        folder.path().join("model"),
    );
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let load =
        |source: ModelSource| Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).map(drop);
    load(ModelSource::Folder(to.clone())).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        with_damages(&to.join(name), 150, |_| {
            if let Err(error) = load(ModelSource::Folder(to.clone())) {
                assert!(!error.to_string().is_empty());
            }
        });
    }
    let gguf = folder.path().join("a.gguf");
    fs::copy(fixtures().join("gguf/qwen2-bias-tied.gguf"), &gguf).unwrap();
    with_damages(&gguf, 200, |_| {
        let _ = load(ModelSource::Gguf(gguf.clone()));
    });
}

#[test]
fn no_damage_of_a_trained_window_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let model = demo_model();
    let builtin = Path::new(env!("CARGO_MANIFEST_DIR")).join("builtin/demo");
    for (kind, file) in [
        ("judge-q", "judge-q.safetensors"),
        ("lookahead-kv", "lookahead-kv.safetensors"),
    ] {
        let path = folder.path().join(file);
        fs::copy(builtin.join(file), &path).unwrap();
        let label = format!("{kind}:file={}", path.display());
        let ready = || {
            parse_window(&label.parse().unwrap()).and_then(|window| window.ready(&model).map(drop))
        };
        ready().unwrap();
        with_damages(&path, 150, |_| {
            let _ = ready();
        });
    }
}
