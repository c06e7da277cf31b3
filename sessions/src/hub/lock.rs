//! Locks of the cache as huggingface_hub has them: `.locks/models--ORG--NAME/WHAT.lock`, held by `flock`, so that
//! programs of either kind wait for each other.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::cache::make_parent;
use crate::files::{Tried, try_lock};
use crate::{CancelFlag, SessionError};

/// How often a lock is tried that another holds.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// Waits until nobody else holds the lock, and holds it until the file is dropped. Where the file system has no locks
/// nothing keeps two downloads apart, but that a file that came damaged is found by its hash.
pub(super) fn wait_for(path: &Path, cancel: &CancelFlag) -> Result<File, SessionError> {
    make_parent(path)?;
    loop {
        cancel.check()?;
        match try_lock(path)? {
            Tried::Held(file) | Tried::Unsupported(file) => return Ok(file),
            Tried::Busy => std::thread::sleep(TRY_EVERY),
        }
    }
}
