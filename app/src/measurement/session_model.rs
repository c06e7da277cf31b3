//! Whether a model is the one that a session was captured with.

use kvlens_sessions::model::ModelIdentity;

/// What differs between two models; their names may.
pub fn difference(found: &ModelIdentity, expected: &ModelIdentity) -> Option<&'static str> {
    if found.weights_sha256 != expected.weights_sha256 {
        Some("weights")
    } else if found.config_sha256 != expected.config_sha256 {
        Some("settings (config.json)")
    } else if found.tokenizer_sha256 != expected.tokenizer_sha256 {
        Some("tokens (tokenizer.json)")
    } else {
        None
    }
}
