//! Chat templates as Hugging Face checkpoints carry them: Jinja text, rendered by minijinja.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, context};
use serde_json::Value;

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
        let mut environment = Environment::new();
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_syntax(python_whitespace().map_err(failed)?);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<String, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        let template = environment
            .template_from_str(&self.source)
            .map_err(failed)?;
        template
            .render(context! {
                messages => [context! { role => "user", content => prompt }],
                add_generation_prompt => true,
                bos_token => self.bos_token.clone(),
                eos_token => self.eos_token.clone(),
            })
            .map_err(failed)
    }
}

/// transformers renders with `trim_blocks` and `lstrip_blocks`.
fn python_whitespace() -> Result<SyntaxConfig, Error> {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
}

/// The field is a template, or a list of named ones of which `default` is meant.
fn default_template(value: &Value) -> Option<String> {
    match value {
        Value::String(template) => Some(template.clone()),
        Value::Array(named) => named
            .iter()
            .find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"))
            .and_then(|entry| entry.get("template"))
            .and_then(Value::as_str)
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
}
