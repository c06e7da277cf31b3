//! Prompt templates and answer lengths that lie beside a benchmark's data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::template::{Template, TemplateOrigin};
use crate::bounded::{MOST_TYPED_BYTES, read_text_at_most};
use crate::error::DatasetError;

/// How many folders above a file are looked into.
const LEVELS: usize = 5;

/// What a benchmark's own files say of its tasks.
#[derive(Default)]
pub(crate) struct Config {
    templates: BTreeMap<String, String>,
    templates_path: PathBuf,
    answer_tokens: BTreeMap<String, usize>,
    /// A template of marks for all tasks (LongBench v2).
    whole: Option<String>,
}

impl Config {
    /// Templates and answer lengths by task, from files of these names beside the data, in a folder `config` there,
    /// or above.
    ///
    /// # Errors
    /// A file that is there but cannot be read as such.
    pub(crate) fn by_task(data: &Path, prompts: &str, lengths: &str) -> Result<Self, DatasetError> {
        let mut config = Self::default();
        if let Some(path) = find(data, prompts, &["config", "LongBench/config"]) {
            config.templates = read(&path)?;
            config.templates_path = path;
        }
        if let Some(path) = find(data, lengths, &["config", "LongBench/config"]) {
            config.answer_tokens = read(&path)?;
        }
        Ok(config)
    }

    /// One template for all, from `prompts/NAME`.
    ///
    /// # Errors
    /// As [`Config::by_task`].
    pub(crate) fn whole(data: &Path, name: &str) -> Result<Self, DatasetError> {
        let mut config = Self::default();
        if let Some(path) = find(data, name, &["prompts"]) {
            let text = read_text_at_most(&path, MOST_TYPED_BYTES).map_err(|source| {
                DatasetError::Read {
                    path: path.clone(),
                    source,
                }
            })?;
            config.whole = Some(text);
            config.templates_path = path;
        }
        Ok(config)
    }

    /// The template of a task, when the benchmark's file was found and names it.
    pub(crate) fn template(&self, task: &str) -> Option<Template> {
        let text = self.templates.get(task)?;
        Some(Template::braces(text, self.origin()))
    }

    /// The template for all tasks, with its marks.
    pub(crate) fn whole_template(&self, marks: &[(&str, &str)]) -> Option<Template> {
        let text = self.whole.as_ref()?;
        Some(Template::marks(text, marks, self.origin()))
    }

    pub(crate) fn answer_tokens(&self, task: &str) -> Option<usize> {
        self.answer_tokens.get(task).copied()
    }

    fn origin(&self) -> TemplateOrigin {
        TemplateOrigin::File(self.templates_path.clone())
    }
}

/// The nearest file of this name: in a folder of the data or above, or in one of these folders there.
fn find(data: &Path, name: &str, folders: &[&str]) -> Option<PathBuf> {
    let above = data.ancestors().skip(usize::from(data.is_file()));
    above.take(LEVELS).find_map(|folder| {
        let inside = folders.iter().map(|inner| folder.join(inner).join(name));
        inside
            .chain([folder.join(name)])
            .find(|path| path.is_file())
    })
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, DatasetError> {
    let text = read_text_at_most(path, MOST_TYPED_BYTES).map_err(|source| DatasetError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_str(&text).map_err(|error| DatasetError::Config {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}
