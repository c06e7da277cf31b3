//! Sentences that say nothing of anybody: millions of different ones, composed of parts.

use std::collections::BTreeSet;

use super::random::Random;
use super::tokens::estimate;

const SUBJECTS: &[&str] = &[
    "the old bridge",
    "the narrow street",
    "the quiet village",
    "the long road",
    "the small cafe",
    "the station",
    "the library",
    "the museum",
    "the market hall",
    "the town square",
    "the ferry",
    "the night train",
    "the school yard",
    "the back garden",
    "the stone wall",
    "the wooden gate",
    "the upper floor",
    "the hotel lobby",
    "the waiting room",
    "the theatre",
    "the lighthouse",
    "the water mill",
    "the northern path",
    "the city park",
    "the corner shop",
    "the river bank",
    "the morning air",
    "the weather",
    "the evening light",
    "the first half of the week",
    "the last bus",
    "the whole neighbourhood",
    "the post office",
    "the tram line",
    "the empty square",
    "the low hedge",
];

const STATES: &[&str] = &[
    "changed very slowly",
    "looked almost deserted",
    "stayed open until midnight",
    "was closed for the season",
    "was full of visitors",
    "had been repaired twice",
    "smelled of smoke",
    "lay under a thin fog",
    "was brighter than before",
    "was older than anyone remembered",
    "had a view of the hills",
    "was covered with dust",
    "needed a new coat of paint",
    "seemed very far away",
    "was known for its silence",
    "had lost some of its charm",
    "was easy to miss",
    "stood in the shade",
    "gave little cause for concern",
    "was much as usual",
    "could be seen from afar",
    "had no particular name",
    "was under construction",
    "pleased nearly everybody",
    "became quiet again",
    "was cleaned on Monday",
    "was painted on Tuesday",
    "did not impress the tourists",
    "drew a small crowd",
    "was hardly mentioned",
];

const TIMES: &[&str] = &[
    "In those days",
    "On most afternoons",
    "After the holidays",
    "Before breakfast",
    "For several weeks",
    "Late in the evening",
    "At first",
    "Once again",
    "As a rule",
    "Toward the end",
    "By and large",
    "Now and then",
    "Until recently",
    "On the second day",
    "Some time later",
];

const LINKS: &[&str] = &[
    "because", "while", "although", "and", "but", "so", "whereas",
];

const REMARKS: &[&str] = &[
    "Nobody was in a hurry.",
    "The bells rang twice.",
    "A door opened somewhere.",
    "There was nothing else to report.",
    "It was getting late.",
    "The lights went out one by one.",
    "Everyone agreed about that.",
    "The talk turned to other matters.",
    "Somebody laughed.",
    "A clock struck.",
    "The rest is soon told.",
    "Little came of it.",
    "Then it grew cold.",
    "The wind turned.",
    "Nothing more was said.",
    "Most people had gone home.",
    "The answer was long in coming.",
    "Hours went by.",
    "No one objected.",
    "It did not matter much.",
];

/// Composes filler and remembers it, so that a document does not say the same twice.
#[derive(Default)]
pub(super) struct Filler {
    said: BTreeSet<String>,
}

impl Filler {
    /// A statement that this filler has not said yet, or a short remark. Only the short remarks may come
    /// again, as they do in ordinary prose.
    pub(super) fn sentence(&mut self, random: &mut Random) -> String {
        if random.one_in(8) {
            return random.word(REMARKS).to_owned();
        }
        self.statement(random)
    }

    /// Never says these sentences.
    pub(super) fn refuse(&mut self, sentences: Vec<String>) {
        self.said.extend(sentences);
    }

    /// A short remark of at most `tokens` estimated tokens, if there is one.
    pub(super) fn remark_within(random: &mut Random, tokens: usize) -> Option<String> {
        let fitting: Vec<&str> = REMARKS
            .iter()
            .copied()
            .filter(|remark| estimate(remark) <= tokens)
            .collect();
        random
            .choose(&fitting, 1)
            .first()
            .map(|remark| (*remark).to_owned())
    }

    /// A sentence of one clause that this filler has not said yet.
    pub(super) fn simple_statement(&mut self, random: &mut Random) -> String {
        loop {
            let sentence = capitalised(&clause(random)) + ".";
            if self.said.insert(sentence.clone()) {
                return sentence;
            }
            let sentence = format!("{} {}.", random.word(TIMES), clause(random));
            if self.said.insert(sentence.clone()) {
                return sentence;
            }
        }
    }

    /// A sentence of at least five words that this filler has not said yet.
    pub(super) fn statement(&mut self, random: &mut Random) -> String {
        loop {
            let sentence = compose(random);
            if self.said.insert(sentence.clone()) {
                return sentence;
            }
        }
    }
}

fn compose(random: &mut Random) -> String {
    let mut text = clause(random);
    if random.one_in(3) {
        text = format!("{} {text}", random.word(TIMES));
    } else {
        text = capitalised(&text);
    }
    if random.one_in(2) {
        text = format!("{text} {} {}", random.word(LINKS), clause(random));
    }
    text + "."
}

fn clause(random: &mut Random) -> String {
    let subject = random.word(SUBJECTS);
    format!("{subject} {}", random.word(STATES))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_thousand_statements_are_all_different_and_short() {
        let mut random = Random::new(5, 0, 0, 0);
        let mut filler = Filler::default();
        let mut all = BTreeSet::new();
        for _ in 0..50_000 {
            let sentence = filler.statement(&mut random);
            assert!((5..=30).contains(&estimate(&sentence)), "{sentence}");
            assert_eq!(sentence.matches('.').count(), 1, "{sentence}");
            assert!(sentence.starts_with(char::is_uppercase), "{sentence}");
            assert!(all.insert(sentence));
        }
    }

    #[test]
    fn a_single_draw_seldom_repeats_another() {
        let mut random = Random::new(6, 0, 0, 0);
        let distinct: BTreeSet<String> = (0..20_000).map(|_| compose(&mut random)).collect();
        // half of the sentences have two clauses and one of millions of wordings
        assert!(distinct.len() > 10_000, "{}", distinct.len());
    }
}
