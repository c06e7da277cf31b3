//! Locks of the cache as huggingface_hub has them: `.locks/models--ORG--NAME/WHAT.lock`, held by `flock`, so that
//! programs of either kind wait for each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::cache::make_parent;
use crate::error::Context;
use crate::{CancelFlag, SessionError};

/// How often a lock is tried that another holds.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// Waits until nobody else holds the lock, and holds it until the file is dropped. None where the file system has no locks: there, nothing keeps two downloads apart, but that a file that
/// came damaged is found by its hash.
pub(super) fn wait_for(path: &Path, cancel: &CancelFlag) -> Result<Option<File>, SessionError> {
    make_parent(path)?;
    loop {
        cancel.check()?;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(path).io("lock the hub cache", path)?;
        match file.try_lock() {
            Ok(()) if is_still_there(&file) => return Ok(Some(file)),
            // whoever held it removed it, so another may have made it anew
            Ok(()) => {}
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_EVERY),
        }
    }
}

#[cfg(unix)]
fn is_still_there(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
}

/// An open file cannot be removed there.
#[cfg(not(unix))]
fn is_still_there(_file: &File) -> bool {
    true
}
