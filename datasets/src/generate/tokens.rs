//! How long a text is, without a tokenizer.

/// The estimated number of tokens: words (runs of letters and digits) plus punctuation marks.
pub(super) fn estimate(text: &str) -> usize {
    let mut tokens = 0;
    let mut in_word = false;
    for c in text.chars() {
        let letter = c.is_alphanumeric();
        if (letter && !in_word) || !(letter || c.is_whitespace()) {
            tokens += 1;
        }
        in_word = letter;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_marks_count_and_spaces_do_not() {
        assert_eq!(estimate(""), 0);
        assert_eq!(estimate("  \n"), 0);
        assert_eq!(estimate(" The code of Ivy Garner is scarlet south."), 9);
        assert_eq!(estimate("Question: Report the city, job and code."), 10);
        assert_eq!(estimate("12 keys"), 2);
    }
}
