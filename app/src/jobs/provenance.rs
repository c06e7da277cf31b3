//! Where a table's figures come from, as JSON in the file's metadata.

use anyhow::{Context, Result};
use kvlens_analysis::{Budget, Compare, KeepRule, Scoring, SideScoring};
use kvlens_sessions::model::ModelIdentity;
use kvlens_sessions::{CapturePlan, ModelShape, ScoreKind, Session};
use serde::Serialize;
use serde_json::Value;

use super::found_sessions::first_header;
use crate::measurement::MeasureOptions;

/// What the oracle is under either comparison, in words that go with the figures.
const ORACLE: &str = "the decode stage: queries of the generated tokens fed back at positions T, T+1, ..., those of them \
     that options.oracle.steps names (counted from 1 there); the query that produced the first generated token belongs \
     to the prompt. It is scored as `truth` says, and every window is held against this one truth";

/// What the truth is where queries are compared.
const QUERIES: &str = "queries: every window and the decode stage are scored alike (unless overridden: mean over rows, \
     softmax over every key seen and cut to the prompt without renormalising, max:7 along positions, every query head by \
     itself), so that the decode stage itself has recall 1 at every budget";

/// What it is where methods are compared.
const METHODS: &str = "methods: every window is scored as its method was published (unless overridden) and held against \
     the raw attention of the decode stage (unless overridden by --oracle-reduce and --oracle-keys: mean over steps, \
     softmax over every key seen and cut to the prompt without renormalising; unpooled, every query head by itself); a \
     ceiling is what the decode stage's own queries reach under a window's scoring";

/// Everything that a reader of the tables needs to make them again.
#[derive(Debug, Serialize)]
pub struct Provenance<'a> {
    kvlens_version: &'static str,
    command_line: Vec<String>,
    oracle: &'static str,
    compare: Compare,
    comparison: &'static str,
    truth: SideProvenance,
    budgets: &'a [Budget],
    options: &'a MeasureOptions,
    sessions: Vec<SessionProvenance<'a>>,
}

#[derive(Debug, Serialize)]
struct SessionProvenance<'a> {
    name: &'a str,
    format_version: u32,
    kvlens_version: &'a str,
    model: &'a ModelIdentity,
    shape: &'a ModelShape,
    device: &'a str,
    dtype: &'a str,
    plan: &'a CapturePlan,
    windows: Vec<WindowProvenance>,
}

#[derive(Debug, Serialize)]
struct WindowProvenance {
    window: String,
    #[serde(flatten)]
    scored: SideProvenance,
    /// Of the decode stage's own rows for the window's ceiling; none where queries are compared, where that is 1.
    ceiling: Option<SideProvenance>,
    /// By the name that readers of older tables know.
    #[serde(rename = "forced_keep")]
    keep_rule: KeepRule,
    score_kind: ScoreKind,
}

/// How one side is scored.
#[derive(Debug, Serialize)]
struct SideProvenance {
    scoring: Scoring,
    /// Pooling stops before the last so many tokens.
    pooling_stops_before_recent: usize,
    /// Whether every query head is compared, those of a group by the scores that they share.
    per_query_head: bool,
}

impl From<SideScoring> for SideProvenance {
    fn from(side: SideScoring) -> Self {
        Self {
            scoring: side.scoring,
            pooling_stops_before_recent: side.boundary.recent,
            per_query_head: side.per_query_head,
        }
    }
}

/// What was typed, the program by its name: where it lies says nothing to others.
fn command_line() -> Vec<String> {
    let typed = std::env::args_os().skip(1);
    let typed = typed.map(|word| word.to_string_lossy().into_owned());
    std::iter::once("kvlens".to_owned()).chain(typed).collect()
}

