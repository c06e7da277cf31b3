//! Text to token ids and back, with the checkpoint's own tokenizer and chat template.

use std::fmt::Display;
use std::ops::Range;

use kvlens_datasets::Sample;
use serde_json::Value;
use tokenizers::{Encoding, Tokenizer};

use super::chat::ChatTemplate;
use super::chat_variables::ChatVariables;
use super::checkpoint::Checkpoint;
use super::text_rules::ChatTemplateIdentity;
use super::tokenizer_bounds::check_growth;
use super::tokenizer_files::TokenizerFiles;
use crate::SessionError;
use crate::caught_panic::unless_it_panics;
use crate::hash::sha256_hex;

/// A prompt as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPrompt {
    /// T token ids, special tokens included.
    pub ids: Vec<u32>,
    /// T pieces of text, for showing: the part of the prompt that the token covers, or a special token's name. A letter
    /// that several tokens share stands with the first of them, and the others have none.
    pub token_texts: Vec<String>,
    /// T byte ranges of the *sample's* prompt; empty for tokens that are not part of it.
    pub byte_spans: Vec<Range<usize>>,
    /// Q ids of a question that comes after the prompt was ranked, with what opens the answer; empty where the prompt
    /// holds its question.
    pub question_ids: Vec<u32>,
}

/// Tokenizer and chat template of one checkpoint.
pub(crate) struct TextCodec {
    tokenizer: Tokenizer,
    chat: Option<ChatTemplate>,
    sha256: String,
    warnings: Vec<String>,
}

impl TextCodec {
    pub(crate) fn open(checkpoint: &Checkpoint) -> Result<Self, SessionError> {
        let mut tokenizer = parse(&checkpoint.tokenizer)?;
        // what is measured must be the whole prompt, whatever length the file was saved with
        tokenizer
            .with_truncation(None)
            .map_err(|error| unreadable(&error))?;
        tokenizer.with_padding(None);
        let mut files = TokenizerFiles::read(checkpoint);
        let sha256 = match files.complete(&mut tokenizer)? {
            false => sha256_hex(&checkpoint.tokenizer),
            true => sha256_hex(
                tokenizer
                    .to_string(false)
                    .map_err(|error| unreadable(&error))?
                    .as_bytes(),
            ),
        };
        Ok(Self {
            chat: ChatTemplate::find(checkpoint, files.named())?,
            warnings: files.warnings(&tokenizer),
            tokenizer,
            sha256,
        })
    }

    /// What of the tokenizer's files was read otherwise than it may be meant, a sentence each.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Which chat template the checkpoint has.
    pub(crate) fn chat_template(&self) -> Option<ChatTemplateIdentity> {
        self.chat.as_ref().map(ChatTemplate::identity)
    }

    /// Whether both tokenizers have the same tokens under the same ids.
    pub(crate) fn has_vocabulary_of(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
            || self.tokenizer.get_vocab(true) == other.tokenizer.get_vocab(true)
    }

    /// Encodes a prompt: as it is with the tokenizer's own special tokens, or, with variables for it, through the
    /// chat template.
    pub(crate) fn encode_prompt(
        &self,
        prompt: &str,
        chat: Option<&ChatVariables>,
    ) -> Result<EncodedPrompt, SessionError> {
        match chat {
            None => self.encode_with_spans(prompt, true, 0..prompt.len()),
            Some(variables) => self.encode_turn(prompt, "", variables),
        }
    }

    /// Encodes a sample's prompt as it runs: with the answer's first words behind it or, through the chat template,
    /// behind the assistant's header. What a benchmark gives to chat models without their template stays without it.
    /// Where the question is absent, prompt and question are encoded apart, so that one prompt serves all questions.
    pub(crate) fn encode_sample(
        &self,
        sample: &Sample,
        chat: Option<&ChatVariables>,
    ) -> Result<EncodedPrompt, SessionError> {
        match (
            chat.filter(|_| !sample.without_chat),
            &sample.later_question,
        ) {
            (None, _) => {
                let mut encoded = self.encode_prompt(&sample.prompt_and_prefix(), None)?;
                if let Some(later) = sample.later_text() {
                    encoded.question_ids = self.encode_continuation(&later)?;
                }
                Ok(encoded)
            }
            (Some(variables), None) => {
                let prefix = sample.answer_prefix.as_deref().unwrap_or_default();
                self.encode_turn(&sample.prompt, prefix, variables)
            }
            (Some(variables), Some(question)) => self.encode_cut_turn(sample, question, variables),
        }
    }

