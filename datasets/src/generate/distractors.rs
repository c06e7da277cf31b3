//! Other people of a document, who share names and values with those that are asked about.

use std::collections::VecDeque;

use super::document::Distract;
use super::fact::FactKind;
use super::person::{People, Person};
use super::random::Random;

/// A fact's kind and its value.
pub(super) type Fact = (FactKind, String);

/// What the distractors must not say and should resemble.
pub(super) struct Asked {
    /// The people asked about: others share a part of their names, never the whole.
    pub people: Vec<Person>,
    /// Facts whose values some others share.
    pub shared: Vec<Fact>,
    /// A fact that is true of nobody else; everybody else gets another value of its kind.
    pub exclusive: Option<Fact>,
}

/// Facts of other people, two or three each. The first two people share a name with somebody asked
/// about and the second a value too; of the others, every third shares a name.
pub(super) fn other_people(mut people: People, asked: Asked) -> Distract {
    let mut drawn = 0_usize;
    let mut pending: VecDeque<String> = VecDeque::new();
    Box::new(move |random| {
        if pending.is_empty() && !people.is_crowded() {
            let is_close = drawn < 2 || random.one_in(3);
            let model = random.choose(&asked.people, 1).first().copied();
            let person = match model {
                Some(model) if is_close => people.draw_namesake(random, model),
                _ => people.draw(random),
            };
            let shares = drawn == 1 || random.one_in(6);
            pending.extend(facts_of(random, person, &asked, shares));
            drawn += 1;
        }
        pending.pop_front()
    })
}

fn facts_of(random: &mut Random, person: Person, asked: &Asked, shares: bool) -> Vec<String> {
    let count = 2 + random.below(2);
    let mut kinds = random.choose(&FactKind::ALL, count);
    let mut sentences = Vec::new();
    if let Some((kind, value)) = &asked.exclusive {
        kinds.retain(|other| other != kind);
        let other = kind.draw_other(random, value);
        sentences.push(kind.sentence(random, person, &other));
    }
    if let Some((kind, value)) = pick(random, &asked.shared).filter(|_| shares) {
        kinds.retain(|other| *other != kind);
        sentences.push(kind.sentence(random, person, &value));
    }
    for kind in kinds {
        let value = kind.draw(random);
        sentences.push(kind.sentence(random, person, &value));
    }
    sentences
}

fn pick(random: &mut Random, facts: &[Fact]) -> Option<Fact> {
    facts.get(random.below(facts.len())).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distractors(exclusive: bool) -> (Person, Vec<String>) {
        let mut random = Random::new(2, 0, 0, 0);
        let mut people = People::default();
        let asked = people.draw(&mut random);
        let fact = (FactKind::City, "Cairo".to_owned());
        let mut distract = other_people(
            people,
            Asked {
                people: vec![asked],
                shared: if exclusive {
                    Vec::new()
                } else {
                    vec![fact.clone()]
                },
                exclusive: exclusive.then_some(fact),
            },
        );
        let texts = (0..300).map_while(|_| distract(&mut random)).collect();
        (asked, texts)
    }

    #[test]
    fn others_share_parts_of_the_name_and_the_value_but_not_the_name() {
        let (asked, texts) = distractors(false);
        let name = asked.to_string();
        assert_eq!(texts.len(), 300);
        assert!(texts.iter().all(|text| !text.contains(&name)));
        let parts: Vec<&str> = name.split(' ').collect();
        assert!(
            texts
                .iter()
                .any(|text| text.contains(&format!("{} ", parts[0])))
        );
        assert!(
            texts
                .iter()
                .any(|text| text.contains(&format!(" {} ", parts[1])))
        );
        assert!(texts.iter().any(|text| text.ends_with(" Cairo.")));
    }

    #[test]
    fn an_exclusive_fact_is_true_of_nobody_else() {
        let (_, texts) = distractors(true);
        assert!(texts.iter().all(|text| !text.contains("Cairo")));
        let homes = texts
            .iter()
            .filter(|text| text.contains(" lives in ") || text.contains("The home of"));
        assert!(homes.count() > 60);
    }
}
