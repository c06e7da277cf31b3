//! What is told of people: seven kinds of facts, each in two sentence forms.
//!
//! The value stands right after the name, or at most four words behind it, because a small model
//! does not copy across a longer gap.

use super::person::Person;
use super::random::Random;
use super::words::{
    CITIES, CODE_WORDS, COLOURS, EVENT_KINDS, EVENT_OCCASIONS, FOODS, JOBS, OBJECTS, PETS,
    RARE_WORDS,
};

/// What a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FactKind {
    City,
    Job,
    Object,
    Pet,
    Food,
    Event,
    Code,
}

impl FactKind {
    /// In the order in which a question names them.
    pub(super) const ALL: [Self; 7] = [
        Self::City,
        Self::Job,
        Self::Object,
        Self::Pet,
        Self::Food,
        Self::Event,
        Self::Code,
    ];

    /// The word by which a question asks for it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::City => "city",
            Self::Job => "job",
            Self::Object => "object",
            Self::Pet => "pet",
            Self::Food => "food",
            Self::Event => "event",
            Self::Code => "code",
        }
    }

    /// A value of this kind.
    pub(super) fn draw(self, random: &mut Random) -> String {
        match self {
            Self::City => random.word(CITIES).to_owned(),
            Self::Job => random.word(JOBS).to_owned(),
            Self::Object => pair(random, COLOURS, OBJECTS),
            Self::Pet => pair(random, COLOURS, PETS),
            Self::Food => random.word(FOODS).to_owned(),
            Self::Event => event(random),
            Self::Code => pair(random, COLOURS, CODE_WORDS),
        }
    }

    /// Any value of this kind but `taken`.
    pub(super) fn draw_other(self, random: &mut Random, taken: &str) -> String {
        loop {
            let value = self.draw(random);
            if value != taken {
                return value;
            }
        }
    }

    /// The short form, in which answers are given.
    pub(super) fn plain(self, person: Person, value: &str) -> String {
        match self {
            Self::City => format!("{person} lives in {value}."),
            Self::Job => format!("{person} works as {}.", with_article(value)),
            Self::Object => format!("{person} owns {}.", with_article(value)),
            Self::Pet => format!("{person} keeps {}.", with_article(value)),
            Self::Food => format!("{person} likes {value}."),
            Self::Event => format!("{person} attends the {value}."),
            Self::Code => format!("The code of {person} is {value}."),
        }
    }

    /// One of the two forms.
    pub(super) fn sentence(self, random: &mut Random, person: Person, value: &str) -> String {
        if random.one_in(2) {
            return self.plain(person, value);
        }
        let opening = match self {
            Self::City => return format!("The home of {person} is in {value}."),
            Self::Job => "By trade",
            Self::Object => "Since last year",
            Self::Pet => "At home",
            Self::Food => "Above all",
            Self::Event => "Every year",
            Self::Code => return format!("We know that the code of {person} is {value}."),
        };
        format!("{opening} {}", self.plain(person, value))
    }
}

/// The name of an event, such as `harvest fair`.
pub(super) fn event(random: &mut Random) -> String {
    pair(random, EVENT_OCCASIONS, EVENT_KINDS)
}

/// Codes of two words that no ordinary fact uses; no two of these codes share a word.
pub(super) fn unusual_codes(random: &mut Random, count: usize) -> Vec<String> {
    let words = random.choose(RARE_WORDS, 2 * count);
    words.chunks_exact(2).map(|pair| pair.join(" ")).collect()
}

/// One word of each list.
pub(super) fn pair(random: &mut Random, first: &[&'static str], second: &[&'static str]) -> String {
    let first = random.word(first);
    format!("{first} {}", random.word(second))
}

/// `a` or `an`, by the first letter.
fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}

/// `x`, `x and y`, `x, y and z`.
pub(super) fn enumerate(parts: &[String]) -> String {
    match parts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::person::People;

    #[test]
    fn the_value_ends_the_sentence_within_four_words_of_the_name() {
        let mut random = Random::new(1, 1, 1, 1);
        let mut people = People::default();
        for round in 0..40 {
            for kind in FactKind::ALL {
                let person = people.draw(&mut random);
                let value = kind.draw(&mut random);
                let sentence = match round {
                    0 => kind.plain(person, &value),
                    _ => kind.sentence(&mut random, person, &value),
                };
                let name = person.to_string();
                let after = sentence.find(&name).unwrap() + name.len();
                let at = sentence.rfind(&format!(" {value}.")).unwrap();
                let gap = sentence[after..at].split_whitespace().count();
                assert!((1..=4).contains(&gap), "{sentence}");
                assert_eq!(at + value.len() + 2, sentence.len(), "{sentence}");
            }
        }
    }

    #[test]
    fn both_forms_occur() {
        let mut random = Random::new(1, 1, 1, 1);
        let person = People::default().draw(&mut random);
        for kind in FactKind::ALL {
            let value = kind.draw(&mut random);
            let forms: std::collections::BTreeSet<String> = (0..30)
                .map(|_| kind.sentence(&mut random, person, &value))
                .collect();
            assert_eq!(forms.len(), 2, "{forms:?}");
        }
    }

    #[test]
    fn enumerations_and_articles_read_as_english() {
        let parts =
            |words: &[&str]| enumerate(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(parts(&[]), "");
        assert_eq!(parts(&["city"]), "city");
        assert_eq!(parts(&["city", "job"]), "city and job");
        assert_eq!(parts(&["city", "job", "code"]), "city, job and code");
        assert_eq!(with_article("orange llama"), "an orange llama");
        assert_eq!(with_article("baker"), "a baker");
    }
}
