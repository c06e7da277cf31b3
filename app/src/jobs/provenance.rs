//! Where a table's figures come from, as JSON in the file's metadata.

use anyhow::{Context, Result};
use kvlens_analysis::{Budget, KeepRule, Scoring};
use kvlens_sessions::model::ModelIdentity;
use kvlens_sessions::{CapturePlan, ModelShape, ScoreKind, Session};
use serde::Serialize;

use crate::measurement::MeasureOptions;

/// What the oracle is, in words that go with the figures.
const ORACLE: &str = "the decode stage: queries of the generated tokens fed back at positions T, T+1, ..., \
     those of them that options.oracle.steps names (counted from 1 there), scored as given here under each \
     window (mean over the steps; softmax over every key seen, cut to the prompt without renormalising; no \
     pooling; unless overridden); the query that produced the first \
     generated token belongs to the prompt";

/// Everything that a reader of the tables needs to make them again.
#[derive(Debug, Serialize)]
pub struct Provenance<'a> {
    kvlens_version: &'static str,
    command_line: Vec<String>,
    oracle: &'static str,
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
    scoring: Scoring,
    oracle_scoring: Scoring,
    /// By the name that readers of older tables know.
    #[serde(rename = "forced_keep")]
    keep_rule: KeepRule,
    score_kind: ScoreKind,
}

impl<'a> Provenance<'a> {
    /// Of sessions that each have a finished sample.
    ///
    /// # Errors
    /// When a session's first sample cannot be read.
    pub fn new(
        sessions: &'a [Session],
        budgets: &'a [Budget],
        options: &'a MeasureOptions,
    ) -> Result<Self> {
        Ok(Self {
            kvlens_version: env!("CARGO_PKG_VERSION"),
            command_line: std::env::args_os()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            oracle: ORACLE,
            budgets,
            options,
            sessions: sessions
                .iter()
                .map(|session| of_session(session, options))
                .collect::<Result<_>>()?,
        })
    }

    /// The JSON text.
    ///
    /// # Errors
    /// When a value has no JSON form.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .context("the provenance of the tables cannot be written as JSON")
    }
}

fn of_session<'a>(session: &'a Session, options: &MeasureOptions) -> Result<SessionProvenance<'a>> {
    let manifest = session.manifest();
    // every sample of a session was observed by the same windows
    let first = session.load_sample(0)?;
    let windows = first.windows().iter().map(|window| WindowProvenance {
        window: window.label().to_owned(),
        scoring: options.window_scoring(window.scoring()),
        oracle_scoring: options.oracle_scoring(window.scoring()),
        keep_rule: options.keep_rule(window.keep_rule()),
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
