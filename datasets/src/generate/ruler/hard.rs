//! A needle whose question uses other words, among sentences that use the question's.

use super::Plan;
use super::body::{Hidden, HiddenIn};
use super::haystack::{Haystack, Kind};
use crate::generate::person::{People, Person};
use crate::generate::random::Random;
use crate::scores::{Metric, Scoring};

/// A fact that is told in one way and asked for in another. `@` stands for the person, `#` for the number.
struct Theme {
    told: &'static str,
    asked: &'static str,
    /// Uses the words of the question for something else of the same person.
    decoy: &'static str,
}

const THEMES: [Theme; 4] = [
    Theme {
        told: "When @ comes home at night, the siren is silenced with #.",
        asked: "Which digits does @ key in to switch off the house alarm?",
        decoy: "The house alarm that @ sold last year had the digits # printed on its switch.",
    },
    Theme {
        told: "Whoever wants to ring @ up dials #.",
        asked: "What is the telephone number of @?",
        decoy: "The telephone that @ repaired had the serial number #.",
    },
    Theme {
        told: "On the plate of the car that @ drives one reads #.",
        asked: "Under which registration is the vehicle of @ known?",
        decoy: "The registration fee for a vehicle that @ did not buy was #.",
    },
    Theme {
        told: "At the library @ shows a card that says #.",
        asked: "Which member is @ to those who lend books, by number?",
        decoy: "@ once counted # books by number for every member of the choir.",
    },
];

fn say(form: &str, person: Person, value: &str) -> String {
    form.replace('#', value).replace('@', &person.to_string())
}

/// The needle at `depth`, `decoys` others anywhere: half say something else of the same person in the question's
/// words, half say the same of others.
pub(super) fn plan(random: &mut Random, kind: &Kind, depth: f64, decoys: usize) -> Plan {
    let mut people = People::default();
    let person = people.draw(random);
    let theme = &THEMES[random.below(THEMES.len())];
    let mut numbers = std::collections::BTreeSet::new();
    let mut number = |random: &mut Random| loop {
        let drawn = 1_000_000 + random.below(9_000_000);
        if numbers.insert(drawn) {
            return drawn.to_string();
        }
    };
    let value = number(random);
    let mut hidden = vec![Hidden::needed(depth, say(theme.told, person, &value))];
    for index in 0..decoys {
        let value = number(random);
        let text = match index % 2 {
            0 => say(theme.decoy, person, &value),
            _ => say(theme.told, people.draw_namesake(random, person), &value),
        };
        hidden.push(Hidden::decoy(random.share(), text));
    }
    let haystack = Haystack::of(kind, random);
    let values = vec![value.clone()];
    Plan {
        instruction: "Read the text below; there is a question about it.".to_owned(),
        question: say(theme.asked, person, ""),
        answer_prefix: " The number is".to_owned(),
        answer: format!("{value}."),
        scoring: Scoring::new(Metric::MatchAll, values.clone()),
        values,
        body: Box::new(HiddenIn::new(haystack, hidden)),
    }
}
