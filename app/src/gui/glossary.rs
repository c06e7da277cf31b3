//! Every term in a sentence, with its formula where it has one and its source: one page for help and views.

use super::markdown::{Section, sections};

/// The page, in Markdown: a section for each term, in the order in which they build on each other.
pub const PAGE: &str = include_str!("../../help/glossary.md");

/// The terms.
#[must_use]
pub fn terms() -> Vec<Section<'static>> {
    sections(PAGE).1
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
}
