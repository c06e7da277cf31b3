//! Files that were damaged at random: nothing panics, every row is a sample or named, every span stands in its prompt.
//!
//! The corpus holds rows of every layout; the damage is the same in every run.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kvlens_datasets::{
    BadRows, DataSpec, DatasetError, LoadOptions, Loaded, QuestionPlace, Sample, load_with, score,
};

/// How often each file of the corpus is damaged.
const ROUNDS: u64 = 200;

/// Bytes that readers stumble over: quotes, brackets, breaks, NUL, half letters, U+2028, a byte order mark, surrogates.
const BAD: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"\\udc00",
    b"\\u0000",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"null",
    b"'",
];

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

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn damaged(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
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
                bytes.splice(at..at, bad.iter().copied());
            }
        }
    }
    bytes
}

fn check(sample: &Sample) {
    assert!(!sample.prompt.trim().is_empty());
    for span in &sample.evidence {
        assert!(sample.prompt.get(span.clone()).is_some(), "{sample:?}");
    }
    if let (Some(parts), Some(place)) = (&sample.parts, sample.question_place) {
        assert_eq!(parts.compose(place), sample.prompt);
        assert_eq!(sample.prompt[parts.document_span(place)], parts.document);
        for place in QuestionPlace::ALL {
            if let Ok(moved) = sample.with_question(place) {
                assert_eq!(parts.compose(place), moved.prompt);
            }
        }
    }
    for text in ["", "Ann", sample.answer.as_deref().unwrap_or_default()] {
        let score = score(sample, text);
        assert!(
            score.is_none_or(|score| (0.0..=1.0).contains(&score)),
            "{sample:?}"
        );
    }
}

fn check_all(loaded: &Loaded) {
    let ids: BTreeSet<&str> = loaded
        .samples
        .iter()
        .map(|sample| sample.id.as_str())
        .collect();
    assert_eq!(ids.len(), loaded.samples.len());
    loaded.samples.iter().for_each(check);
    let source = &loaded.report.sources[0];
    assert_eq!(source.samples, loaded.samples.len());
    // a row is a sample or more, or it is left out
    assert!(source.rows - source.left_out.count <= source.samples);
    for row in &source.left_out.first {
        assert!(row.number >= 1 && !row.problem.is_empty());
    }
    assert!(loaded.report.to_string().contains(&source.name));
}

fn load(path: &Path) -> Result<Loaded, DatasetError> {
    let options = LoadOptions {
        bad_rows: BadRows::LeaveOut,
        ..LoadOptions::default()
    };
    load_with(&[DataSpec::File(path.to_owned())], &options)
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
        let mut numbers = Numbers(seed);
        let copy = folder.path().join(path.file_name().unwrap());
        for _ in 0..ROUNDS {
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
        read > 500 && left_out > 250 && refused > 25,
        "{read} {left_out} {refused}"
    );
}

/// One line more or less damaged leaves the others as they are.
#[test]
fn a_damaged_line_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("a.jsonl");
    let good = "{\"prompt\": \"first\"}\n";
    let mut numbers = Numbers(99);
    for _ in 0..ROUNDS {
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
