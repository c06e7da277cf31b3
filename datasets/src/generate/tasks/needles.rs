//! Unusual codes among ordinary facts: one needle at a depth, or several anywhere.

use crate::builtin::BuiltInTask;
use crate::generate::distractors::{Asked, other_people};
use crate::generate::document::Material;
use crate::generate::fact::{FactKind, enumerate, unusual_codes};
use crate::generate::filler::Filler;
use crate::generate::person::People;
use crate::generate::random::Random;
use crate::generate::task::Draft;

pub(in crate::generate) const SINGLE: BuiltInTask = BuiltInTask {
    name: "niah",
    summary: "generated; one needle, the unusual code of a person, at a depth of the document",
    options: &[
        "length=128..131072",
        "question=start|end|both|absent",
        "depth=0..1|sweep",
        "samples=1..10000",
        "seed=N",
        "count=model|words",
    ],
};

pub(in crate::generate) const SEVERAL: BuiltInTask = BuiltInTask {
    name: "multi-niah",
    summary: "generated; unusual codes of several people, one question asks for all of them",
    options: &[
        "length=128..131072",
        "question=start|end|both|absent",
        "needles=2..7",
        "samples=1..10000",
        "seed=N",
        "count=model|words",
    ],
};

pub(in crate::generate) fn draft(random: &mut Random, count: usize, depth: Option<f64>) -> Draft {
    let mut people = People::default();
    let owners = people.draw_many(random, count);
    let values = unusual_codes(random, count);
    let pairs = || owners.iter().copied().zip(&values);
    let mut needed: Vec<String> = pairs()
        .map(|(owner, code)| FactKind::Code.sentence(random, owner, code))
        .collect();
    random.shuffle(&mut needed);
    let names: Vec<String> = owners.iter().map(ToString::to_string).collect();
    let noun = if count == 1 { "code" } else { "codes" };
    Draft {
        question: format!("Report the {noun} of {}.", enumerate(&names)),
        answer: pairs()
            .map(|(owner, code)| FactKind::Code.plain(owner, code))
            .collect(),
        values: values.clone(),
        material: Material {
            needed,
            depth,
            distract: other_people(
                people,
                Asked {
                    people: owners,
                    shared: Vec::new(),
                    exclusive: None,
                },
            ),
            filler: Filler::default(),
        },
    }
}
