//! Lists of words, some of which come more often than the others.

use std::collections::BTreeSet;

use super::Plan;
use super::body::{Body, Rendered};
use crate::generate::fact::enumerate;
use crate::generate::random::Random;
use crate::generate::words::{CITIES, CODE_WORDS, FOODS, JOBS, OBJECTS, PETS, RARE_WORDS};
use crate::scores::{Metric, Scoring};

/// From this length on a common word comes 30 times and another 3 times, as in RULER; below, 10 times and once.
const LONG: usize = 4_096;

/// How many words the law of frequencies goes over, and its exponent.
const CODED_WORDS: usize = 2_000;
const EXPONENT: f64 = 2.0;

/// How many of the most frequent words are asked for.
const ASKED: usize = 3;

fn asked(instruction: &str, question: String, words: Vec<String>, body: Box<dyn Body>) -> Plan {
    Plan {
        instruction: instruction.to_owned(),
        question,
        answer_prefix: " The words are".to_owned(),
        answer: format!("{}.", enumerate(&words)),
        scoring: Scoring::new(Metric::MatchAll, words.clone()),
        values: words,
        body,
    }
}

/// `cwe`: a numbered list in which some words are common.
pub(super) fn common(random: &mut Random, count: usize, length: usize) -> Plan {
    let mut vocabulary: Vec<String> = [CITIES, CODE_WORDS, FOODS, JOBS, OBJECTS, PETS, RARE_WORDS]
        .concat()
        .into_iter()
        .map(str::to_lowercase)
        .collect::<BTreeSet<String>>()
        .into_iter()
        .collect();
    random.shuffle(&mut vocabulary);
    let others = vocabulary.split_off(count.min(vocabulary.len()));
    let (often, seldom) = if length < LONG { (10, 1) } else { (30, 3) };
    let body = CommonWords {
        common: vocabulary.clone(),
        others,
        often,
        seldom,
        shuffle: random.fork(),
    };
    asked(
        "Below is a numbered list of words. Some of them come far more often than the others. Keep those in mind.",
        format!("Which {count} words come most often in the list?"),
        vocabulary,
        Box::new(body),
    )
}

struct CommonWords {
    common: Vec<String>,
    others: Vec<String>,
    often: usize,
    seldom: usize,
    /// Copied for every text.
    shuffle: Random,
}

impl Body for CommonWords {
    /// The common words and `size` more entries. When there are no other words left, those that there are get
    /// numbers, as in `lamp2`.
    fn render(&mut self, size: usize) -> Rendered {
        let mut entries: Vec<String> = Vec::new();
        for word in &self.common {
            entries.extend(std::iter::repeat_n(word.clone(), self.often));
        }
        for index in 0..size {
            let word = index / self.seldom;
            let round = word / self.others.len();
            let word = &self.others[word % self.others.len()];
            entries.push(match round {
                0 => word.clone(),
                round => format!("{word}{}", round + 1),
            });
        }
        self.shuffle.clone().shuffle(&mut entries);
        let lines = entries
            .iter()
            .zip(1..)
            .map(|(word, n)| format!("{n}. {word}"));
        Rendered {
            text: lines.collect::<Vec<String>>().join(" "),
            evidence: Vec::new(),
        }
    }
}

/// `fwe`: made-up words whose frequencies fall with the square of their rank; dots are the most frequent of all.
pub(super) fn frequent(random: &mut Random) -> Plan {
    let mut taken = BTreeSet::new();
    let mut coded = Vec::with_capacity(CODED_WORDS);
    while coded.len() < CODED_WORDS {
        let word: String = (0..6).map(|_| random.letter()).collect();
        if taken.insert(word.clone()) {
            coded.push(word);
        }
    }
    let asked_words: Vec<String> = coded.iter().take(ASKED).cloned().collect();
    let body = FrequentWords {
        coded,
        shuffle: random.fork(),
    };
    asked(
        "Below is a text of made-up words. Dots stand for nothing. Keep in mind which words come most often.",
        format!("Which {ASKED} made-up words come most often in the text?"),
        asked_words,
        Box::new(body),
    )
}

struct FrequentWords {
    coded: Vec<String>,
    /// Copied for every text.
    shuffle: Random,
}

impl Body for FrequentWords {
    /// At least one word of the third rank more than of the fourth, then as many words as the size says.
    fn render(&mut self, size: usize) -> Rendered {
        let least = [4, 3, 2];
        let total: f64 = (1..=CODED_WORDS + 1)
            .map(|rank| (rank as f64).powf(-EXPONENT))
            .sum();
        let mut entries: Vec<&str> = Vec::new();
        for (index, word) in self.coded.iter().enumerate() {
            // dots have the first rank
            let share = ((index + 2) as f64).powf(-EXPONENT) / total;
            let drawn = (share * size as f64) as usize;
            let times = drawn + least.get(index).copied().unwrap_or(0);
            entries.extend(std::iter::repeat_n(word.as_str(), times));
        }
        let base: usize = least.iter().sum();
        let dots = (size + base).saturating_sub(entries.len());
        entries.extend(std::iter::repeat_n("...", dots));
        self.shuffle.clone().shuffle(&mut entries);
        Rendered {
            text: entries.join(" "),
            evidence: Vec::new(),
        }
    }
}
