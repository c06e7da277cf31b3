//! Reading a file that others hand over: a regular one, and no more of it than was thought of.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _, Result};
use std::path::Path;

/// All bytes of a regular file of at most so many.
pub(crate) fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    // looked at before it is opened: opening a pipe waits for a writer
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    let too_large = |bytes: u64| {
        let reason = format!("it has {bytes} bytes, and at most {most} are read of it");
        Error::new(ErrorKind::FileTooLarge, reason)
    };
    if metadata.len() > most {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    // it grew meanwhile
    if bytes.len() as u64 > most {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "1234").unwrap();
        assert_eq!(read_at_most(&path, 4).unwrap(), b"1234");
        assert_eq!(
            read_at_most(&path, 3).unwrap_err().kind(),
            ErrorKind::FileTooLarge
        );
        let kind = |path: &Path| read_at_most(path, 4).unwrap_err().kind();
        assert_eq!(kind(folder.path()), ErrorKind::InvalidInput);
        assert_eq!(kind(&folder.path().join("none")), ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert_eq!(
            read_at_most(&path, 4).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}
