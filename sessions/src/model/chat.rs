//! Chat templates as Hugging Face checkpoints carry them: Jinja text, rendered by minijinja.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, context};
use serde_json::Value;

use super::chat_bounds::{check_source, rendered};
use super::chat_python::{install, without_generation_tags};
use super::chat_variables::ChatVariables;
use super::checkpoint::Checkpoint;
use super::text::json_field;
use super::text_rules::ChatTemplateIdentity;
use super::tokenizer_files::SPECIAL_TOKENS;
use crate::SessionError;
use crate::hash::sha256_hex;

/// What a template may use up whatever the prompt is, in minijinja's measure: steps, and 64 bytes that it makes.
/// Templates of published checkpoints take some hundreds a turn.
const MOST_FUEL: u64 = 300_000;

/// What it may use up besides for each byte of the prompt, which is copied, cut and searched a few times.
const FUEL_A_BYTE: u64 = 2;

/// Every name that means something in a template already: the turns, the switches, the special tokens and
/// transformers' functions.
pub(super) const TEMPLATE_NAMES: [&str; 13] = [
    "messages",
    "add_generation_prompt",
    "tools",
    "documents",
    "raise_exception",
    "strftime_now",
    SPECIAL_TOKENS[0],
    SPECIAL_TOKENS[1],
    SPECIAL_TOKENS[2],
    SPECIAL_TOKENS[3],
    SPECIAL_TOKENS[4],
    SPECIAL_TOKENS[5],
    SPECIAL_TOKENS[6],
];

/// A checkpoint's chat template with the special tokens that it may use.
pub(crate) struct ChatTemplate {
    /// The file that it stands in.
    file: &'static str,
    source: String,
    special_tokens: BTreeMap<&'static str, String>,
}

impl ChatTemplate {
    /// `chat_template.jinja` goes before the field of tokenizer_config.json, as in transformers.
    /// `special_tokens` are texts by the names that templates use.
    pub(crate) fn find(
        checkpoint: &Checkpoint,
        special_tokens: &BTreeMap<&'static str, String>,
    ) -> Result<Option<Self>, SessionError> {
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
        let file = match checkpoint.chat_template {
            Some(_) => "chat_template.jinja",
            None => "tokenizer_config.json",
        };
        Ok(source.map(|source| Self {
            file,
            source,
            special_tokens: special_tokens.clone(),
        }))
    }

    /// Which one it is.
    pub(crate) fn identity(&self) -> ChatTemplateIdentity {
        let parts = serde_json::json!([self.source, self.special_tokens]);
        ChatTemplateIdentity {
            file: self.file.to_owned(),
            sha256: sha256_hex(parts.to_string().as_bytes()),
        }
    }

    /// One user turn followed by the opening of the assistant's turn, without tools and documents. `variables`
    /// are for what a template of its own asks, such as whether the model is to think first.
    ///
    /// # Errors
    /// [`SessionError::Tokenizer`] if the template is no Jinja, refuses the turn, or does not come to an end.
    pub(crate) fn render_user_turn(
        &self,
        prompt: &str,
        variables: &ChatVariables,
    ) -> Result<String, SessionError> {
        check_source(&self.source).map_err(|reason| SessionError::Tokenizer {
            reason: format!("the chat template cannot be used: {reason}"),
        })?;
        let for_prompt = FUEL_A_BYTE.saturating_mul(prompt.len() as u64);
        let fuel = MOST_FUEL.saturating_add(for_prompt);
        let (source, prompt) = (without_generation_tags(&self.source), prompt.to_owned());
        let tokens = self.special_tokens.iter();
        let tokens = tokens.map(|(name, token)| (*name, token.as_str().into()));
        let variables = variables
            .iter()
            .map(|(name, value)| (name, minijinja::Value::from(Serde(value.clone()))));
        let more = minijinja::Value::from_pairs(tokens.chain(variables));
        rendered(fuel, move || render(&source, &prompt, more, fuel))
    }
}

