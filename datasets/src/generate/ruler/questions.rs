//! Documents on people, and questions about one or across two of them.

use super::Plan;
use super::body::{Hidden, HiddenIn};
use super::haystack::Haystack;
use crate::generate::fact::FactKind;
use crate::generate::person::{People, Person};
use crate::generate::random::Random;
use crate::scores::{Metric, Scoring};

/// What can be asked of a person in one word.
const ASKED: [(FactKind, &str); 3] = [
    (FactKind::City, "In which city does"),
    (FactKind::Job, "As what does"),
    (FactKind::Food, "Which food does"),
];

/// A document on a person: some facts, of which `wanted` is one.
fn document(random: &mut Random, person: Person, wanted: &str, without: FactKind) -> Hidden {
    let mut sentences = vec![wanted.to_owned()];
    for kind in random.choose(&FactKind::ALL, 5) {
        if kind != without && sentences.len() < 4 {
            let value = kind.draw(random);
            sentences.push(kind.sentence(random, person, &value));
        }
    }
    random.shuffle(&mut sentences);
    let text = format!("Document on {person}: {}", sentences.join(" "));
    let start = text.find(wanted).unwrap_or_default();
    Hidden {
        depth: random.share(),
        evidence: start..start + wanted.len(),
        text,
    }
}

/// Somebody who is not asked about. Names come again when half of them are used up.
fn somebody(people: &mut People, asked: &[Person], random: &mut Random) -> Person {
    loop {
        if people.is_crowded() {
            *people = People::default();
        }
        let person = people.draw(random);
        if !asked.contains(&person) {
            return person;
        }
    }
}

/// Documents on others.
fn others(asked: Vec<Person>, random: &mut Random, neighbours: bool) -> Haystack {
    let mut people = People::default();
    let make = Box::new(move |random: &mut Random| {
        let person = somebody(&mut people, &asked, random);
        let wanted = if neighbours {
            let other = somebody(&mut people, &asked, random);
            neighbour(person, other)
        } else {
            let city = FactKind::City.draw(random);
            FactKind::City.plain(person, &city)
        };
        document(random, person, &wanted, FactKind::City).text
    });
    Haystack::pieces(make, "\n", random)
}

fn neighbour(person: Person, other: Person) -> String {
    format!("Next door to {person} is {other}.")
}

fn verb(kind: FactKind) -> &'static str {
    match kind {
        FactKind::City => "live",
        FactKind::Job => "work",
        _ => "like",
    }
}

/// `qa_1`: a fact of one person.
pub(super) fn one(random: &mut Random) -> Plan {
    let mut people = People::default();
    let person = people.draw(random);
    let (kind, opening) = ASKED[random.below(ASKED.len())];
    let value = kind.draw(random);
    let wanted = kind.plain(person, &value);
    let hidden = vec![document(random, person, &wanted, kind)];
    let question = format!("{opening} {person} {}?", verb(kind));
    asked(question, value, hidden, others(vec![person], random, false))
}

/// `qa_2`: where the neighbour of somebody lives.
pub(super) fn two(random: &mut Random) -> Plan {
    let mut people = People::default();
    let (person, other) = (people.draw(random), people.draw(random));
    let city = FactKind::City.draw(random);
    let first = neighbour(person, other);
    let second = FactKind::City.plain(other, &city);
    let hidden = vec![
        document(random, person, &first, FactKind::City),
        document(random, other, &second, FactKind::City),
    ];
    let question = format!("In which city does the one next door to {person} live?");
    asked(
        question,
        city,
        hidden,
        others(vec![person, other], random, true),
    )
}

fn asked(question: String, value: String, hidden: Vec<Hidden>, haystack: Haystack) -> Plan {
    let values = vec![value.clone()];
    Plan {
        instruction: "Answer the question from the documents below, in a word or two.".to_owned(),
        question: format!("Question: {question}"),
        answer_prefix: " Answer:".to_owned(),
        answer: value,
        scoring: Scoring::new(Metric::MatchPart, values.clone()),
        values,
        body: Box::new(HiddenIn::new(haystack, hidden)),
    }
}
