//! What of a checkpoint shapes prompts and answers besides its weights, its configuration and its tokens.

use serde::{Deserialize, Serialize};

/// The chat template, where prompts go through it, and what ends a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextRules {
    /// None where prompts are taken as they are.
    pub chat_template: Option<ChatTemplateIdentity>,
    /// Ids that end a text: generation_config.json's or, without any there, config.json's.
    pub end_of_text_ids: Vec<u32>,
}

/// Which chat template was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatTemplateIdentity {
    /// The file that it stands in: `chat_template.jinja`, or `tokenizer_config.json`, as which the header of a GGUF file
    /// is read.
    pub file: String,
    /// SHA-256 of its text and of the special tokens that it may print, as JSON.
    pub sha256: String,
}
