//! One JSON object, and what is wrong with a text that is none.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::Fields;

/// The fields of a JSON object.
///
/// # Errors
/// What is wrong, as the end of a sentence that begins with the row.
pub(super) fn parse(bytes: &[u8]) -> Result<Fields, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        format!(
            "is not UTF-8 text (first wrong byte at {} of the row)",
            error.valid_up_to()
        )
    })?;
    if !text.trim_start().starts_with('{') {
        return match serde_json::from_str::<Value>(text) {
            Ok(_) => Err("is not a JSON object".to_owned()),
            Err(error) => Err(problem(text, &error)),
        };
    }
    let object: Unique = serde_json::from_str(text).map_err(|error| problem(text, &error))?;
    match object.twice {
        Some(name) => Err(format!("has the field {name} twice")),
        None => Ok(object.fields),
    }
}

fn problem(text: &str, error: &serde_json::Error) -> String {
    let column = error.column();
    let said = error.to_string();
    if said.contains("surrogate") || said.contains("unexpected end of hex escape") {
        return format!("holds half of a surrogate pair, which is no character (column {column})");
    }
    let lines = text.lines().nth(error.line().saturating_sub(1));
    let at = lines.and_then(|line| line.get(column.saturating_sub(2)..));
    let names = ["NaN", "Infinity", "aN", "-I"];
    if at.is_some_and(|rest| {
        let rest = rest.trim_start_matches([' ', ':', ',', '[']);
        names.iter().any(|name| rest.starts_with(name))
    }) {
        return format!("holds NaN or Infinity, which are no numbers of JSON (column {column})");
    }
    if said.starts_with("control character") {
        return format!(
            "holds NUL or another control character, which JSON writes as \\u0000 (column {column})"
        );
    }
    format!("is not valid JSON (column {column})")
}

/// An object whose fields are kept, and the first name that stands twice.
struct Unique {
    fields: Fields,
    twice: Option<String>,
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Unique, A::Error> {
        let mut fields = Map::new();
        let mut twice = None;
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if fields.insert(name.clone(), value).is_some() {
                twice.get_or_insert(name);
            }
        }
        Ok(Unique { fields, twice })
    }
}
