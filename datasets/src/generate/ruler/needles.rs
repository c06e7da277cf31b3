//! Numbers and identifiers of keys.

use std::collections::BTreeSet;

use super::Plan;
use super::body::{Hidden, HiddenIn};
use super::haystack::{Haystack, Kind};
use crate::generate::fact::enumerate;
use crate::generate::random::Random;
use crate::generate::words::{CODE_WORDS, COLOURS, OBJECTS};
use crate::scores::{Metric, Scoring};

/// What is told of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Seven digits.
    Number,
    /// 32 hexadecimal digits in five groups.
    Identifier,
}

impl Value {
    fn word(self) -> &'static str {
        match self {
            Self::Number => "access number",
            Self::Identifier => "access identifier",
        }
    }

    fn draw(self, random: &mut Random) -> String {
        match self {
            Self::Number => (1_000_000 + random.below(9_000_000)).to_string(),
            Self::Identifier => identifier(random),
        }
    }
}

/// A random identifier in the writing of RFC 4122, version 4.
fn identifier(random: &mut Random) -> String {
    let mut digits: Vec<char> = Vec::new();
    for at in 0..32 {
        let digit = match at {
            12 => 4,
            16 => 8 + random.below(4),
            _ => random.below(16),
        };
        if matches!(at, 8 | 12 | 16 | 20) {
            digits.push('-');
        }
        digits.extend(char::from_digit(digit as u32, 16));
    }
    digits.into_iter().collect()
}

/// How many needles of what kind.
pub(super) struct Needles {
    pub value: Value,
    /// Keys that are told of.
    pub keys: usize,
    /// How many of them are asked for, from the first.
    pub asked: usize,
    /// Values of each asked key.
    pub values: usize,
    /// Where the needle lies; anywhere when `None`.
    pub depth: Option<f64>,
}

impl Default for Needles {
    fn default() -> Self {
        Self {
            value: Value::Number,
            keys: 1,
            asked: 1,
            values: 1,
            depth: None,
        }
    }
}

fn sentence(value: Value, key: &str, told: &str) -> String {
    format!("The {} of {key} is {told}.", value.word())
}

/// Draws what nobody has yet.
fn new(taken: &mut BTreeSet<String>, mut draw: impl FnMut() -> String) -> String {
    loop {
        let drawn = draw();
        if taken.insert(drawn.clone()) {
            return drawn;
        }
    }
}

fn key(random: &mut Random) -> String {
    let colour = random.word(COLOURS);
    format!(
        "{colour}-{}-{}",
        random.word(CODE_WORDS),
        random.word(OBJECTS)
    )
}

pub(super) fn plan(random: &mut Random, kind: &Kind, needles: &Needles) -> Plan {
    let mut taken = BTreeSet::new();
    let mut hidden = Vec::new();
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for index in 0..needles.keys {
        let key = new(&mut taken, || key(random));
        let is_asked = index < needles.asked;
        let count = if is_asked { needles.values } else { 1 };
        for _ in 0..count {
            let told = new(&mut taken, || needles.value.draw(random));
            let depth = needles.depth.unwrap_or_else(|| random.share());
            let text = sentence(needles.value, &key, &told);
            if is_asked {
                hidden.push(Hidden::needed(depth, text));
                values.push(told);
            } else {
                hidden.push(Hidden::decoy(depth, text));
            }
        }
        if is_asked {
            keys.push(key);
        }
    }
    let haystack = Haystack::of(kind, random);
    asked(
        needles.value,
        &keys,
        values,
        HiddenIn::new(haystack, hidden),
    )
}

/// One needle among others of the same form.
pub(super) fn among_needles(random: &mut Random, value: Value) -> Plan {
    let draw_key = move |random: &mut Random| match value {
        Value::Number => key(random),
        Value::Identifier => identifier(random),
    };
    let mut taken = BTreeSet::new();
    let key = new(&mut taken, || draw_key(random));
    let told = new(&mut taken, || value.draw(random));
    let hidden = Hidden::needed(random.share(), sentence(value, &key, &told));
    let make = Box::new(move |random: &mut Random| {
        let key = new(&mut taken, || draw_key(random));
        let told = new(&mut taken, || value.draw(random));
        sentence(value, &key, &told)
    });
    let haystack = Haystack::pieces(make, "\n", random);
    asked(
        value,
        &[key],
        vec![told],
        HiddenIn::new(haystack, vec![hidden]),
    )
}

fn asked(value: Value, keys: &[String], values: Vec<String>, body: HiddenIn) -> Plan {
    let word = value.word();
    let names = enumerate(keys);
    let (question, answer_prefix) = if values.len() == 1 {
        (
            format!("What is the {word} of {names} in the text?"),
            format!(" The {word} of {names} is"),
        )
    } else {
        (
            format!("What are all the {word}s of {names} in the text?"),
            format!(" The {word}s of {names} are"),
        )
    };
    Plan {
        instruction: format!(
            "One or more {word}s stand in the text below. Keep them in mind: there is a question about them."
        ),
        question,
        answer_prefix,
        answer: format!("{}.", enumerate(&values)),
        scoring: Scoring::new(Metric::MatchAll, values.clone()),
        values,
        body: Box::new(body),
    }
}
