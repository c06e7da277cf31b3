//! What the model says on an evicted cache, beside what it says on the full one.

use kvlens_analysis::{Budget, SampleGroup};

use super::{FULL_LABEL, WindowOutcome};

/// What one sample was answered on each cache of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleAnswers {
    /// What the sample is averaged within.
    pub group: SampleGroup,
    /// Its name.
    pub id: String,
    /// The answer on the full cache.
    pub full: String,
    /// By window in the order in which they came, then by budget.
    pub evicted: Vec<EvictedAnswer>,
}

/// One answer on an evicted cache.
#[derive(Clone, Debug, PartialEq)]
pub struct EvictedAnswer {
    /// Label of the window; `decode` is the decode stage itself.
    pub window: String,
    /// The budget as it was typed.
    pub budget: Budget,
    /// The text.
    pub text: String,
}

impl SampleAnswers {
    /// Of a sample that was evicted; nothing without its full cache.
    #[must_use]
    pub fn of(group: SampleGroup, id: &str, windows: &[WindowOutcome]) -> Option<Self> {
        let full = windows.iter().find(|window| window.label == FULL_LABEL)?;
        let full = full.by_budget.first()?.generated.clone();
        let windows = windows.iter().filter(|window| window.label != FULL_LABEL);
        let answers = windows.flat_map(|window| {
            window.by_budget.iter().map(|outcome| EvictedAnswer {
                window: window.label.clone(),
                budget: outcome.budget,
                text: outcome.generated.clone(),
            })
        });
        Some(Self {
            group,
            id: id.to_owned(),
            full,
            evicted: answers.collect(),
        })
    }
}

/// Splits an answer where it leaves the one on the full cache: at the first word that differs. Greedy decoding goes
/// another way from there, so that what comes later is not compared. The second part is empty where nothing differs;
/// an answer that only ends earlier has nothing of its own.
#[must_use]
pub fn parted<'a>(answer: &'a str, full: &str) -> (&'a str, &'a str) {
    let pairs = answer.char_indices().zip(full.chars());
    let common = pairs
        .take_while(|((_, own), other)| own == other)
        .map(|((place, own), _)| place + own.len_utf8())
        .last()
        .unwrap_or_default();
    let (before, after) = answer.split_at(common);
    let goes_on = |text: &str| text.starts_with(char::is_alphanumeric);
    let is_inside_word = goes_on(after) || full.get(common..).is_some_and(goes_on);
    if !is_inside_word || after.is_empty() && full.len() == common {
        return (before, after);
    }
    let word = before.trim_end_matches(char::is_alphanumeric).len();
    answer.split_at(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_parted_at_the_first_word_that_differs() {
        for (answer, full, expected) in [
            ("in Oslo.", "in Oslo.", ("in Oslo.", "")),
            ("in Osaka.", "in Oslo.", ("in ", "Osaka.")),
            ("in Oslo", "in Oslo.", ("in Oslo", "")),
            ("in Oslo, Norway", "in Oslo", ("in Oslo", ", Norway")),
            ("in Os", "in Oslo", ("in ", "Os")),
            ("in ", "in Oslo", ("in ", "")),
            ("", "in Oslo", ("", "")),
            ("Lima", "", ("", "Lima")),
            ("größer", "größte", ("", "größer")),
        ] {
            assert_eq!(parted(answer, full), expected, "{answer} | {full}");
        }
    }
}
