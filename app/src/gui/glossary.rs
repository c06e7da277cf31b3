//! Every term in a sentence, with its formula where it has one and its source: one page for help and views.

use super::markdown::{Section, sections};

/// The page, in Markdown: a section for each term, by name.
pub const PAGE: &str = include_str!("../../help/glossary.md");

/// The terms.
#[must_use]
pub fn terms() -> Vec<Section<'static>> {
    sections(PAGE).1
}

/// The term of a name, in whatever letters it was written.
#[must_use]
pub fn term(name: &str) -> Option<Section<'static>> {
    let mut terms = terms().into_iter();
    terms.find(|term| term.heading.to_lowercase() == name.to_lowercase())
}

/// The terms that have all these words somewhere; those that have them in their names come first.
#[must_use]
pub fn found(words: &str) -> Vec<Section<'static>> {
    let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
    let has = |text: &str| {
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word.as_str()))
    };
    let mut terms = terms();
    terms.retain(|term| has(term.whole));
    // stable: both parts stay in the order of the page
    terms.sort_by_key(|term| !has(term.heading));
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_term_is_there_twice_and_each_is_explained() {
        let terms = terms();
        assert!(terms.len() > 20);
        for (index, term) in terms.iter().enumerate() {
            assert!(!term.body.is_empty(), "{}", term.heading);
            let mut later = terms.iter().skip(index + 1);
            assert!(later.all(|other| other.heading != term.heading));
        }
    }

    #[test]
    fn terms_stand_by_name_and_begin_with_a_capital() {
        let names: Vec<&str> = terms().iter().map(|term| term.heading).collect();
        assert!(names.is_sorted_by_key(|name| name.to_lowercase()));
        for name in names {
            assert!(name.starts_with(char::is_uppercase), "{name}");
        }
    }

    #[test]
    fn a_term_is_found_by_its_name_and_then_by_what_is_said_of_it() {
        let names = |words: &str| -> Vec<&str> {
            let found = found(words).into_iter();
            found.map(|term| term.heading).collect()
        };
        assert_eq!(names("").len(), terms().len());
        assert_eq!(names("KV cache")[0], "KV cache");
        let recalls = names("recall");
        assert_eq!(recalls[0], "Kept recall");
        assert!(recalls.contains(&"Drift"), "its text speaks of recall");
        assert!(names("2404.14469").contains(&"Observation window"));
        assert_eq!(names("no such thing"), [""; 0]);
        assert_eq!(term("decode stage").unwrap().heading, "Decode stage");
    }
}
