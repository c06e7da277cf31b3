//! The values of several keys out of a ledger.

use std::collections::BTreeSet;

use crate::builtin::BuiltInTask;
use crate::generate::document::{Distract, Material};
use crate::generate::fact::{FactKind, enumerate};
use crate::generate::filler::Filler;
use crate::generate::random::Random;
use crate::generate::task::Draft;

pub(in crate::generate) const TASK: BuiltInTask = BuiltInTask {
    name: "key-value",
    summary: "generated; keys with values of two words, the question asks for several keys",
    options: &[
        "length=128..131072",
        "question=start|end|both|absent",
        "keys=1..7",
        "samples=1..10000",
        "seed=N",
        "count=model|words",
    ],
};

/// Of all pairs of a colour and an object, 3,200, so many are used at most.
const MOST_KEYS: usize = 1_600;

pub(in crate::generate) fn draft(random: &mut Random, count: usize) -> Draft {
    let mut taken = BTreeSet::new();
    let keys: Vec<String> = (0..count)
        .map(|_| new(random, FactKind::Object, &mut taken))
        .collect();
    let mut held = BTreeSet::new();
    let values: Vec<String> = keys
        .iter()
        .map(|_| new(random, FactKind::Code, &mut held))
        .collect();
    let mut needed: Vec<String> = keys
        .iter()
        .zip(&values)
        .map(|(key, value)| sentence(random, key, value))
        .collect();
    random.shuffle(&mut needed);
    let noun = if count == 1 {
        "value of key"
    } else {
        "values of keys"
    };
    Draft {
        question: format!("Report the {noun} {}.", enumerate(&keys)),
        answer: keys
            .iter()
            .zip(&values)
            .map(|(key, value)| plain(key, value))
            .collect(),
        values: values.clone(),
        material: Material {
            needed,
            depth: None,
            distract: other_keys(taken, values),
            filler: Filler::default(),
        },
    }
}

/// A pair of words that is not taken yet.
fn new(random: &mut Random, kind: FactKind, taken: &mut BTreeSet<String>) -> String {
    loop {
        let pair = kind.draw(random);
        if taken.insert(pair.clone()) {
            return pair;
        }
    }
}

fn plain(key: &str, value: &str) -> String {
    format!("Key {key} holds {value}.")
}

fn sentence(random: &mut Random, key: &str, value: &str) -> String {
    if random.one_in(2) {
        plain(key, value)
    } else {
        format!("In the ledger key {key} holds {value}.")
    }
}

/// Other keys; the first and every tenth of the others holds a value that is also asked for.
fn other_keys(mut taken: BTreeSet<String>, asked: Vec<String>) -> Distract {
    let mut is_first = true;
    Box::new(move |random| {
        if taken.len() >= MOST_KEYS {
            return None;
        }
        let key = new(random, FactKind::Object, &mut taken);
        let shares = is_first || random.one_in(10);
        is_first = false;
        let value = match asked.get(random.below(asked.len())) {
            Some(value) if shares => value.clone(),
            _ => FactKind::Code.draw(random),
        };
        Some(sentence(random, &key, &value))
    })
}
