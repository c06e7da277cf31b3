//! A passage to be copied word by word.

use std::collections::BTreeSet;

use crate::builtin::BuiltInTask;
use crate::generate::document::{Distract, Material};
use crate::generate::fact::event;
use crate::generate::filler::Filler;
use crate::generate::random::Random;
use crate::generate::task::Draft;

pub(in crate::generate) const TASK: BuiltInTask = BuiltInTask {
    name: "passage",
    summary: "generated; a passage about an event is to be copied, others are about like events",
    options: &[
        "length=128..131072",
        "question=start|end|both|absent",
        "sentences=2..4",
        "samples=1..10000",
        "seed=N",
        "count=model|words",
    ],
};

/// Of all events, 1,530, so many are used at most.
const MOST_EVENTS: usize = 700;

pub(in crate::generate) fn draft(random: &mut Random, sentences: usize) -> Draft {
    let mut filler = Filler::default();
    let topic = event(random);
    let body = body(random, &mut filler, sentences);
    Draft {
        question: format!("Copy the passage about the {topic}."),
        values: body
            .iter()
            .map(|sentence| sentence.trim_end_matches('.').to_owned())
            .collect(),
        material: Material {
            needed: vec![passage(&topic, &body)],
            depth: None,
            distract: other_passages(topic, body.clone(), sentences),
            filler,
        },
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

/// Passages about other events, the first of which shares a word with the asked one.
fn other_passages(topic: String, asked: Vec<String>, sentences: usize) -> Distract {
    let mut filler = Filler::default();
    filler.refuse(asked);
    let mut is_first = true;
    let mut taken = BTreeSet::from([topic.clone()]);
    Box::new(move |random| {
        if taken.len() >= MOST_EVENTS {
            return None;
        }
        let other = new_topic(random, &mut taken, |other| {
            !is_first || shares_a_word(other, &topic)
        });
        is_first = false;
        let body = body(random, &mut filler, sentences);
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
