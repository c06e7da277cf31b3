//! What a chat template is told besides the turns, such as `enable_thinking=false`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chat::TEMPLATE_NAMES;
use crate::SessionError;

/// Variables for a chat template, which transformers takes as further arguments of `apply_chat_template`.
///
/// None can take the name of something that every template is given (`messages`, `bos_token`, ...): in
/// transformers some of these would replace it, and the prompt would no longer be the one that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Value>", into = "BTreeMap<String, Value>")]
pub struct ChatVariables(BTreeMap<String, Value>);

impl ChatVariables {
    /// Reads texts of the form `NAME=VALUE`. A value that is JSON (`false`, `3`, `"3"`, `["a"]`) means that, and
    /// any other is a text; objects lose the order of their keys.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for a text without `=`, a name that is no identifier, is taken or comes twice, and
    /// for Python's `True`, `False` and `None`, which as texts would all count as true.
    pub fn parse(texts: &[String]) -> Result<Self, SessionError> {
        let mut variables = BTreeMap::new();
        for text in texts {
            let (name, value) = text.split_once('=').ok_or_else(|| {
                wrong(format!(
                    "the chat variable '{text}' has no '='; write NAME=VALUE, such as enable_thinking=false"
                ))
            })?;
            let value = value_of(name, value)?;
            if variables.insert(name.to_owned(), value).is_some() {
                return Err(wrong(format!("the chat variable '{name}' is given twice")));
            }
        }
        Self::try_from(variables)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values by the names' order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl TryFrom<BTreeMap<String, Value>> for ChatVariables {
    type Error = SessionError;

    fn try_from(variables: BTreeMap<String, Value>) -> Result<Self, SessionError> {
        for name in variables.keys() {
            if !is_identifier(name) {
                return Err(wrong(format!(
                    "'{name}' cannot be the name of a chat variable; it must be letters, digits and underscores"
                )));
            }
            if TEMPLATE_NAMES.contains(&name.as_str()) {
                return Err(wrong(format!(
                    "the chat variable '{name}' would replace what every chat template is given under that name"
                )));
            }
        }
        Ok(Self(variables))
    }
}

impl From<ChatVariables> for BTreeMap<String, Value> {
    fn from(variables: ChatVariables) -> Self {
        variables.0
    }
}

fn value_of(name: &str, text: &str) -> Result<Value, SessionError> {
    let json = match text {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        _ => return Ok(serde_json::from_str(text).unwrap_or_else(|_| text.into())),
    };
    Err(wrong(format!(
        "the chat variable '{name}' is {text}, which is Python's spelling; write {name}={json}, or {name}='\"{text}\"' for the word itself"
    )))
}

fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    let is_letter = |c: char| c == '_' || c.is_ascii_alphabetic();
    characters.next().is_some_and(is_letter)
        && characters.all(|c| is_letter(c) || c.is_ascii_digit())
}

fn wrong(reason: String) -> SessionError {
    SessionError::Plan { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(texts: &[&str]) -> Result<ChatVariables, String> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        ChatVariables::parse(&texts).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_json_or_else_a_text() {
        let variables = parsed(&[
            "a=false",
            "b=low",
            "c=\"3\"",
            "d=3",
            "e=",
            "f=x=y",
            "g=[1, null]",
        ]);
        let found: BTreeMap<String, Value> = variables.unwrap().into();
        let expected = serde_json::json!({"a": false, "b": "low", "c": "3", "d": 3, "e": "", "f": "x=y",
            "g": [1, null]});
        assert_eq!(serde_json::to_value(found).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, word) in [
            ("enable_thinking", "has no '='"),
            ("=1", "''"),
            ("two words=1", "'two words'"),
            ("1st=1", "'1st'"),
            ("enable_thinking=False", "write enable_thinking=false"),
            ("messages=[]", "'messages' would replace"),
            (
                "add_generation_prompt=false",
                "'add_generation_prompt' would replace",
            ),
            ("bos_token=x", "'bos_token' would replace"),
            ("raise_exception=x", "'raise_exception' would replace"),
        ] {
            let refused = parsed(&[text]).unwrap_err();
            assert!(refused.contains(word), "{text}: {refused}");
        }
        assert!(parsed(&["a=1", "a=1"]).unwrap_err().contains("twice"));
    }

    #[test]
    fn a_manifest_cannot_smuggle_a_taken_name_in() {
        let read = |text| serde_json::from_str::<ChatVariables>(text);
        assert_eq!(read(r#"{"a": 1}"#).unwrap(), parsed(&["a=1"]).unwrap());
        let refused = read(r#"{"messages": []}"#).unwrap_err().to_string();
        assert!(refused.contains("would replace"), "{refused}");
    }
}
