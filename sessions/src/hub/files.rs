//! Which files of a repository make a checkpoint.

use super::client::{HubFile, Listing};
use super::id::{HubId, is_relative_path};

/// Fetched where they are there.
pub(super) const SMALL_FILES: [&str; 7] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
];

/// Without them there is no checkpoint.
const REQUIRED_FILES: [&str; 2] = ["config.json", "tokenizer.json"];

const WEIGHTS: &str = "model.safetensors";

pub(super) const INDEX: &str = "model.safetensors.index.json";

/// What is to be fetched, small files first.
#[derive(Debug)]
pub(super) struct Needed<'a> {
    pub(super) small: Vec<&'a HubFile>,
    pub(super) weights: Weights<'a>,
}

#[derive(Debug)]
pub(super) enum Weights<'a> {
    One(&'a HubFile),
    /// The shards that this index names.
    Index(&'a HubFile),
}

impl Listing {
    pub(super) fn find(&self, name: &str) -> Option<&HubFile> {
        let mut files = self.siblings.iter();
        files.find(|file| file.name == name)
    }

    /// # Errors
    /// A sentence: what the repository lacks and what to do.
    pub(super) fn needed(&self, id: &HubId) -> Result<Needed<'_>, String> {
        let small = SMALL_FILES
            .iter()
            .filter_map(|name| self.find(name))
            .collect();
        if let Some(name) = id.file() {
            let file = self.find(name).ok_or_else(|| {
                format!(
                    "the repository has no '{name}'; it has {}",
                    self.gguf_files()
                )
            })?;
            return Ok(Needed {
                small,
                weights: Weights::One(file),
            });
        }
        let weights = match (self.find(WEIGHTS), self.find(INDEX)) {
            (Some(file), _) => Weights::One(file),
            (None, Some(index)) => Weights::Index(index),
            (None, None) => return Err(self.no_safetensors(id)),
        };
        match REQUIRED_FILES.iter().find(|name| self.find(name).is_none()) {
            Some(missing) => Err(format!(
                "the repository has no {missing}, without which no model can be run"
            )),
            None => Ok(Needed { small, weights }),
        }
    }

    fn no_safetensors(&self, id: &HubId) -> String {
        let ends_with = |endings: &[&str]| {
            let mut files = self.siblings.iter();
            files.any(|file| endings.iter().any(|ending| file.name.ends_with(ending)))
        };
        if ends_with(&[".gguf"]) {
            format!(
                "the repository holds GGUF files; name one of them, as in {}:FILE.gguf; it has {}",
                id.repository(),
                self.gguf_files()
            )
        } else if ends_with(&[".bin", ".pt", ".pth"]) {
            "the repository has its weights only as Python pickles, which are not fetched because they can run code: load it in transformers, call save_pretrained(folder, safe_serialization=True), and give that folder".to_owned()
        } else {
            format!("the repository has neither {WEIGHTS} nor {INDEX}")
        }
    }

    fn gguf_files(&self) -> String {
        let names = self.siblings.iter().map(|file| file.name.as_str());
        let names: Vec<&str> = names.filter(|name| name.ends_with(".gguf")).collect();
        if names.is_empty() {
            "no GGUF file".to_owned()
        } else {
            names.join(", ")
        }
    }

    /// The shards that an index names.
    ///
    /// # Errors
    /// A sentence for an index that cannot be read or names what is not there.
    pub(super) fn shards(&self, index: &[u8]) -> Result<Vec<&HubFile>, String> {
        let index: serde_json::Value = serde_json::from_slice(index)
            .map_err(|error| format!("its {INDEX} cannot be read ({error})"))?;
        let map = index.get("weight_map").and_then(|map| map.as_object());
        let map = map.ok_or_else(|| format!("its {INDEX} has no weight_map"))?;
        let mut names: Vec<&str> = map.values().filter_map(|name| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .map(|name| {
                let file = self.find(name).filter(|_| is_relative_path(name));
                file.ok_or_else(|| format!("its {INDEX} names '{name}', which is not there"))
            })
            .collect()
    }
}
