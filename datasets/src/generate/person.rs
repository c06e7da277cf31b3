//! The people of a document: no full name twice.

use std::collections::BTreeSet;
use std::fmt;

use super::random::Random;
use super::words::{FIRST_NAMES, LAST_NAMES};

/// A person, told apart by the full name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Person {
    first: &'static str,
    last: &'static str,
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.first, self.last)
    }
}

/// Hands out people, each once.
#[derive(Default)]
pub(super) struct People {
    taken: BTreeSet<Person>,
}

impl People {
    /// Whether half of all names are taken. Nobody draws beyond it: distractors end here, and the
    /// asked people are drawn first.
    pub(super) fn is_crowded(&self) -> bool {
        self.taken.len() * 2 >= FIRST_NAMES.len() * LAST_NAMES.len()
    }

    /// Somebody new.
    pub(super) fn draw(&mut self, random: &mut Random) -> Person {
        loop {
            let person = Person {
                first: random.word(FIRST_NAMES),
                last: random.word(LAST_NAMES),
            };
            if self.taken.insert(person) {
                return person;
            }
        }
    }

    /// `count` new people.
    pub(super) fn draw_many(&mut self, random: &mut Random, count: usize) -> Vec<Person> {
        (0..count).map(|_| self.draw(random)).collect()
    }

    /// Somebody new who shares the first or the last name with `other`, as long as such names are
    /// to be had; then anybody new.
    pub(super) fn draw_namesake(&mut self, random: &mut Random, other: Person) -> Person {
        for _ in 0..16 {
            let mut person = other;
            if random.one_in(2) {
                person.first = random.word(FIRST_NAMES);
            } else {
                person.last = random.word(LAST_NAMES);
            }
            if self.taken.insert(person) {
                return person;
            }
        }
        self.draw(random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_comes_twice_and_namesakes_share_a_name() {
        let mut random = Random::new(3, 0, 0, 0);
        let mut people = People::default();
        let first = people.draw(&mut random);
        let mut seen = BTreeSet::from([first.to_string()]);
        for _ in 0..40 {
            let namesake = people.draw_namesake(&mut random, first);
            assert!((namesake.first == first.first) != (namesake.last == first.last));
            assert!(seen.insert(namesake.to_string()), "{namesake}");
        }
    }

    #[test]
    fn half_of_the_names_can_be_drawn() {
        let mut random = Random::new(4, 0, 0, 0);
        let mut people = People::default();
        while !people.is_crowded() {
            people.draw(&mut random);
        }
        assert!(people.taken.len() > 8_000, "{}", people.taken.len());
    }
}
