//! One table as Parquet and, where asked for, as CSV beside it.

use std::path::{Path, PathBuf};

use super::csv_writer::CsvWriter;
use super::error::TableError;
use super::importance::{ImportanceInput, ImportanceTable};
use super::writer::{Table, TableWriter};

/// Writes the same rows to every form of a table; the files appear when [`Self::finish`] completes them.
#[derive(Debug)]
pub struct TableOutput<T: Table> {
    parquet: TableWriter<T>,
    csv: Option<CsvWriter<T>>,
}

impl<T: Table> TableOutput<T> {
    /// Names of the files inside the output folder: Parquet, then CSV and what describes it.
    pub fn file_names(with_csv: bool) -> Vec<PathBuf> {
        let mut names = vec![PathBuf::from(T::FILE_NAME)];
        if with_csv {
            let csv = CsvWriter::<T>::file_name();
            names.push(csv.clone());
            names.push(csv.with_extension("csv.json"));
        }
        names
    }

    /// Starts the files in an existing folder, with the caller's `provenance`, a JSON text.
    ///
    /// # Errors
    /// [`TableError::File`] when the folder does not let a file be written.
    pub fn create(folder: &Path, provenance: &str, with_csv: bool) -> Result<Self, TableError> {
        Ok(Self {
            parquet: TableWriter::create(folder, provenance)?,
            csv: with_csv
                .then(|| CsvWriter::create(folder, provenance))
                .transpose()?,
        })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// [`TableError`] when a file cannot be written.
    pub fn write(&mut self, rows: &[T::Row<'_>]) -> Result<(), TableError> {
        self.parquet.write(rows)?;
        match &mut self.csv {
            Some(csv) => csv.write(rows),
            None => Ok(()),
        }
    }

    /// Completes the files and gives them their names.
    ///
    /// # Errors
    /// [`TableError`] when a file cannot be written or renamed.
    pub fn finish(self) -> Result<(), TableError> {
        self.parquet.finish()?;
        self.csv.map_or(Ok(()), CsvWriter::finish)
    }
}

impl TableOutput<ImportanceTable> {
    /// Appends all layers of one window, as [`TableWriter::write_importance`] does.
    ///
    /// # Errors
    /// As there.
    pub fn write_importance(&mut self, input: ImportanceInput<'_>) -> Result<(), TableError> {
        self.parquet.write_importance(input)?;
        match &mut self.csv {
            Some(csv) => input.by_row_group(|rows| csv.write(rows)),
            None => Ok(()),
        }
    }
}
