//! Documents that are made up on the spot, with a question whose answer is known.
//!
//! A document is a row of English sentences: what the answer needs, the same about others who
//! share a name or a value (distractors, less than half of the text), and filler that says nothing
//! of anybody. Every word comes from the lists and templates of this module.

mod cells;
mod distractors;
mod document;
mod fact;
mod filler;
mod grid;
mod options;
mod person;
mod random;
mod ruler;
mod size;
mod task;
mod tasks;
#[cfg(test)]
mod tests;
mod tokens;
mod training;
mod words;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::builtin::{self, BuiltInTask};
use crate::error::DatasetError;
use crate::fit::TokenCounter;
use crate::parts::PromptParts;
use crate::sample::{QuestionPlace, Sample, text_name};
use document::Document;
use options::Settings;
use random::Random;
use task::{Draft, Task};

pub(crate) use cells::Cells;
pub(crate) use ruler::TASKS as RULER_TASKS;
pub use training::{TrainingAnswer, TrainingCorpus, TrainingDocument};

/// Makes the samples of one task, without end and each by its number.
///
/// The options are those of the command line (`length`, `question`, `seed`, …; see
/// [`builtin_tasks`](crate::builtin_tasks)). The same task, options and number give the same text
/// on every machine and in every later version of the program. With only `question` changed from
/// `start` to `end`, the document between them is the same; with only `depth` changed, a document
/// consists of the same sentences.
///
/// ```
/// use kvlens_datasets::Generator;
/// let options = [("length".to_owned(), "256".to_owned())].into();
/// let generator = Generator::new("facts", &options)?;
/// let hundredth = generator.sample(100);
/// assert!(hundredth.prompt.ends_with(" Answer:"));
/// assert_eq!(generator.samples().nth(100), Some(hundredth));
/// # Ok::<(), kvlens_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Generator {
    task: Task,
    settings: Settings,
}

impl Generator {
    /// A generator of the task's samples.
    ///
    /// # Errors
    /// When no generated task has this name, when the task does not have an option or takes another
    /// value, and when what the question needs does not fit into the length.
    pub fn new(task: &str, options: &BTreeMap<String, String>) -> Result<Self, DatasetError> {
        let task = Task::named(task).ok_or_else(|| builtin::unknown_task(task))?;
        let settings = Settings::read(task, options)?;
        Ok(Self { task, settings })
    }

    /// The sample of this number with its length in estimated tokens, made without those before it. Its `prompt` and its `answer` begin
    /// with a blank, so that the answer can follow the prompt as it is.
    pub fn sample(&self, index: u64) -> Sample {
        self.sized(index, self.settings.length, self.settings.place)
    }

    /// The sample with a prompt of `words` estimated tokens and the question at `place`.
    fn sized(&self, index: u64, words: usize, place: QuestionPlace) -> Sample {
        let Settings { length, seed, .. } = self.settings;
        let mut random = Random::new(seed, index, self.task as u64, length as u64);
        let draft = self.task.draft(&mut random, &self.settings, index);
        let Draft {
            question,
            answer,
            values,
            material,
        } = draft;
        let question = format!("Question: {question}");
        let times = if place == QuestionPlace::Both { 2 } else { 1 };
        let frame = times * tokens::estimate(&question) + tokens::estimate(" Answer:");
        let document = Document::build(&mut random, words.saturating_sub(frame), material);
        let name = text_name(&document.text);
        let parts = PromptParts {
            before: " ".to_owned(),
            document: document.text,
            joiner: " ".to_owned(),
            question,
            after: " Answer:".to_owned(),
        };
        let offset = parts.document_span(place).start;
        Sample {
            id: format!("{}-{length}-{place}-seed{seed}-{index}", self.task.name()),
            dataset: "generated".to_owned(),
            task: self.task.name().to_owned(),
            prompt: parts.compose(place),
            answer: Some(format!(" {}", answer.join(" "))),
            values,
            evidence: document
                .evidence
                .iter()
                .map(|span| shifted(span, offset))
                .collect(),
            question_place: Some(place),
            document: Some(name),
            question: Some(text_name(&parts.question)),
            later_question: parts.later_question(place),
            parts: Some(parts),
            asked_length: Some(length),
            depth: (self.task == Task::Niah).then(|| self.settings.depth_of(index)),
            ..Sample::default()
        }
    }

    /// All samples from number 0, without end.
    pub fn samples(&self) -> impl Iterator<Item = Sample> + '_ {
        (0..).map(|index| self.sample(index))
    }

    /// The sample of this number with the length in the tokens of `tokens`, where there is such a tokenizer and the
    /// option `count` does not ask for words.
    ///
    /// # Errors
    /// A length too short for what is asked, in these tokens; what the tokenizer says.
    fn fitted(
        &self,
        index: u64,
        tokens: Option<&dyn TokenCounter>,
    ) -> Result<Sample, DatasetError> {
        let Settings {
            length,
            place,
            unit,
            ..
        } = self.settings;
        let Some(tokens) = unit.counter(tokens) else {
            return Ok(self.sample(index));
        };
        let words = size::closest(length, &mut |words| {
            let mut sample = |place| self.sized(index, words, place);
            size::longest(place, length, Some(tokens), &mut sample)
        })
        .map_err(|problem| problem.into_error(self.task.name(), length))?;
        Ok(self.sized(index, words, place))
    }
}

fn shifted(span: &Range<usize>, offset: usize) -> Range<usize> {
    span.start + offset..span.end + offset
}

/// The generated tasks, as help texts show them.
pub(crate) const TASKS: [BuiltInTask; 7] = [
    tasks::facts::TASK,
    tasks::needles::SINGLE,
    tasks::needles::SEVERAL,
    tasks::variables::TASK,
    tasks::key_value::TASK,
    tasks::passage::TASK,
    tasks::list::TASK,
];
