//! A session folder that is made here and holds nothing but copies until it is whole.

use std::path::Path;

use super::manifest::LOCK_FILE;
use crate::SessionError;
use crate::error::Context;
use crate::files::OwnedLock;

/// Makes the folder of a new session, and fills it under its lock. It is removed again where that fails: nothing in it
/// is the only copy of anything.
///
/// # Errors
/// [`SessionError::Session`] for a folder that is there, which stays as it is; what `fill` says.
pub(super) fn fill_new_folder<T>(
    out: &Path,
    fill: impl FnOnce() -> Result<T, SessionError>,
) -> Result<T, SessionError> {
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent).io("create the folder of the session", parent)?;
    }
    match std::fs::create_dir(out) {
        // also where another program made it a moment ago
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(SessionError::Session {
                reason: "the output is already there; give another --out".to_owned(),
                path: out.to_owned(),
            });
        }
        made => made.io("create the session folder", out)?,
    }
    let filled = OwnedLock::take(&out.join(LOCK_FILE), "another program writes this session")
        .and_then(|lock| {
            let filled = fill()?;
            drop(lock);
            Ok(filled)
        });
    filled.inspect_err(|_| {
        let _ = std::fs::remove_dir_all(out);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_what_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there.kvlens");
        std::fs::create_dir(&there).unwrap();
        std::fs::write(there.join("mine"), "text").unwrap();
        let refused = fill_new_folder(&there, || Ok(())).unwrap_err();
        assert!(refused.to_string().contains("already there"), "{refused}");
        assert!(there.join("mine").exists());

        let new = folder.path().join("in/new.kvlens");
        let fill = || {
            std::fs::write(new.join("half"), "text").io("write", &new)?;
            Err::<(), _>(SessionError::Cancelled)
        };
        assert!(matches!(
            fill_new_folder(&new, fill),
            Err(SessionError::Cancelled)
        ));
        assert!(!new.exists());
        assert_eq!(fill_new_folder(&new, || Ok(1)).unwrap(), 1);
        assert!(new.exists());
    }
}
