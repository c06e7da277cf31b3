//! What the models of several sessions are called in tables and figures.

use std::collections::BTreeSet;

use kvlens_sessions::Session;

/// Characters of a hash that tell models of one name apart.
const HASH_LETTERS: usize = 8;

/// A model's own name, unless sessions of other weights or of another number format have the same: then what differs
/// stands behind it. Samples are grouped by it, so none of them is averaged with those of another model.
pub struct ModelNames {
    /// Name, number format and hash of the weights of every session's model, each once.
    models: BTreeSet<(String, String, String)>,
}

impl ModelNames {
    /// Of all sessions that are looked at together.
    pub fn of(sessions: &[Session]) -> Self {
        Self {
            models: sessions.iter().map(identity).collect(),
        }
    }

    /// Of one of these sessions.
    pub fn name(&self, session: &Session) -> String {
        let (mut name, dtype, weights) = identity(session);
        let namesakes = || self.models.iter().filter(|(other, ..)| *other == name);
        let formats_differ = namesakes().any(|(_, other, _)| *other != dtype);
        let weights_differ = namesakes().any(|(.., other)| *other != weights);
        if formats_differ {
            name = format!("{name} {dtype}");
        }
        if weights_differ {
            let hash = weights.get(..HASH_LETTERS).unwrap_or(&weights);
            name = format!("{name} {hash}");
        }
        name
    }
}

fn identity(session: &Session) -> (String, String, String) {
    let manifest = session.manifest();
    (
        manifest.model.name.clone(),
        manifest.dtype.clone(),
        manifest.model.weights_sha256.clone(),
    )
}
