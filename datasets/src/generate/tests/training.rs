//! Laws that every training text obeys, checked by a reader who answers its questions anew.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::names;
use crate::generate::fact::FactKind;
use crate::generate::tokens::estimate;
use crate::{DatasetError, Generator, TrainingCorpus, TrainingDocument};

/// What a document tells, read from its sentences.
#[derive(Default)]
struct Reader {
    /// By the fact's verb phrase and the person; each once.
    facts: BTreeMap<(usize, String), String>,
    /// Number of the kind, person and value in the order of the document.
    told: Vec<(usize, String, String)>,
    parcels: BTreeMap<String, String>,
    keys: BTreeMap<String, String>,
    passages: BTreeMap<String, String>,
}

const OPENINGS: [&str; 8] = [
    "By trade ",
    "Since last year ",
    "At home ",
    "Above all ",
    "Every year ",
    "We know that the ",
    "In the ledger ",
    "At noon the ",
];

impl Reader {
    fn of(document: &str) -> Self {
        let mut reader = Self::default();
        let mut title: Option<String> = None;
        for sentence in document.split_inclusive('.').map(str::trim_start) {
            if let Some(topic) = sentence.strip_prefix("Here begins the passage about the ") {
                title = Some(topic.to_owned());
            } else if sentence == "Here ends the passage." {
                title = None;
            } else if let Some(topic) = &title {
                let body = reader.passages.entry(topic.clone()).or_default();
                body.push(' ');
                body.push_str(sentence);
            } else {
                reader.read(sentence.trim_end_matches('.'));
            }
        }
        reader
    }

    fn read(&mut self, sentence: &str) {
        let sentence = OPENINGS
            .iter()
            .find_map(|opening| sentence.strip_prefix(opening))
            .unwrap_or(sentence);
        let sentence = sentence
            .strip_prefix("The ")
            .or_else(|| sentence.strip_prefix("the "))
            .unwrap_or(sentence);
        let of = |opening: &str, verb: &str| {
            let (subject, value) = sentence.strip_prefix(opening)?.split_once(verb)?;
            Some((subject.to_owned(), value.to_owned()))
        };
        if let Some((giver, taker)) = of("parcel of ", " went to ") {
            assert_eq!(self.parcels.insert(giver, taker), None, "{sentence}");
        } else if let Some((key, value)) = of("key ", " holds ").or_else(|| of("Key ", " holds ")) {
            assert_eq!(self.keys.insert(key, value), None, "{sentence}");
        } else {
            let verbs = [
                ("", " lives in "),
                ("home of ", " is in "),
                ("", " works as "),
                ("", " owns "),
                ("", " keeps "),
                ("", " likes "),
                ("", " attends the "),
                ("code of ", " is "),
            ];
            let kinds = [0, 0, 1, 2, 3, 4, 5, 6];
            let found = verbs
                .iter()
                .zip(kinds)
                .find_map(|((opening, verb), kind)| Some((kind, of(opening, verb)?)));
            if let Some((kind, (person, value))) = found {
                let article = ["a ", "an "];
                let value = article
                    .iter()
                    .find_map(|article| value.strip_prefix(article))
                    .unwrap_or(&value);
                let old = self.facts.insert((kind, person.clone()), value.to_owned());
                assert_eq!(old, None, "{sentence}");
                self.told.push((kind, person, value.to_owned()));
            }
        }
    }

    /// The answer to a question, with its leading blank.
    fn answer(&self, question: &str) -> String {
        let question = question.trim_end_matches('.');
        if let Some(topic) = question.strip_prefix("Copy the passage about the ") {
            return self.passages[&format!("{topic}.")].clone();
        }
        if let Some(rest) = question.strip_prefix("Follow the parcel of ") {
            return self.follow(rest.split_once(" and ").unwrap().0);
        }
        if let Some(rest) = question.strip_prefix("Name in order everybody whose ") {
            let (label, value) = rest.split_once(" is ").unwrap();
            let kind = kind_of(label);
            let matching = |told: &&(usize, String, String)| told.0 == kind && told.2 == value;
            let people = self.told.iter().filter(matching);
            return people.map(|told| plain(kind, &told.1, value)).collect();
        }
        let rest = question.strip_prefix("Report the ").unwrap();
        let keys = rest
            .strip_prefix("value of key ")
            .or_else(|| rest.strip_prefix("values of keys "));
        if let Some(keys) = keys {
            return super::listed(keys)
                .iter()
                .map(|key| format!(" Key {key} holds {}.", self.keys[key]))
                .collect();
        }
        let (labels, people) = rest.split_once(" of ").unwrap();
        let mut answer = String::new();
        for person in super::listed(people) {
            for label in super::listed(labels) {
                let kind = kind_of(label.trim_end_matches('s'));
                answer += &plain(kind, &person, &self.facts[&(kind, person.clone())]);
            }
        }
        answer
    }

