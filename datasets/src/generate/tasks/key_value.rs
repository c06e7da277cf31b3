//! The values of several keys out of a ledger.

use std::collections::BTreeSet;

use crate::builtin::BuiltInTask;
use crate::generate::fact::{FactKind, enumerate};
use crate::generate::random::Random;
use crate::generate::task::Draft;
use crate::generate::told::{Source, Told};

pub(in crate::generate) const TASK: BuiltInTask = BuiltInTask {
    name: "key-value",
    summary: "generated; keys with values of two words, the question asks for several keys",
    options: &[
        "length=128..131072",
        "question=start|end|both",
        "keys=1..7",
        "samples=1..10000",
        "seed=N",
    ],
};

/// Of all pairs of a colour and an object, 3,200, so many are used at most.
const MOST_KEYS: usize = 1_600;

/// The keys of a document.
#[derive(Clone, Default)]
pub(in crate::generate) struct Ledger {
    /// All keys.
    keys: BTreeSet<String>,
    /// The values that are asked for, no two alike, in the order of the questions.
    pub values: Vec<String>,
}

pub(in crate::generate) fn draft(random: &mut Random, told: &mut Told, count: usize) -> Draft {
    let ledger = &mut told.ledger;
    let keys: Vec<String> = (0..count)
        .map(|_| new(random, FactKind::Object, &mut ledger.keys))
        .collect();
    let mut held: BTreeSet<String> = ledger.values.iter().cloned().collect();
    let values: Vec<String> = keys
        .iter()
        .map(|_| new(random, FactKind::Code, &mut held))
        .collect();
    ledger.values.extend(values.iter().cloned());
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
        needed,
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
pub(in crate::generate) fn other_keys(mut ledger: Ledger) -> Source {
    let mut is_first = true;
    Box::new(move |random, _| {
        if ledger.keys.len() >= MOST_KEYS {
            return None;
        }
        let key = new(random, FactKind::Object, &mut ledger.keys);
        let shares = is_first || random.one_in(10);
        is_first = false;
        let value = match ledger.values.get(random.below(ledger.values.len())) {
            Some(value) if shares => value.clone(),
            _ => FactKind::Code.draw(random),
        };
        Some(sentence(random, &key, &value))
    })
}
