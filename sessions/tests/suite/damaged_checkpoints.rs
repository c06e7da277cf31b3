//! Damaged at random: every checkpoint loads or is refused with a sentence, without a panic and without an
//! allocation out of proportion. Seeded, so that a case that fails can be made again.

use std::fmt::Write as _;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use candle_core::quantized::gguf_file::Content;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};

use crate::common::fixtures;
use crate::damage::{Numbers, damaged, times};

/// Two families whose configurations have many fields between them.
const NAMES: [&str; 2] = ["qwen2-yarn-mscale-v5config", "smollm3-norope-tied"];

const FILES: [&str; 4] = [
    "config.json",
    "tokenizer.json",
    "generation_config.json",
    "model.safetensors",
];

/// Of each file of each checkpoint.
const CASES: u64 = 60;

/// What a loader may reserve of address space, in KiB: far above what these models and the threads of the
/// other tests need, far below what any number of ten digits would ask for.
const MOST_RESERVED_KIB: u64 = 8 << 20;

/// How many bytes at the front of a file are damaged most: of the weights the header, as numbers may be any.
fn header(file: &str, bytes: &[u8]) -> usize {
    match (file, bytes.first_chunk::<8>()) {
        ("model.safetensors", Some(length)) => 8 + u64::from_le_bytes(*length) as usize,
        ("model.gguf", _) => {
            Content::read(&mut Cursor::new(bytes))
                .unwrap()
                .tensor_data_offset as usize
        }
        _ => bytes.len(),
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Ran,
    Refused,
    Fault(String),
}

/// Loads and, where that works, runs a few tokens.
fn outcome(source: &ModelSource) -> Outcome {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let model = Model::load(source, DeviceChoice::Cpu, DtypeChoice::F32)?;
        let prompt = model.encode_prompt("The old clerk counted three blue boxes.", None)?;
        let mut cache = model.new_cache(prompt.ids.len(), 1)?;
        if !prompt.ids.is_empty() {
            model.next_logits(&prompt.ids, &mut cache)?;
        }
        Ok::<_, kvlens_sessions::SessionError>(())
    }));
    match ran {
        Ok(Ok(())) => Outcome::Ran,
        Ok(Err(error)) => match error.to_string() {
            sentence if (12..2000).contains(&sentence.len()) => Outcome::Refused,
            other => Outcome::Fault(other),
        },
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Outcome::Fault(format!("panicked: {}", text.unwrap_or("?")))
        }
    }
}

/// Highest address space of the process so far, where the system says it.
fn reserved_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmPeak:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn random_damage_is_refused_or_harmless() {
    let mut damaged = Damaged::new();
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(fixtures().join(name)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let source = ModelSource::Folder(folder.path().to_owned());
        for file in FILES {
            damaged.try_file(&source, &folder.path().join(file), file, CASES);
        }
        assert_eq!(outcome(&source), Outcome::Ran, "the undamaged {name}");
    }
    damaged.assert_harmless();
}

/// A file in which weights, configuration and tokenizer stand one behind the other; more cases, as one is many.
#[test]
fn random_damage_of_gguf_files_is_refused_or_harmless() {
    let mut damaged = Damaged::new();
    for name in ["qwen3-qknorm-tied", "sentence-piece"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        std::fs::copy(fixtures().join(format!("gguf/{name}.gguf")), &path).unwrap();
        let source = ModelSource::from(path.clone());
        damaged.try_file(&source, &path, "model.gguf", 4 * CASES);
        assert_eq!(outcome(&source), Outcome::Ran, "the undamaged {name}");
    }
    damaged.assert_harmless();
}

/// What became of damaged files so far.
struct Damaged {
    reserved_before_kib: u64,
    faults: String,
    ran: usize,
    refused: usize,
}

impl Damaged {
    fn new() -> Self {
        Self {
            reserved_before_kib: reserved_kib(),
            faults: String::new(),
            ran: 0,
            refused: 0,
        }
    }

    /// Damages one file of a checkpoint in many ways, and puts it back.
    fn try_file(&mut self, source: &ModelSource, path: &Path, file: &str, cases: u64) {
        let whole = std::fs::read(path).unwrap();
        let header = header(file, &whole);
        for seed in 0..cases * times() {
            let bytes = damaged(&whole, header, &mut Numbers::of(seed));
            std::fs::write(path, bytes).unwrap();
            match outcome(source) {
                Outcome::Ran => self.ran += 1,
                Outcome::Refused => self.refused += 1,
                Outcome::Fault(fault) => {
                    writeln!(self.faults, "{source}/{file}, seed {seed}: {fault}").unwrap();
                }
            }
        }
        std::fs::write(path, &whole).unwrap();
    }

    fn assert_harmless(&self) {
        let Self {
            faults,
            ran,
            refused,
            ..
        } = self;
        assert!(faults.is_empty(), "{faults}");
        println!("{ran} ran, {refused} were refused");
        assert!(
            *ran > 0 && *refused > 0,
            "{ran} ran, {refused} were refused"
        );
        let reserved = reserved_kib().saturating_sub(self.reserved_before_kib);
        assert!(reserved < MOST_RESERVED_KIB, "{reserved} KiB were reserved");
    }
}
