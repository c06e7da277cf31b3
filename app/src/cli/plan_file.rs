//! A plan file: several captures as a grid, in TOML.

use std::path::{Path, PathBuf};

use super::capture_flags::CaptureFlags;
use crate::jobs::failure::Failure;
use anyhow::{Context, Result};
use kvlens_datasets::nearest_name;
use kvlens_datasets::{MOST_TYPED_BYTES, read_text_at_most};
use serde::{Deserialize, Deserializer};
use toml::Table;

/// Keys besides those that are flags of `kvlens capture`.
const OWN_KEYS: [&str; 3] = ["model", "data", "out"];

/// What a plan file says.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PlanFile {
    pub model: Vec<String>,
    /// Each entry is a session's data: one SPEC or several.
    pub data: Vec<Entry>,
    pub out: Option<PathBuf>,
    #[serde(skip)]
    pub flags: CaptureFlags,
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
        let read = Self::deserialize(|| toml::Deserializer::parse(&text));
        Ok(read.map_err(|error| in_line(&error, &text, path))?)
    }

    /// Reads a table whose keys are known.
    ///
    /// # Errors
    /// A value of another kind.
    pub fn of_table(table: &Table) -> Result<Self, toml::de::Error> {
        Self::deserialize(|| Ok(table.clone()))
    }

    /// File, flags and choices of prompts each take their own keys. Read in one, an error would not know its line.
    fn deserialize<'de, D>(
        keys: impl Fn() -> Result<D, toml::de::Error>,
    ) -> Result<Self, toml::de::Error>
    where
        D: Deserializer<'de, Error = toml::de::Error>,
    {
        Ok(Self {
            flags: CaptureFlags {
                prompts: Deserialize::deserialize(keys()?)?,
                ..Deserialize::deserialize(keys()?)?
            },
            ..Deserialize::deserialize(keys()?)?
        })
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
    let flags = CaptureFlags::names();
    let flags = flags.iter().map(String::as_str);
    let known: Vec<&str> = OWN_KEYS
        .into_iter()
        .chain(flags)
        .chain(others.iter().copied())
        .collect();
    if let Some(unknown) = table.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(refused(&unknown_key(unknown, &known), path).into());
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
fn unknown_key(key: &str, known: &[&str]) -> String {
    format!(
        "there is no key '{key}', the nearest is '{}' (known: {})",
        nearest_name(key, known),
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
        assert!(plan.flags.ignore_eos);
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
