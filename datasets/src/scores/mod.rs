//! How right a generated text is, by the rules of the benchmarks.
//!
//! Each rule is written from its published definition and held by tests against figures that
//! `tests/fixtures/make_scores.py` makes in Python.

mod choices;
mod labels;
mod matches;
mod numbers;
mod overlap;
mod rouge;
mod similarity;
#[cfg(test)]
mod tests;
mod values;

use serde::{Deserialize, Serialize};

pub use values::{holds_value, score_values};

use crate::sample::Sample;

/// A rule that compares a generated text with reference answers; from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// F1 of the words, without case, ASCII punctuation and the articles a, an and the (SQuAD, LongBench,
    /// InfiniteBench); the best answer counts.
    TokenF1,
    /// The same of characters, without white space and punctuation: InfiniteBench's rule for Chinese. LongBench
    /// compares Chinese words as the segmenter jieba cuts them, which is not done here.
    CharacterF1,
    /// ROUGE-L of distinct words over sentences (Lin 2004, summary level, as LongBench's library `rouge` 1.0 counts);
    /// the best answer counts.
    RougeL,
    /// The same of characters, for Chinese; LongBench compares jieba's words instead.
    CharacterRougeL,
    /// ROUGE-Lsum of lower-case runs of letters and digits over lines (Google's `rouge_score`); the best answer counts.
    RougeLsum,
    /// LongBench's code similarity: 2 LCS / (sum of lengths) of characters, in whole percent, of the first line that
    /// holds no backtick, `#` or `//`; the best answer counts. This is what fuzzywuzzy gives with python-Levenshtein.
    CodeSimilarity,
    /// LongBench's classification score: 1 over the number of class names that the text holds, when the right one is
    /// among them. A name that is a part of the right one does not count.
    Classification,
    /// BABILong's: the right label is the only one in the first sentence.
    OnlyLabel,
    /// LongBench's retrieval score: the share of the numbers in the text that are the number of the answer.
    Retrieval,
    /// LongBench's counting score: the share of the numbers in the text that equal the answer.
    Count,
    /// RULER's `string_match_all`: the share of the answers that stand in the text, without case.
    MatchAll,
    /// RULER's `string_match_part`: whether any answer stands in the text, without case.
    MatchPart,
    /// Whether the text is an answer but for case and white space.
    Exact,
    /// InfiniteBench's retrieval of values: whether an answer is a word of the text.
    Word,
    /// InfiniteBench's dialogue score: whether the first answer is a word of the text, written in capitals.
    CapitalWord,
    /// InfiniteBench's passkey score: whether the first run of digits is an answer.
    FirstInteger,
    /// InfiniteBench's score for the largest or smallest number: whether the first number equals an answer.
    FirstNumber,
    /// InfiniteBench's score for running code: whether the last word is the integer of an answer.
    LastInteger,
    /// InfiniteBench's calculation score: the share of the answers that the numbers of the text begin with.
    NumberPrefix,
    /// InfiniteBench's choice score: a leading letter A to D, one behind words such as `answer is`, or the first word
    /// that is one.
    Choice,
    /// LongBench v2's: the letter behind `The correct answer is`, in parentheses or not.
    StatedChoice,
    /// L-Eval's for questions with one right option: the first letter A to D anywhere.
    FirstLetter,
}

/// How a sample is scored: the metric and what it compares with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scoring {
    /// The rule.
    pub metric: Metric,
    /// The reference answers. Alternatives, but for [`Metric::MatchAll`] and [`Metric::NumberPrefix`].
    pub answers: Vec<String>,
    /// The class names that [`Metric::Classification`] and [`Metric::OnlyLabel`] choose among.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Whether only the first line that is not empty counts (LongBench's few-shot tasks).
    #[serde(default)]
    pub first_line: bool,
}

impl Scoring {
    /// A metric over these answers, without classes.
    pub fn new(metric: Metric, answers: Vec<String>) -> Self {
        Self {
            metric,
            answers,
            classes: Vec::new(),
            first_line: false,
        }
    }

    /// The score of a generated text, from 0 to 1; 0 without answers.
    pub fn score(&self, generated: &str) -> f64 {
        let text = if self.first_line {
            first_line(generated)
        } else {
            generated
        };
        let best = |rule: fn(&str, &str) -> f64| {
            let scores = self.answers.iter().map(|answer| rule(text, answer));
            scores.fold(0.0, f64::max)
        };
        match self.metric {
            Metric::TokenF1 => best(overlap::token_f1),
            Metric::CharacterF1 => best(overlap::character_f1),
            Metric::RougeL => best(rouge::rouge_l),
            Metric::CharacterRougeL => best(rouge::character_rouge_l),
            Metric::RougeLsum => best(rouge::rouge_lsum),
            Metric::CodeSimilarity => best(similarity::code_similarity),
            Metric::Classification => self.best_label(text, labels::classification),
            Metric::OnlyLabel => self.best_label(text, labels::only_label),
            Metric::Retrieval => best(numbers::retrieval),
            Metric::Count => best(numbers::count),
            Metric::MatchAll => matches::share_found(text, &self.answers),
            Metric::MatchPart => best(matches::is_found),
            Metric::Exact => best(matches::is_exact),
            Metric::Word => best(matches::is_word),
            Metric::CapitalWord => self
                .answers
                .first()
                .map_or(0.0, |answer| matches::is_capital_word(text, answer)),
            Metric::FirstInteger => best(numbers::is_first_integer),
            Metric::FirstNumber => best(numbers::is_first_number),
            Metric::LastInteger => best(numbers::is_last_integer),
            Metric::NumberPrefix => numbers::prefix_share(text, &self.answers),
            Metric::Choice => choices::choice(text, &self.answers),
            Metric::StatedChoice => best(choices::stated_choice),
            Metric::FirstLetter => best(choices::first_letter),
        }
    }

    fn best_label(&self, text: &str, rule: fn(&str, &str, &[String]) -> f64) -> f64 {
        let scores = self
            .answers
            .iter()
            .map(|answer| rule(text, answer, &self.classes));
        scores.fold(0.0, f64::max)
    }
}

/// How right `generated` is as an answer to the sample: by the benchmark's own metric where the sample has one, else
/// by [`score_values`]. `None` when the sample has neither metric, values nor answer.
pub fn score(sample: &Sample, generated: &str) -> Option<f64> {
    match &sample.scoring {
        Some(scoring) => Some(scoring.score(generated)),
        None => score_values(&sample.values, sample.answer.as_deref(), generated),
    }
}

fn first_line(text: &str) -> &str {
    let text = text.trim_start_matches('\n');
    text.split('\n').next().unwrap_or_default()
}

fn truth(is_true: bool) -> f64 {
    if is_true { 1.0 } else { 0.0 }
}
