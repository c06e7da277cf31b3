//! The generated tasks: their names, options and bounds.

use std::ops::RangeInclusive;

use super::document::Material;
use super::options::Settings;
use super::random::Random;
use super::tasks::{facts, key_value, list, needles, passage, variables};
use crate::builtin::BuiltInTask;
use crate::sample::QuestionPlace;

/// One kind of question about a generated document. The numbers are part of what a seed means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Facts = 1,
    Niah = 2,
    MultiNiah = 3,
    VariableTracking = 4,
    KeyValue = 5,
    Passage = 6,
    List = 7,
}

/// A question with its answer and what the document is to be made of.
pub(super) struct Draft {
    /// The question without `Question:`.
    pub question: String,
    /// The sentences of the answer.
    pub answer: Vec<String>,
    /// What a right answer contains.
    pub values: Vec<String>,
    /// What the document is made of.
    pub material: Material,
}

impl Task {
    pub(super) const ALL: [Self; 7] = [
        Self::Facts,
        Self::Niah,
        Self::MultiNiah,
        Self::VariableTracking,
        Self::KeyValue,
        Self::Passage,
        Self::List,
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        self.built_in().name
    }

    pub(super) fn built_in(self) -> &'static BuiltInTask {
        match self {
            Self::Facts => &facts::TASK,
            Self::Niah => &needles::SINGLE,
            Self::MultiNiah => &needles::SEVERAL,
            Self::VariableTracking => &variables::TASK,
            Self::KeyValue => &key_value::TASK,
            Self::Passage => &passage::TASK,
            Self::List => &list::TASK,
        }
    }

    /// What the task's own number (facts, needles, hops and so on) may be.
    pub(super) fn counts(self) -> RangeInclusive<usize> {
        match self {
            Self::Niah => 1..=1,
            Self::MultiNiah => 2..=7,
            Self::KeyValue => 1..=7,
            Self::Facts | Self::Passage => 2..=4,
            Self::VariableTracking | Self::List => 2..=6,
        }
    }

    /// The shortest length in estimated tokens that surely holds the question, the longest form of
    /// everything that the answer needs, and `Answer:`.
    pub(super) fn shortest_length(self, settings: &Settings) -> usize {
        let count = settings.count.unwrap_or(*self.counts().end());
        let (question, each_in_question, each_in_document) = match self {
            Self::Facts => (9, 2, 12),
            Self::Niah | Self::MultiNiah => (9, 3, 12),
            Self::VariableTracking => (16, 0, 12),
            Self::KeyValue => (10, 3, 10),
            Self::Passage => (10, 0, 18),
            Self::List => (16, 0, 9),
        };
        let frame_of_passage = if self == Self::Passage { 14 } else { 0 };
        let questions = match settings.place {
            QuestionPlace::Both => 2,
            _ => 1,
        };
        let question = question + count * each_in_question;
        questions * question + count * each_in_document + frame_of_passage + 2
    }

    pub(super) fn draft(self, random: &mut Random, settings: &Settings, index: u64) -> Draft {
        let count = settings.count;
        match self {
            Self::Facts => {
                let drawn = 2 + random.below(3);
                facts::draft(random, count.unwrap_or(drawn))
            }
            Self::Niah => needles::draft(random, 1, Some(settings.depth_of(index))),
            Self::MultiNiah => needles::draft(random, count.unwrap_or(4), None),
            Self::VariableTracking => variables::draft(random, count.unwrap_or(4)),
            Self::KeyValue => key_value::draft(random, count.unwrap_or(4)),
            Self::Passage => passage::draft(random, count.unwrap_or(3)),
            Self::List => list::draft(random, count.unwrap_or(4)),
        }
    }
}
