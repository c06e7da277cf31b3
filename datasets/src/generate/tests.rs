//! Laws that every generated sample obeys.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::task::Task;
use super::tokens::estimate;
use super::*;
use crate::score;

mod words;

fn generator(task: &str, own: &[(&str, &str)]) -> Generator {
    Generator::new(task, &options(own)).unwrap()
}

fn options(options: &[(&str, &str)]) -> BTreeMap<String, String> {
    let options = options.iter();
    options
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// All samples that the options ask for, counted by this tokenizer.
fn made(
    task: &str,
    own: &[(&str, &str)],
    tokens: Option<&dyn TokenCounter>,
) -> Result<Vec<Sample>, DatasetError> {
    Cells::read(task, &options(own))?.samples(tokens).collect()
}

fn samples(task: &str, own: &[(&str, &str)]) -> Vec<Sample> {
    made(task, own, None).unwrap()
}

fn names() -> impl Iterator<Item = &'static str> {
    Task::ALL.into_iter().map(Task::name)
}

fn document(sample: &Sample) -> &str {
    let text = sample.prompt.strip_suffix(" Answer:").unwrap();
    let question = format!(" Question: {}", question(sample));
    let text = text.strip_prefix(question.as_str()).unwrap_or(text);
    text.strip_suffix(question.as_str()).unwrap_or(text)
}

fn question(sample: &Sample) -> &str {
    let at = sample.prompt.find("Question: ").unwrap() + "Question: ".len();
    let rest = &sample.prompt[at..];
    &rest[..=rest.find('.').unwrap()]
}

fn spans(sample: &Sample) -> Vec<&str> {
    let spans = sample.evidence.iter();
    spans.map(|span| &sample.prompt[span.clone()]).collect()
}

/// The fields that every version of the program has written.
fn text_of(sample: Sample) -> serde_json::Value {
    serde_json::json!({
        "id": sample.id,
        "dataset": sample.dataset,
        "task": sample.task,
        "prompt": sample.prompt,
        "answer": sample.answer,
        "values": sample.values,
        "evidence": sample.evidence,
        "question_place": sample.question_place,
    })
}

/// A change of these digests means that every result made with a seed loses its prompts.
#[test]
fn the_text_of_a_seed_never_changes() {
    let digests: Vec<(&str, String)> = names()
        .map(|task| {
            let sample = generator(task, &[("seed", "7")]).sample(3);
            let digest = Sha256::digest(text_of(sample).to_string());
            (
                task,
                digest[..6]
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
            )
        })
        .collect();
    let expected = [
        ("facts", "a1ea6c2e04fe"),
        ("niah", "585987e1ca7e"),
        ("multi-niah", "22ee81f96cc0"),
        ("variable-tracking", "4b23068fba5a"),
        ("key-value", "deb6228f4243"),
        ("passage", "fbad2cab803b"),
        ("list", "d203c6bef7f7"),
    ];
    let expected: Vec<(&str, String)> = expected
        .map(|(task, digest)| (task, digest.to_owned()))
        .into();
    assert_eq!(digests, expected);
}

#[test]
fn every_task_has_its_name_and_number_once() {
    let listed: Vec<&str> = TASKS.iter().map(|task| task.name).collect();
    assert_eq!(listed, names().collect::<Vec<_>>());
    let numbers: BTreeSet<u64> = Task::ALL.into_iter().map(|task| task as u64).collect();
    assert_eq!(numbers.len(), Task::ALL.len());
}

#[test]
fn a_needle_lies_where_it_was_asked_within_a_sentence() {
    for tenth in 0..=10 {
        let depth = format!("{}", f64::from(tenth) / 10.0);
        for sample in samples("niah", &[("depth", &depth)]) {
            let whole = document(&sample);
            let before = whole.find(spans(&sample)[0]).unwrap();
            let total = estimate(whole) as f64;
            let distance = estimate(&whole[..before]) as f64 - f64::from(tenth) / 10.0 * total;
            // half of the longest sentence (30) to the nearest border, and the needle's own 12,
            // by which the document is longer than what the depth is measured on
            assert!(distance.abs() <= 27.0, "{depth}: {distance}");
        }
    }
}

