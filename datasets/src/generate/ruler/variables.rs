//! Variables that are set to a number, and to each other.

use std::collections::BTreeSet;

use super::Plan;
use super::body::{Hidden, HiddenIn};
use super::haystack::{Haystack, Kind};
use crate::generate::fact::enumerate;
use crate::generate::random::Random;
use crate::scores::{Metric, Scoring};

/// Chains of `hops` assignments behind the first; all variables of the first chain are asked for.
pub(super) fn plan(random: &mut Random, kind: &Kind, hops: usize, chains: usize) -> Plan {
    let mut taken = BTreeSet::new();
    let mut hidden = Vec::new();
    let (mut asked_value, mut asked_names) = (String::new(), Vec::new());
    for chain in 0..chains {
        let value = new(&mut taken, || (10_000 + random.below(90_000)).to_string());
        let names: Vec<String> = (0..=hops)
            .map(|_| new(&mut taken, || letters(random)))
            .collect();
        let mut depths: Vec<f64> = names.iter().map(|_| random.share()).collect();
        depths.sort_by(f64::total_cmp);
        let mut set_to = value.as_str();
        for (name, depth) in names.iter().zip(depths) {
            let text = format!("Set {name} to {set_to}.");
            hidden.push(if chain == 0 {
                Hidden::needed(depth, text)
            } else {
                Hidden::decoy(depth, text)
            });
            set_to = name;
        }
        if chain == 0 {
            (asked_value, asked_names) = (value, names);
        }
    }
    let haystack = Haystack::of(kind, random);
    Plan {
        instruction: "Variables are set in the text below, to numbers or to other variables. Keep track of what each of them holds.".to_owned(),
        question: format!(
            "Which variables hold {asked_value} in the end? Name all {}.",
            asked_names.len()
        ),
        answer_prefix: format!(" The variables that hold {asked_value} are"),
        answer: format!("{}.", enumerate(&asked_names)),
        scoring: Scoring::new(Metric::MatchAll, asked_names.clone()),
        values: asked_names,
        body: Box::new(HiddenIn::new(haystack, hidden)),
    }
}

fn letters(random: &mut Random) -> String {
    (0..5)
        .map(|_| random.letter().to_ascii_uppercase())
        .collect()
}

fn new(taken: &mut BTreeSet<String>, mut draw: impl FnMut() -> String) -> String {
    loop {
        let drawn = draw();
        if taken.insert(drawn.clone()) {
            return drawn;
        }
    }
}
