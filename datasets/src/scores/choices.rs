//! The letter of an option.

use super::truth;

const LETTERS: [char; 4] = ['A', 'B', 'C', 'D'];

/// InfiniteBench's rule. `answers` are the right letter and the right option's text.
pub(super) fn choice(text: &str, answers: &[String]) -> f64 {
    let is_right = |letter: &str| truth(answers.iter().any(|answer| answer == letter));
    let Some(first) = text.chars().next() else {
        return 0.0;
    };
    if LETTERS.contains(&first) {
        return is_right(&first.to_string());
    }
    let marks = ['\n', '"', '\'', '.', ',', '?', '!', '{', '}'];
    let plain = without_marks(text, &marks);
    for opening in ["answer is:", "answer:", "answer is", "option is"] {
        let Some(at) = plain.find(opening) else {
            continue;
        };
        let mut rest = plain[at + opening.len()..].chars();
        // one character is skipped, the blank in almost every text
        rest.next();
        let rest = rest.as_str();
        return truth(!rest.is_empty() && answers.iter().any(|answer| rest.starts_with(answer)));
    }
    let letters = plain
        .split(' ')
        .find(|word| !word.is_empty() && "ABCD".contains(word));
    letters.map_or(0.0, is_right)
}

/// The text with marks as blanks, and runs of blanks as one.
fn without_marks(text: &str, marks: &[char]) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if marks.contains(&c) { ' ' } else { c };
        if c != ' ' || !plain.ends_with(' ') {
            plain.push(c);
        }
    }
    plain
}

/// LongBench v2's rule: asterisks do not count, parentheses around the letter go first.
pub(super) fn stated_choice(text: &str, answer: &str) -> f64 {
    const OPENING: &str = "The correct answer is ";
    let plain = text.replace('*', "");
    let behind = |opening: &str, closing: &str| {
        plain.match_indices(opening).find_map(|(at, _)| {
            let rest = &plain[at + opening.len()..];
            let letter = rest.chars().next().filter(|c| LETTERS.contains(c))?;
            rest[1..].starts_with(closing).then(|| letter.to_string())
        })
    };
    let letter = behind(&format!("{OPENING}("), ")").or_else(|| behind(OPENING, ""));
    truth(letter.as_deref() == Some(answer.trim()))
}

/// The first of the letters A to D anywhere against the answer's first one.
pub(super) fn first_letter(text: &str, answer: &str) -> f64 {
    let first = |text: &str| text.chars().find(|c| LETTERS.contains(c));
    truth(first(text).is_some() && first(text) == first(answer))
}
