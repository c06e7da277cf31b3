//! What chat templates expect besides Jinja itself: transformers compiles them with a few functions, a filter and
//! a tag of its own (`_compile_jinja_template` of transformers 5.2), and Python prints its values in its own way.

use std::fmt::Write as _;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::chat_bounds::{check_format, check_levels};

/// The day that every template is rendered on, the one that Llama 3.1's template falls back to. With the real one
/// a prompt would have other tokens tomorrow, and a run could not be made again.
const DAY: (i32, u32, u32) = (2024, 7, 26);

/// Indents of JSON beyond this are a mistake or an attack.
const MOST_SPACES: usize = 64;

/// Adds `raise_exception`, `strftime_now`, `tojson`, Python's methods of strings and dictionaries, and its
/// spelling of `None`, `True` and `False`.
pub(super) fn install(environment: &mut Environment<'_>) {
    environment.set_unknown_method_callback(|state, value, method, arguments| {
        if let (true, Some(text)) = (method == "format", value.as_str()) {
            check_format(text)?;
        }
        minijinja_contrib::pycompat::unknown_method_callback(state, value, method, arguments)
    });
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment.add_filter("tojson", to_json);
    environment.set_formatter(|output, _, value| {
        let python = match value {
            value if value.is_none() => Some("None"),
            value if *value == Value::from(true) && is_bool(value) => Some("True"),
            value if is_bool(value) => Some("False"),
            _ => None,
        };
        match python {
            Some(word) => Ok(output.write_str(word)?),
            None => {
                check_levels(value)?;
                Ok(write!(output, "{value}")?)
            }
        }
    });
}

fn is_bool(value: &Value) -> bool {
    value.kind() == minijinja::value::ValueKind::Bool
}

fn raise_exception(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// [`DAY`] at midnight in the words of `strftime`.
fn strftime_now(format: &str) -> Result<String, Error> {
    let (year, month, day) = DAY;
    let now = NaiveDate::from_ymd_opt(year, month, day)
        .map(|date| NaiveDateTime::new(date, NaiveTime::MIN));
    let mut text = String::new();
    now.and_then(|now| write!(text, "{}", now.format(format)).ok())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("'{format}' is no format of a date"),
            )
        })?;
    Ok(text)
}

/// JSON with the spaces that Python's `json.dumps` puts, nothing escaped for HTML.
fn to_json(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    check_levels(value)?;
    if ascii == Some(true) || indent.is_some_and(|spaces| spaces > MOST_SPACES) {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("tojson cannot do ensure_ascii=true or an indent above {MOST_SPACES}"),
        ));
    }
    let json = match indent {
        None => serialized(value, OneLine),
        Some(spaces) => serialized(
            value,
            PrettyFormatter::with_indent(" ".repeat(spaces).as_bytes()),
        ),
    };
    json.map(Value::from)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

fn serialized(value: &Value, layout: impl Formatter) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, layout))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// `{"a": 1, "b": [2, 3]}`.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        CompactFormatter.begin_object_value(writer)?;
        writer.write_all(b" ")
    }
}

/// transformers marks the assistant's words with a tag of its own, `{% generation %}`, which changes nothing in
/// what is printed: it becomes a `{% with %}`, as both open a scope. Signs that trim whitespace stay.
pub(super) fn without_generation_tags(template: &str) -> String {
    let mut plain = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{%") {
        plain.push_str(before);
        plain.push_str("{%");
        rest = behind;
        let Some((tag, after)) = behind.split_once("%}") else {
            break;
        };
        let word = tag.trim_matches(['-', '+']).trim();
        let other = match word {
            "generation" => "with",
            "endgeneration" => "endwith",
            _ => continue,
        };
        plain.push_str(&tag.replacen(word, other, 1));
        plain.push_str("%}");
        rest = after;
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tag_itself_is_replaced() {
        assert_eq!(
            without_generation_tags(
                "generation {%- generation +%}{% endgeneration%}{% generations"
            ),
            "generation {%- with +%}{% endwith%}{% generations"
        );
        assert_eq!(
            without_generation_tags("{% if generation %}{% endif %}"),
            "{% if generation %}{% endif %}"
        );
    }

    #[test]
    fn dates_that_cannot_be_written_are_refused() {
        assert_eq!(
            strftime_now("%-d %B %Y, %A").unwrap(),
            "26 July 2024, Friday"
        );
        assert!(strftime_now("%!").is_err());
    }
}
