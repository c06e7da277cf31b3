//! Reading a file that others hand over: a regular one, and no more of it than was thought of. A pipe or a device gives
//! no end, and opening a pipe waits for a writer.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _, Result};
use std::path::Path;

/// Far above what a person writes: a plan, a script, a template, a lesson.
pub const MOST_TYPED_BYTES: u64 = 1 << 24;

/// Opens a regular file.
///
/// # Errors
/// What the system says; [`ErrorKind::InvalidInput`] for what is no regular file, which is not opened.
pub fn open_regular(path: &Path) -> Result<File> {
    // looked at before it is opened: opening a pipe waits for a writer
    require_regular(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    require_regular(&file.metadata()?)?;
    Ok(file)
}

/// All bytes of a regular file of at most so many.
///
/// # Errors
/// As [`open_regular`]; [`ErrorKind::FileTooLarge`].
pub fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open_regular(path)?;
    let too_large = |bytes: u64| {
        let reason = format!("it has {bytes} bytes, and at most {most} are read of it");
        Error::new(ErrorKind::FileTooLarge, reason)
    };
    let length = file.metadata()?.len();
    if length > most {
        return Err(too_large(length));
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    // it grew meanwhile
    if bytes.len() as u64 > most {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// The text of a regular file of at most so many bytes.
///
/// # Errors
/// As [`read_at_most`]; [`ErrorKind::InvalidData`] for what is no UTF-8.
pub fn read_text_at_most(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(read_at_most(path, most)?).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        let reason = format!("it is no UTF-8 text (first wrong byte at {byte})");
        Error::new(ErrorKind::InvalidData, reason)
    })
}

fn require_regular(metadata: &std::fs::Metadata) -> Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::InvalidInput, "it is no regular file")),
    }
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
        std::fs::write(&path, b"ab\xff").unwrap();
        let error = read_text_at_most(&path, 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("at 2"), "{error}");
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