impl<'a> Provenance<'a> {
    /// Of sessions that each have a finished sample.
    ///
    /// # Errors
    /// When no sample of a session can be read.
    pub fn new(
        sessions: &'a [Session],
        budgets: &'a [Budget],
        options: &'a MeasureOptions,
    ) -> Result<Self> {
        Ok(Self {
            kvlens_version: env!("CARGO_PKG_VERSION"),
            command_line: command_line(),
            oracle: ORACLE,
            compare: options.compare,
            comparison: match options.compare {
                Compare::Queries => QUERIES,
                Compare::Methods => METHODS,
            },
            truth: options.truth_scoring().into(),
            budgets,
            options,
            sessions: sessions
                .iter()
                .map(|session| of_session(session, options))
                .collect::<Result<_>>()?,
        })
    }

    /// With the command that others know it by in place of this process's own.
    #[must_use]
    pub fn of_command(mut self, command: Option<&Vec<String>>) -> Self {
        if let Some(command) = command {
            self.command_line.clone_from(command);
        }
        self
    }
}

/// A provenance as JSON text, with absolute paths by their last names: where things lie on a machine says nothing to others,
/// and may say who measured.
///
/// # Errors
/// When a value has no JSON form.
pub fn to_json(provenance: &impl Serialize) -> Result<String> {
    let json = serde_json::to_value(provenance).map(without_folders);
    json.map(|json| json.to_string())
        .context("the provenance of the tables cannot be written as JSON")
}

fn without_folders(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(by_last_names(&text)),
        Value::Array(all) => all.into_iter().map(without_folders).collect(),
        Value::Object(all) => {
            let named = |(key, value)| (key, without_folders(value));
            Value::Object(all.into_iter().map(named).collect())
        }
        other => other,
    }
}

/// A text in which a path may stand alone or behind one of the signs that part specifications.
fn by_last_names(text: &str) -> String {
    let separators = ['/', '\\'];
    let parts = text.split_inclusive(['=', ':', ',', '@']);
    let shortened = parts.map(|part| {
        let is_path = part.starts_with(separators) && !part.starts_with("//");
        let path = part.trim_end_matches(separators);
        match path.rsplit_once(separators) {
            Some((_, name)) if is_path => name,
            _ => part,
        }
    });
    shortened.collect()
}

fn of_session<'a>(session: &'a Session, options: &MeasureOptions) -> Result<SessionProvenance<'a>> {
    let manifest = session.manifest();
    let first = first_header(session)?;
    let windows = first.windows().iter().map(|window| WindowProvenance {
        window: window.label.clone(),
        scored: options.window_scoring(window.published_side()).into(),
        ceiling: options
            .ceiling_scoring(window.published_side())
            .map(Into::into),
        keep_rule: options.keep_rule(window.keep_rule),
        score_kind: window.score_kind(),
    });
    Ok(SessionProvenance {
        name: session.name(),
        format_version: manifest.format_version,
        kvlens_version: &manifest.kvlens_version,
        model: &manifest.model,
        shape: &manifest.shape,
        device: &manifest.device,
        dtype: &manifest.dtype,
        plan: &manifest.plan,
        windows: windows.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_go_by_their_last_names() {
        for (typed, told) in [
            ("/home/jane/runs/a.kvlens", "a.kvlens"),
            ("/home/jane/runs/", "runs"),
            ("runs/a.kvlens", "runs/a.kvlens"),
            (
                "longbench:/data/sets/long,samples=4",
                "longbench:long,samples=4",
            ),
            ("--out=/tmp/tables", "--out=tables"),
            (
                "draft:model=/m/small.gguf,n=4",
                "draft:model=small.gguf,n=4",
            ),
            ("C:\\Users\\jane\\a.kvlens", "C:a.kvlens"),
            ("ORG/NAME@main", "ORG/NAME@main"),
            ("https://host/path", "https://host/path"),
            ("top k / keys", "top k / keys"),
        ] {
            assert_eq!(by_last_names(typed), told);
        }
        let json = to_json(&serde_json::json!({"plan": {"data": ["/a/b.jsonl", 3]}}));
        assert_eq!(json.unwrap(), r#"{"plan":{"data":["b.jsonl",3]}}"#);
    }
}
