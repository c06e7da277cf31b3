//! The same tables as CSV, for a reader that has no Parquet.

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use csv::Writer;
use polars::prelude::{AnyValue, Column};
use serde_json::json;

use super::SCHEMA_VERSION;
use super::declare::Columnar;
use super::error::TableError;
use super::partial_file::PartialFile;
use super::writer::{Table, refused};

/// Rows whose columns are built at a time.
const ROWS_AT_A_TIME: usize = 1 << 14;

/// Writes one table as `NAME.csv` (RFC 4180, UTF-8, a header line) and, because CSV has no metadata, beside
/// it `NAME.csv.json` with the schema version, the provenance and the type of every column.
///
/// Numbers are written so that reading them gives the same bits; `NaN` and `inf` by these words; an empty
/// field is a missing value, so that an empty text cannot be told from a missing one. Both files appear only
/// when [`Self::finish`] has completed them.
pub struct CsvWriter<T: Table> {
    records: Writer<BufWriter<File>>,
    file: PartialFile,
    about: PartialFile,
    provenance: String,
    table: PhantomData<T>,
}

impl<T: Table> fmt::Debug for CsvWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvWriter")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl<T: Table> CsvWriter<T> {
    /// Name of the CSV file inside the output folder.
    pub fn file_name() -> PathBuf {
        Path::new(T::FILE_NAME).with_extension("csv")
    }

    /// Starts both files in an existing folder; `provenance` is a JSON text.
    ///
    /// # Errors
    /// [`TableError::File`] when the folder does not let a file be written.
    pub fn create(folder: &Path, provenance: &str) -> Result<Self, TableError> {
        let path = folder.join(Self::file_name());
        let file = PartialFile::create(&path)?;
        let about = PartialFile::create(&path.with_extension("csv.json"))?;
        let mut writer = Self {
            records: Writer::from_writer(BufWriter::new(file.handle()?)),
            file,
            about,
            provenance: provenance.to_owned(),
            table: PhantomData,
        };
        let columns = T::Row::columns(&[]);
        let header = columns.iter().map(|column| column.name().as_str());
        let written = writer.records.write_record(header);
        written.map_err(|source| writer.csv_refused(source))?;
        Ok(writer)
    }

    /// Appends rows.
    ///
    /// # Errors
    /// [`TableError::Csv`] when the file cannot be written.
    pub fn write(&mut self, rows: &[T::Row<'_>]) -> Result<(), TableError> {
        for rows in rows.chunks(ROWS_AT_A_TIME) {
            let columns = T::Row::columns(rows);
            for row in 0..rows.len() {
                self.write_row(&columns, row)?;
            }
        }
        Ok(())
    }

    fn write_row(&mut self, columns: &[Column], row: usize) -> Result<(), TableError> {
        for column in columns {
            let cell = column
                .get(row)
                .map_err(|source| refused("write", self.file.path(), source))?;
            let written = self.records.write_field(text(&cell));
            written.map_err(|source| self.csv_refused(source))?;
        }
        let ended = self.records.write_record(None::<&[u8]>);
        ended.map_err(|source| self.csv_refused(source))
    }

    /// Completes both files and gives them their names.
    ///
    /// # Errors
    /// [`TableError`] when a file cannot be written or renamed.
    pub fn finish(mut self) -> Result<(), TableError> {
        let flushed = self.records.flush();
        flushed.map_err(|source| self.csv_refused(source))?;
        let columns: Vec<_> = T::Row::columns(&[])
            .iter()
            .map(|column| {
                json!({ "name": column.name().as_str(), "type": column.dtype().to_string() })
            })
            .collect();
        let provenance: serde_json::Value = serde_json::from_str(&self.provenance)
            .unwrap_or_else(|_| self.provenance.clone().into());
        let about = json!({
            "schema_version": SCHEMA_VERSION,
            "columns": columns,
            "provenance": provenance,
        });
        let written = writeln!(self.about.handle()?, "{about:#}");
        written.map_err(|source| self.csv_refused(source))?;
        self.file.commit()?;
        self.about.commit()
    }

    fn csv_refused(&self, source: impl std::error::Error + Send + Sync + 'static) -> TableError {
        TableError::Csv {
            path: self.file.path().to_owned(),
            source: Box::new(source),
        }
    }
}

/// A cell as a field.
fn text(cell: &AnyValue<'_>) -> String {
    if let Some(text) = cell.get_str() {
        return text.to_owned();
    }
    match cell {
        AnyValue::Null => String::new(),
        AnyValue::Float32(number) => number.to_string(),
        AnyValue::Float64(number) => number.to_string(),
        other => other.to_string(),
    }
}
