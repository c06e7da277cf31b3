//! What transformers' `AutoTokenizer` reads besides `tokenizer.json`: tokens that stand only in
//! `tokenizer_config.json`, `special_tokens_map.json` or `added_tokens.json`, and the names of special tokens.
//!
//! The rules are those of transformers 5.2 (`tokenization_utils_base.py`, `tokenization_utils_tokenizers.py`): where
//! `tokenizer_config.json` has an `added_tokens_decoder`, the two older files are not looked at.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::checkpoint::Checkpoint;
use crate::SessionError;
use crate::caught_panic::unless_it_panics;

/// The tokens that transformers hands to templates under these names, where a checkpoint has them.
pub(super) const SPECIAL_TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// Lists of special tokens without names, in the newer spelling and the older one.
const MORE_SPECIAL_TOKENS: [&str; 2] = ["extra_special_tokens", "additional_special_tokens"];

/// The other files of a tokenizer.
#[derive(Debug, Default)]
pub(crate) struct TokenizerFiles {
    /// Tokens with switches that go before those of `tokenizer.json`.
    first: Vec<AddedToken>,
    /// Tokens that are added where `tokenizer.json` has them not.
    more: Vec<AddedToken>,
    named: BTreeMap<&'static str, String>,
    /// Whether a prompt is to begin, or to end, with such a token, if a file says it.
    adds_bos: Option<bool>,
    adds_eos: Option<bool>,
    warnings: Vec<String>,
}

impl TokenizerFiles {
    pub(crate) fn read(checkpoint: &Checkpoint) -> Self {
        let mut files = Self::default();
        let mut config = files.object(
            "tokenizer_config.json",
            checkpoint.tokenizer_config.as_deref(),
        );
        files.first = entries_by_id(config.get("added_tokens_decoder"));
        if !config.contains_key("added_tokens_decoder") {
            let map = files.object(
                "special_tokens_map.json",
                checkpoint.special_tokens_map.as_deref(),
            );
            config.extend(map);
            let older = files.object("added_tokens.json", checkpoint.added_tokens.as_deref());
            files.more = older_entries(&older, &special_texts(&config));
        }
        let flag = |name: &str| config.get(name).and_then(Value::as_bool);
        (files.adds_bos, files.adds_eos) = (flag("add_bos_token"), flag("add_eos_token"));
        for name in SPECIAL_TOKENS {
            if let Some(token) = config.get(name).and_then(content) {
                files.named.insert(name, token.to_owned());
            }
        }
        let of_config = SPECIAL_TOKENS
            .iter()
            .filter_map(|name| config.get(*name))
            .chain(unnamed(&config))
            .filter_map(special_token);
        files.more.extend(of_config);
        for token in files.first.iter_mut().chain(&mut files.more) {
            token.special |= files.named.values().any(|text| *text == token.content);
        }
        files
    }

    /// An object in one of the files; one that cannot be read is warned of and counts as absent.
    fn object(&mut self, name: &str, file: Option<&[u8]>) -> Map<String, Value> {
        let Some(file) = file else {
            return Map::new();
        };
        match serde_json::from_slice(file) {
            Ok(Value::Object(object)) => object,
            Ok(_) | Err(_) => {
                self.warnings.push(format!(
                    "{name} is no JSON object, so nothing is taken from it; fetch it again"
                ));
                Map::new()
            }
        }
    }

