//! Writing to a reader that may go away, and whose terminal does what it is told.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};

/// Writes results to stdout. A pipe whose reader has left is no error.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(harmless(text).as_bytes())
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
    let _ = writeln!(io::stderr().lock(), "{}", harmless(line));
}

/// `1 sample`, `2 samples`.
pub fn counted_samples(count: usize) -> String {
    match count {
        1 => "1 sample".to_owned(),
        _ => format!("{count} samples"),
    }
}

/// A text in which nothing is left that a terminal obeys, such as escape sequences in the id of somebody's sample.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(obeyed) {
        Cow::Owned(text.replace(obeyed, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing_but_text() {
        assert_eq!(harmless("a\tü\n"), "a\tü\n");
        assert_eq!(
            harmless("\u{1b}[2Jx\r\u{9b}m"),
            "\u{fffd}[2Jx\u{fffd}\u{fffd}m"
        );
    }
}
