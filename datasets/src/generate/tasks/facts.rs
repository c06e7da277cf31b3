//! Several facts about one person.

use crate::builtin::BuiltInTask;
use crate::generate::distractors::{Asked, Fact, other_people};
use crate::generate::document::Material;
use crate::generate::fact::{FactKind, enumerate};
use crate::generate::filler::Filler;
use crate::generate::person::{People, Person};
use crate::generate::random::Random;
use crate::generate::task::Draft;

pub(in crate::generate) const TASK: BuiltInTask = BuiltInTask {
    name: "facts",
    summary: "generated; several facts about one person, others share names and values",
    options: &[
        "length=128..131072",
        "question=start|end|both|absent",
        "facts=2..4",
        "samples=1..10000",
        "seed=N",
        "count=model|words",
    ],
};

/// What is told of one person, and the question for it.
pub(in crate::generate) struct Told {
    pub question: String,
    /// The sentences of the answer, in the question's order.
    pub answer: Vec<String>,
    /// What a right answer contains, in the same order.
    pub values: Vec<String>,
    pub facts: Vec<Fact>,
    /// The sentences of the document, in any order.
    pub needed: Vec<String>,
}

/// Draws `count` facts about a person.
pub(in crate::generate) fn tell(random: &mut Random, person: Person, count: usize) -> Told {
    let chosen = random.choose(&FactKind::ALL, count);
    let facts: Vec<Fact> = FactKind::ALL
        .into_iter()
        .filter(|kind| chosen.contains(kind))
        .map(|kind| (kind, kind.draw(random)))
        .collect();
    let labels: Vec<String> = facts
        .iter()
        .map(|(kind, _)| kind.label().to_owned())
        .collect();
    let mut needed: Vec<String> = facts
        .iter()
        .map(|(kind, value)| kind.sentence(random, person, value))
        .collect();
    random.shuffle(&mut needed);
    Told {
        question: format!("Report the {} of {person}.", enumerate(&labels)),
        answer: facts
            .iter()
            .map(|(kind, value)| kind.plain(person, value))
            .collect(),
        values: facts.iter().map(|(_, value)| value.clone()).collect(),
        facts,
        needed,
    }
}

pub(in crate::generate) fn draft(random: &mut Random, count: usize) -> Draft {
    let mut people = People::default();
    let person = people.draw(random);
    let told = tell(random, person, count);
    Draft {
        question: told.question,
        answer: told.answer,
        values: told.values,
        material: Material {
            needed: told.needed,
            depth: None,
            distract: other_people(
                people,
                Asked {
                    people: vec![person],
                    shared: told.facts,
                    exclusive: None,
                },
            ),
            filler: Filler::default(),
        },
    }
}
