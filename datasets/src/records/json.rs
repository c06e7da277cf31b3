//! A JSON array of objects, or objects one after the other, cut into rows without reading the whole file.

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Fields, LONGEST_ROW, Record, object, too_long};
use crate::error::DatasetError;

/// The rows of a file. A file that is one object which holds nothing but one list of objects is that list.
pub(super) struct Rows<R> {
    path: PathBuf,
    reader: R,
    number: usize,
    longest: u64,
    /// Whether the file is an array; unknown before its first byte was read.
    is_array: Option<bool>,
    is_done: bool,
    /// Rows of the one list inside the one object.
    inner: VecDeque<Result<Fields, String>>,
}

impl<R: BufRead> Rows<R> {
    pub(super) fn new(path: &Path, reader: R) -> Self {
        Self {
            path: path.to_owned(),
            reader,
            number: 0,
            longest: LONGEST_ROW,
            is_array: None,
            is_done: false,
            inner: VecDeque::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn with_longest(self, longest: u64) -> Self {
        Self { longest, ..self }
    }

    fn peek(&mut self) -> std::io::Result<Option<u8>> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    /// The next byte that is neither white space nor, in an array, a comma.
    fn start(&mut self) -> std::io::Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            let is_between = byte.is_ascii_whitespace() || byte == b',';
            if !is_between {
                return Ok(Some(byte));
            }
            self.reader.consume(1);
        }
        Ok(None)
    }

    /// The bytes of the next value, or what is wrong with it; `None` behind the last one.
    fn value(&mut self) -> std::io::Result<Option<Result<Vec<u8>, String>>> {
        let Some(mut first) = self.start()? else {
            return Ok(self.cut_off());
        };
        if self.is_array.is_none() {
            self.is_array = Some(first == b'[');
            if first == b'[' {
                self.reader.consume(1);
                match self.start()? {
                    Some(byte) => first = byte,
                    None => return Ok(self.cut_off()),
                }
            }
        }
        if first == b']' && self.is_array == Some(true) {
            self.reader.consume(1);
            self.is_done = true;
            let is_last = self.start()?.is_none();
            return Ok((!is_last).then(|| Err("stands behind the end of the list".to_owned())));
        }
        self.cut().map(Some)
    }

    /// At the end of the file: what is wrong with it, where that is an array that was not closed.
    fn cut_off(&mut self) -> Option<Result<Vec<u8>, String>> {
        self.is_done = true;
        (self.is_array == Some(true))
            .then(|| Err("is not there: the file ends before its list does".to_owned()))
    }

    /// Reads to the end of a value: to the bracket that closes it, or to what ends a bare word. Of one that is too long
    /// nothing is kept, and the next one begins where it does.
    fn cut(&mut self) -> std::io::Result<Result<Vec<u8>, String>> {
        let mut value = Vec::new();
        let mut length = 0_u64;
        let mut cutter = Cutter::default();
        loop {
            let buffer = self.reader.fill_buf()?;
            let is_at_end = buffer.is_empty();
            let mut used = 0;
            let mut is_over = false;
            for byte in buffer {
                match cutter.step(*byte, length + used as u64 == 0) {
                    Step::Inside => used += 1,
                    Step::Last => {
                        used += 1;
                        is_over = true;
                    }
                    Step::Outside => is_over = true,
                }
                if is_over {
                    break;
                }
            }
            length += used as u64;
            if length <= self.longest {
                value.extend_from_slice(&buffer[..used]);
            } else {
                value = Vec::new();
            }
            self.reader.consume(used);
            // what is cut off inside a value is that value's problem
            self.is_done |= is_at_end && !is_over;
            if is_over || is_at_end {
                return Ok(match length <= self.longest {
                    true => Ok(value),
                    false => Err(too_long(length, self.longest)),
                });
            }
        }
    }

    fn row(&mut self) -> std::io::Result<Option<Result<Fields, String>>> {
        if let Some(row) = self.inner.pop_front() {
            return Ok(Some(row));
        }
        if self.is_done {
            return Ok(None);
        }
        let Some(bytes) = self.value()? else {
            self.is_done = true;
            return Ok(None);
        };
        let row = bytes.and_then(|bytes| object::parse(&bytes));
        if let (Ok(fields), 0, Some(false)) = (&row, self.number, self.is_array)
            && let Some(list) = only_list(fields)
        {
            self.inner = list
                .iter()
                .map(|item| match item {
                    Value::Object(fields) => Ok(fields.clone()),
                    _ => Err("is not a JSON object".to_owned()),
                })
                .collect();
            return Ok(self.inner.pop_front());
        }
        Ok(Some(row))
    }
}

/// The list that an object holds and nothing else, such as `{"data": [...]}`.
fn only_list(fields: &Fields) -> Option<&Vec<Value>> {
    let mut values = fields.values();
    let list = values.next()?.as_array()?;
    let is_alone = values.next().is_none();
    (is_alone && list.iter().any(Value::is_object)).then_some(list)
}

enum Step {
    Inside,
    Last,
    Outside,
}

/// Knows whether it stands inside brackets and quotation marks.
#[derive(Default)]
struct Cutter {
    depth: usize,
    in_text: bool,
    is_escaped: bool,
}

impl Cutter {
    fn step(&mut self, byte: u8, is_first: bool) -> Step {
        if self.in_text {
            if self.is_escaped {
                self.is_escaped = false;
            } else if byte == b'\\' {
                self.is_escaped = true;
            } else if byte == b'"' {
                self.in_text = false;
                return self.last_if_outside();
            }
            return Step::Inside;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.last_if_outside();
            }
            b',' if self.depth == 0 => return Step::Outside,
            byte if self.depth == 0 && byte.is_ascii_whitespace() && !is_first => {
                return Step::Outside;
            }
            _ => {}
        }
        Step::Inside
    }

    fn last_if_outside(&self) -> Step {
        if self.depth == 0 {
            Step::Last
        } else {
            Step::Inside
        }
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Record, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.row() {
            Ok(row) => {
                let fields = row?;
                self.number += 1;
                Some(Ok(Record {
                    number: self.number,
                    fields,
                }))
            }
            Err(source) => {
                self.is_done = true;
                Some(Err(DatasetError::Read {
                    path: self.path.clone(),
                    source,
                }))
            }
        }
    }
}
