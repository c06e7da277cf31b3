//! Laws of RULER's tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::task::RulerTask;
use super::*;
use crate::score;

/// Cuts words into pieces of three letters, as a tokenizer with a small vocabulary does; 5 tokens stand around a prompt.
struct Pieces;

impl TokenCounter for Pieces {
    fn spans(&self, _: &str) -> Result<Vec<Range<usize>>, String> {
        Err("not needed".to_owned())
    }

    fn prompt_tokens(&self, sample: &Sample) -> Result<usize, String> {
        let text = sample.prompt_and_prefix();
        let words = text.split_whitespace();
        Ok(5 + words
            .map(|word| word.chars().count().div_ceil(3))
            .sum::<usize>())
    }
}

fn options(options: &[(&str, &str)]) -> BTreeMap<String, String> {
    let options = options.iter();
    options
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn generator(task: RulerTask, own: &[(&str, &str)]) -> Result<RulerGenerator, DatasetError> {
    Ok(generators(task, &[options(own)])?.remove(0))
}

fn load(task: RulerTask, own: &[(&str, &str)]) -> Vec<Sample> {
    let generator = generator(task, own).unwrap();
    (0..generator.settings.samples)
        .map(|index| generator.sample(index, Some(&Pieces)).unwrap())
        .collect()
}

fn spans(sample: &Sample) -> Vec<&str> {
    let spans = sample.evidence.iter();
    spans.map(|span| &sample.prompt[span.clone()]).collect()
}

/// A change of these digests means that every result made with a seed loses its prompts.
#[test]
fn the_text_of_a_seed_never_changes() {
    let digests: Vec<String> = RulerTask::ALL
        .into_iter()
        .map(|task| {
            let asked = [("seed", "7"), ("length", "2048"), ("samples", "1")];
            let sample = generator(task, &asked).unwrap().sample(0, None).unwrap();
            let digest = Sha256::digest(&sample.prompt);
            let digits = digest[..3].iter().map(|byte| format!("{byte:02x}"));
            format!("{} {}", task.name(), digits.collect::<String>())
        })
        .collect();
    let expected = include_str!("digests.txt");
    assert_eq!(digests.join("\n") + "\n", expected);
}

#[test]
fn lengths_are_met_within_one_percent_and_never_passed() {
    for task in RulerTask::ALL {
        for length in [1_024, 4_096, 16_384] {
            for question in ["end", "start", "both"] {
                let asked = [
                    ("length", &*length.to_string()),
                    ("question", question),
                    ("samples", "1"),
                ];
                let sample = load(task, &asked).remove(0);
                let tokens = Pieces.prompt_tokens(&sample).unwrap();
                assert!(
                    tokens <= length && tokens * 100 >= length * 99,
                    "{}: {tokens} of {length}",
                    sample.id
                );
            }
        }
    }
}

#[test]
fn places_share_the_document() {
    for task in RulerTask::ALL {
        let make = |place| {
            load(
                task,
                &[("length", "1200"), ("question", place), ("samples", "2")],
            )
        };
        let [start, end, absent] = ["start", "end", "absent"].map(make);
        for ((start, end), absent) in start.iter().zip(&end).zip(&absent) {
            assert_eq!(start.document, end.document);
            assert_eq!(start.document, absent.document);
            assert_eq!(start.question, end.question);
            assert_eq!(spans(start), spans(end));
            let later = absent.later_question.as_deref().unwrap();
            assert_eq!(format!("{}{later}", absent.prompt), end.prompt);
            assert_ne!(start.id, end.id);
        }
        assert_ne!(end[0].document, end[1].document);
    }
}

#[test]
fn the_answer_is_right_and_stands_in_the_evidence() {
    for task in RulerTask::ALL {
        for sample in load(task, &[("length", "1500"), ("samples", "4")]) {
            let answer = sample.answer.as_deref().unwrap();
            assert_eq!(score(&sample, answer), Some(1.0), "{}: {answer}", sample.id);
            assert_eq!(score(&sample, " nothing"), Some(0.0), "{}", sample.id);
            let lists = matches!(task, RulerTask::CommonWords | RulerTask::FrequentWords);
            assert_eq!(sample.evidence.is_empty(), lists, "{}", sample.id);
            for value in &sample.values {
                let told = spans(&sample)
                    .iter()
                    .any(|span| span.contains(value.as_str()));
                assert!(told || lists, "{}: {value}", sample.id);
            }
        }
    }
}

#[test]
fn as_many_needles_as_the_task_says() {
    let count = |task, own: &[(&str, &str)], words: &str| {
        let sample = load(
            task,
            &[&[("length", "2000"), ("samples", "1")], own].concat(),
        )
        .remove(0);
        let document = &sample.parts.as_ref().unwrap().document;
        (
            document.matches(words).count(),
            sample.evidence.len(),
            sample.values.len(),
        )
    };
    let number = "The access number of ";
    assert_eq!(count(RulerTask::Single1, &[], number), (1, 1, 1));
    assert_eq!(count(RulerTask::Single2, &[], number), (1, 1, 1));
    assert_eq!(
        count(RulerTask::Single3, &[], "The access identifier of "),
        (1, 1, 1)
    );
    assert_eq!(count(RulerTask::Multikey1, &[], number), (4, 1, 1));
    assert_eq!(
        count(RulerTask::Multikey1, &[("keys", "7")], number),
        (7, 1, 1)
    );
    assert_eq!(count(RulerTask::Multivalue, &[], number), (4, 4, 4));
    assert_eq!(count(RulerTask::Multiquery, &[], number), (4, 4, 4));
    assert!(count(RulerTask::Multikey2, &[], number).0 > 50);
    assert!(count(RulerTask::Multikey3, &[], "The access identifier of ").0 > 20);
    assert_eq!(count(RulerTask::VariableTracking, &[], "Set "), (5, 5, 5));
    assert_eq!(
        count(
            RulerTask::VariableTracking,
            &[("hops", "2"), ("chains", "3")],
            "Set "
        ),
        (9, 3, 3)
    );
    assert_eq!(count(RulerTask::Qa2, &[], "Document on ").1, 2);
}

#[test]
fn the_needle_lies_at_its_depth() {
    for task in [RulerTask::Single1, RulerTask::Single2, RulerTask::Hard] {
        for depth in ["0", "0.25", "0.5", "0.9", "1"] {
            let sample = load(
                task,
                &[("length", "2000"), ("samples", "1"), ("depth", depth)],
            )
            .remove(0);
            let parts = sample.parts.as_ref().unwrap();
            let document = parts.document_span(QuestionPlace::End);
            let at = (sample.evidence[0].start - document.start) as f64;
            let length = (document.len() - sample.evidence[0].len()) as f64;
            let asked: f64 = depth.parse().unwrap();
            // half of a sentence of prose, at most 130 bytes, and the decoys on either side
            assert!(
                (at / length - asked).abs() < 0.05,
                "{}: {}",
                sample.id,
                at / length
            );
            assert_eq!(sample.depth, Some(asked));
        }
    }
    let sweep = load(RulerTask::Single2, &[("length", "1000"), ("samples", "3")]);
    let depths: Vec<Option<f64>> = sweep.iter().map(|sample| sample.depth).collect();
    assert_eq!(depths, [Some(0.0), Some(0.5), Some(1.0)]);
}

#[test]
fn variables_are_set_in_their_order() {
    let sample = load(
        RulerTask::VariableTracking,
        &[("length", "1000"), ("samples", "1")],
    )
    .remove(0);
    let names: Vec<String> = spans(&sample)
        .iter()
        .map(|span| span[4..9].to_owned())
        .collect();
    assert_eq!(names, sample.values);
}

#[test]
fn the_asked_words_are_the_most_common_ones() {
    for (task, length) in [
        (RulerTask::CommonWords, "2000"),
        (RulerTask::CommonWords, "8192"),
        (RulerTask::FrequentWords, "300"),
        (RulerTask::FrequentWords, "8192"),
    ] {
        let sample = load(task, &[("length", length), ("samples", "1")]).remove(0);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let document = &sample.parts.as_ref().unwrap().document;
        for word in document.split_whitespace() {
            let is_word = word.chars().all(char::is_alphanumeric)
                && !word.starts_with(|c: char| c.is_ascii_digit());
            if is_word {
                *counts.entry(word).or_default() += 1;
            }
        }
        let mut ranked: Vec<(usize, &str)> =
            counts.into_iter().map(|(word, n)| (n, word)).collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        let asked = sample.values.len();
        let top: BTreeSet<&str> = ranked[..asked].iter().map(|(_, word)| *word).collect();
        let values: BTreeSet<&str> = sample.values.iter().map(String::as_str).collect();
        assert_eq!(top, values, "{}", sample.id);
        assert!(
            ranked[asked - 1].0 > ranked[asked].0,
            "{}: {ranked:?}",
            sample.id
        );
    }
}

#[test]
fn a_hard_needle_shares_only_small_words_with_its_question() {
    for sample in load(RulerTask::Hard, &[("length", "1000"), ("samples", "24")]) {
        let words = |text: &str| -> BTreeSet<String> {
            let words = text.split(|c: char| !c.is_alphanumeric());
            words
                .filter(|word| word.len() > 3)
                .map(str::to_lowercase)
                .collect()
        };
        let question = &sample.parts.as_ref().unwrap().question;
        let shared: Vec<String> = words(question)
            .intersection(&words(spans(&sample)[0]))
            .cloned()
            .collect();
        let name: BTreeSet<String> = question
            .split(' ')
            .filter(|word| word.starts_with(char::is_uppercase))
            .flat_map(words)
            .collect();
        assert!(
            shared.iter().all(|word| name.contains(word)),
            "{question}: {shared:?}"
        );
        assert!(!question.contains(['@', '#']) && !sample.prompt.contains(['@', '#']));
    }
}

#[test]
fn a_text_of_the_users_is_the_haystack() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("book.txt");
    std::fs::write(&path, "It was dark. Nobody spoke! Was it late?").unwrap();
    let path = path.to_string_lossy().into_owned();
    let sample = load(
        RulerTask::Single2,
        &[("length", "600"), ("haystack", &path), ("samples", "1")],
    )
    .remove(0);
    assert!(sample.prompt.matches("Nobody spoke!").count() > 10);
    let error = generator(RulerTask::Single2, &[("haystack", "no/such.txt")]);
    assert!(matches!(error, Err(DatasetError::Haystack { .. })));
}

