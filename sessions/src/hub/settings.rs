//! Where the hub and its cache are, as huggingface_hub's environment variables say it.

use std::ffi::OsString;
use std::path::PathBuf;

use kvlens_datasets::read_text_at_most;

use super::cache::HubCache;

/// The hub unless `HF_ENDPOINT` says otherwise.
const ENDPOINT: &str = "https://huggingface.co";

/// Far above what a token takes.
const MOST_TOKEN_BYTES: u64 = 1 << 16;

/// Where models are looked for, and with which rights.
#[derive(Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// The local cache.
    pub cache: HubCache,
    /// The hub's address, without a slash at its end.
    pub endpoint: String,
    /// The user's token.
    pub token: Option<String>,
    /// Whether the network is not to be used.
    pub offline: bool,
}

impl std::fmt::Debug for HubSettings {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubSettings")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

impl HubSettings {
    /// From `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH` and
    /// `HF_HUB_OFFLINE`.
    pub fn from_environment() -> Self {
        Self::from_variables(&|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let text = |name| variable(name).and_then(|value| value.into_string().ok());
        let folder = |name| variable(name).map(PathBuf::from);
        let user = || folder("HOME").or_else(|| folder("USERPROFILE"));
        let caches = folder("XDG_CACHE_HOME").or_else(|| Some(user()?.join(".cache")));
        let home = folder("HF_HOME")
            .or_else(|| Some(caches?.join("huggingface")))
            .unwrap_or_default();
        let token_file = folder("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let token =
            text("HF_TOKEN").or_else(|| read_text_at_most(&token_file, MOST_TOKEN_BYTES).ok());
        let token = token.map(|token| token.trim().to_owned());
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let is_set = |name| {
            let value = text(name).unwrap_or_default().to_ascii_lowercase();
            matches!(value.as_str(), "1" | "on" | "true" | "yes")
        };
        Self {
            cache: HubCache::new(folder("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub"))),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token.filter(|token| !token.is_empty()),
            offline: is_set("HF_HUB_OFFLINE") || is_set("TRANSFORMERS_OFFLINE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        HubSettings::from_variables(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        let of = |variables: &[_]| settings(variables).cache.folder().to_owned();
        let home = ("HOME", "/h");
        assert_eq!(of(&[home]), PathBuf::from("/h/.cache/huggingface/hub"));
        assert_eq!(of(&[home, ("HF_HOME", "/x")]), PathBuf::from("/x/hub"));
        assert_eq!(
            of(&[home, ("HF_HOME", "/x"), ("HF_HUB_CACHE", "/y")]),
            PathBuf::from("/y")
        );
    }

    #[test]
    fn a_token_comes_from_the_environment_or_from_its_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hf_file\n").unwrap();
        let file = ("HF_TOKEN_PATH", path.to_str().unwrap());
        let from_file = settings(&[file]);
        assert_eq!(from_file.token.as_deref(), Some("hf_file"));
        assert!(!format!("{from_file:?}").contains("hf_file"));
        let own = settings(&[file, ("HF_TOKEN", "hf_own")]);
        assert_eq!(own.token.as_deref(), Some("hf_own"));
        assert!(settings(&[("HF_HUB_OFFLINE", "1")]).offline);
        assert!(!settings(&[("HF_HUB_OFFLINE", "0")]).offline);
        assert_eq!(
            settings(&[("HF_ENDPOINT", "http://m/")]).endpoint,
            "http://m"
        );
    }
}
