//! How byte-level BPE cuts a text before it looks for tokens, by the names that `tokenizer.ggml.pre` has for it.
//! The patterns are those of the published `tokenizer.json` files.

use serde_json::{Value, json};

const WORD_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+";
const REST_OF_WORD_PATTERN: &str = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const REST_OF_CASE_PATTERN: &str = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// One way to cut, and what goes along with it in the tokenizers that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PreTokenizer {
    cut: Cut,
    /// Whether a piece that is a token is not taken apart.
    pub(super) ignores_merges: bool,
    /// Whether a prompt begins with the token for that, if the header does not say it.
    pub(super) adds_bos: bool,
    /// Whether text is brought into Unicode's composed form first.
    pub(super) composes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cut {
    /// As GPT-2 does.
    Gpt2,
    /// As GPT-2 does, with every digit for itself.
    Gpt2WithDigitsApart,
    /// By this pattern.
    By(String),
}

impl PreTokenizer {
    /// What files cut by that do not say it: those from before the key was there. llama.cpp takes its default, with
    /// a warning; the published tokenizers of an architecture are the better guess.
    pub(super) fn name_for(architecture: &str, tokens: &[&str]) -> &'static str {
        match architecture {
            "qwen2" | "qwen2moe" | "qwen3" | "qwen3moe" => "qwen2",
            "smollm3" => "smaug-bpe",
            "olmo2" => "dbrx",
            "phi3" if tokens.contains(&"<|endofprompt|>") => "gpt-4o",
            "phi3" => "dbrx",
            "llama" if tokens.contains(&"<|begin_of_text|>") => "llama-bpe",
            _ => "default",
        }
    }

    /// None for a name that is not known.
    pub(super) fn of(name: &str) -> Option<Self> {
        let plain = |cut| Self {
            cut,
            ignores_merges: false,
            adds_bos: false,
            composes: false,
        };
        Some(match name {
            "gpt-2" | "gpt2" | "default" => plain(Cut::Gpt2),
            "smollm" => plain(Cut::Gpt2WithDigitsApart),
            "qwen2" | "deepseek-r1-qwen" => Self {
                composes: true,
                ..plain(by_words(r"\p{N}"))
            },
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "pixtral" => Self {
                ignores_merges: true,
                adds_bos: true,
                ..plain(by_words(r"\p{N}{1,3}"))
            },
            // Llama 3's tokenizer without its beginning of text, as SmolLM3 has it
            "smaug-bpe" => Self {
                ignores_merges: true,
                ..plain(by_words(r"\p{N}{1,3}"))
            },
            // OLMo 2 and Phi-4
            "dbrx" => plain(by_words(r"\p{N}{1,3}")),
            // Mistral NeMo
            "tekken" => Self {
                ignores_merges: true,
                adds_bos: true,
                ..plain(by_case("", r"\p{N}"))
            },
            // Phi-4-mini
            "gpt-4o" => plain(by_case(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?", r"\p{N}{1,3}")),
            _ => return None,
        })
    }

    /// As `tokenizer.json` says it.
    pub(super) fn json(&self) -> Value {
        let bytes = |with_pattern: bool| {
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                "use_regex": with_pattern})
        };
        let behind = |first: Value, bytes: Value| json!({"type": "Sequence", "pretokenizers": [first, bytes]});
        match &self.cut {
            Cut::Gpt2 => bytes(true),
            Cut::Gpt2WithDigitsApart => behind(
                json!({"type": "Digits", "individual_digits": true}),
                bytes(true),
            ),
            Cut::By(pattern) => behind(
                json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
                    "invert": false}),
                bytes(false),
            ),
        }
    }
}

/// Letters together, and digits by a pattern of their own.
fn by_words(digits: &str) -> Cut {
    Cut::By(format!("{WORD_PATTERN}|{digits}|{REST_OF_WORD_PATTERN}"))
}

/// Letters together as long as no capital follows a small one, with an ending that joins them.
fn by_case(ending: &str, digits: &str) -> Cut {
    let before = r"[^\r\n\p{L}\p{N}]?";
    let (capitals, small) = (
        r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]",
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]",
    );
    Cut::By(format!(
        "{before}{capitals}*{small}+{ending}|{before}{capitals}+{small}*{ending}|{digits}|{REST_OF_CASE_PATTERN}"
    ))
}
