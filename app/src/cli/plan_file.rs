//! A plan file: several captures as a grid, in TOML.

use std::path::{Path, PathBuf};

use super::prompt_arguments::PromptKeys;
use crate::jobs::failure::Failure;
use anyhow::{Context, Result};
use kvlens_datasets::{MOST_TYPED_BYTES, read_text_at_most};
use serde::Deserialize;
use toml::Table;

/// Keys, each named as the flag of `kvlens capture` that it stands for.
const KEYS: [&str; 25] = [
    "model",
    "data",
    "limit",
    "sample",
    "skip-bad-rows",
    "skip-too-long",
    "truncate",
    "field",
    "template",
    "question",
    "evidence-unit",
    "windows",
    "decode",
    "ignore-eos",
    "teacher-forced",
    "temperature",
    "seed",
    "chat",
    "chat-variable",
    "device",
    "dtype",
    "attention",
    "keep",
    "repeat-cost",
    "out",
];

/// What a plan file says.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct PlanFile {
    pub model: Vec<String>,
    /// Each entry is a session's data: one SPEC or several.
    pub data: Vec<Entry>,
    #[serde(flatten)]
    pub prompts: PromptKeys,
    pub windows: Vec<String>,
    pub decode: Option<usize>,
    pub ignore_eos: bool,
    pub teacher_forced: bool,
    pub temperature: Option<f64>,
    pub seed: Option<u64>,
    pub chat: bool,
    /// Each as `NAME=VALUE`.
    pub chat_variable: Vec<String>,
    pub device: Option<String>,
    pub dtype: Option<String>,
    pub attention: Option<String>,
    pub keep: Option<String>,
    pub repeat_cost: Option<usize>,
    pub out: Option<PathBuf>,
}

/// One text, or several that belong together.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Entry {
    One(String),
    Several(Vec<String>),
}

impl Entry {
    /// All of its texts.
    pub fn into_texts(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Several(texts) => texts,
        }
    }
}

impl PlanFile {
    /// Reads a plan file.
    ///
    /// # Errors
    /// [`Failure::BadInput`] for what is no TOML, a key that is not known, or a value of another kind.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        checked_table(&text, path, &[])?;
        Ok(toml::from_str(&text).map_err(|error| in_line(&error, &text, path))?)
    }
}

/// Reads a plan file whose keys may also be some others.
///
/// # Errors
/// As [`PlanFile::read`].
pub fn read_table(path: &Path, others: &[&str]) -> Result<Table> {
    checked_table(&read_text(path)?, path, others)
}

fn read_text(path: &Path) -> Result<String> {
    read_text_at_most(path, MOST_TYPED_BYTES)
        .with_context(|| format!("the plan cannot be read: {}", path.display()))
}

fn checked_table(text: &str, path: &Path, others: &[&str]) -> Result<Table> {
    let table: Table = toml::from_str(text).map_err(|error| in_line(&error, text, path))?;
    let is_known = |key: &str| KEYS.contains(&key) || others.contains(&key);
    if let Some(unknown) = table.keys().find(|key| !is_known(key)) {
        return Err(refused(&unknown_key(unknown, others), path).into());
    }
    Ok(table)
}

fn refused(reason: &str, path: &Path) -> Failure {
    let reason = reason.trim().replace('\n', " ");
    Failure::BadInput(format!("the plan: {reason}: {}", path.display()))
}

fn in_line(error: &toml::de::Error, text: &str, path: &Path) -> Failure {
    let line = error.span().map(|span| {
        let before = text.get(..span.start).unwrap_or_default();
        before.matches('\n').count() + 1
    });
    let place = line.map_or_else(String::new, |line| format!("line {line}: "));
    refused(&format!("{place}{}", error.message()), path)
}

/// Names the key that was probably meant.
fn unknown_key(key: &str, others: &[&str]) -> String {
    let known: Vec<&str> = KEYS.iter().chain(others).copied().collect();
    let near = known
        .iter()
        .map(|known| (strsim::jaro_winkler(key, known), *known))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let nearest = near.map_or("", |(_, known)| known);
    format!(
        "there is no key '{key}', the nearest is '{nearest}' (known: {})",
        known.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str) -> Result<PlanFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.toml");
        fs::write(&path, text).unwrap();
        PlanFile::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn entries_of_data_are_one_or_several() {
        let plan = read("model = ['demo']\ndata = ['a', ['b', 'c']]\nignore-eos = true").unwrap();
        let data: Vec<_> = plan.data.into_iter().map(Entry::into_texts).collect();
        assert_eq!(data, [vec!["a"], vec!["b", "c"]]);
        assert!(plan.ignore_eos);
    }

    #[test]
    fn no_damage_of_a_plan_ends_the_program() {
        let plan = "model = ['demo', 'a/b']\ndata = ['demo:samples=3', ['x.jsonl', 'facts']]\nwindows = ['last:8']\n\
                    decode = 8\ntemperature = 0.5\nignore-eos = true\nseed = 7\nlimit = 3\nfield = ['question=q']\n\
                    dtype = 'bf16'\nkeep = 'keys,values'\nout = 'runs' # here\n";
        crate::damages::each_is_read_or_refused("plan.toml", plan, |path| {
            PlanFile::read(path)
                .map(drop)
                .map_err(|error| error.to_string())
        });
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let unknown = read("models = ['demo']").unwrap_err();
        assert!(
            unknown.contains("'models', the nearest is 'model'"),
            "{unknown}"
        );
        assert!(
            read("ignore_eos = true")
                .unwrap_err()
                .contains("'ignore-eos'")
        );
        let kind = read("model = ['demo']\ndecode = 'many'").unwrap_err();
        assert!(kind.contains("line 2"), "{kind}");
        assert!(read("model = [").unwrap_err().contains("line 1"));
        assert!(read("decode = -1").is_err());
    }
}
