//! What a prompt is composed of, and the places that its question can stand at.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::sample::{QuestionPlace, Sample};

/// A prompt taken apart. With the question at the end it is `before`, `document`, `joiner`, `question`, `after`;
/// with the question at the start, `before`, `question`, `joiner`, `document`, `after`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptParts {
    /// What opens the prompt, such as an instruction.
    pub before: String,
    /// The text that is asked about.
    pub document: String,
    /// What parts document and question, most often white space.
    pub joiner: String,
    /// What is asked, with the words that introduce it.
    pub question: String,
    /// What closes the prompt, such as `Answer:`.
    pub after: String,
}

impl PromptParts {
    /// The prompt with the question at this place.
    pub fn compose(&self, place: QuestionPlace) -> String {
        let Self {
            before,
            document,
            joiner,
            question,
            after,
        } = self;
        match place {
            QuestionPlace::Start => format!("{before}{question}{joiner}{document}{after}"),
            QuestionPlace::End => format!("{before}{document}{joiner}{question}{after}"),
            QuestionPlace::Both => {
                format!("{before}{question}{joiner}{document}{joiner}{question}{after}")
            }
            QuestionPlace::Absent => format!("{before}{document}"),
        }
    }

    /// What comes after the ranked prompt when the question is absent from it; `None` at other places.
    pub fn later_question(&self, place: QuestionPlace) -> Option<String> {
        let Self {
            joiner,
            question,
            after,
            ..
        } = self;
        (place == QuestionPlace::Absent).then(|| format!("{joiner}{question}{after}"))
    }

    /// The bytes of the document in the prompt that has the question at this place.
    pub fn document_span(&self, place: QuestionPlace) -> Range<usize> {
        let start = match place {
            QuestionPlace::Start | QuestionPlace::Both => {
                self.before.len() + self.question.len() + self.joiner.len()
            }
            QuestionPlace::End | QuestionPlace::Absent => self.before.len(),
        };
        start..start + self.document.len()
    }
}

impl Sample {
    /// The same sample with its question at another place. The evidence moves with the document; the id gets the
    /// place's name behind it, so that the sample can stand beside the one that it came from.
    ///
    /// With [`QuestionPlace::Absent`] the prompt ends with the document; the question, and what closed the prompt,
    /// stand in [`Sample::later_question`]. Several questions about one document then have the same prompt.
    ///
    /// # Errors
    /// When the sample has no question of its own, and when evidence stands outside the document.
    pub fn with_question(&self, place: QuestionPlace) -> Result<Self, DatasetError> {
        let refuse = |problem: &'static str| DatasetError::FixedQuestion {
            sample: self.id.clone(),
            problem,
        };
        let (Some(parts), Some(at)) = (&self.parts, self.question_place) else {
            return Err(refuse("has no question apart from its document"));
        };
        if parts.question.is_empty() {
            return Err(refuse("has a document without any question"));
        }
        if at == place {
            return Ok(self.clone());
        }
        let (from, to) = (parts.document_span(at), parts.document_span(place));
        let moved = |span: &Range<usize>| {
            let inside = from.start <= span.start && span.end <= from.end;
            inside.then(|| span.start - from.start + to.start..span.end - from.start + to.start)
        };
        let evidence: Option<Vec<Range<usize>>> = self.evidence.iter().map(moved).collect();
        let evidence = evidence.ok_or_else(|| refuse("has evidence outside its document"))?;
        Ok(Self {
            id: format!("{}-{place}", self.id),
            prompt: parts.compose(place),
            evidence,
            question_place: Some(place),
            later_question: parts.later_question(place),
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        let parts = PromptParts {
            before: "Read.\n".to_owned(),
            document: "Ann digs. Bo sings.".to_owned(),
            joiner: "\n\n".to_owned(),
            question: "Who sings?".to_owned(),
            after: "\nAnswer:".to_owned(),
        };
        Sample {
            id: "a".to_owned(),
            prompt: parts.compose(QuestionPlace::End),
            evidence: std::iter::once(16..25).collect(),
            question_place: Some(QuestionPlace::End),
            parts: Some(parts),
            ..Sample::default()
        }
    }

    #[test]
    fn the_question_is_moved_and_the_evidence_with_the_document() {
        let end = sample();
        assert_eq!(
            end.prompt,
            "Read.\nAnn digs. Bo sings.\n\nWho sings?\nAnswer:"
        );
        assert_eq!(&end.prompt[16..25], "Bo sings.");
        let prompts = [
            (
                QuestionPlace::Start,
                "Read.\nWho sings?\n\nAnn digs. Bo sings.\nAnswer:",
            ),
            (
                QuestionPlace::Both,
                "Read.\nWho sings?\n\nAnn digs. Bo sings.\n\nWho sings?\nAnswer:",
            ),
            (QuestionPlace::Absent, "Read.\nAnn digs. Bo sings."),
        ];
        for (place, prompt) in prompts {
            let moved = end.with_question(place).unwrap();
            assert_eq!(moved.prompt, prompt);
            assert_eq!(&moved.prompt[moved.evidence[0].clone()], "Bo sings.");
            assert_eq!(moved.question_place, Some(place));
            assert_eq!(moved.id, format!("a-{place}"));
            let back = moved.with_question(QuestionPlace::End).unwrap();
            assert_eq!((&back.prompt, &back.evidence), (&end.prompt, &end.evidence));
            assert_eq!(back.later_question, None);
        }
    }

    #[test]
    fn an_absent_question_comes_after_the_prompt() {
        let absent = sample().with_question(QuestionPlace::Absent).unwrap();
        let later = absent.later_question.unwrap();
        assert_eq!(later, "\n\nWho sings?\nAnswer:");
        assert_eq!(absent.prompt + &later, sample().prompt);
    }

    #[test]
    fn what_cannot_be_moved_says_why() {
        let whole = Sample {
            parts: None,
            ..sample()
        };
        let outside = Sample {
            evidence: std::iter::once(0..4).collect(),
            ..sample()
        };
        let mut silent = sample();
        silent.parts.as_mut().unwrap().question.clear();
        for (sample, words) in [
            (whole, "no question apart"),
            (outside, "evidence outside"),
            (silent, "without any question"),
        ] {
            let error = sample.with_question(QuestionPlace::Start).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
