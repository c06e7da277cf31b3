//! Writing to a reader that may go away.

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};

/// Writes results to stdout. A pipe whose reader has left is no error.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("the results cannot be written to stdout")
        }
        _ => Ok(()),
    }
}

/// Writes one line to stderr. There is nobody left to tell when that fails.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
