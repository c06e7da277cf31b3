//! Lock files, which say whose they are.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kvlens_datasets::read_at_most;
use serde::{Deserialize, Serialize};

use crate::SessionError;
use crate::error::Context;

/// Far above what an owner says of itself.
const MOST_BYTES: u64 = 1 << 16;

/// How a lock was found.
pub(crate) enum Tried {
    /// Nobody held it; it is held until the file is dropped.
    Held(File),
    /// Another holds it.
    Busy,
    /// The file system has no locks.
    Unsupported(File),
}

/// Tries to lock a file, which is made if it is not there.
pub(crate) fn try_lock(path: &Path) -> Result<Tried, SessionError> {
    loop {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).io("lock the file", path)?;
        match file.try_lock() {
            Ok(()) if is_still_there(&file) => return Ok(Tried::Held(file)),
            // whoever held it removed it, so another may have made it anew
            Ok(()) => {}
            Err(TryLockError::Error(_)) => return Ok(Tried::Unsupported(file)),
            Err(TryLockError::WouldBlock) => return Ok(Tried::Busy),
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

/// Who holds a lock.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    host: String,
    process: u32,
    since_unix_secs: u64,
}

impl Owner {
    fn this_process() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            host: host(),
            process: std::process::id(),
            since_unix_secs: now.unwrap_or_default().as_secs(),
        }
    }

    /// None for a file that says nothing, which nobody came to write.
    fn read(path: &Path) -> Option<Self> {
        let text = read_at_most(path, MOST_BYTES).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Whether its process is surely gone: of another computer nobody here can tell.
    fn is_gone(&self) -> bool {
        let processes = Path::new("/proc");
        self.host == host()
            && processes.join("self").exists()
            && !processes.join(self.process.to_string()).exists()
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let name = name.or_else(|_| std::env::var("HOSTNAME"));
    name.map_or_else(
        |_| "an unknown host".to_owned(),
        |name| name.trim().to_owned(),
    )
}

/// A lock that is held until it is dropped, and then removed. Where the file system has locks the system gives it back
/// when its process ends, however that ends; where it has none, the file itself is the lock, and one whose process is
/// gone is taken over.
#[derive(Debug)]
pub struct OwnedLock {
    path: PathBuf,
    _file: File,
}

impl OwnedLock {
    /// Takes the lock, or says what `others` do, such as "another capture is writing this session".
    ///
    /// # Errors
    /// [`SessionError::Session`] with the owner where another holds it.
    pub fn take(path: &Path, others: &str) -> Result<Self, SessionError> {
        let busy = || SessionError::Session {
            reason: told(others, Owner::read(path)),
            path: path.to_owned(),
        };
        let mut file = match try_lock(path)? {
            Tried::Held(file) => file,
            Tried::Busy => return Err(busy()),
            Tried::Unsupported(file) if can_be_taken_over(path) => file,
            Tried::Unsupported(_) => return Err(busy()),
        };
        write_owner(&mut file).io("lock the file", path)?;
        Ok(Self {
            path: path.to_owned(),
            _file: file,
        })
    }

    /// Whether somebody seems to hold the lock, by what its file says; nothing is taken for it, so that nobody is kept
    /// from it. Of a process on another computer nobody here can tell.
    pub fn seems_held(path: &Path) -> bool {
        Owner::read(path).is_some_and(|owner| !owner.is_gone())
    }
}

/// Where nothing but the file is the lock.
fn can_be_taken_over(path: &Path) -> bool {
    Owner::read(path).is_none_or(|owner| owner.is_gone())
}

fn write_owner(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    let text = serde_json::to_string(&Owner::this_process()).unwrap_or_default();
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn told(others: &str, owner: Option<Owner>) -> String {
    let owner = owner.map_or_else(String::new, |owner| {
        format!(" (process {} on {})", owner.process, owner.host)
    });
    format!(
        "{others}{owner}; wait for it, or give another --out; if no such process is left, remove this file"
    )
}

impl Drop for OwnedLock {
    fn drop(&mut self) {
        // while it is held, so that nobody else's is removed; a lock that stays is taken over
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_one_and_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = OwnedLock::take(&path, "another runs").unwrap();
        let refused = OwnedLock::take(&path, "another runs")
            .unwrap_err()
            .to_string();
        let own = format!("another runs (process {} on ", std::process::id());
        assert!(refused.starts_with(&own), "{refused}");
        drop(held);
        assert!(!path.exists());
        // what a killed process left
        std::fs::write(
            &path,
            "{\"host\":\"h\",\"process\":1,\"since_unix_secs\":0}",
        )
        .unwrap();
        assert!(OwnedLock::take(&path, "another runs").is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn without_locks_only_the_file_of_a_process_that_is_gone_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let owner = |host: &str, process: u32| {
            let owner = Owner {
                host: host.to_owned(),
                process,
                since_unix_secs: 0,
            };
            std::fs::write(&path, serde_json::to_string(&owner).unwrap()).unwrap();
            can_be_taken_over(&path)
        };
        assert!(!owner(&host(), std::process::id()));
        // above what the kernel gives
        assert!(owner(&host(), u32::MAX));
        assert!(!owner("elsewhere", u32::MAX));
        std::fs::write(&path, "").unwrap();
        assert!(can_be_taken_over(&path));
    }
}
