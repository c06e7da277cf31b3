//! How much of the right answer a generated text holds, where no benchmark says how to count.

/// The share of the `values` that stand in `generated` as whole words, ignoring case and runs of white space.
/// Without values, 1 when the text equals `answer` in the same sense and else 0; `None` without either.
///
/// With RULER's `outputs` as values this is its `string_match_all`, made stricter by whole words.
pub fn score_values(values: &[String], answer: Option<&str>, generated: &str) -> Option<f64> {
    let text = normalised(generated);
    let values: Vec<String> = values
        .iter()
        .map(|value| normalised(value))
        .filter(|value| !value.is_empty())
        .collect();
    if values.is_empty() {
        let answer = normalised(answer?);
        return Some(if text == answer { 1.0 } else { 0.0 });
    }
    let found = values.iter().filter(|value| holds(&text, value)).count();
    Some(found as f64 / values.len() as f64)
}

/// Whether `value` stands in `generated` as [`score_values`] counts it.
pub fn holds_value(generated: &str, value: &str) -> bool {
    let value = normalised(value);
    !value.is_empty() && holds(&normalised(generated), &value)
}

fn normalised(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Whether `value` stands in `text` without being part of a longer word.
fn holds(text: &str, value: &str) -> bool {
    let first = value.chars().next();
    let last = value.chars().next_back();
    text.match_indices(value).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        let inside_a_word = (joins(before) && joins(first)) || (joins(last) && joins(after));
        !inside_a_word
    })
}

/// Whether a word can go on across this character: letters and digits, but not the characters of
/// scripts that are written without spaces between words.
fn joins(character: Option<char>) -> bool {
    character.is_some_and(|c| c.is_alphanumeric() && !is_unspaced_script(c))
}

fn is_unspaced_script(c: char) -> bool {
    matches!(
        u32::from(c),
        0x0E00..=0x0EFF // Thai and Lao
            | 0x3040..=0x30FF // Hiragana and Katakana
            | 0x3400..=0x9FFF // CJK ideographs
            | 0xF900..=0xFAFF
            | 0x20000..=0x3FFFF
    )
}

#[cfg(test)]
mod tests {
    use crate::sample::Sample;
    use crate::scores::score;

    fn sample(values: &[&str], answer: Option<&str>) -> Sample {
        Sample {
            id: "a".into(),
            dataset: "d".into(),
            task: "t".into(),
            prompt: "p".into(),
            answer: answer.map(str::to_owned),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ..Sample::default()
        }
    }

    #[test]
    fn the_share_of_values_is_found_whatever_the_case() {
        let sample = sample(&["Cairo", "surgeon", "maroon north"], None);
        assert_eq!(
            score(&sample, "She lives in CAIRO.\nHer code is maroon\n north!"),
            Some(2.0 / 3.0)
        );
    }

    #[test]
    fn a_value_inside_a_longer_word_does_not_count() {
        let sample = sample(&["rice"], None);
        assert_eq!(score(&sample, "the price"), Some(0.0));
        assert_eq!(score(&sample, "ricecake"), Some(0.0));
        assert_eq!(score(&sample, "price, rice."), Some(1.0));
        let number = super::tests::sample(&["12"], None);
        assert_eq!(score(&number, "3126"), Some(0.0));
        assert_eq!(score(&number, "(12)"), Some(1.0));
    }

    #[test]
    fn scripts_without_spaces_are_searched_plainly() {
        assert_eq!(score(&sample(&["北京"], None), "他住在北京市。"), Some(1.0));
    }

    #[test]
    fn without_values_the_answer_must_match() {
        let sample = sample(&[], Some(" Yes it is"));
        assert_eq!(score(&sample, "yes  it is\n"), Some(1.0));
        assert_eq!(score(&sample, "yes it is not"), Some(0.0));
    }

    #[test]
    fn without_values_and_answer_there_is_no_score() {
        assert_eq!(score(&sample(&[], None), "anything"), None);
        assert_eq!(score(&sample(&["  "], Some("blank")), "blank"), Some(1.0));
    }
}
