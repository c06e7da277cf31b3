//! Files that were damaged at random: nothing panics, every row is a sample or named, every span stands in its prompt.
//!
//! The corpus holds rows of every layout; the damage is the same in every run.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "checked/mod.rs"]
mod checked;
#[path = "checked/damage.rs"]
mod damage;

use std::fs;
use std::path::{Path, PathBuf};

use checked::{check, check_all};
use damage::{Numbers, times};
use kvlens_datasets::{BadRows, DataSpec, DatasetError, Format, LoadOptions, Loaded, load_with};

/// How often each file of the corpus is damaged.
const ROUNDS: u64 = 2_000;

/// Damage anywhere: these files are text.
fn damaged(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    damage::damaged(bytes, bytes.len(), numbers)
}

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn leave_out() -> LoadOptions<'static> {
    LoadOptions {
        bad_rows: BadRows::LeaveOut,
        ..LoadOptions::default()
    }
}

fn load(path: &Path) -> Result<Loaded, DatasetError> {
    load_with(&[DataSpec::File(path.to_owned())], &leave_out())
}

#[test]
fn the_corpus_is_read_whole() {
    for path in corpus() {
        let loaded = load(&path).unwrap();
        check_all(&loaded);
        assert_eq!(
            loaded.report.sources[0].left_out.count,
            0,
            "{}",
            path.display()
        );
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert_eq!(loaded.report.sources[0].format, stem);
    }
}

#[test]
fn damaged_files_are_read_or_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let (mut read, mut left_out, mut refused) = (0, 0, 0);
    for (seed, path) in (0..).zip(corpus()) {
        let whole = fs::read(&path).unwrap();
        let mut numbers = Numbers::of(seed);
        let copy = folder.path().join(path.file_name().unwrap());
        for _ in 0..ROUNDS * times() {
            fs::write(&copy, damaged(&whole, &mut numbers)).unwrap();
            match load(&copy) {
                Ok(loaded) => {
                    check_all(&loaded);
                    read += loaded.samples.len();
                    left_out += loaded.report.sources[0].left_out.count;
                }
                Err(error) => {
                    let sentence = error.to_string();
                    assert!(sentence.contains(&*copy.to_string_lossy()), "{sentence}");
                    refused += 1;
                }
            }
        }
    }
    // all three happen often, or the damage tests nothing
    assert!(
        read > 5_000 && left_out > 2_500 && refused > 250,
        "{read} {left_out} {refused}"
    );
}

/// One line more or less damaged leaves the others as they are.
#[test]
fn a_damaged_line_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("a.jsonl");
    let good = "{\"prompt\": \"first\"}\n";
    let mut numbers = Numbers::of(99);
    for _ in 0..ROUNDS * times() {
        let mut middle = damaged(
            b"{\"prompt\": \"Tell me.\", \"answer\": \"yes\"}",
            &mut numbers,
        );
        middle.retain(|byte| *byte != b'\n');
        let text = [good.as_bytes(), &middle, b"\n", good.as_bytes()].concat();
        fs::write(&copy, text).unwrap();
        let samples = load(&copy).unwrap().samples;
        assert_eq!(samples[0].prompt, "first");
        assert_eq!(samples.last().unwrap().prompt, "first");
        assert!(samples.len() >= 2);
    }
}

/// What is typed for prompts is a specification or is refused with a sentence, and reads back as it prints.
#[test]
fn damaged_specifications_are_read_or_refused() {
    let whole = [
        "niah:length=1k..8k/4,depth=0..1/5,samples=4",
        "niah_single_2:length=512|2k,depth=sweep,seed=7,samples=2",
        "vt:length=512,hops=3,chains=2",
        "niah_hard:length=2048,depth=0.5,question=absent",
        "demo:question=start,length=512",
        "longbench:data/LongBench/narrativeqa",
        "multi-niah:length=256,needles=2,question=both",
        "prompts.jsonl",
    ];
    let mut numbers = Numbers::of(7);
    let (mut read, mut refused) = (0, 0);
    for spec in whole {
        assert!(spec.parse::<DataSpec>().is_ok(), "{spec}");
        for _ in 0..ROUNDS * times() {
            let text =
                String::from_utf8_lossy(&damaged(spec.as_bytes(), &mut numbers)).into_owned();
            match text.parse::<DataSpec>() {
                Ok(spec) => {
                    read += 1;
                    assert_eq!(
                        spec.to_string().parse::<DataSpec>().unwrap(),
                        spec,
                        "{text}"
                    );
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().len() > 20, "{text}: {error}");
                }
            }
        }
    }
    assert!(read > 500 && refused > 500, "{read} {refused}");
}

/// Folders of the benchmarks whose templates lie beside the rows, rows and settings damaged.
#[test]
fn damaged_folders_of_benchmarks_are_read_or_refused() {
    let folders = [
        (
            Format::LongBench,
            "longbench.jsonl",
            "config/dataset2prompt.json",
            "{\"qasper\": \"Read.\\n{context}\\nNow {input}\", \"trec\": \"{context}\\n{input}\"}",
        ),
        (
            Format::LongBench,
            "longbench.jsonl",
            "config/dataset2maxlen.json",
            "{\"qasper\": 128, \"trec\": 64}",
        ),
        (
            Format::LooGle,
            "loogle.jsonl",
            "config/task2prompt.json",
            "{\"loogle\": \"{input}\\n{Q}\", \"shortdep_qa\": \"{input} {Q}\"}",
        ),
        (
            Format::LongBenchV2,
            "longbench-v2.json",
            "prompts/0shot.txt",
            "$DOC$\n$Q$\n(A) $C_A$ (B) $C_B$ (C) $C_C$ (D) $C_D$",
        ),
    ];
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut numbers = Numbers::of(11);
    for (format, rows, settings, text) in folders {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join(settings);
        fs::create_dir(settings.parent().unwrap()).unwrap();
        let whole = fs::read(corpus.join(rows)).unwrap();
        let spec = DataSpec::Benchmark {
            format,
            path: folder.path().to_owned(),
        };
        let load = || load_with(std::slice::from_ref(&spec), &leave_out());
        fs::write(&settings, text).unwrap();
        fs::write(folder.path().join(rows), &whole).unwrap();
        assert!(!load().unwrap().samples.is_empty(), "{format}");
        for round in 0..ROUNDS * times() / 4 {
            fs::write(&settings, damaged(text.as_bytes(), &mut numbers)).unwrap();
            let bytes = match round % 2 {
                0 => whole.clone(),
                _ => damaged(&whole, &mut numbers),
            };
            fs::write(folder.path().join(rows), bytes).unwrap();
            match load() {
                Ok(loaded) => loaded.samples.iter().for_each(check),
                Err(error) => {
                    let sentence = error.to_string();
                    let place = folder.path().to_string_lossy().into_owned();
                    assert!(sentence.contains(&place), "{sentence}");
                }
            }
        }
    }
}
