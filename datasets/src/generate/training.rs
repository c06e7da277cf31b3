//! Texts to learn from: documents with several questions each, and where the answers lie.

use std::ops::{Range, RangeInclusive};

use super::interview::Interview;
use super::random::Random;
use super::task::{Draft, Task};
use crate::builtin;
use crate::error::DatasetError;

/// Shortest and longest text, in estimated tokens.
const LENGTHS: RangeInclusive<usize> = 64..=4_096;

/// The place of the task's number in the key of the random numbers. No task has this number, so
/// that no text is made of the numbers of a [`Generator`](crate::Generator)'s sample.
const DOMAIN: u64 = 1 << 32;

/// Estimated tokens of text for each question.
const TOKENS_PER_QUESTION: usize = 60;

/// Questions about one document at most.
const MOST_QUESTIONS: usize = 8;

/// The share of the text, in percent, that questions, answers and what they need may take; the
/// rest is distractors and filler.
const ASKED_PERCENT: usize = 60;

/// A text to learn from, and where its answers lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrainingDocument {
    /// Document, questions and answers. It begins with a blank and ends with an answer.
    pub text: String,
    /// The answers, in the order of the text.
    pub answers: Vec<TrainingAnswer>,
}

/// Where an answer lies in the text of a [`TrainingDocument`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingAnswer {
    /// The byte span of the whole answer with its leading blank.
    pub span: Range<usize>,
    /// The byte spans, inside `span`, of what a right answer contains, in order and without blanks
    /// around them.
    pub values: Vec<Range<usize>>,
}

impl TrainingDocument {
    /// The span of a text that is set behind a blank, without the blank.
    fn push(&mut self, text: &str) -> Range<usize> {
        self.text.push(' ');
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    fn ask(&mut self, draft: &Draft) {
        self.push("Question:");
        self.push(&draft.question);
    }

    /// The answer, each of whose sentences states one value. The value is the last in its sentence
    /// that reads like it.
    fn reply(&mut self, draft: &Draft) {
        self.push("Answer:");
        let start = self.text.len();
        let mut values = Vec::new();
        for (sentence, value) in draft.answer.iter().zip(&draft.values) {
            let span = self.push(sentence);
            values.extend(sentence.rfind(value.as_str()).map(|at| {
                let at = span.start + at;
                at..at + value.len()
            }));
        }
        self.answers.push(TrainingAnswer {
            span: start..self.text.len(),
            values,
        });
    }
}

/// Makes training texts, without end and each by its number.
///
/// A text is a document as [`Generator`](crate::Generator) makes them, with several questions about
/// it, each with its answer: at most one for each 60 estimated tokens, at most eight, and as many
/// as fit into 60 % of the text together with what they need. In half of the texts, the first
/// question stands before the document; all others stand behind it, each followed by its answer.
/// Up to the first answer, a text reads like the prompt of a sample that has one of the options
/// `question=start` and `question=end`.
///
/// The task of the first question is drawn from the mixture. Half of the documents have only
/// questions of that task. The others draw from the mixture for each question, if the first task is
/// `facts`, `niah`, `multi-niah`, `key-value` or `variable-tracking`, and only among these. The
/// task's own number (facts, needles, hops and so on) is drawn from all that its option accepts,
/// and is smaller where the text is too short for it.
///
/// The same arguments and number give the same text on every machine. No text is made of the random
/// numbers of a `Generator`'s sample, whatever the seeds.
///
/// ```
/// use kvlens_datasets::TrainingCorpus;
/// let corpus = TrainingCorpus::new(256, 0, &[("facts", 3), ("niah", 1)])?;
/// let document = corpus.document(100);
/// let answer = &document.answers[0];
/// assert!(document.text[..answer.span.start].ends_with(" Answer:"));
/// # Ok::<(), kvlens_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingCorpus {
    length: usize,
    seed: u64,
    mixture: Vec<(Task, u32)>,
}

impl TrainingCorpus {
    /// Texts of `length` estimated tokens (64 to 4096; words plus punctuation marks) with all
    /// questions and answers, or less than the shortest sentence below it. `mixture` names generated
    /// tasks, each with its weight: a task of twice the weight is drawn twice as often.
    ///
    /// # Errors
    /// When the length is out of range, when no generated task has one of the names, and when no
    /// task has a weight above zero.
    pub fn new(length: usize, seed: u64, mixture: &[(&str, u32)]) -> Result<Self, DatasetError> {
        if !LENGTHS.contains(&length) {
            return Err(DatasetError::TrainingLength {
                length,
                least: *LENGTHS.start(),
                most: *LENGTHS.end(),
            });
        }
        let mixture = mixture
            .iter()
            .map(|&(name, weight)| {
                let task = Task::named(name).ok_or_else(|| builtin::unknown_task(name))?;
                Ok((task, weight))
            })
            .collect::<Result<Vec<_>, DatasetError>>()?;
        if mixture.iter().all(|(_, weight)| *weight == 0) {
            return Err(DatasetError::EmptyMixture);
        }
        Ok(Self {
            length,
            seed,
            mixture,
        })
    }

    /// The text of this number, made without those before it.
    pub fn document(&self, index: u64) -> TrainingDocument {
        let mut random = Random::new(self.seed, index, DOMAIN, self.length as u64);
        let asks_first = random.one_in(2);
        let interview = self.interview(&mut random);
        let (document, drafts) = interview.finish(&mut random, self.length);
        let mut text = TrainingDocument::default();
        let mut drafts = drafts.into_iter();
        if asks_first && let Some(first) = drafts.next() {
            text.ask(&first);
            text.push(&document);
            text.reply(&first);
        } else {
            text.push(&document);
        }
        for draft in drafts {
            text.ask(&draft);
            text.reply(&draft);
        }
        text
    }

    fn interview(&self, random: &mut Random) -> Interview {
        let room = self.length * ASKED_PERCENT / 100;
        let questions = (self.length / TOKENS_PER_QUESTION).clamp(1, MOST_QUESTIONS);
        let mut interview = Interview::default();
        let Some(first) = draw(random, &self.mixture) else {
            return interview;
        };
        let others: Vec<(Task, u32)> = if first.mixes() && random.one_in(2) {
            let mixing = self.mixture.iter().copied();
            mixing.filter(|(task, _)| task.mixes()).collect()
        } else {
            vec![(first, 1)]
        };
        interview.open(random, first, room);
        for _ in 1..questions {
            if let Some(task) = draw(random, &others) {
                interview.ask(random, task, room);
            }
        }
        interview
    }
}

/// A task by its weight; `None` when all weights are 0.
fn draw(random: &mut Random, mixture: &[(Task, u32)]) -> Option<Task> {
    let total: usize = mixture.iter().map(|(_, weight)| *weight as usize).sum();
    let mut drawn = random.below(total);
    for (task, weight) in mixture {
        let weight = *weight as usize;
        if drawn < weight {
            return Some(*task);
        }
        drawn -= weight;
    }
    None
}
