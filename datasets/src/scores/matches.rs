//! Whether answers stand in a text.

use super::truth;

/// What InfiniteBench reads as a space between words.
const MARKS: [char; 10] = ['\n', ':', '"', '\'', '.', ',', '?', '!', '{', '}'];

/// The share of the answers that stand in the text, without case.
pub(super) fn share_found(text: &str, answers: &[String]) -> f64 {
    if answers.is_empty() {
        return 0.0;
    }
    let found: f64 = answers.iter().map(|answer| is_found(text, answer)).sum();
    found / answers.len() as f64
}

pub(super) fn is_found(text: &str, answer: &str) -> f64 {
    truth(text.to_lowercase().contains(&answer.to_lowercase()))
}

pub(super) fn is_exact(text: &str, answer: &str) -> f64 {
    let plain = |text: &str| -> String {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").to_lowercase()
    };
    truth(plain(text) == plain(answer))
}

pub(super) fn is_word(text: &str, answer: &str) -> f64 {
    truth(words(text).any(|word| word == answer))
}

pub(super) fn is_capital_word(text: &str, answer: &str) -> f64 {
    truth(words(text).any(|word| word.to_uppercase() == answer))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || MARKS.contains(&c))
        .filter(|word| !word.is_empty())
}
