//! Labels that a text may name, one of which is right.

use super::truth;

/// 1 / (number of classes that the text names) if the right one is among them; names inside the right one do not count.
pub(super) fn classification(text: &str, answer: &str, classes: &[String]) -> f64 {
    let named: Vec<&String> = classes
        .iter()
        .filter(|class| text.contains(class.as_str()))
        .filter(|class| *class == answer || !answer.contains(class.as_str()))
        .collect();
    if named.iter().any(|class| *class == answer) {
        1.0 / named.len() as f64
    } else {
        0.0
    }
}

/// Whether the first sentence names the right label and no other, without case.
pub(super) fn only_label(text: &str, answer: &str, labels: &[String]) -> f64 {
    let lower = text.to_lowercase();
    let mut sentence = lower.as_str();
    for end in [".", "<context>", "<example>"] {
        sentence = sentence.split(end).next().unwrap_or_default();
    }
    let answer = answer.to_lowercase();
    let named: Vec<String> = labels
        .iter()
        .map(|label| label.to_lowercase())
        .filter(|label| sentence.contains(label.as_str()))
        .collect();
    truth(named.len() == 1 && named.contains(&answer))
}