#[test]
fn a_sweep_goes_from_the_first_sentence_to_the_last() {
    let samples = samples("niah", &[("depth", "sweep"), ("samples", "5")]);
    let starts: Vec<f64> = samples
        .iter()
        .map(|sample| sample.evidence[0].start as f64 / sample.prompt.len() as f64)
        .collect();
    assert_eq!(samples.len(), 5);
    assert_eq!(samples[0].evidence[0].start, 1);
    for (start, depth) in starts.iter().zip([0.0, 0.25, 0.5, 0.75, 1.0]) {
        assert!((start - depth).abs() < 0.05, "{starts:?}");
    }
}

/// Start and end share the document; another task, seed, length, number or count is another document.
#[test]
fn only_the_places_of_a_question_share_a_document() {
    let mut documents = BTreeMap::new();
    for task in names() {
        for (length, seed) in [("300", "1"), ("300", "2"), ("301", "1")] {
            let make = |place| {
                let options = [("length", length), ("seed", seed), ("question", place)];
                generator(task, &options)
            };
            for index in 0..4 {
                let [start, end, both] =
                    ["start", "end", "both"].map(|place| make(place).sample(index));
                assert_eq!(start.document, end.document, "{}", start.id);
                assert_eq!(start.asked_length, Some(length.parse().unwrap()));
                for sample in [start, both] {
                    let name = sample.document.unwrap();
                    assert_eq!(documents.insert(name, sample.id), None);
                }
            }
        }
    }
    assert_eq!(documents.len(), 7 * 3 * 4 * 2);
}

#[test]
fn the_asked_depth_stands_in_the_sample_where_there_is_one() {
    let sweep = samples("niah", &[("depth", "sweep"), ("samples", "3")]);
    let depths: Vec<Option<f64>> = sweep.iter().map(|sample| sample.depth).collect();
    assert_eq!(depths, [Some(0.0), Some(0.5), Some(1.0)]);
    assert_eq!(generator("niah", &[]).sample(0).depth, Some(0.5));
    assert_eq!(generator("facts", &[]).sample(0).depth, None);
}

#[test]
fn a_list_and_a_chain_answer_in_the_order_of_the_document() {
    for task in ["list", "variable-tracking"] {
        for sample in samples(task, &[]) {
            for (value, span) in sample.values.iter().zip(spans(&sample)) {
                assert!(span.contains(value.as_str()), "{}: {span}", sample.id);
            }
        }
    }
}

#[test]
fn every_task_fills_the_greatest_length() {
    for task in names() {
        assert_sound(&generator(task, &[("length", "131072")]).sample(0), 131_072);
    }
}

#[test]
fn passages_share_a_word_of_the_title_but_not_the_title() {
    for sample in samples("passage", &[]) {
        let title = question(&sample).trim_start_matches("Copy the passage about the ");
        let title = title.trim_end_matches('.');
        let heading = format!("the passage about the {title}.");
        assert_eq!(document(&sample).matches(&heading).count(), 1);
        let (first, second) = title.split_once(' ').unwrap();
        let like = document(&sample)
            .split("the passage about the ")
            .skip(1)
            .filter(|text| {
                text.starts_with(first) || text.split('.').next().unwrap().ends_with(second)
            });
        assert!(like.count() >= 2, "{title}");
    }
}

#[test]
fn a_name_that_is_no_generated_task_is_refused() {
    for name in ["demo", "nonsense"] {
        let error = Generator::new(name, &BTreeMap::new()).unwrap_err();
        assert!(matches!(error, DatasetError::UnknownTask { .. }), "{error}");
    }
}

/// Holds for any sample: what a caller may rely on without knowing the task.
fn assert_sound(sample: &Sample, length: usize) {
    let id = &sample.id;
    let estimated = estimate(&sample.prompt);
    assert!(
        (length - 3..=length).contains(&estimated),
        "{id}: {estimated} of {length}"
    );
    let answer = sample.answer.as_deref().unwrap();
    assert_eq!(score(sample, answer), Some(1.0), "{id}");
    assert!(
        answer.starts_with(' ') && answer.ends_with('.'),
        "{id}: {answer}"
    );
    let distinct: BTreeSet<&String> = sample.values.iter().collect();
    assert_eq!(distinct.len(), sample.values.len(), "{id}: {distinct:?}");
    let spans = spans(sample);
    assert!(sample.evidence.is_sorted_by(|a, b| a.end < b.start), "{id}");
    for span in &spans {
        assert_eq!(document(sample).matches(span).count(), 1, "{id}: {span}");
        assert!(
            sample
                .values
                .iter()
                .any(|value| span.contains(value.as_str())),
            "{id}: {span}"
        );
    }
    for value in &sample.values {
        assert!(
            spans.iter().any(|span| span.contains(value.as_str())),
            "{id}: {value}"
        );
    }
    match sample.task.as_str() {
        "passage" => assert_eq!(spans.len(), 1, "{id}"),
        _ => assert_eq!(spans.len(), sample.values.len(), "{id}"),
    }
    assert_unambiguous(sample, &spans);
}

