//! The header of a GGUF file: metadata by key, and where each tensor lies.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};
use kvlens_datasets::open_regular;

use super::super::checkpoint::refuse_pointer;
use crate::SessionError;
use crate::caught_panic::unless_it_panics;
use crate::error::Context;

/// How much of a file is taken for its header, which bounds what a header can make the reader allocate. That of
/// a model with 256 thousand tokens and half a million merges has some 15 MB.
const MOST_HEADER_BYTES: u64 = 32 << 20;

/// A tensor by its size.
pub(crate) struct TensorSize<'a> {
    /// Its name in the file.
    pub(crate) name: &'a str,
    /// How many numbers it has.
    pub(crate) numbers: usize,
    /// Bytes in the file.
    pub(crate) bytes: usize,
    /// Whether the numbers are stored in blocks of less than 16 bits.
    pub(crate) is_quantised: bool,
    /// How they are stored.
    pub(crate) format: GgmlDType,
    /// Rows and columns, if it is a matrix; of matrices behind each other, the rows of all of them.
    pub(crate) matrix: Option<[usize; 2]>,
}

/// The header of one file.
#[derive(Debug)]
pub(crate) struct Header {
    path: PathBuf,
    file_bytes: u64,
    content: Content,
}

/// Numbers of a tensor; a shape that no file could hold gives the largest count.
fn elements(info: &TensorInfo) -> usize {
    let dims = info.shape.dims().iter();
    dims.fold(1, |all: usize, &dim| all.saturating_mul(dim))
}

impl Header {
    /// Reads and checks what stands before the tensors.
    pub(super) fn read(path: &Path) -> Result<Self, SessionError> {
        if !path.is_file() {
            return Err(SessionError::Checkpoint {
                reason: "there is no such GGUF file".to_owned(),
                path: path.to_owned(),
            });
        }
        let file = open_regular(path).io("open the GGUF file", path)?;
        let file_bytes = file.metadata().io("look at the GGUF file", path)?.len();
        // at once, or growing it would take three times as much
        let mut front = Vec::with_capacity(file_bytes.min(MOST_HEADER_BYTES) as usize);
        file.take(MOST_HEADER_BYTES)
            .read_to_end(&mut front)
            .io("read the header of the GGUF file", path)?;
        refuse_pointer(&front, path)?;
        refuse_big_endian(&front, path)?;
        let header = Self {
            content: parse(&front).map_err(|reason| SessionError::Checkpoint {
                reason,
                path: path.to_owned(),
            })?,
            path: path.to_owned(),
            file_bytes,
        };
        match header.count("split.count")? {
            Some(parts) if parts > 1 => Err(header.wrong(format!(
                "this is one of {parts} parts of a model; join them with `llama-gguf-split --merge`"
            ))),
            _ => Ok(header),
        }
    }

    pub(in crate::model) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Where the tensors begin, in bytes.
    pub(super) fn data_start(&self) -> u64 {
        self.content.tensor_data_offset
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.content.tensor_infos.get(name)
    }