    /// The texts of special tokens by the names that templates use.
    pub(super) fn named(&self) -> &BTreeMap<&'static str, String> {
        &self.named
    }

    /// Adds to a tokenizer what only these files have, and warns of what they say otherwise; says whether anything
    /// changed.
    ///
    /// # Errors
    /// [`SessionError::Tokenizer`] if the tokenizer does not take a token.
    pub(super) fn complete(&mut self, tokenizer: &mut Tokenizer) -> Result<bool, SessionError> {
        let known: HashMap<String, AddedToken> = tokenizer
            .get_added_tokens_decoder()
            .into_values()
            .map(|token| (token.content.clone(), token))
            .collect();
        let (mut changed, mut other_switches) = (Vec::new(), Vec::new());
        for token in &self.first {
            match known.get(&token.content) {
                Some(same) if same == token => continue,
                Some(_) => other_switches.push(token.content.clone()),
                None => {}
            }
            changed.push(token.clone());
        }
        for token in &self.more {
            let is_added = changed.iter().any(|added| added.content == token.content);
            if !is_added && !known.contains_key(&token.content) {
                changed.push(token.clone());
            }
        }
        if !other_switches.is_empty() {
            self.warnings.push(format!(
                "tokenizer_config.json gives {} other switches (special, lstrip, rstrip, normalized, single_word) than \
                 tokenizer.json; its own are taken, as in transformers 5",
                other_switches.join(" ")
            ));
        }
        if changed.is_empty() {
            return Ok(false);
        }
        let names: Vec<_> = changed.iter().map(|token| token.content.clone()).collect();
        let added = unless_it_panics(|| tokenizer.add_tokens(changed)).and_then(Result::ok);
        added.map(|_| true).ok_or_else(|| SessionError::Tokenizer {
            reason: format!(
                "the tokens {} of tokenizer_config.json cannot be added to tokenizer.json",
                names.join(" ")
            ),
        })
    }

    /// What is worth a warning: unreadable files, and what they say of a prompt's first and last token against
    /// what the tokenizer does, which goes by tokenizer.json alone as it does in transformers 5.
    pub(super) fn warnings(&self, tokenizer: &Tokenizer) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        let around = unless_it_panics(|| tokenizer.encode("", true)).and_then(Result::ok);
        let around = around.map_or(Vec::new(), |encoded| encoded.get_tokens().to_vec());
        for (field, says, token, place) in [
            ("add_bos_token", self.adds_bos, "bos_token", "begins"),
            ("add_eos_token", self.adds_eos, "eos_token", "ends"),
        ] {
            let Some((says, token)) = says.zip(self.named.get(token)) else {
                continue;
            };
            if around.contains(token) != says {
                let does = if says { "without" } else { "with" };
                warnings.push(format!(
                    "tokenizer_config.json has {field}={says}, but by tokenizer.json a prompt {place} {does} '{token}'; \
                     tokenizer.json decides, as in transformers 5"
                ));
            }
        }
        warnings
    }
}

/// A token's text, which stands alone or in an object.
fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

fn unnamed(config: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let lists = MORE_SPECIAL_TOKENS
        .iter()
        .filter_map(|name| config.get(*name));
    lists.filter_map(Value::as_array).flatten()
}

fn special_texts(config: &Map<String, Value>) -> Vec<String> {
    let named = SPECIAL_TOKENS.iter().filter_map(|name| config.get(*name));
    let texts = named.chain(unnamed(config)).filter_map(content);
    texts.map(str::to_owned).collect()
}

/// A token with its switches; one of which only the text is given is special.
fn special_token(value: &Value) -> Option<AddedToken> {
    match value {
        Value::String(text) => Some(AddedToken::from(text.as_str(), true)),
        _ => token(value, true),
    }
}

/// An object's token; what it does not say is as in the Python class.
fn token(value: &Value, special_by_default: bool) -> Option<AddedToken> {
    let flag = |name: &str| value.get(name).and_then(Value::as_bool);
    let special = flag("special").unwrap_or(special_by_default);
    Some(
        AddedToken::from(value.get("content")?.as_str()?, special)
            .normalized(flag("normalized").unwrap_or(!special))
            .single_word(flag("single_word").unwrap_or(false))
            .lstrip(flag("lstrip").unwrap_or(false))
            .rstrip(flag("rstrip").unwrap_or(false)),
    )
}

/// `added_tokens_decoder`: tokens by their ids, in that order.
fn entries_by_id(value: Option<&Value>) -> Vec<AddedToken> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    let mut entries: Vec<(u32, AddedToken)> = entries
        .filter_map(|(id, entry)| Some((id.parse().ok()?, token(entry, false)?)))
        .collect();
    entries.sort_by_key(|(id, _)| *id);
    entries.into_iter().map(|(_, token)| token).collect()
}

/// `added_tokens.json`: ids by texts.
fn older_entries(older: &Map<String, Value>, special: &[String]) -> Vec<AddedToken> {
    let entries = older.iter();
    let mut entries: Vec<(u64, AddedToken)> = entries
        .filter_map(|(text, id)| {
            let is_special = special.contains(text);
            Some((id.as_u64()?, AddedToken::from(text.as_str(), is_special)))
        })
        .collect();
    entries.sort_by_key(|(id, _)| *id);
    entries.into_iter().map(|(_, token)| token).collect()
}