#[test]
fn what_does_not_fit_says_how_much_is_needed() {
    let short = generator(RulerTask::CommonWords, &[("length", "200")]).unwrap();
    let error = short.sample(0, Some(&Pieces)).unwrap_err();
    assert!(
        matches!(error, DatasetError::LengthTooShort { length: 200, needed, .. } if needed > 200),
        "{error}"
    );
    for (key, value) in [
        ("length", "1"),
        ("depth", "2"),
        ("question", "x"),
        ("keys", "4"),
        ("samples", "0"),
    ] {
        let error = generator(RulerTask::Single1, &[(key, value)]).unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_seed_gives_a_sound_sample(task in 0_usize..14, length in 900_usize..3000, seed: u64) {
        let own = [("length", &*length.to_string()), ("seed", &*seed.to_string()), ("samples", "1")];
        let sample = load(RulerTask::ALL[task], &own).remove(0);
        let tokens = Pieces.prompt_tokens(&sample).unwrap();
        prop_assert!(tokens <= length && tokens + 12 >= length, "{} of {}", tokens, length);
        prop_assert!(sample.evidence.is_sorted_by(|a, b| a.end <= b.start));
        let answer = sample.answer.as_deref().unwrap();
        prop_assert_eq!(score(&sample, answer), Some(1.0));
    }
}
