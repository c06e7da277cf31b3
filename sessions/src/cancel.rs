//! Stopping a run from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::SessionError;

/// A flag shared between the one who runs a job and the one who may stop it.
///
/// It is looked at between prefill chunks and decode steps and, while a window scores the prompt, between groups of
/// heads, so a job answers within one of those.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Asks the job to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the job was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// # Errors
    /// [`SessionError::Cancelled`] once the job was asked to stop.
    pub fn check(&self) -> Result<(), SessionError> {
        if self.is_cancelled() {
            Err(SessionError::Cancelled)
        } else {
            Ok(())
        }
    }
}
