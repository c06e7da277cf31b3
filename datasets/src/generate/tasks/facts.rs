//! Several facts about one person.

use crate::builtin::BuiltInTask;
use crate::generate::distractors::Fact;
use crate::generate::fact::{FactKind, enumerate};
use crate::generate::random::Random;
use crate::generate::task::Draft;
use crate::generate::told::Told;

pub(in crate::generate) const TASK: BuiltInTask = BuiltInTask {
    name: "facts",
    summary: "generated; several facts about one person, others share names and values",
    options: &[
        "length=128..131072",
        "question=start|end|both",
        "facts=2..4",
        "samples=1..10000",
        "seed=N",
    ],
};

pub(in crate::generate) fn draft(random: &mut Random, told: &mut Told, count: usize) -> Draft {
    let person = told.people.draw(random);
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
    told.asked.questions += 1;
    told.asked.people.push(person);
    told.asked.shared.extend(facts.iter().cloned());
    Draft {
        question: format!("Report the {} of {person}.", enumerate(&labels)),
        answer: facts
            .iter()
            .map(|(kind, value)| kind.plain(person, value))
            .collect(),
        values: facts.iter().map(|(_, value)| value.clone()).collect(),
        needed,
    }
}
