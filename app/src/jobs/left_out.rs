//! Samples whose files are missing or damaged: what is told of a whole session goes on without them, and says which.

use std::fmt;

use kvlens_sessions::Session;

use super::failure::Failure;

/// Samples that are named before the rest is only counted.
const NAMED_SAMPLES: usize = 3;

/// Samples that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    samples: Vec<UnreadSample>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadSample {
    /// Its id.
    pub id: String,
    /// A sentence.
    pub reason: String,
}

impl LeftOut {
    /// Leaves out the finished sample number `index` of a session, and says so in a sentence.
    pub fn add(&mut self, session: &Session, index: usize, reason: &impl fmt::Display) -> String {
        let mut finished = session.manifest().finished();
        let id = finished
            .nth(index)
            .map_or_else(|| index.to_string(), |entry| entry.id.clone());
        let reason = reason.to_string();
        let sentence = format!("sample '{id}' is left out: {reason}");
        self.samples.push(UnreadSample { id, reason });
        sentence
    }

    /// The first of them, which [`Display`](fmt::Display) names.
    pub fn named(&self) -> impl Iterator<Item = &UnreadSample> {
        self.samples.iter().take(NAMED_SAMPLES)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.samples.len()
    }

    /// The end of a command that did the rest; none where nothing is left out.
    #[must_use]
    pub fn refusal(&self) -> Option<Failure> {
        (self.count() > 0).then(|| {
            Failure::BadInput(format!(
                "{self}; the tables are of the others; `kvlens capture --resume SESSION` captures a damaged sample again"
            ))
        })
    }
}

/// `2 samples left out: a, b`.
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count();
        let samples = if count == 1 { "sample" } else { "samples" };
        let named: Vec<&str> = self.named().map(|sample| sample.id.as_str()).collect();
        write!(f, "{count} {samples} left out: {}", named.join(", "))?;
        match count.saturating_sub(NAMED_SAMPLES) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