    /// A user's turn, cut where the prompt ends: what the template has before it and the prompt itself, and behind
    /// the cut the question, the rest of the template and the answer's first words.
    fn encode_cut_turn(
        &self,
        sample: &Sample,
        question: &str,
        variables: &ChatVariables,
    ) -> Result<EncodedPrompt, SessionError> {
        let turn = format!("{}{question}", sample.prompt);
        let prefix = sample.answer_prefix.as_deref().unwrap_or_default();
        let rendered = self.template()?.render_user_turn(&turn, variables)? + prefix;
        // most templates trim what they are given
        let prompt = sample.prompt.trim_start();
        let trimmed = sample.prompt.len() - prompt.len();
        let start = rendered.find(prompt).ok_or_else(|| SessionError::Tokenizer {
            reason: "the chat template changes the prompt, so that it cannot be cut before the question; leave the template off"
                .to_owned(),
        })?;
        let (before, behind) = rendered.split_at(start + prompt.len());
        let mut encoded = self.encode_with_spans(before, false, start..before.len())?;
        shift(&mut encoded.byte_spans, trimmed);
        encoded.question_ids = self.encode_continuation(behind)?;
        Ok(encoded)
    }

    fn template(&self) -> Result<&ChatTemplate, SessionError> {
        self.chat.as_ref().ok_or_else(|| SessionError::Tokenizer {
            reason: "the checkpoint has no chat template (tokenizer_config.json or chat_template.jinja); leave the template off"
                .to_owned(),
        })
    }

    /// A user's turn, the opening of the assistant's, and its first words.
    fn encode_turn(
        &self,
        prompt: &str,
        answer_prefix: &str,
        variables: &ChatVariables,
    ) -> Result<EncodedPrompt, SessionError> {
        let template = self.template()?;
        let rendered = template.render_user_turn(prompt, variables)? + answer_prefix;
        match rendered.find(prompt) {
            Some(start) => self.encode_with_spans(&rendered, false, start..start + prompt.len()),
            None => self.encode_trimmed(prompt, &rendered),
        }
    }

    /// Most templates trim what they are given.
    fn encode_trimmed(&self, prompt: &str, rendered: &str) -> Result<EncodedPrompt, SessionError> {
        let (trimmed, cut) = (prompt.trim(), prompt.len() - prompt.trim_start().len());
        let inside = rendered
            .find(trimmed)
            .map_or(0..0, |start| start..start + trimmed.len());
        let mut encoded = self.encode_with_spans(rendered, false, inside)?;
        shift(&mut encoded.byte_spans, cut);
        Ok(encoded)
    }

    /// `inside` is where in `text` the sample's prompt stands.
    fn encode_with_spans(
        &self,
        text: &str,
        add_special_tokens: bool,
        inside: Range<usize>,
    ) -> Result<EncodedPrompt, SessionError> {
        let encoding = self.encode(text, add_special_tokens, "text")?;
        let mut encoded = EncodedPrompt {
            ids: encoding.get_ids().to_vec(),
            token_texts: Vec::with_capacity(encoding.len()),
            byte_spans: Vec::with_capacity(encoding.len()),
            question_ids: Vec::new(),
        };
        let mut shown_up_to = 0;
        for (token, &(start, end)) in encoding.get_tokens().iter().zip(encoding.get_offsets()) {
            // some tokenizers trim the space before a word off its offsets: it is shown with the word. A letter of
            // several tokens is shown with the first; a token that is no text, as the tokenizer's own piece.
            let shown = match (start < end && end <= shown_up_to, end > shown_up_to) {
                (true, _) => "",
                (false, true) => text.get(shown_up_to.min(start)..end).unwrap_or(token),
                (false, false) => token,
            };
            shown_up_to = shown_up_to.max(end);
            encoded.token_texts.push(shown.to_owned());
            let (start, end) = (start.max(inside.start), end.min(inside.end));
            encoded.byte_spans.push(if start < end {
                start - inside.start..end - inside.start
            } else {
                0..0
            });
        }
        Ok(encoded)
    }