/// Outside the evidence nothing speaks of what the question is about.
fn assert_unambiguous(sample: &Sample, spans: &[&str]) {
    let rest = spans
        .iter()
        .fold(document(sample).to_owned(), |text, span| {
            text.replacen(span, "", 1)
        });
    let question = question(sample).trim_end_matches('.');
    let subjects: Vec<String> = match sample.task.as_str() {
        "facts" | "niah" | "multi-niah" => listed(question.split_once(" of ").unwrap().1),
        "key-value" => listed(
            question
                .split_once(" key")
                .unwrap()
                .1
                .split_once(' ')
                .unwrap()
                .1,
        ),
        "passage" => vec![
            question
                .split_once(" the passage about ")
                .unwrap()
                .1
                .to_owned(),
        ],
        "variable-tracking" => {
            let first = question.split_once(" of ").unwrap().1;
            let first = first.split_once(" and ").unwrap().0.to_owned();
            [vec![first], sample.values.clone()].concat()
        }
        _ => vec![question.split_once(" is ").unwrap().1.to_owned()],
    };
    assert!(!subjects.is_empty());
    for subject in subjects {
        let told = format!(" {subject}");
        let place = rest
            .match_indices(&told)
            .find(|(at, _)| !rest[at + told.len()..].starts_with(char::is_alphanumeric));
        assert_eq!(place, None, "{}: {subject}", sample.id);
        if sample.task != "list" {
            assert!(
                spans.iter().any(|span| span.contains(&subject)),
                "{}: {subject}",
                sample.id
            );
        }
    }
    if sample.task == "passage" {
        for value in &sample.values {
            assert!(
                !rest.contains(&format!(" {value}.")),
                "{}: {value}",
                sample.id
            );
        }
    }
    if sample.task.ends_with("niah") {
        let words = sample.values.iter().flat_map(|value| value.split(' '));
        assert!(
            words
                .into_iter()
                .all(|word| !rest.contains(&format!(" {word}"))),
            "{}",
            sample.id
        );
    }
}

fn listed(text: &str) -> Vec<String> {
    text.split(", ")
        .flat_map(|part| part.split(" and "))
        .map(str::to_owned)
        .collect()
}

/// Every letter is a token, and 20 stand around a prompt.
struct Letters;

impl TokenCounter for Letters {
    fn spans(&self, _: &str) -> Result<Vec<Range<usize>>, String> {
        Err("not needed".to_owned())
    }

    fn prompt_tokens(&self, sample: &Sample) -> Result<usize, String> {
        Ok(20 + sample.prompt.len())
    }
}