    fn follow(&self, first: &str) -> String {
        let mut giver = first;
        let mut answer = String::new();
        while let Some(taker) = self.parcels.get(giver) {
            answer += &format!(" The parcel of {giver} went to {taker}.");
            giver = taker;
        }
        answer
    }
}

fn kind_of(label: &str) -> usize {
    let mut kinds = FactKind::ALL.iter();
    kinds.position(|kind| kind.label() == label).unwrap()
}

fn plain(kind: usize, person: &str, value: &str) -> String {
    let article = if value.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    match kind {
        0 => format!(" {person} lives in {value}."),
        1 => format!(" {person} works as {article} {value}."),
        2 => format!(" {person} owns {article} {value}."),
        3 => format!(" {person} keeps {article} {value}."),
        4 => format!(" {person} likes {value}."),
        5 => format!(" {person} attends the {value}."),
        _ => format!(" The code of {person} is {value}."),
    }
}

/// The document, the questions, and whether the first stands before the document; read from the text.
fn parts(text: &TrainingDocument) -> (String, Vec<String>, bool) {
    let mut rest = text.text.clone();
    for answer in text.answers.iter().rev() {
        rest.replace_range(answer.span.clone(), "");
    }
    let mut pieces = rest.split(" Question: ");
    let before = pieces.next().unwrap();
    let mut questions = Vec::new();
    let mut behind = Vec::new();
    for piece in pieces {
        let piece = piece.strip_suffix(" Answer:").unwrap();
        let end = piece.find('.').unwrap() + 1;
        questions.push(piece[..end].to_owned());
        behind.push(&piece[end..]);
    }
    let asks_first = before.is_empty();
    let document = if asks_first { behind[0] } else { before };
    assert!(document.starts_with(' '));
    assert!(
        behind
            .iter()
            .skip(usize::from(asks_first))
            .all(|text| text.is_empty())
    );
    (document.to_owned(), questions, asks_first)
}

fn assert_sound(text: &TrainingDocument, length: usize) {
    let estimated = estimate(&text.text);
    assert!(
        (length - 3..=length).contains(&estimated),
        "{estimated} of {length}"
    );
    let most = (length / 60).clamp(1, 8);
    assert!(
        (1..=most).contains(&text.answers.len()),
        "{length}: {text:?}"
    );
    assert_eq!(text.answers.last().unwrap().span.end, text.text.len());
    let (document, questions, _) = parts(text);
    let distinct: BTreeSet<&String> = questions.iter().collect();
    assert_eq!(distinct.len(), questions.len(), "{questions:?}");
    assert_eq!(questions.len(), text.answers.len());
    let reader = Reader::of(&document);
    for (question, answer) in questions.iter().zip(&text.answers) {
        let told = &text.text[answer.span.clone()];
        assert_eq!(told, reader.answer(question), "{question} {document}");
        let sentences = told.split_inclusive('.');
        assert_eq!(sentences.clone().count(), answer.values.len(), "{told}");
        let mut start = answer.span.start;
        for (sentence, value) in sentences.zip(&answer.values) {
            let end = start + sentence.len();
            assert!(start < value.start && value.end < end && !value.is_empty());
            let value = &text.text[value.clone()];
            assert!(document.contains(value), "{value}");
            assert!(is_value(question, sentence, value), "{sentence} {value}");
            start = end;
        }
    }
}

/// Whether this is the part of an answer's sentence that was asked for.
fn is_value(question: &str, sentence: &str, value: &str) -> bool {
    if question.starts_with("Copy") {
        sentence == format!(" {value}.")
    } else if question.starts_with("Name") {
        sentence.starts_with(&format!(" {value} ")) && value.split(' ').count() == 2
    } else {
        let (before, _) = sentence.split_once(&format!(" {value}.")).unwrap();
        let last = before.rsplit(' ').next().unwrap();
        ["in", "a", "an", "likes", "the", "is", "holds", "to"].contains(&last)
    }
}

fn all() -> Vec<(&'static str, u32)> {
    names().map(|name| (name, 1)).collect()
}

#[test]
fn an_answer_is_what_the_document_tells() {
    let mut mixtures: Vec<Vec<(&str, u32)>> = names().map(|name| vec![(name, 1)]).collect();
    mixtures.extend([all(), all()]);
    for (seed, mixture) in mixtures.iter().enumerate() {
        for (length, count) in [
            (64, 400),
            (65, 200),
            (96, 200),
            (128, 200),
            (256, 150),
            (512, 80),
            (1024, 40),
            (4096, 8),
        ] {
            let corpus = TrainingCorpus::new(length, seed as u64, mixture).unwrap();
            for index in 0..count {
                assert_sound(&corpus.document(index), length);
            }
        }
    }
}