    /// Ids of a text that continues a prompt: no special tokens.
    pub(crate) fn encode_continuation(&self, text: &str) -> Result<Vec<u32>, SessionError> {
        let encoding = self.encode(text, false, "answer")?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The bytes of every token of a text, without special tokens.
    pub(crate) fn spans(&self, text: &str) -> Result<Vec<Range<usize>>, SessionError> {
        let encoding = self.encode(text, false, "text")?;
        let offsets = encoding.get_offsets().iter();
        Ok(offsets.map(|&(start, end)| start..end).collect())
    }

    fn encode(&self, text: &str, special: bool, what: &str) -> Result<Encoding, SessionError> {
        let refused = |error: &dyn Display| SessionError::Tokenizer {
            reason: format!("the {what} cannot be encoded ({error})"),
        };
        caught(|| self.tokenizer.encode(text, special), refused)
    }

    /// The text that each of the generated ids adds. One that adds none, such as a special token or a part of a letter,
    /// is told by the tokenizer's own name for it; the letter stands with its last part.
    pub(crate) fn pieces(&self, ids: &[u32]) -> Result<Vec<String>, SessionError> {
        let mut stream = self.tokenizer.decode_stream(true);
        let piece = |id: &u32| {
            let added = stream.step(*id).map_err(|error| undecodable(&error))?;
            let named = || self.tokenizer.id_to_token(*id).unwrap_or_default();
            Ok(added.filter(|text| !text.is_empty()).unwrap_or_else(named))
        };
        ids.iter().map(piece).collect()
    }

    /// Text of generated ids, special tokens left out.
    pub(crate) fn decode(&self, ids: &[u32]) -> Result<String, SessionError> {
        self.tokenizer
            .decode(ids, true)
            .map_err(|error| undecodable(&error))
    }
}

fn undecodable(error: &dyn Display) -> SessionError {
    SessionError::Tokenizer {
        reason: format!("the generated ids cannot be turned into text ({error})"),
    }
}

/// Moves the spans of tokens that are part of the prompt.
fn shift(spans: &mut [Range<usize>], bytes: usize) {
    for span in spans.iter_mut().filter(|span| span.start < span.end) {
        *span = span.start + bytes..span.end + bytes;
    }
}

fn parse(file: &[u8]) -> Result<Tokenizer, SessionError> {
    let value: Value = serde_json::from_slice(file).map_err(|error| unreadable(&error))?;
    check_growth(&value).map_err(|reason| SessionError::Tokenizer { reason })?;
    caught(|| Tokenizer::from_bytes(file), unreadable)
}

/// What the tokenizers crate (0.23) gives. It takes for granted that JSON is well-formed and that tables are whole,
/// and panics where they are not, on reading as on use.
fn caught<T>(
    call: impl FnOnce() -> tokenizers::Result<T>,
    refused: impl Fn(&dyn Display) -> SessionError,
) -> Result<T, SessionError> {
    match unless_it_panics(call) {
        Some(result) => result.map_err(|error| refused(&error)),
        None => Err(refused(&"a table in tokenizer.json is damaged")),
    }
}

fn unreadable(error: &dyn Display) -> SessionError {
    SessionError::Tokenizer {
        reason: format!("tokenizer.json cannot be read ({error})"),
    }
}

/// A field of a JSON file that may be absent or no JSON at all.
pub(crate) fn json_field(file: Option<&[u8]>, field: &str) -> Option<Value> {
    let value: Value = serde_json::from_slice(file?).ok()?;
    value.get(field).filter(|value| !value.is_null()).cloned()
}
