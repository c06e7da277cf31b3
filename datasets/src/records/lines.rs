//! One JSON object a line. Lines end with `\n` or `\r\n` only: U+2028 and the like belong to the text.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use super::{LONGEST_ROW, Record, object, too_long};
use crate::error::DatasetError;

/// The lines that are not blank.
pub(super) struct Lines<R> {
    path: PathBuf,
    reader: R,
    number: usize,
    longest: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(path: &Path, reader: R) -> Self {
        Self {
            path: path.to_owned(),
            reader,
            number: 0,
            longest: LONGEST_ROW,
        }
    }

    #[cfg(test)]
    pub(super) fn with_longest(self, longest: u64) -> Self {
        Self { longest, ..self }
    }

    /// The next line without its end, or what is wrong with it; `None` behind the last one.
    fn line(&mut self) -> std::io::Result<Option<Result<Vec<u8>, String>>> {
        let mut line = Vec::new();
        let limited = &mut self.reader.by_ref().take(self.longest);
        if limited.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if line.len() as u64 == self.longest && !line.ends_with(b"\n") {
            let rest = self.skip_line()?;
            return Ok(Some(Err(too_long(self.longest + rest, self.longest))));
        }
        Ok(Some(Ok(line)))
    }

    /// Reads on to the end of the line and keeps nothing; how many bytes that were.
    fn skip_line(&mut self) -> std::io::Result<u64> {
        let mut skipped = 0;
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (used, is_over) = match end {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.reader.consume(used);
            skipped += used as u64;
            if is_over {
                return Ok(skipped);
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Record, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.line() {
                Ok(line) => line?,
                Err(source) => {
                    return Some(Err(DatasetError::Read {
                        path: self.path.clone(),
                        source,
                    }));
                }
            };
            let fields = match line {
                Ok(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => continue,
                Ok(bytes) => object::parse(bytes.trim_ascii_end()),
                Err(problem) => Err(problem),
            };
            return Some(Ok(Record {
                number: self.number,
                fields,
            }));
        }
    }
}
