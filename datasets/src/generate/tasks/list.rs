//! Everybody of whom something is true.

use crate::builtin::BuiltInTask;
use crate::generate::distractors::{Asked, other_people};
use crate::generate::document::Material;
use crate::generate::fact::FactKind;
use crate::generate::filler::Filler;
use crate::generate::person::People;
use crate::generate::random::Random;
use crate::generate::task::Draft;

pub(in crate::generate) const TASK: BuiltInTask = BuiltInTask {
    name: "list",
    summary: "generated; everybody with the same city, job or food, in the order of the document",
    options: &[
        "length=128..131072",
        "question=start|end|both|absent",
        "matches=2..6",
        "samples=1..10000",
        "seed=N",
        "count=model|words",
    ],
};

const KINDS: [FactKind; 3] = [FactKind::City, FactKind::Job, FactKind::Food];

pub(in crate::generate) fn draft(random: &mut Random, count: usize) -> Draft {
    let mut people = People::default();
    let matches = people.draw_many(random, count);
    let kind = KINDS
        .get(random.below(KINDS.len()))
        .copied()
        .unwrap_or(FactKind::City);
    let value = kind.draw(random);
    Draft {
        question: format!("Name in order everybody whose {} is {value}.", kind.label()),
        answer: matches
            .iter()
            .map(|person| kind.plain(*person, &value))
            .collect(),
        values: matches.iter().map(ToString::to_string).collect(),
        material: Material {
            needed: matches
                .iter()
                .map(|person| kind.sentence(random, *person, &value))
                .collect(),
            depth: None,
            distract: other_people(
                people,
                Asked {
                    people: matches,
                    shared: Vec::new(),
                    exclusive: Some((kind, value)),
                },
            ),
            filler: Filler::default(),
        },
    }
}
