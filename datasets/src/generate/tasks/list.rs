//! Everybody of whom something is true.

use crate::builtin::BuiltInTask;
use crate::generate::fact::FactKind;
use crate::generate::random::Random;
use crate::generate::task::Draft;
use crate::generate::told::Told;

pub(in crate::generate) const TASK: BuiltInTask = BuiltInTask {
    name: "list",
    summary: "generated; everybody with the same city, job or food, in the order of the document",
    options: &[
        "length=128..131072",
        "question=start|end|both",
        "matches=2..6",
        "samples=1..10000",
        "seed=N",
    ],
};

const KINDS: [FactKind; 3] = [FactKind::City, FactKind::Job, FactKind::Food];

pub(in crate::generate) fn draft(random: &mut Random, told: &mut Told, count: usize) -> Draft {
    let matches = told.people.draw_many(random, count);
    let kind = KINDS
        .get(random.below(KINDS.len()))
        .copied()
        .unwrap_or(FactKind::City);
    let taken = &told.asked.exclusive;
    let value = kind.draw_but(random, |value| {
        taken.iter().any(|fact| fact.0 == kind && fact.1 == value)
    });
    told.asked.questions += 1;
    told.asked.people.extend(&matches);
    told.asked.exclusive.push((kind, value.clone()));
    Draft {
        question: format!("Name in order everybody whose {} is {value}.", kind.label()),
        answer: matches
            .iter()
            .map(|person| kind.plain(*person, &value))
            .collect(),
        values: matches.iter().map(ToString::to_string).collect(),
        needed: matches
            .iter()
            .map(|person| kind.sentence(random, *person, &value))
            .collect(),
    }
}
