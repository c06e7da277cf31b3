//! Prompts out of fields: texts with slots, and what part of the prompt each slot is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::parts::PromptParts;
use crate::sample::QuestionPlace;

/// Where the words around document and question come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemplateOrigin {
    /// The row holds the whole prompt.
    Whole,
    /// A plain template of this program.
    Own,
    /// The benchmark's own file.
    File(PathBuf),
    /// Given by the user.
    User,
}

impl std::fmt::Display for TemplateOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole => f.write_str("prompts as they stand in the rows"),
            Self::Own => f.write_str("a plain template of this program"),
            Self::File(path) => write!(f, "the template of {}", path.display()),
            Self::User => f.write_str("the template that was given"),
        }
    }
}

/// The texts of a row by the names of a template's slots.
pub(crate) type Slots = BTreeMap<String, String>;

/// A text with slots.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
    pub(crate) origin: TemplateOrigin,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Slot(String),
}

/// A prompt and what it consists of.
#[derive(Debug, PartialEq)]
pub(crate) struct Composed {
    pub prompt: String,
    /// Where the document is a slot of its own.
    pub parts: Option<PromptParts>,
    /// Where the question stands, when there is one.
    pub place: Option<QuestionPlace>,
}

impl Template {
    /// The slots of Python's format strings: `{name}`; doubled braces are braces.
    pub(crate) fn braces(text: &str, origin: TemplateOrigin) -> Self {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            let brace = &rest[..1];
            if rest[1..].starts_with(brace) {
                plain.push_str(brace);
                rest = &rest[2..];
                continue;
            }
            match slot(rest) {
                Some(name) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Slot(name.to_owned()));
                    rest = &rest[name.len() + 2..];
                }
                None => {
                    plain.push_str(brace);
                    rest = &rest[1..];
                }
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Self { pieces, origin }
    }

    /// A template of this program's own.
    pub(crate) fn own(text: &str) -> Self {
        Self::braces(text, TemplateOrigin::Own)
    }

    /// A text in which each of these marks is a slot.
    pub(crate) fn marks(text: &str, marks: &[(&str, &str)], origin: TemplateOrigin) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        loop {
            let next = marks
                .iter()
                .filter_map(|(mark, name)| Some((rest.find(mark)?, *mark, *name)))
                .min();
            let Some((at, mark, name)) = next else {
                pieces.push(Piece::Text(rest.to_owned()));
                return Self { pieces, origin };
            };
            pieces.push(Piece::Text(rest[..at].to_owned()));
            pieces.push(Piece::Slot(name.to_owned()));
            rest = &rest[at + mark.len()..];
        }
    }

    /// Fills the slots. `document` and `questions` name the slots that are asked about and that ask; without a
    /// question slot, the text behind the document is the question.
    ///
    /// # Errors
    /// A slot that the row has no field for, as the end of a sentence that begins with the row.
    pub(crate) fn compose(
        &self,
        slots: &Slots,
        document: Option<&str>,
        questions: &[&str],
    ) -> Result<Composed, String> {
        let texts = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Ok(text.as_str()),
                Piece::Slot(name) => slots.get(name).map(String::as_str).ok_or_else(|| {
                    format!("has no field {name}, which the prompt's template asks for")
                }),
            })
            .collect::<Result<Vec<&str>, String>>()?;
        let is = |piece: &Piece, names: &[&str]| matches!(piece, Piece::Slot(name) if names.contains(&name.as_str()));
        let at = document.and_then(|name| self.pieces.iter().position(|piece| is(piece, &[name])));
        let Some(at) = at else {
            return Ok(Composed {
                prompt: texts.concat(),
                parts: None,
                place: None,
            });
        };
        let asks = |piece: &Piece| is(piece, questions);
        let first = self.pieces.iter().position(asks);
        let last = self.pieces.iter().rposition(asks);
        let frame = match first.zip(last) {
            Some((_, last)) if last < at => Frame::before(&texts, at, first.unwrap_or(last), last),
            Some((first, last)) if first > at => Frame::behind(&texts, at, last),
            _ => Frame::closing(&texts, at),
        };
        Ok(frame.composed(texts[at]))
    }
}

/// The name of the slot that `text` begins with.
fn slot(text: &str) -> Option<&str> {
    let name = text.strip_prefix('{')?.split('}').next()?;
    let is_closed = text[1 + name.len()..].starts_with('}');
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.is_empty();
    (is_closed && is_name).then_some(name)
}

/// Everything of a prompt but its document.
struct Frame {
    before: String,
    joiner: String,
    question: String,
    after: String,
    place: QuestionPlace,
}

