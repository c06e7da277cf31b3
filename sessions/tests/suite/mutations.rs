//! Files that others hand over, damaged at random: nothing panics, nothing hangs, and nothing that was hashed is read as
//! something else. The damage is the same in every run.

use std::fs;
use std::path::Path;

use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::windows::parse_window;
use kvlens_sessions::{Session, StartMode};

use crate::common::{demo_model, demo_samples, fixtures, plan, run_capture};

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

/// Writes damaged forms of a file in the place of it, lets each be read, and puts the file back.
fn with_damages(path: &Path, rounds: usize, mut read: impl FnMut(&[u8])) {
    let whole = fs::read(path).unwrap();
    let mut numbers = Numbers(7);
    for _ in 0..rounds {
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
    let plan = plan(&["last:8", "knorm"], 4);
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
}

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
