//! Reading a table back, to check one and to show one.

use std::path::{Path, PathBuf};

use polars::prelude::{
    Column, DataFrame, DataType, ParquetReader, PolarsError, PolarsResult, SerReader,
};

use super::error::TableError;
use super::json_rows::open;
use super::writer::refused;

/// A Parquet file in memory, column by column.
#[derive(Debug)]
pub struct TableFile {
    path: PathBuf,
    frame: DataFrame,
    metadata: Vec<(String, String)>,
    row_groups: Vec<usize>,
}

impl TableFile {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`TableError`] when it is missing or no Parquet file.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let file = open(path)?;
        let mut reader = ParquetReader::new(file);
        let mut open = || -> PolarsResult<_> {
            let file = reader.get_metadata()?;
            let metadata = file.key_value_metadata().iter().flatten();
            let metadata =
                metadata.filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)));
            let row_groups = file.row_groups.iter().map(|group| group.num_rows());
            Ok((metadata.collect(), row_groups.collect()))
        };
        let (metadata, row_groups) = open().map_err(|source| refused("read", path, source))?;
        let frame = reader
            .finish()
            .map_err(|source| refused("read", path, source))?;
        Ok(Self {
            path: path.to_owned(),
            frame,
            metadata,
            row_groups,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.frame.height()
    }

    /// Rows of each row group, in the order of the file.
    pub fn row_groups(&self) -> &[usize] {
        &self.row_groups
    }

    /// Name and type of every column, in the order of the file; types as `str`, `u32`, `u64`, `f32`, `f64`, `bool`.
    pub fn columns(&self) -> Vec<(String, String)> {
        let named = |column: &Column| (column.name().to_string(), column.dtype().to_string());
        self.frame.columns().iter().map(named).collect()
    }

    /// A value of the file's key-value metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let pair = self.metadata.iter().find(|(name, _)| name == key)?;
        Some(&pair.1)
    }

    /// A column of text.
    ///
    /// # Errors
    /// [`TableError::Parquet`] when there is no such column or it holds no text.
    pub fn text(&self, name: &str) -> Result<Vec<Option<String>>, TableError> {
        self.cells(name, |column| {
            Ok(column
                .str()?
                .iter()
                .map(|cell| cell.map(str::to_owned))
                .collect())
        })
    }

    /// A column of whole numbers.
    ///
    /// # Errors
    /// [`TableError::Parquet`] when there is no such column or it holds no whole numbers.
    pub fn counts(&self, name: &str) -> Result<Vec<Option<u64>>, TableError> {
        self.cells(name, |column| {
            if !column.dtype().is_integer() {
                return Err(other_type(column, "whole numbers"));
            }
            Ok(column.cast(&DataType::UInt64)?.u64()?.iter().collect())
        })
    }

    /// A column of numbers.
    ///
    /// # Errors
    /// [`TableError::Parquet`] when there is no such column or it holds no numbers.
    pub fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>, TableError> {
        self.cells(name, |column| {
            if !column.dtype().is_primitive_numeric() {
                return Err(other_type(column, "numbers"));
            }
            Ok(column.cast(&DataType::Float64)?.f64()?.iter().collect())
        })
    }

    /// A column of yes or no.
    ///
    /// # Errors
    /// [`TableError::Parquet`] when there is no such column or it holds something else.
    pub fn flags(&self, name: &str) -> Result<Vec<Option<bool>>, TableError> {
        self.cells(name, |column| Ok(column.bool()?.iter().collect()))
    }

    fn cells<C>(
        &self,
        name: &str,
        read: impl Fn(&Column) -> PolarsResult<Vec<Option<C>>>,
    ) -> Result<Vec<Option<C>>, TableError> {
        self.frame
            .column(name)
            .and_then(read)
            .map_err(|source| refused("read a column of", &self.path, source))
    }
}

fn other_type(column: &Column, wanted: &str) -> PolarsError {
    let (name, found) = (column.name(), column.dtype());
    PolarsError::SchemaMismatch(format!("column {name} holds {found}, not {wanted}").into())
}