    /// Every tensor with its size, in no order.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = TensorSize<'_>> {
        self.content.tensor_infos.iter().map(|(name, info)| {
            let numbers = elements(info);
            let format = info.ggml_dtype;
            TensorSize {
                name,
                numbers,
                bytes: (numbers / format.block_size()).saturating_mul(format.type_size()),
                is_quantised: format.block_size() > 1,
                format,
                matrix: match *info.shape.dims() {
                    [rows, columns] => Some([rows, columns]),
                    [count, rows, columns] => Some([count.saturating_mul(rows), columns]),
                    _ => None,
                },
            }
        })
    }

    /// Whether some tensor's numbers are stored in blocks of less than 16 bits.
    pub(in crate::model) fn is_quantised(&self) -> bool {
        let mut infos = self.content.tensor_infos.values();
        infos.any(|info| info.ggml_dtype.block_size() > 1)
    }

    /// The format that most of the numbers are in; of several the one with the lowest number in the format's list.
    pub(super) fn main_format(&self) -> Option<GgmlDType> {
        let mut numbers = std::collections::BTreeMap::<u32, (usize, GgmlDType)>::new();
        for info in self.content.tensor_infos.values() {
            let dtype = info.ggml_dtype;
            let elements = elements(info);
            let entry = numbers.entry(format_number(dtype)).or_insert((0, dtype));
            entry.0 = entry.0.saturating_add(elements);
        }
        let most = numbers.values().map(|(elements, _)| *elements).max()?;
        let main = numbers.values().find(|(elements, _)| *elements == most)?;
        Some(main.1)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, SessionError> {
        self.typed(key, "a text", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A whole number of at least zero.
    pub(super) fn count(&self, key: &str) -> Result<Option<usize>, SessionError> {
        self.typed(key, "a whole number", whole)
    }

    /// As [`count`](Self::count), where it may also be a list that has the number of every layer.
    ///
    /// # Errors
    /// A sentence where layers differ.
    pub(super) fn count_of_layers(&self, key: &str) -> Result<Option<usize>, SessionError> {
        let Some(Value::Array(_)) = self.content.metadata.get(key) else {
            return self.count(key);
        };
        let counts = self.counts(key)?.unwrap_or_default();
        match counts.split_first() {
            Some((first, others)) if others.iter().all(|count| count == first) => Ok(Some(*first)),
            _ => Err(self.wrong(format!(
                "'{key}' differs from layer to layer, which is not supported: all layers must have one shape"
            ))),
        }
    }

    /// As [`count`](Self::count), of a key that must be there.
    pub(super) fn required_count(&self, key: &str) -> Result<usize, SessionError> {
        self.count(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, SessionError> {
        self.typed(key, "a number", |value| match value {
            Value::F32(number) => Some(f64::from(*number)),
            Value::F64(number) => Some(*number),
            other => whole(other).map(|count| count as f64),
        })
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, SessionError> {
        self.typed(key, "true or false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&str>>, SessionError> {
        self.list(key, "a list of texts", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn counts(&self, key: &str) -> Result<Option<Vec<usize>>, SessionError> {
        self.list(key, "a list of whole numbers", whole)
    }

    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f32>>, SessionError> {
        self.list(key, "a list of numbers", |value| match value {
            Value::F32(number) => Some(*number),
            _ => None,
        })
    }

    pub(super) fn missing(&self, key: &str) -> SessionError {
        self.wrong(format!("the GGUF file has no '{key}'"))
    }

    pub(super) fn wrong(&self, reason: String) -> SessionError {
        SessionError::Checkpoint {
            reason,
            path: self.path.clone(),
        }
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        kind: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, SessionError> {
        let value = self.content.metadata.get(key);
        value
            .map(|value| {
                let wrong = || self.wrong(format!("'{key}' of the GGUF file is not {kind}"));
                convert(value).ok_or_else(wrong)
            })
            .transpose()
    }

    fn list<'a, T>(
        &'a self,
        key: &str,
        kind: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, SessionError> {
        self.typed(key, kind, |value| match value {
            Value::Array(values) => values.iter().map(&convert).collect(),
            _ => None,
        })
    }
}

/// Files are little-endian unless they were made for a few large machines; nothing but the version tells.
fn refuse_big_endian(front: &[u8], path: &Path) -> Result<(), SessionError> {
    /// Above any version of the format, below any that is read from the wrong end.
    const MOST_VERSIONS: u32 = 1 << 16;
    let version = front
        .strip_prefix(b"GGUF")
        .and_then(|rest| rest.first_chunk::<4>())
        .map(|bytes| u32::from_le_bytes(*bytes));
    if version.is_none_or(|version| version < MOST_VERSIONS) {
        return Ok(());
    }
    Err(SessionError::Checkpoint {
        reason: "this is a big-endian GGUF file; only little-endian ones are read: fetch that one, or turn it with \
            llama.cpp's `gguf_convert_endian.py FILE little`"
            .to_owned(),
        path: path.to_owned(),
    })
}

/// Of what the parser says; a name in a damaged file has any length.
const MOST_REASON_LETTERS: usize = 200;

/// candle (0.11) checks lengths and counts against what is left of the bytes, but divides by the header's
/// alignment and multiplies its numbers as they are.
fn parse(front: &[u8]) -> Result<Content, String> {
    const ADVICE: &str = "the GGUF header cannot be read: the file is truncated or damaged, or holds a format \
        other than F32, F16, BF16, Q4_0 to Q8_0 and Q2_K to Q6_K";
    match unless_it_panics(|| Content::read(&mut Cursor::new(front))) {
        Some(content) => content.map_err(|error| {
            // where RUST_BACKTRACE is set candle writes one behind its sentence; it repeats names, of whatever bytes
            let error = error.to_string();
            let line = error.lines().next().unwrap_or_default();
            let letters = line.chars().take(MOST_REASON_LETTERS);
            let letters: String = letters.filter(|letter| !letter.is_control()).collect();
            format!("{ADVICE} ({letters})")
        }),
        None => Err(format!("{ADVICE} (its numbers make no sense)")),
    }
}

fn whole(value: &Value) -> Option<usize> {
    match value {
        Value::I8(number) => usize::try_from(*number).ok(),
        Value::I16(number) => usize::try_from(*number).ok(),
        Value::I32(number) => usize::try_from(*number).ok(),
        Value::I64(number) => usize::try_from(*number).ok(),
        Value::U8(number) => Some(usize::from(*number)),
        Value::U16(number) => Some(usize::from(*number)),
        Value::U32(number) => usize::try_from(*number).ok(),
        Value::U64(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}

/// The format's number in the specification.
fn format_number(dtype: GgmlDType) -> u32 {
    match dtype {
        GgmlDType::F32 => 0,
        GgmlDType::F16 => 1,
        GgmlDType::Q4_0 => 2,
        GgmlDType::Q4_1 => 3,
        GgmlDType::Q5_0 => 6,
        GgmlDType::Q5_1 => 7,
        GgmlDType::Q8_0 => 8,
        GgmlDType::Q8_1 => 9,
        GgmlDType::Q2K => 10,
        GgmlDType::Q3K => 11,
        GgmlDType::Q4K => 12,
        GgmlDType::Q5K => 13,
        GgmlDType::Q6K => 14,
        GgmlDType::Q8K => 15,
        GgmlDType::BF16 => 30,
    }
}