#[test]
fn lengths_are_those_of_the_model_unless_words_are_asked_for() {
    for task in names() {
        for question in ["end", "start", "both", "absent"] {
            let own = [("length", "4000"), ("question", question), ("samples", "2")];
            for sample in made(task, &own, Some(&Letters)).unwrap() {
                let tokens = Letters.prompt_tokens(&sample).unwrap();
                assert!(tokens <= 4000, "{}: {tokens}", sample.id);
                // an absent question leaves room that the other places use
                assert!(
                    tokens >= 3960 || question == "absent",
                    "{}: {tokens}",
                    sample.id
                );
                assert_eq!(sample.asked_length, Some(4000));
            }
        }
        let at = |place| {
            let own = [("length", "4000"), ("question", place), ("samples", "1")];
            made(task, &own, Some(&Letters)).unwrap().remove(0)
        };
        assert_eq!(at("start").document, at("end").document);
    }
    let error = made("multi-niah", &[("length", "200")], Some(&Letters)).unwrap_err();
    assert!(
        matches!(error, DatasetError::LengthTooShort { .. }),
        "{error}"
    );
    for task in ["niah", "niah_single_2"] {
        let words = [("length", "400"), ("count", "words"), ("samples", "2")];
        let of_words = made(task, &words, Some(&Letters)).unwrap();
        assert_eq!(of_words, samples(task, &words));
        assert_eq!(
            of_words,
            samples(task, &[("length", "400"), ("samples", "2")])
        );
        let cells = |own: &[(&str, &str)]| Cells::read(task, &options(own)).unwrap();
        assert!(!cells(&words).counts_model_tokens());
        assert!(cells(&words).check_positions(399).is_ok());
        let grid = cells(&[("length", "300|400")]);
        assert!(grid.counts_model_tokens() && grid.check_positions(400).is_ok());
        let error = grid.check_positions(399).unwrap_err().to_string();
        assert!(
            error.contains("length=400: the model has 399 positions"),
            "{error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn samples_are_sound(task in 0_usize..7, length in 190_usize..1200, seed: u64, index: u64, place in 0_usize..3) {
        let question = ["start", "end", "both"][place];
        let options = [("length", &*length.to_string()), ("seed", &*seed.to_string()), ("question", question)];
        let sample = generator(Task::ALL[task].name(), &options).sample(index);
        assert_sound(&sample, length);
        let text = format!(" Question: {}", self::question(&sample));
        prop_assert_eq!(sample.prompt.starts_with(&text), question != "end");
        prop_assert_eq!(sample.prompt.ends_with(&format!("{text} Answer:")), question != "start");
        prop_assert_eq!(sample.question_place.map_or("both", QuestionPlace::label), question);
    }

    #[test]
    fn samples_of_the_least_length_are_sound(task in 0_usize..7, seed: u64, question in prop::sample::select(vec!["start", "end", "both"])) {
        let task = Task::ALL[task];
        let own = TASKS[task as usize - 1].options[2].split_once('=').unwrap().0;
        let most = task.counts().end().to_string();
        let mut options = vec![("seed", seed.to_string()), ("question", question.to_owned())];
        if task != Task::Niah {
            options.push((own, most));
        }
        let mut options: BTreeMap<String, String> = options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let least = task.shortest_length(&Settings::read(task, &options).unwrap()).max(128);
        options.insert("length".to_owned(), least.to_string());
        assert_sound(&Generator::new(task.name(), &options).unwrap().sample(0), least);
    }

    #[test]
    fn documents_are_paired_over_places(task in 0_usize..7, seed: u64, index in 0_u64..1000) {
        let make = |place| {
            let options = [("length", "300"), ("seed", &*seed.to_string()), ("question", place)];
            generator(Task::ALL[task].name(), &options).sample(index)
        };
        let (start, end) = (make("start"), make("end"));
        prop_assert_eq!(document(&start), document(&end));
        prop_assert_eq!(question(&start), question(&end));
        prop_assert_eq!(&start.answer, &end.answer);
        prop_assert_eq!(spans(&start), spans(&end));
        prop_assert_eq!(start.prompt.len(), end.prompt.len());
        prop_assert_ne!(start.id, end.id);
        prop_assert_eq!(&start.document, &end.document);
    }

    #[test]
    fn access_by_number_equals_the_sequence(task in 0_usize..7, seed: u64) {
        let generator = generator(Task::ALL[task].name(), &[("length", "200"), ("seed", &seed.to_string())]);
        let sequence: Vec<Sample> = generator.samples().take(6).collect();
        for (index, sample) in sequence.iter().enumerate().rev() {
            prop_assert_eq!(&generator.sample(index as u64), sample);
        }
        let ids: BTreeSet<&str> = sequence.iter().map(|sample| sample.id.as_str()).collect();
        let prompts: BTreeSet<&str> = sequence.iter().map(|sample| sample.prompt.as_str()).collect();
        prop_assert_eq!((ids.len(), prompts.len()), (6, 6));
        let documents: BTreeSet<&Option<String>> = sequence.iter().map(|sample| &sample.document).collect();
        prop_assert_eq!(documents.len(), 6);
    }

    #[test]
    fn answers_take_some_sentences_at_most(task in 0_usize..7, seed: u64) {
        let sample = generator(Task::ALL[task].name(), &[("seed", &seed.to_string())]).sample(0);
        let tokens = estimate(sample.answer.as_deref().unwrap());
        prop_assert!((8..=64).contains(&tokens), "{tokens}");
    }
}
