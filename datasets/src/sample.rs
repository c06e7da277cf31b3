//! One prompt and what is known of its right answer.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::parts::PromptParts;
use crate::scores::Scoring;

/// Where the question stands in a prompt, seen from the text that it asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionPlace {
    /// The question opens the prompt, so a window at its end does not see the question.
    Start,
    /// The question closes the prompt, inside a window of the last prompt tokens.
    End,
    /// The question is asked twice, before the text and after it.
    Both,
    /// The prompt holds no question: it comes after the prompt was ranked ([`Sample::later_question`]).
    Absent,
}

impl QuestionPlace {
    /// All places.
    pub const ALL: [Self; 4] = [Self::Start, Self::End, Self::Both, Self::Absent];

    /// The word used in files, options and tables: `start`, `end`, `both` or `absent`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::Both => "both",
            Self::Absent => "absent",
        }
    }

    /// The place with this label, if there is one.
    pub(crate) fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.label() == label)
    }
}

impl fmt::Display for QuestionPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// One prompt with what is known of its right answer.
///
/// The default is a sample of which nothing is known, its prompt included: for `..Sample::default()`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Unique among the samples that were loaded together.
    pub id: String,
    /// The built-in task's name, or the file's name with its extension.
    pub dataset: String,
    /// What kind of question this is; results are grouped by it.
    pub task: String,
    /// The text to prefill, exactly as it is tokenized (before any chat template, without
    /// `answer_prefix`). Never blank.
    pub prompt: String,
    /// The reference answer, which a teacher-forced decode stage follows.
    pub answer: Option<String>,
    /// Strings that a right answer contains, each of them.
    pub values: Vec<String>,
    /// Byte spans of `prompt` that state what the answer needs; sorted, on character boundaries.
    pub evidence: Vec<Range<usize>>,
    /// Where the question stands, when that is known.
    pub question_place: Option<QuestionPlace>,
    /// A short name of the document that the question is about, made of its text: equal wherever the question
    /// stands, equal for several questions about one document, different for different documents. `None` where
    /// document and question cannot be told apart.
    #[serde(default)]
    pub document: Option<String>,
    /// The length that was asked of a generator, in the tokens that it counts by.
    #[serde(default)]
    pub asked_length: Option<usize>,
    /// Where what the answer needs was asked to stand: 0 at the start of the document, 1 at its end.
    #[serde(default)]
    pub depth: Option<f64>,
    /// A short name of the question, made of its text, so that samples can be paired by document and question.
    #[serde(default)]
    pub question: Option<String>,
    /// What the prompt is composed of, where document and question can be told apart.
    #[serde(default)]
    pub parts: Option<PromptParts>,
    /// The text of a question that is absent from the prompt: what follows it once the prompt was ranked.
    #[serde(default)]
    pub later_question: Option<String>,
    /// The words that open the answer. With a chat template they belong behind the assistant's header, without one
    /// behind the prompt ([`Sample::prompt_and_prefix`]).
    #[serde(default)]
    pub answer_prefix: Option<String>,
    /// How many tokens the benchmark lets a model generate for this prompt.
    #[serde(default)]
    pub answer_tokens: Option<usize>,
    /// Whether the benchmark gives this prompt to chat models without their chat template.
    #[serde(default)]
    pub without_chat: bool,
    /// The benchmark's own metric and what it compares with; `values` and `answer` serve where there is none.
    #[serde(default)]
    pub scoring: Option<Scoring>,
}

impl Sample {
    /// The prompt with the answer's first words behind it, as it runs without a chat template. Where the question is
    /// absent, the prompt alone: these words follow the question ([`Sample::later_text`]).
    pub fn prompt_and_prefix(&self) -> Cow<'_, str> {
        match (&self.later_question, &self.answer_prefix) {
            (None, Some(prefix)) => Cow::Owned(format!("{}{prefix}", self.prompt)),
            _ => Cow::Borrowed(&self.prompt),
        }
    }

    /// What follows the ranked prompt when the question is absent from it: the question and the answer's first words.
    pub fn later_text(&self) -> Option<String> {
        let question = self.later_question.as_ref()?;
        let prefix = self.answer_prefix.as_deref().unwrap_or_default();
        Some(format!("{question}{prefix}"))
    }
}

/// The short name of a document or a question: the first 64 bits of the SHA-256 of its text, in hexadecimal.
pub(crate) fn text_name(text: &str) -> String {
    let bytes = short_hash(text);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first 64 bits of the SHA-256 of a text.
pub(crate) fn short_hash(text: &str) -> [u8; 8] {
    let digest = Sha256::digest(text.as_bytes());
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_named_by_its_text() {
        // `printf 'abc' | sha256sum` begins with these digits (the example of FIPS 180-2)
        assert_eq!(text_name("abc"), "ba7816bf8f01cfea");
        assert_ne!(text_name("abc"), text_name("abc "));
    }

    #[test]
    fn samples_written_before_documents_were_named_are_read() {
        let old = r#"{"id":"a","dataset":"d","task":"t","prompt":"p","answer":null,"values":[],"evidence":[],"question_place":"end"}"#;
        let sample: Sample = serde_json::from_str(old).unwrap();
        assert_eq!(sample.question_place, Some(QuestionPlace::End));
        assert_eq!(
            (sample.document, sample.asked_length, sample.depth),
            (None, None, None)
        );
    }

    #[test]
    fn the_prefix_follows_the_question_wherever_that_is() {
        let asked = Sample {
            prompt: "Doc. Who?".to_owned(),
            answer_prefix: Some(" It is".to_owned()),
            ..Sample::default()
        };
        assert_eq!(asked.prompt_and_prefix(), "Doc. Who? It is");
        assert_eq!(asked.later_text(), None);
        let absent = Sample {
            prompt: "Doc.".to_owned(),
            later_question: Some(" Who?".to_owned()),
            ..asked
        };
        assert_eq!(absent.prompt_and_prefix(), "Doc.");
        assert_eq!(absent.later_text().as_deref(), Some(" Who? It is"));
    }

    #[test]
    fn a_sample_is_written_and_read_back() {
        let sample = Sample {
            prompt: "p".to_owned(),
            document: Some("ba7816bf8f01cfea".to_owned()),
            asked_length: Some(512),
            depth: Some(0.25),
            ..Sample::default()
        };
        let text = serde_json::to_string(&sample).unwrap();
        assert_eq!(serde_json::from_str::<Sample>(&text).unwrap(), sample);
    }
}
