//! A passage to be copied word by word.

use std::collections::BTreeSet;

use crate::builtin::BuiltInTask;
use crate::generate::fact::event;
use crate::generate::filler::Filler;
use crate::generate::random::Random;
use crate::generate::task::Draft;
use crate::generate::told::{Source, Told};

pub(in crate::generate) const TASK: BuiltInTask = BuiltInTask {
    name: "passage",
    summary: "generated; a passage about an event is to be copied, others are about like events",
    options: &[
        "length=128..131072",
        "question=start|end|both",
        "sentences=2..4",
        "samples=1..10000",
        "seed=N",
    ],
};

/// Of all events, 1,530, so many are used at most.
const MOST_EVENTS: usize = 700;

/// The passages that are asked for.
#[derive(Clone, Default)]
pub(in crate::generate) struct Passages {
    /// What they are about.
    pub topics: Vec<String>,
    /// How many sentences each has.
    lengths: Vec<usize>,
    /// The sentences of all of them.
    sentences: Vec<String>,
}

pub(in crate::generate) fn draft(random: &mut Random, told: &mut Told, sentences: usize) -> Draft {
    let mut taken = told.passages.topics.iter().cloned().collect();
    let topic = new_topic(random, &mut taken, |_| true);
    let body = body(random, &mut told.filler, sentences);
    told.passages.topics.push(topic.clone());
    told.passages.lengths.push(sentences);
    told.passages.sentences.extend(body.iter().cloned());
    Draft {
        question: format!("Copy the passage about the {topic}."),
        values: body
            .iter()
            .map(|sentence| sentence.trim_end_matches('.').to_owned())
            .collect(),
        needed: vec![passage(&topic, &body)],
        answer: body,
    }
}

fn body(random: &mut Random, filler: &mut Filler, sentences: usize) -> Vec<String> {
    (0..sentences)
        .map(|_| filler.simple_statement(random))
        .collect()
}

fn passage(topic: &str, body: &[String]) -> String {
    let body = body.join(" ");
    format!("Here begins the passage about the {topic}. {body} Here ends the passage.")
}

/// Passages about other events, of the same lengths. For each that is asked for, one shares a word
/// of its title.
pub(in crate::generate) fn other_passages(asked: Passages) -> Source {
    let Passages {
        topics,
        lengths,
        sentences,
    } = asked;
    let mut filler = Filler::default();
    filler.refuse(sentences);
    let mut taken: BTreeSet<String> = topics.iter().cloned().collect();
    let mut lengths = lengths.into_iter().cycle();
    let mut models = topics.into_iter();
    Box::new(move |random, _| {
        if taken.len() >= MOST_EVENTS {
            return None;
        }
        let model = models.next();
        let other = new_topic(random, &mut taken, |other| {
            model
                .as_ref()
                .is_none_or(|model| shares_a_word(other, model))
        });
        let body = body(random, &mut filler, lengths.next()?);
        Some(passage(&other, &body))
    })
}

fn new_topic(
    random: &mut Random,
    taken: &mut BTreeSet<String>,
    fits: impl Fn(&str) -> bool,
) -> String {
    loop {
        let topic = event(random);
        if fits(&topic) && taken.insert(topic.clone()) {
            return topic;
        }
    }
}

fn shares_a_word(one: &str, other: &str) -> bool {
    one.split(' ')
        .zip(other.split(' '))
        .any(|(one, other)| one == other)
}
