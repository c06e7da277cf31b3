//! Samples whose files are missing or damaged: what is told of a whole session goes on without them, and says which.

use std::fmt;

use anyhow::{Context, Result};
use kvlens_sessions::{Session, SessionError};
use serde::Serialize;

use super::failure::Failure;
use crate::measurement::StageProgress;

/// Samples that are named before the rest is only counted.
const NAMED_SAMPLES: usize = 3;

/// Said of sessions that nothing is left of.
pub(super) const NONE_READ: &str = "no sample can be read";

/// Samples that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct LeftOut {
    samples: Vec<UnreadSample>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadSample {
    /// Its id.
    #[serde(rename = "sample")]
    pub id: String,
    /// A sentence.
    pub reason: String,
}

impl LeftOut {
    /// What was read of the finished sample number `index` of a session; nothing where it cannot be read and is left
    /// out, of which the first few are told. `of` is how many samples are to be read.
    ///
    /// # Errors
    /// Where none of them can be read.
    pub fn or_leave_out<T>(
        &mut self,
        found: Result<T, SessionError>,
        (session, index): (&Session, usize),
        of: usize,
        progress: &dyn StageProgress,
    ) -> Result<Option<T>> {
        let error = match found {
            Ok(found) => return Ok(Some(found)),
            Err(error) => error,
        };
        let said = self.add(session, index, &error);
        if self.count() == of {
            return Err(error).context(NONE_READ);
        }
        if let Some(said) = said {
            progress.note(&format!("warning: {said}"));
        }
        Ok(None)
    }

    /// Leaves out the finished sample number `index` of a session. Gives what to tell of it: of the first few which and
    /// why, of the next one that the others are only counted, and of these nothing.
    pub fn add(
        &mut self,
        session: &Session,
        index: usize,
        reason: &impl fmt::Display,
    ) -> Option<String> {
        let (id, reason) = (id_of(session, index), reason.to_string());
        let said = match self.count() {
            0..NAMED_SAMPLES => Some(format!("sample '{id}' is left out: {reason}")),
            NAMED_SAMPLES => {
                Some("more samples are left out; they are counted at the end".to_owned())
            }
            _ => None,
        };
        self.samples.push(UnreadSample { id, reason });
        said
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

    /// The end of a command that did the rest, which `made` tells of; fine where nothing is left out.
    ///
    /// # Errors
    /// [`Failure::BadInput`] that names the samples.
    pub fn refuse(&self, made: &str) -> Result<()> {
        match self.count() {
            0 => Ok(()),
            _ => Err(Failure::BadInput(format!(
                "{self}; {made}; `kvlens capture --resume SESSION` captures a damaged sample again"
            ))
            .into()),
        }
    }
}

fn id_of(session: &Session, index: usize) -> String {
    let entry = session.manifest().finished().nth(index);
    entry.map_or_else(|| index.to_string(), |entry| entry.id.clone())
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
