//! A parcel that goes from hand to hand, among other parcels.

use crate::builtin::BuiltInTask;
use crate::generate::document::{Distract, Material};
use crate::generate::filler::Filler;
use crate::generate::person::{People, Person};
use crate::generate::random::Random;
use crate::generate::task::Draft;

pub(in crate::generate) const TASK: BuiltInTask = BuiltInTask {
    name: "variable-tracking",
    summary: "generated; a parcel is handed on over several hops, the question asks for every holder",
    options: &[
        "length=128..131072",
        "question=start|end|both|absent",
        "hops=2..6",
        "samples=1..10000",
        "seed=N",
        "count=model|words",
    ],
};

pub(in crate::generate) fn draft(random: &mut Random, hops: usize) -> Draft {
    let mut people = People::default();
    let first = people.draw(random);
    let others = people.draw_many(random, hops);
    let mut giver = first;
    let mut needed = Vec::new();
    let mut answer = Vec::new();
    for &taker in &others {
        needed.push(sentence(random, giver, taker));
        answer.push(plain(giver, taker));
        giver = taker;
    }
    let values = others.iter().map(ToString::to_string).collect();
    Draft {
        question: format!("Follow the parcel of {first} and report everybody who received it."),
        answer,
        values,
        material: Material {
            needed,
            depth: None,
            distract: other_chains(people, others, hops),
            filler: Filler::default(),
        },
    }
}

fn plain(giver: Person, taker: Person) -> String {
    format!("The parcel of {giver} went to {taker}.")
}

fn sentence(random: &mut Random, giver: Person, taker: Person) -> String {
    if random.one_in(2) {
        plain(giver, taker)
    } else {
        format!("At noon the parcel of {giver} went to {taker}.")
    }
}

/// Chains of people who are in no other chain and half of whom share a name with somebody of the
/// asked one. A chain ends after `hops` sentences on average.
fn other_chains(mut people: People, asked: Vec<Person>, hops: usize) -> Distract {
    let mut holder: Option<Person> = None;
    Box::new(move |random| {
        if people.is_crowded() {
            return None;
        }
        let mut next = |random: &mut Random| match random.choose(&asked, 1).first() {
            Some(&model) if random.one_in(2) => people.draw_namesake(random, model),
            _ => people.draw(random),
        };
        let giver = match holder {
            Some(giver) => giver,
            None => next(random),
        };
        let taker = next(random);
        holder = (!random.one_in(hops)).then_some(taker);
        Some(sentence(random, giver, taker))
    })
}
