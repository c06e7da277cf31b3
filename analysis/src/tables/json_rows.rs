//! The rows of any Parquet file as JSON objects, one row group in memory at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use polars::prelude::{AnyValue, DataFrame, ParquetReader, PolarsResult, SerReader, Series};
use serde_json::{Map, Number, Value};

use super::error::TableError;
use super::parquet_pages::{ColumnPages, MOST_VALUES, check_pages};
use super::writer::refused;

/// Rows of a Parquet file, whoever wrote it: texts, numbers, yes or no, and lists of those.
#[derive(Debug)]
pub struct JsonRows {
    path: PathBuf,
    /// Each group that is still to be read.
    groups: VecDeque<RowGroup>,
    group: Option<DataFrame>,
    next_row: usize,
}

/// A part of a file that is read at once.
#[derive(Debug)]
struct RowGroup {
    first_row: usize,
    rows: usize,
    columns: Vec<ColumnPages>,
}

impl JsonRows {
    /// Opens a file and reads how many rows its groups have.
    ///
    /// # Errors
    /// [`TableError`] when it is missing or no Parquet file.
    pub fn open(path: &Path) -> Result<Self, TableError> {
        Ok(Self {
            path: path.to_owned(),
            groups: unless_it_panics(path, || groups(path))?,
            group: None,
            next_row: 0,
        })
    }

    fn read_group(&self, group: &RowGroup) -> Result<DataFrame, TableError> {
        let file = open(&self.path)?;
        for column in &group.columns {
            check_pages(&file, column).map_err(|source| refused("read", &self.path, source))?;
        }
        ParquetReader::new(file)
            .with_slice(Some((group.first_row, group.rows)))
            .finish()
            .map_err(|source| refused("read", &self.path, source))
    }

    fn row(&mut self) -> Result<Option<Value>, TableError> {
        loop {
            if let Some(group) = self.group.as_ref().filter(|it| self.next_row < it.height()) {
                let row = object(group, self.next_row);
                self.next_row += 1;
                return row
                    .map(Some)
                    .map_err(|source| refused("read a row of", &self.path, source));
            }
            let Some(next) = self.groups.pop_front() else {
                return Ok(None);
            };
            // the old group goes before the new one comes
            self.group = None;
            (self.group, self.next_row) = (Some(self.read_group(&next)?), 0);
        }
    }
}

impl Iterator for JsonRows {
    type Item = Result<Value, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let path = self.path.clone();
        let row = unless_it_panics(&path, || self.row());
        if row.is_err() {
            (self.group, self.next_row) = (None, 0);
            self.groups.clear();
        }
        row.transpose()
    }
}

/// The row groups of a file.
fn groups(path: &Path) -> Result<VecDeque<RowGroup>, TableError> {
    let mut reader = ParquetReader::new(open(path)?);
    let metadata = reader.get_metadata();
    let metadata = metadata.map_err(|source| refused("read", path, source))?;
    let mut first_row = 0_usize;
    let mut groups = VecDeque::new();
    for group in &metadata.row_groups {
        let (start, rows) = (first_row, group.num_rows());
        if rows as u64 > MOST_VALUES {
            let many = format!("a row group has {rows} rows; at most {MOST_VALUES} are read");
            return Err(refused("read", path, std::io::Error::other(many)));
        }
        first_row = first_row.saturating_add(rows);
        let columns = group.parquet_columns().iter().map(|column| ColumnPages {
            bytes: column.byte_range(),
            // a negative number is more than there can be
            values: u64::try_from(column.num_values()).unwrap_or(u64::MAX),
        });
        groups.push_back(RowGroup {
            first_row: start,
            rows,
            columns: columns.collect(),
        });
    }
    Ok(groups)
}

/// The engine takes for granted that the parts of a file belong together, and panics where they do not. It is given
/// nothing that is used after that.
fn unless_it_panics<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, TableError>,
) -> Result<T, TableError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let damaged = std::io::Error::other("its parts do not belong together");
        Err(refused("read", path, damaged))
    })
}

/// Opens a regular file: opening a pipe waits for a writer.
pub(super) fn open(path: &Path) -> Result<File, TableError> {
    let open = || match std::fs::metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "it is no regular file",
        )),
    };
    open().map_err(|source| TableError::File {
        action: "open",
        path: path.to_owned(),
        source,
    })
}

fn object(frame: &DataFrame, row: usize) -> PolarsResult<Value> {
    let mut fields = Map::new();
    for column in frame.columns() {
        fields.insert(column.name().to_string(), json(&column.get(row)?)?);
    }
    Ok(Value::Object(fields))
}

/// A cell. What JSON has no word for is written as the engine shows it.
fn json(cell: &AnyValue<'_>) -> PolarsResult<Value> {
    Ok(match cell {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(flag) => Value::Bool(*flag),
        AnyValue::List(items) => Value::Array(list(items)?),
        cell => match (cell.get_str(), cell.is_integer()) {
            (Some(text), _) => Value::String(text.to_owned()),
            (None, true) => cell
                .extract::<i64>()
                .map(Number::from)
                .or_else(|| cell.extract::<u64>().map(Number::from))
                .map_or(Value::Null, Value::Number),
            (None, false) => match cell.extract::<f64>() {
                Some(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
                None => Value::String(cell.to_string()),
            },
        },
    })
}

fn list(items: &Series) -> PolarsResult<Vec<Value>> {
    (0..items.len()).map(|at| json(&items.get(at)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `make_parquet.py`: two row groups of two rows and one.
    const FILE: &[u8] = include_bytes!("../../tests/fixtures/prompts.parquet");

    #[test]
    fn rows_of_all_groups_come_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompts.parquet");
        std::fs::write(&path, FILE).unwrap();
        let rows = JsonRows::open(&path).unwrap();
        let rows: Vec<Value> = rows.map(|row| row.unwrap()).collect();
        let expected = serde_json::json!([
            {"context": "Ann lives in Rome.", "question": "Where?", "answers": ["Rome", "rome"], "index": 3, "share": 0.5, "is_old": true},
            {"context": "Bo sells tea \u{2028} é.", "question": "What?", "answers": [], "index": 4, "share": null, "is_old": false},
            {"context": "Cy left.", "question": null, "answers": ["Cy"], "index": -1, "share": 2.0, "is_old": null},
        ]);
        assert_eq!(Value::Array(rows), expected);
    }

    /// Every byte of the file, damaged in three ways: rows or a sentence each time.
    #[test]
    fn damage_never_ends_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.parquet");
        let (mut refused, mut read) = (0, 0);
        for (at, damage) in (0..FILE.len()).flat_map(|at| [0x01, 0x80, 0xFF].map(|bits| (at, bits)))
        {
            let mut bytes = FILE.to_vec();
            bytes[at] ^= damage;
            std::fs::write(&path, bytes).unwrap();
            let rows = JsonRows::open(&path).and_then(Iterator::collect::<Result<Vec<Value>, _>>);
            match rows {
                Ok(_) => read += 1,
                Err(error) => {
                    assert!(error.to_string().contains("damaged.parquet"), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 1000 && read > 1000, "{refused} {read}");
    }

    #[test]
    fn what_is_no_parquet_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        std::fs::write(&path, "no table").unwrap();
        assert!(JsonRows::open(&path).is_err());
        assert!(JsonRows::open(&folder.path().join("none.parquet")).is_err());
    }
}
