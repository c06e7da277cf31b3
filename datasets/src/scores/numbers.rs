//! Numbers in a text.

use super::truth;

/// The runs of digits.
fn digits(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|run| !run.is_empty())
}

/// The share of the numbers in the text that are the first number in the answer (`Paragraph 12`).
pub(super) fn retrieval(text: &str, answer: &str) -> f64 {
    match digits(answer).next() {
        Some(number) => share(text, number),
        None => 0.0,
    }
}

/// The share of the numbers in the text that equal the answer.
pub(super) fn count(text: &str, answer: &str) -> f64 {
    share(text, answer)
}

fn share(text: &str, number: &str) -> f64 {
    let all = digits(text).count();
    if all == 0 {
        return 0.0;
    }
    digits(text).filter(|run| *run == number).count() as f64 / all as f64
}

pub(super) fn is_first_integer(text: &str, answer: &str) -> f64 {
    truth(digits(text).next() == Some(answer))
}

/// The first integer or decimal number, without its sign.
pub(super) fn is_first_number(text: &str, answer: &str) -> f64 {
    let number = first_number(text).and_then(|number| number.parse::<f64>().ok());
    truth(number.is_some() && number == answer.trim().parse().ok())
}

fn first_number(text: &str) -> Option<&str> {
    let rest = &text[text.find(|c: char| c.is_ascii_digit())?..];
    let whole = digits(rest).next()?;
    let fraction = rest[whole.len()..].strip_prefix('.').map(|tail| {
        let end = tail.find(|c: char| !c.is_ascii_digit());
        end.unwrap_or(tail.len())
    });
    match fraction {
        Some(length @ 1..) => rest.get(..whole.len() + 1 + length),
        _ => Some(whole),
    }
}

/// The last word, when it is an integer.
pub(super) fn is_last_integer(text: &str, answer: &str) -> f64 {
    let marks = ['.', '`', '\'', '"', ':'];
    let mut words = text.split(|c: char| c.is_whitespace() || marks.contains(&c));
    let last = words.rfind(|word| !word.is_empty());
    let number = last.and_then(|word| word.parse::<i128>().ok());
    truth(number.is_some() && number == answer.trim().parse().ok())
}

/// How many answers, from the first, are the numbers of the text in its order; as a share.
pub(super) fn prefix_share(text: &str, answers: &[String]) -> f64 {
    if answers.is_empty() {
        return 0.0;
    }
    let value = |run: &str| run.trim_start_matches('0').to_owned();
    let right = digits(text)
        .zip(answers)
        .take_while(|(run, answer)| value(run) == value(answer))
        .count();
    right as f64 / answers.len() as f64
}
