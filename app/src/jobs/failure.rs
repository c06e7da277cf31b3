//! Refusals and ends that the libraries do not name.

use std::fmt;

use anyhow::Result;
use kvlens_sessions::SessionError;

use super::Cancel;
use crate::measurement::MeasureOptions;

/// Why a job did not do what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// What was asked for cannot be done; the sentence says what to do, with any path last.
    BadInput(String),
    /// It was stopped; the sentence says what is kept and how to go on.
    Interrupted(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::BadInput(sentence) | Self::Interrupted(sentence)) = self;
        f.write_str(sentence)
    }
}

impl std::error::Error for Failure {}

/// Refuses options that contradict themselves.
///
/// # Errors
/// [`Failure::BadInput`] with the sentence of [`MeasureOptions::contradiction`].
pub fn refuse_contradiction(options: &MeasureOptions) -> Result<()> {
    match options.contradiction() {
        Some(sentence) => Err(Failure::BadInput(sentence.to_owned()).into()),
        None => Ok(()),
    }
}

/// Ends a job that was asked to stop.
///
/// # Errors
/// [`Failure::Interrupted`] with `kept`, which says what is kept and how to go on.
pub fn stop_if_cancelled(cancel: &Cancel, kept: &str) -> Result<()> {
    if cancel.is_cancelled() {
        return Err(Failure::Interrupted(kept.to_owned()).into());
    }
    Ok(())
}

/// Whether the cause is a file of a session, which is missing or damaged, and not what was asked for.
#[must_use]
pub fn is_unreadable(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|link| link.downcast_ref());
    causes.any(|cause| {
        matches!(
            cause,
            SessionError::Session { .. } | SessionError::Io { .. }
        )
    })
}

/// Whether a job ended because it was asked to, which is no failure.
#[must_use]
pub fn is_cancelled(error: &anyhow::Error) -> bool {
    error.chain().any(|link| {
        matches!(link.downcast_ref(), Some(SessionError::Cancelled))
            || matches!(link.downcast_ref(), Some(Failure::Interrupted(_)))
    })
}
