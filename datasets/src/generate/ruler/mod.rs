//! The thirteen tasks of RULER (Hsieh et al. 2024) in this program's own words, and a hard needle.
//!
//! What is hidden, how often and among what follows the paper's definitions; sentences, keys and texts are made here.
//! The essays and question sets that the paper takes from elsewhere are generated prose and generated documents, or a
//! text of the user's.

mod body;
mod hard;
mod haystack;
mod needles;
mod options;
mod questions;
mod task;
#[cfg(test)]
mod tests;
mod variables;
mod words;

use std::collections::BTreeMap;

use super::random::Random;
use super::size;
use crate::error::DatasetError;
use crate::fit::TokenCounter;
use crate::parts::PromptParts;
use crate::sample::{QuestionPlace, Sample, text_name};
use crate::scores::Scoring;
use body::{Body, Rendered};
use haystack::Kind;
use options::Settings;

pub(super) use task::RulerTask;
pub(crate) use task::TASKS;

/// What a task draws: everything of a prompt but how long its haystack is.
pub(super) struct Plan {
    /// What the prompt opens with.
    pub instruction: String,
    /// What is asked.
    pub question: String,
    /// How the answer begins.
    pub answer_prefix: String,
    /// The reference answer behind that.
    pub answer: String,
    /// What a right answer contains.
    pub values: Vec<String>,
    pub scoring: Scoring,
    /// The text, of any size.
    pub body: Box<dyn Body>,
}

/// Makes the samples of one task, each by its number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RulerGenerator {
    task: RulerTask,
    pub(super) settings: Settings,
}

/// A generator for each of these options, which differ in numbers alone: a haystack is read once.
///
/// # Errors
/// An option that the task does not have, or with a value that it does not take; a haystack that cannot be read.
pub(super) fn generators(
    task: RulerTask,
    cells: &[BTreeMap<String, String>],
) -> Result<Vec<RulerGenerator>, DatasetError> {
    let file = cells.first().and_then(|cell| cell.get("haystack"));
    let haystack = match file {
        Some(file) => {
            task.built_in().known_option("haystack")?;
            Some(Kind::read(file)?)
        }
        None => None,
    };
    let cells = cells.iter();
    cells
        .map(|cell| {
            let settings = Settings::read(task, cell, haystack.as_ref())?;
            Ok(RulerGenerator { task, settings })
        })
        .collect()
}

impl RulerGenerator {
    /// The sample of this number with its length in the tokens of `tokens`, or in estimated ones.
    ///
    /// # Errors
    /// A length too short for what is hidden and asked; what the tokenizer says.
    pub(super) fn sample(
        &self,
        index: u64,
        tokens: Option<&dyn TokenCounter>,
    ) -> Result<Sample, DatasetError> {
        let Settings {
            length,
            seed,
            place,
            unit,
            ..
        } = self.settings;
        let tokens = unit.counter(tokens);
        // the numbers of the other tasks are small, so the streams are others
        let stream = 0x5255_4c45_0000 + self.task as u64;
        let mut random = Random::new(seed, index, stream, length as u64);
        let depth = self.task.has_depth().then(|| self.settings.depth_of(index));
        let plan = self.task.plan(&mut random, &self.settings, depth)?;
        let Plan { mut body, .. } = plan;
        let mut sample = Sample {
            id: format!("{}-{length}-{place}-seed{seed}-{index}", self.task.name()),
            dataset: "generated".to_owned(),
            task: self.task.name().to_owned(),
            answer: Some(format!(" {}", plan.answer)),
            values: plan.values,
            scoring: Some(plan.scoring),
            answer_prefix: Some(plan.answer_prefix),
            answer_tokens: Some(self.task.answer_tokens()),
            asked_length: Some(length),
            depth,
            ..Sample::default()
        };
        let frame = PromptParts {
            before: format!("{}\n\n", plan.instruction),
            document: String::new(),
            joiner: "\n\n".to_owned(),
            question: plan.question,
            after: String::new(),
        };
        let mut with = |rendered: Rendered, place: QuestionPlace| {
            fill(&mut sample, &frame, rendered, place);
            sample.clone()
        };
        let mut count = |size: usize| {
            let mut sample = |place| with(body.render(size), place);
            size::longest(place, length, tokens, &mut sample)
        };
        let size = match tokens {
            Some(_) => size::closest(length, &mut count),
            None => size::largest(length, &mut count),
        };
        let size = size.map_err(|problem| problem.into_error(self.task.name(), length))?;
        Ok(with(body.render(size), place))
    }
}

fn fill(sample: &mut Sample, frame: &PromptParts, rendered: Rendered, place: QuestionPlace) {
    let parts = PromptParts {
        document: rendered.text,
        ..frame.clone()
    };
    let offset = parts.document_span(place).start;
    let spans = rendered.evidence.into_iter();
    sample.evidence = spans
        .map(|span| span.start + offset..span.end + offset)
        .collect();
    sample.prompt = parts.compose(place);
    sample.question_place = Some(place);
    sample.later_question = parts.later_question(place);
    sample.document = Some(text_name(&parts.document));
    sample.question = Some(text_name(&parts.question));
    sample.parts = Some(parts);
}
