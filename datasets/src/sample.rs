//! One prompt and what is known of its right answer.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Where the question stands in a prompt: before the text that it asks about, or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionPlace {
    /// The question opens the prompt, so a window at its end does not see the question.
    Start,
    /// The question closes the prompt, inside a window of the last prompt tokens.
    End,
}

impl QuestionPlace {
    /// Both places, in the order of the prompt.
    pub const ALL: [Self; 2] = [Self::Start, Self::End];

    /// The word used in files, options and tables: `start` or `end`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
        }
    }

    /// The place with this label, if there is one.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.label() == label)
    }
}

impl fmt::Display for QuestionPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// One prompt with what is known of its right answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Unique among the samples that were loaded together.
    pub id: String,
    /// The built-in task's name, or the file's name with its extension.
    pub dataset: String,
    /// What kind of question this is; results are grouped by it.
    pub task: String,
    /// The text to prefill, exactly as it is tokenized (before any chat template). Never blank.
    pub prompt: String,
    /// The reference answer, which a teacher-forced decode stage follows.
    pub answer: Option<String>,
    /// Strings that a right answer contains, each of them.
    pub values: Vec<String>,
    /// Byte spans of `prompt` that state what the answer needs; sorted, on character boundaries.
    pub evidence: Vec<Range<usize>>,
    /// Where the question stands, when that is known.
    pub question_place: Option<QuestionPlace>,
}