impl Frame {
    /// The question stands behind the document: all texts between belong to it.
    fn behind(texts: &[&str], document: usize, last: usize) -> Self {
        let asked = texts[document + 1..=last].concat();
        let question = asked.trim_start();
        Self {
            before: texts[..document].concat(),
            joiner: asked[..asked.len() - question.len()].to_owned(),
            question: question.to_owned(),
            after: texts[last + 1..].concat(),
            place: QuestionPlace::End,
        }
    }

    /// The question stands before the document.
    fn before(texts: &[&str], document: usize, first: usize, last: usize) -> Self {
        let between = texts[last + 1..document].concat();
        let words = between.trim_end();
        Self {
            before: texts[..first].concat(),
            joiner: between[words.len()..].to_owned(),
            question: texts[first..=last].concat() + words,
            after: texts[document + 1..].concat(),
            place: QuestionPlace::Start,
        }
    }

    /// No slot asks: what stands behind the document does, but for a last line such as `Summary:`.
    fn closing(texts: &[&str], document: usize) -> Self {
        let mut frame = Self::behind(texts, document, texts.len() - 1);
        let line = frame.question.trim_end().rfind('\n');
        if let Some(at) = line
            && frame.question.trim_end().ends_with(':')
        {
            let head = frame.question[..at].trim_end().len();
            frame.after = frame.question.split_off(head);
        }
        frame
    }

    fn composed(self, document: &str) -> Composed {
        let is_asked = !self.question.trim().is_empty();
        let parts = PromptParts {
            before: self.before,
            document: document.to_owned(),
            joiner: self.joiner,
            question: self.question,
            after: self.after,
        };
        Composed {
            prompt: parts.compose(self.place),
            parts: Some(parts),
            place: is_asked.then_some(self.place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compose(text: &str) -> Composed {
        let slots = [("context", "Ann digs."), ("input", "Who?"), ("extra", "E")];
        let slots = slots.map(|(name, text)| (name.to_owned(), text.to_owned()));
        Template::own(text)
            .compose(&slots.into(), Some("context"), &["input"])
            .unwrap()
    }

    fn parts(text: &str) -> [String; 5] {
        let parts = compose(text).parts.unwrap();
        let PromptParts {
            before,
            document,
            joiner,
            question,
            after,
        } = parts;
        [before, document, joiner, question, after]
    }

    #[test]
    fn a_question_behind_the_document_takes_the_words_between() {
        let text = "Read.\n{context}\n\nAnswer {{briefly}}.\nQuestion: {input}\nAnswer:";
        let composed = compose(text);
        assert_eq!(
            composed.prompt,
            "Read.\nAnn digs.\n\nAnswer {briefly}.\nQuestion: Who?\nAnswer:"
        );
        assert_eq!(composed.place, Some(QuestionPlace::End));
        assert_eq!(
            parts(text),
            [
                "Read.\n",
                "Ann digs.",
                "\n\n",
                "Answer {briefly}.\nQuestion: Who?",
                "\nAnswer:"
            ]
        );
    }

    #[test]
    fn a_question_before_the_document_is_known() {
        let text = "Q: {input} Text: {context}\nA:";
        assert_eq!(compose(text).prompt, "Q: Who? Text: Ann digs.\nA:");
        assert_eq!(compose(text).place, Some(QuestionPlace::Start));
        assert_eq!(parts(text), ["Q: ", "Ann digs.", " ", "Who? Text:", "\nA:"]);
    }

    #[test]
    fn without_a_question_slot_the_closing_words_ask() {
        assert_eq!(
            parts("{context}\n\nNow write a summary.\n\nSummary:"),
            [
                "",
                "Ann digs.",
                "\n\n",
                "Now write a summary.",
                "\n\nSummary:"
            ]
        );
        assert_eq!(
            parts("{context}\n\nSummary:"),
            ["", "Ann digs.", "\n\n", "Summary:", ""]
        );
        let bare = compose("Read: {context}");
        assert_eq!(
            (bare.prompt.as_str(), bare.place),
            ("Read: Ann digs.", None)
        );
    }

    #[test]
    fn braces_that_are_no_slots_stay_and_unknown_slots_are_named() {
        assert_eq!(
            compose("{extra} {a b} {} } { {context} {input}").prompt,
            "E {a b} {} } { Ann digs. Who?"
        );
        let error = Template::own("{nothing}").compose(&Slots::new(), None, &[]);
        assert!(error.unwrap_err().contains("no field nothing"));
    }

    #[test]
    fn marks_are_slots_too() {
        let marks = [("$DOC$", "context"), ("$Q$", "input")];
        let template = Template::marks("$DOC$ then $Q$ {x}", &marks, TemplateOrigin::Own);
        let slots = [("context", "C"), ("input", "I")];
        let slots = slots.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let composed = template
            .compose(&slots.into(), Some("context"), &["input"])
            .unwrap();
        assert_eq!(composed.prompt, "C then I {x}");
        assert_eq!(composed.parts.unwrap().question, "then I");
    }
}
