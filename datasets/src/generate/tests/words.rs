//! Laws of the word lists.

use std::collections::BTreeSet;

use crate::generate::words::*;

#[test]
fn no_list_names_a_word_twice_and_none_holds_a_space() {
    let lists = [
        FIRST_NAMES,
        LAST_NAMES,
        CITIES,
        JOBS,
        OBJECTS,
        COLOURS,
        PETS,
        FOODS,
        CODE_WORDS,
        RARE_WORDS,
        EVENT_OCCASIONS,
        EVENT_KINDS,
    ];
    for list in lists {
        let distinct: BTreeSet<&str> = list.iter().copied().collect();
        assert_eq!(distinct.len(), list.len());
        assert!(
            list.iter()
                .all(|word| word.chars().all(char::is_alphabetic))
        );
    }
}

#[test]
fn there_are_more_people_than_the_longest_document_has_sentences() {
    // half of the names may be taken; a document of 131,072 tokens holds fewer than 6,600 of the
    // shortest sentences (nine tokens) that name a new person
    assert!(FIRST_NAMES.len() * LAST_NAMES.len() / 2 > 131_072 * 45 / 100 / 9);
}

#[test]
fn the_words_of_unusual_codes_stand_in_no_other_list() {
    let rare: BTreeSet<&str> = RARE_WORDS.iter().copied().collect();
    for list in [
        CITIES,
        JOBS,
        OBJECTS,
        COLOURS,
        PETS,
        FOODS,
        CODE_WORDS,
        EVENT_OCCASIONS,
        EVENT_KINDS,
    ] {
        assert!(list.iter().all(|word| !rare.contains(word)));
    }
}