#[test]
fn a_question_has_the_wording_of_a_sample_and_its_place() {
    for name in names() {
        let corpus = TrainingCorpus::new(256, 1, &[(name, 1)]).unwrap();
        let text = corpus.document(0);
        let (_, questions, _) = parts(&text);
        let options = [("length".to_owned(), "256".to_owned())].into();
        let sample = Generator::new(name, &options).unwrap().sample(0);
        let opening = |question: &str| question.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let of_sample = super::question(&sample);
        assert_eq!(opening(&questions[0]), opening(of_sample));
        let prompt = &text.text[..text.answers[0].span.start];
        assert!(prompt.ends_with(" Answer:"), "{prompt}");
    }
}

#[test]
fn both_places_and_all_tasks_occur_as_often_as_they_should() {
    let corpus = TrainingCorpus::new(256, 5, &[("niah", 3), ("list", 1), ("facts", 0)]).unwrap();
    let texts: Vec<TrainingDocument> = (0..4_000).map(|index| corpus.document(index)).collect();
    let asked: Vec<_> = texts.iter().map(parts).collect();
    let first = asked
        .iter()
        .filter(|(_, _, asks_first)| *asks_first)
        .count();
    // 2,000 and 1,000 expected; five standard deviations are 158 and 137
    assert!(first.abs_diff(2_000) < 158, "{first}");
    let lists = asked
        .iter()
        .filter(|(_, asked, _)| asked[0].starts_with("Name"));
    let lists = lists.count();
    assert!(lists.abs_diff(1_000) < 137, "{lists}");
    for (_, questions, _) in &asked {
        let kinds: BTreeSet<bool> = questions
            .iter()
            .map(|text| text.starts_with("Name"))
            .collect();
        assert_eq!(kinds.len(), 1);
        assert!(
            questions
                .iter()
                .all(|text| text.starts_with("Name") || text.contains(" code of "))
        );
    }
}

#[test]
fn half_of_the_documents_mix_the_tasks_that_mix() {
    let corpus = TrainingCorpus::new(512, 5, &[("niah", 1), ("key-value", 1)]).unwrap();
    let mixed = (0..1_000).filter(|index| {
        let (_, questions, _) = parts(&corpus.document(*index));
        let of_keys: BTreeSet<bool> = questions.iter().map(|text| text.contains(" key")).collect();
        of_keys.len() == 2
    });
    let mixed = mixed.count();
    // of the 500 that draw from both, a quarter at most (three questions) draws the same task
    // always; five standard deviations of 1,000 fair throws are 79
    assert!((296..=579).contains(&mixed), "{mixed}");
}

#[test]
fn a_longer_text_asks_more() {
    let count = |length| {
        let corpus = TrainingCorpus::new(length, 2, &[("facts", 1)]).unwrap();
        (0..50)
            .map(|index| corpus.document(index).answers.len())
            .sum::<usize>()
    };
    let counts: Vec<usize> = [64, 128, 256, 512, 1024].into_iter().map(count).collect();
    assert!(
        counts[1..].is_sorted_by(|less, more| less < more),
        "{counts:?}"
    );
    assert_eq!((counts[0], counts[4]), (50, 400));
}

#[test]
fn what_cannot_be_made_is_refused() {
    for length in [0, 63, 4_097] {
        let error = TrainingCorpus::new(length, 0, &[("facts", 1)]).unwrap_err();
        assert!(
            matches!(error, DatasetError::TrainingLength { .. }),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains(&format!("64 to 4096 estimated tokens, not {length}"))
        );
    }
    for mixture in [&[][..], &[("facts", 0)]] {
        let error = TrainingCorpus::new(64, 0, mixture).unwrap_err();
        assert!(matches!(error, DatasetError::EmptyMixture), "{error}");
    }
    let error = TrainingCorpus::new(64, 0, &[("demo", 1)]).unwrap_err();
    assert!(matches!(error, DatasetError::UnknownTask { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn texts_are_sound_and_each_is_made_by_its_number(length in 64_usize..1500, seed: u64, index in 0..u64::MAX, tasks in 1_usize..128) {
        let mixture: Vec<(&str, u32)> = names().enumerate().map(|(bit, name)| (name, u32::from(tasks & (1 << bit) != 0))).collect();
        let corpus = TrainingCorpus::new(length, seed, &mixture).unwrap();
        let text = corpus.document(index);
        assert_sound(&text, length);
        prop_assert_eq!(&corpus.clone().document(index), &text);
        prop_assert_ne!(&corpus.document(index + 1).text, &text.text);
        let other = TrainingCorpus::new(length, seed ^ 1, &mixture).unwrap();
        prop_assert_ne!(&other.document(index).text, &text.text);
    }
}
