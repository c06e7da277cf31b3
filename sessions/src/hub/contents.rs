//! Whether a file's contents are those that its name in the cache says: large files are named by their SHA-256, small
//! ones as git names a blob, by the SHA-1 of `blob LENGTH\0` and the contents.

use std::io::Read;
use std::path::Path;

use kvlens_datasets::open_regular;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::error::Context;
use crate::hash::hex;
use crate::{CancelFlag, SessionError};

/// Bytes that are hashed between two looks at Cancel.
const PIECE_BYTES: usize = 1 << 20;

/// What names contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentHash<'a> {
    /// 64 hexadecimal digits.
    Sha256(&'a str),
    /// 40 hexadecimal digits.
    Git(&'a str),
}

impl<'a> ContentHash<'a> {
    /// None for what is neither.
    pub(super) fn of_name(name: &'a str) -> Option<Self> {
        if !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        match name.len() {
            64 => Some(Self::Sha256(name)),
            40 => Some(Self::Git(name)),
            _ => None,
        }
    }

    /// The name of the contents.
    pub(super) fn name(self) -> &'a str {
        let (Self::Sha256(name) | Self::Git(name)) = self;
        name
    }

    /// What it is called in a sentence.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::Git(_) => "git hash",
        }
    }

    /// Whether these are the contents of the file.
    pub(super) fn is_of(self, path: &Path, cancel: &CancelFlag) -> Result<bool, SessionError> {
        let found = match self {
            Self::Sha256(_) => hashed(Sha256::new(), path, cancel)?,
            Self::Git(_) => {
                let length = std::fs::metadata(path).io("read a downloaded file", path)?;
                let front = format!("blob {}\0", length.len());
                hashed(Sha1::new().chain_update(front), path, cancel)?
            }
        };
        Ok(found.eq_ignore_ascii_case(self.name()))
    }
}

fn hashed(
    mut hasher: impl Digest,
    path: &Path,
    cancel: &CancelFlag,
) -> Result<String, SessionError> {
    let action = "read a downloaded file";
    let mut file = open_regular(path).io(action, path)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        cancel.check()?;
        match file.read(&mut piece).io(action, path)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(piece.get(..count).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_known_by_either_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greeting");
        std::fs::write(&path, "hello\n").unwrap();
        // `git hash-object greeting` and `sha256sum greeting`
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        let is_of = |name: &str| {
            let hash = ContentHash::of_name(name).unwrap();
            hash.is_of(&path, &CancelFlag::default()).unwrap()
        };
        assert!(is_of(git) && is_of(sha256));
        std::fs::write(&path, "hello\nhello\n").unwrap();
        assert!(!is_of(git) && !is_of(sha256));
        assert_eq!(ContentHash::of_name("main"), None);
        assert_eq!(ContentHash::of_name(""), None);
    }
}
