//! How a model on the hub is named.

use std::fmt;
use std::str::FromStr;

/// What a revision is when none is named.
const DEFAULT_REVISION: &str = "main";

/// A model on the hub: `ORG/NAME`, `ORG/NAME@REVISION`, `ORG/NAME:FILE.gguf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubId {
    repository: String,
    revision: Option<String>,
    file: Option<String>,
}

impl HubId {
    /// `ORG/NAME`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// `NAME`.
    pub fn name(&self) -> &str {
        self.repository
            .split_once('/')
            .map_or(self.repository.as_str(), |(_, name)| name)
    }

    /// A branch, a tag or a commit.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }

    /// The one GGUF file that was named.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The folder's name in the local hub cache.
    pub(super) fn cache_folder(&self) -> String {
        format!("models--{}", self.repository.replace('/', "--"))
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{revision}")?;
        }
        if let Some(file) = &self.file {
            write!(f, ":{file}")?;
        }
        Ok(())
    }
}

impl FromStr for HubId {
    /// Whatever is no hub id is a path.
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (rest, file) = match text.split_once(':') {
            Some((rest, file)) => (rest, Some(file)),
            None => (text, None),
        };
        let (repository, revision) = match rest.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision)),
            None => (rest, None),
        };
        let (owner, name) = repository.split_once('/').ok_or(())?;
        let is_gguf = |file: &str| is_relative_path(file) && file.ends_with(".gguf");
        if is_name(owner)
            && is_name(name)
            && revision.is_none_or(is_relative_path)
            && file.is_none_or(is_gguf)
        {
            Ok(Self {
                repository: repository.to_owned(),
                revision: revision.map(str::to_owned),
                file: file.map(str::to_owned),
            })
        } else {
            Err(())
        }
    }
}

/// As the hub takes names of owners and models.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty()
        && text.chars().all(allowed)
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.'])
        && !text.contains("--")
        && !text.contains("..")
}

/// A path of a file in a repository, or a revision, that leads nowhere else.
pub(super) fn is_relative_path(text: &str) -> bool {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | ' ' | '(' | ')');
    text.split('/')
        .all(|part| !matches!(part, "" | "." | "..") && part.chars().all(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_paths() {
        let id: HubId = "meta-llama/Llama-3.1-8B-Instruct".parse().unwrap();
        assert_eq!(id.name(), "Llama-3.1-8B-Instruct");
        assert_eq!((id.revision(), id.file()), ("main", None));
        let id: HubId = "a/b@refs/pr/3:sub/b.Q4_K_M.gguf".parse().unwrap();
        assert_eq!(
            (id.revision(), id.file()),
            ("refs/pr/3", Some("sub/b.Q4_K_M.gguf"))
        );
        assert_eq!(id.to_string(), "a/b@refs/pr/3:sub/b.Q4_K_M.gguf");
        for path in [
            "model",
            "./a/b",
            "../b",
            "/a/b",
            "a/b/c",
            "a/",
            "a/b:c.bin",
            "a/b:../c.gguf",
            "a/b@../x",
            "C:\\a\\b",
            "a/..",
            "a b/c",
            "",
        ] {
            assert!(path.parse::<HubId>().is_err(), "{path}");
        }
    }
}