fn render(source: &str, prompt: &str, more: minijinja::Value, fuel: u64) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(python_whitespace()?);
    environment.set_fuel(Some(fuel));
    install(&mut environment);
    environment.template_from_str(source)?.render(context! {
        messages => [context! { role => "user", content => prompt }],
        add_generation_prompt => true,
        tools => (),
        documents => (),
        // a token that the checkpoint has not is undefined and prints nothing
        ..more
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        template: String,
        special_tokens: BTreeMap<String, String>,
        variables: ChatVariables,
        prompt: String,
        rendered: Option<String>,
        refused: Option<String>,
    }

    fn rendered_by(
        source: &str,
        special_tokens: &BTreeMap<String, String>,
        variables: &ChatVariables,
        prompt: &str,
    ) -> Result<String, String> {
        let special_tokens = SPECIAL_TOKENS
            .into_iter()
            .filter_map(|name| Some((name, special_tokens.get(name)?.clone())))
            .collect();
        let template = ChatTemplate {
            file: "chat_template.jinja",
            source: source.to_owned(),
            special_tokens,
        };
        template
            .render_user_turn(prompt, variables)
            .map_err(|error| error.to_string())
    }

    /// Cases and renderings of transformers: `make_chat_fixtures.py`.
    #[test]
    fn templates_of_every_shape_are_rendered_as_transformers_does() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../tests/fixtures/chat-templates.json")).unwrap();
        for case in cases {
            let rendered = rendered_by(
                &case.template,
                &case.special_tokens,
                &case.variables,
                &case.prompt,
            );
            match (&case.rendered, &case.refused) {
                (Some(expected), _) => {
                    assert_eq!(rendered.as_ref(), Ok(expected), "{}", case.name);
                }
                (None, refused) => {
                    let (error, refused) = (rendered.unwrap_err(), refused.as_ref().unwrap());
                    assert!(error.contains(refused), "{}: {error}", case.name);
                }
            }
        }
    }

    #[test]
    fn a_template_that_does_not_end_is_stopped() {
        for endless in [
            "{% for a in range(90000) %}{% for b in range(90000) %}x{% endfor %}{% endfor %}",
            "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
            "{% set ns = namespace(t='x' * 90) %}{% for a in range(90000) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
            "{{ '{:>2000000000}'.format('x') }}",
            "{{ '%2000000000s' | format('x') }}",
        ] {
            let error =
                rendered_by(endless, &BTreeMap::new(), &ChatVariables::default(), "x").unwrap_err();
            assert!(error.contains("cannot be rendered"), "{error}");
        }
    }

    /// Each overflows the stack of a test's thread, and so would end the program.
    #[test]
    fn templates_that_nest_without_end_are_refused_or_rendered() {
        let deep = "{% set ns = namespace(l=[]) %}{% for a in range(15000) %}{% set ns.l = [ns.l] %}{% endfor %}";
        let refused = |source: &str| {
            rendered_by(source, &BTreeMap::new(), &ChatVariables::default(), "x").unwrap_err()
        };
        for source in [
            format!("{deep}{{{{ ns.l | tojson }}}}"),
            format!("{deep}{{{{ ns.l }}}}"),
            format!("{{{{ {} x }}}}", "not ".repeat(50_000)),
            format!("{{{{ {} 1 }}}}", "-".repeat(50_000)),
            format!("{{{{ x {} }}}}", "| trim ".repeat(30_000)),
            format!("{{{{ x {} }}}}", ".y".repeat(50_000)),
            format!("{{{{ {}1{} }}}}", "[".repeat(50_000), "]".repeat(50_000)),
            "{% if x %}".repeat(20_000),
            "x".repeat(1 << 20),
        ] {
            let error = refused(&source);
            assert!(error.contains("cannot be"), "{error}");
        }
        // what nests as deep as its fuel allows, and is dropped or made a text
        for source in [
            deep.to_owned(),
            format!("{deep}{{{{ (ns.l | string) | length }}}}"),
        ] {
            let _ = rendered_by(&source, &BTreeMap::new(), &ChatVariables::default(), "x");
        }
    }

    /// Lists are joined lazily, so that doubling takes no fuel and reading all of it no end.
    #[test]
    fn a_template_whose_work_takes_no_fuel_is_ended_by_the_clock() {
        let doubled = "{% set ns = namespace(t=[1]) %}{% for a in range(1000) %}{% set ns.t = ns.t + ns.t %}{% endfor %}";
        for read in ["{{ ns.t | length }}", "{% if 2 in ns.t %}x{% endif %}"] {
            let _ = rendered_by(
                &format!("{doubled}{read}"),
                &BTreeMap::new(),
                &ChatVariables::default(),
                "x",
            );
        }
    }

    #[test]
    fn a_prompt_of_a_million_bytes_is_rendered() {
        let source = "{% for m in messages %}{% set t = m.content | trim %}{{ '[' + t.strip() + ']' }}{% endfor %}";
        let prompt = "word ".repeat(200_000);
        let rendered =
            rendered_by(source, &BTreeMap::new(), &ChatVariables::default(), &prompt).unwrap();
        assert_eq!(rendered.len(), prompt.len() + 1);
    }

    #[test]
    fn a_list_of_templates_means_its_default() {
        let value = serde_json::json!([{"name": "tool_use", "template": "a"}, {"name": "default", "template": "b"}]);
        assert_eq!(default_template(&value).as_deref(), Some("b"));
    }
}
