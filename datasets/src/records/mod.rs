//! Rows of a file, one after the other, so that a file of any size is read in the memory of its longest row.

mod json;
mod lines;
mod object;
mod python;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use serde_json::{Map, Value};

pub(crate) use python::parse as parse_python;

use crate::bounded::open_regular;
use crate::error::DatasetError;

/// The fields of a row by name.
pub type Fields = Map<String, Value>;

/// One row of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Which one, from 1: the line of a JSONL file, else the row.
    pub number: usize,
    /// Its fields, or what is wrong with it, as the end of a sentence that begins with the row.
    pub fields: Result<Fields, String>,
}

/// Rows as they come. An error ends the file, a bad row does not.
pub type Records = Box<dyn Iterator<Item = Result<Record, DatasetError>>>;

/// No row may take more memory; a prompt of 128,000 tokens takes about half a megabyte.
const LONGEST_ROW: u64 = 1 << 30;

/// What is said of a longer one.
fn too_long(bytes: u64, longest: u64) -> String {
    format!("is {bytes} bytes long; at most {longest} are read")
}

/// Opens a file of a table format that this crate does not read (Parquet): its rows as JSON objects, or why not.
pub type OpenTable =
    dyn Fn(&Path) -> Result<Box<dyn Iterator<Item = Result<Value, String>>>, String>;

/// The kinds of files that rows are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A whole text, which is one prompt.
    Text,
    /// One JSON object a line.
    Lines,
    /// A JSON array of objects, or objects one after the other.
    Json,
    /// Parquet, read by whoever can.
    Table,
}

impl FileKind {
    /// By the extension; `None` for one that is not read.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_string_lossy().to_lowercase();
        match extension.as_str() {
            "txt" => Some(Self::Text),
            "jsonl" | "ndjson" => Some(Self::Lines),
            "json" => Some(Self::Json),
            "parquet" => Some(Self::Table),
            _ => None,
        }
    }

    /// What a row of such a file is called in messages.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Lines => "line",
            _ => "row",
        }
    }
}

/// The rows of a file. `tables` opens what this crate does not read.
///
/// # Errors
/// A file that cannot be opened, that is UTF-16, or of a kind that nobody here reads.
pub(crate) fn open(path: &Path, tables: Option<&OpenTable>) -> Result<Records, DatasetError> {
    match FileKind::of(path) {
        Some(FileKind::Lines) => Ok(Box::new(lines::Lines::new(path, open_text(path)?))),
        Some(FileKind::Json) => Ok(Box::new(json::Rows::new(path, open_text(path)?))),
        Some(FileKind::Table) => table(path, tables),
        Some(FileKind::Text) | None => Err(DatasetError::UnknownExtension {
            path: path.to_owned(),
        }),
    }
}

fn table(path: &Path, tables: Option<&OpenTable>) -> Result<Records, DatasetError> {
    let wrong = |problem: String| DatasetError::Table {
        path: path.to_owned(),
        problem,
    };
    let open = tables.ok_or_else(|| wrong("nothing here reads tables".to_owned()))?;
    let rows = open(path).map_err(wrong)?;
    let path = path.to_owned();
    Ok(Box::new(rows.enumerate().map(move |(index, row)| {
        let fields = match row {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err("is not a JSON object".to_owned()),
            Err(problem) => {
                return Err(DatasetError::Table {
                    path: path.clone(),
                    problem,
                });
            }
        };
        Ok(Record {
            number: index + 1,
            fields,
        })
    })))
}

/// The file behind its byte order mark.
fn open_text(path: &Path) -> Result<BufReader<File>, DatasetError> {
    let read = |source| DatasetError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = open_regular(path).map_err(read)?;
    let mut start = Vec::new();
    file.by_ref()
        .take(3)
        .read_to_end(&mut start)
        .map_err(read)?;
    if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
        return Err(DatasetError::Utf16 {
            path: path.to_owned(),
        });
    }
    if start != [0xEF, 0xBB, 0xBF] {
        file.rewind().map_err(read)?;
    }
    Ok(BufReader::with_capacity(1 << 16, file))
}
