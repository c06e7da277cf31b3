//! F1 of what two texts have in common.

use std::collections::BTreeMap;

/// F1 of the normalised words.
pub(super) fn token_f1(text: &str, answer: &str) -> f64 {
    let (text, answer) = (normalised(text), normalised(answer));
    f1(text.split_whitespace(), answer.split_whitespace())
}

/// F1 of the characters that are neither white space nor punctuation.
pub(super) fn character_f1(text: &str, answer: &str) -> f64 {
    let (text, answer) = (bare(text), bare(answer));
    f1(text.chars(), answer.chars())
}

/// 2 P R / (P + R) over multisets; 0 when they have nothing in common.
fn f1<T: Ord>(found: impl Iterator<Item = T>, wanted: impl Iterator<Item = T>) -> f64 {
    let (mut found_total, mut wanted_total, mut common) = (0_usize, 0_usize, 0_usize);
    let mut left: BTreeMap<T, usize> = BTreeMap::new();
    for item in wanted {
        *left.entry(item).or_default() += 1;
        wanted_total += 1;
    }
    for item in found {
        found_total += 1;
        if let Some(count) = left.get_mut(&item).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    if common == 0 {
        return 0.0;
    }
    let precision = common as f64 / found_total as f64;
    let recall = common as f64 / wanted_total as f64;
    2.0 * precision * recall / (precision + recall)
}

/// Lower case, without ASCII punctuation, the articles replaced by blanks.
fn normalised(text: &str) -> String {
    let text: String = text
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_ascii_punctuation())
        .collect();
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        if !matches!(word.as_str(), "a" | "an" | "the") {
            out.push_str(&word);
        } else {
            out.push(' ');
        }
        word.clear();
        out.push(c);
    }
    out
}

/// Lower case, without white space, ASCII and full-width punctuation.
fn bare(text: &str) -> String {
    let text = text.to_lowercase();
    let kept = text
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_ascii_punctuation() && !is_wide_punctuation(*c));
    kept.collect()
}

/// The punctuation marks of Chinese texts: general punctuation, CJK symbols, full-width forms.
fn is_wide_punctuation(c: char) -> bool {
    matches!(
        u32::from(c),
        0x2013..=0x2014
            | 0x2018..=0x2019
            | 0x201B..=0x201F
            | 0x2026..=0x2027
            | 0xFE4F
            | 0xFE51
            | 0xFE54
            | 0x3001..=0x3003
            | 0x3008..=0x3011
            | 0x3014..=0x301F
            | 0x3030
            | 0x303E..=0x303F
            | 0xFF01..=0xFF0F
            | 0xFF1A..=0xFF20
            | 0xFF3B..=0xFF40
            | 0xFF5B..=0xFF65
    )
}
