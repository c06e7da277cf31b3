//! Chat templates as Hugging Face checkpoints carry them: Jinja text, rendered by minijinja with what
//! `chat_template_utils.py` of transformers adds to Jinja.
//!
//! One thing differs: the clock stands still, because the same prompt must be the same tokens on every day.

use minijinja::filters::tojson;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde_json::Value as Json;

use super::checkpoint::Checkpoint;
use super::text::json_field;
use crate::SessionError;

/// A checkpoint's chat template with the special tokens that it may use.
pub(crate) struct ChatTemplate {
    source: String,
    bos_token: Option<String>,
    eos_token: Option<String>,
}

impl ChatTemplate {
    /// `chat_template.jinja` goes before the field of tokenizer_config.json, as in transformers.
    pub(crate) fn find(checkpoint: &Checkpoint) -> Result<Option<Self>, SessionError> {
        let config = checkpoint.tokenizer_config.as_deref();
        let source = match &checkpoint.chat_template {
            Some(bytes) => {
                Some(
                    String::from_utf8(bytes.clone()).map_err(|_| SessionError::Tokenizer {
                        reason: "chat_template.jinja is not UTF-8 text".to_owned(),
                    })?,
                )
            }
            None => json_field(config, "chat_template")
                .as_ref()
                .and_then(default_template),
        };
        Ok(source.map(|source| Self {
            source,
            bos_token: special_token(config, "bos_token"),
            eos_token: special_token(config, "eos_token"),
        }))
    }

    /// One user turn followed by the opening of the assistant's turn.
    pub(crate) fn render_user_turn(&self, prompt: &str) -> Result<String, SessionError> {
        let failed = |error: Error| SessionError::Tokenizer {
            reason: format!("the chat template cannot be rendered ({error})"),
        };
        let environment = environment().map_err(failed)?;
        let source = without_generation_marks(&self.source);
        let template = environment.template_from_str(&source).map_err(failed)?;
        template
            .render(context! {
                messages => [context! { role => "user", content => prompt }],
                tools => (),
                documents => (),
                add_generation_prompt => true,
                bos_token => self.bos_token.clone(),
                eos_token => self.eos_token.clone(),
            })
            .map_err(failed)
    }
}

fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_syntax(python_whitespace()?);
    environment.add_function("raise_exception", |message: String| {
        Err::<String, _>(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", stopped_clock);
    environment.add_filter("tojson", as_json);
    Ok(environment)
}

/// minijinja's own filter escapes in texts what HTML would misread; Python's `json.dumps` does not.
fn as_json(value: &Value, indent: Option<Value>, arguments: Kwargs) -> Result<Value, Error> {
    match value.as_str() {
        None => tojson(value, indent, arguments),
        Some(text) => serde_json::to_string(text)
            .map(Value::from_safe_string)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string())),
    }
}

/// Formats 26 July 2024, midnight: the date that Llama 3's templates name where there is no clock.
fn stopped_clock(format: &str) -> Result<String, Error> {
    let mut text = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let directive = characters.next();
        text.push_str(match directive {
            Some('d') => "26",
            Some('j') => "208",
            Some('m') => "07",
            Some('b') => "Jul",
            Some('B') => "July",
            Some('y') => "24",
            Some('Y') => "2024",
            Some('a') => "Fri",
            Some('A') => "Friday",
            Some('F') => "2024-07-26",
            Some('H' | 'M' | 'S') => "00",
            Some('I') => "12",
            Some('p') => "AM",
            Some('%') => "%",
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("strftime_now does not know all of '{format}'"),
                ));
            }
        });
    }
    Ok(text)
}

/// transformers knows `{% generation %}` blocks, which mark what an assistant said and render as what they hold:
/// here they become conditions that always hold, with the same trimming of white space.
fn without_generation_marks(source: &str) -> String {
    let mut parts = source.split("{%");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("{%");
        let start = part.trim_start_matches(['-', '+']).trim_start();
        let sign = part.chars().next().filter(|sign| "-+".contains(*sign));
        let marks = [("generation", " if true "), ("endgeneration", " endif ")];
        let replaced = marks.iter().find_map(|(word, instead)| {
            let rest = start.strip_prefix(word)?.trim_start();
            let closes = ["%}", "-%}", "+%}"].iter().any(|end| rest.starts_with(end));
            closes.then_some((instead, rest))
        });
        match replaced {
            Some((instead, rest)) => {
                text.extend(sign);
                text.push_str(instead);
                text.push_str(rest);
            }
            None => text.push_str(part),
        }
    }
    text
}

/// transformers renders with `trim_blocks` and `lstrip_blocks`.
fn python_whitespace() -> Result<SyntaxConfig, Error> {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
}

/// The field is a template, or a list of named ones of which `default` is meant.
fn default_template(value: &Json) -> Option<String> {
    match value {
        Json::String(template) => Some(template.clone()),
        Json::Array(named) => named
            .iter()
            .find(|entry| entry.get("name").and_then(Json::as_str) == Some("default"))
            .and_then(|entry| entry.get("template"))
            .and_then(Json::as_str)
            .map(str::to_owned),
        _ => None,
    }
}

/// A special token is written as its text or as an object with `content`.
fn special_token(config: Option<&[u8]>, name: &str) -> Option<String> {
    let value = json_field(config, name)?;
    let content = value.get("content").unwrap_or(&value);
    content.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, prompt: &str) -> Result<String, SessionError> {
        let template = ChatTemplate {
            source: source.to_owned(),
            bos_token: Some("<s>".to_owned()),
            eos_token: Some("</s>".to_owned()),
        };
        template.render_user_turn(prompt)
    }

    #[test]
    fn a_turn_is_rendered_with_python_methods_and_special_tokens() {
        let source = "{{ bos_token }}{% for m in messages %}\n  {%- if m['role'] == 'user' %}[{{ m['content'].strip() }}]{% endif %}\n{%- endfor %}{% if add_generation_prompt %}>{% endif %}";
        assert_eq!(render(source, " hello ").unwrap(), "<s>[hello]>");
    }

    #[test]
    fn a_template_that_refuses_says_why() {
        let error = render("{{ raise_exception('only tools') }}", "x").unwrap_err();
        assert!(error.to_string().contains("only tools"), "{error}");
    }

    #[test]
    fn a_list_of_templates_means_its_default() {
        let value = serde_json::json!([{"name": "tool_use", "template": "a"}, {"name": "default", "template": "b"}]);
        assert_eq!(default_template(&value).as_deref(), Some("b"));
    }

    /// `tests/fixtures/make_chat_renderings.py` says how the renderings were made.
    #[test]
    fn templates_render_as_transformers_renders_them() {
        let file = include_str!("../../tests/fixtures/chat-templates.json");
        let file: Json = serde_json::from_str(file).unwrap();
        let prompt = file["prompt"].as_str().unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert!(cases.len() >= 12);
        let mut different = Vec::new();
        for case in cases {
            let found = render(case["template"].as_str().unwrap(), prompt);
            if found.as_deref().ok() != case["rendered"].as_str() {
                different.push(format!("{}: {found:?}", case["name"]));
            }
        }
        assert!(different.is_empty(), "{}", different.join("\n"));
    }

    #[test]
    fn a_date_format_that_is_not_known_is_refused() {
        let error = render("{{ strftime_now('%Q') }}", "x").unwrap_err();
        assert!(error.to_string().contains("%Q"), "{error}");
    }
}
