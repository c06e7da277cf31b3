//! Streaming rows into a Parquet file that appears only when it is whole.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::marker::PhantomData;
use std::path::Path;

use polars::prelude::{
    BatchedWriter, Column, DataFrame, DataType, IntoColumn, KeyValueMetadata, NewChunkedArray,
    ParquetWriter, PolarsResult, StringChunked,
};

use super::SCHEMA_VERSION;
use super::declare::{Columnar, TableDeclaration};
use super::error::TableError;
use super::partial_file::PartialFile;

/// One of the tables: its rows and the name of its file.
pub trait Table {
    /// A row; its columns are the table's.
    type Row<'a>: Columnar;
    /// Name of the Parquet file inside the output folder.
    const FILE_NAME: &'static str;
    /// What a row is of, in words.
    const ONE_ROW_PER: &'static str;
    /// Rows after which a row group is closed. Those of every open table wait in memory, so there are fewer of them
    /// than polars takes (2^18).
    const ROW_GROUP_ROWS: usize = 1 << 15;

    /// The table in words.
    fn declaration() -> TableDeclaration {
        TableDeclaration {
            file: Self::FILE_NAME,
            one_row_per: Self::ONE_ROW_PER,
            columns: Self::Row::declared(),
        }
    }
}

/// Writes one table, row group by row group, aside; [`Self::finish`] gives the file its name.
///
/// Dropped before that, it removes what it wrote and leaves an earlier file of that name alone.
pub struct TableWriter<T: Table> {
    parquet: BatchedWriter<BufWriter<File>>,
    buffered: DataFrame,
    /// Batches that were appended since the buffered rows were last put together.
    loose_batches: usize,
    file: PartialFile,
    table: PhantomData<T>,
}

impl<T: Table> fmt::Debug for TableWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableWriter")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl<T: Table> TableWriter<T> {
    /// Starts the file `FILE_NAME` in an existing folder, with `schema_version` and the caller's
    /// `provenance`, a JSON text, in its metadata.
    ///
    /// # Errors
    /// [`TableError::File`] when the folder does not let a file be written.
    pub fn create(folder: &Path, provenance: &str) -> Result<Self, TableError> {
        let path = folder.join(T::FILE_NAME);
        let file = PartialFile::create(&path)?;
        let metadata = KeyValueMetadata::from_static(vec![
            ("schema_version".to_owned(), SCHEMA_VERSION.to_owned()),
            ("provenance".to_owned(), provenance.to_owned()),
        ]);
        let handle = BufWriter::new(file.handle()?);
        let start = || -> PolarsResult<_> {
            let empty = data_frame(T::Row::columns(&[]))?;
            let parquet = ParquetWriter::new(handle)
                .with_key_value_metadata(Some(metadata))
                .batched(empty.schema())?;
            Ok((parquet, empty))
        };
        let (parquet, buffered) = start().map_err(|source| refused("start", &path, source))?;
        Ok(Self {
            parquet,
            buffered,
            loose_batches: 0,
            file,
            table: PhantomData,
        })
    }

    /// Appends rows; full row groups go to the file, the rest waits for more.
    ///
    /// # Errors
    /// [`TableError::Parquet`] when the file cannot be written.
    pub fn write(&mut self, rows: &[T::Row<'_>]) -> Result<(), TableError> {
        for rows in rows.chunks(T::ROW_GROUP_ROWS) {
            let stacked = data_frame(T::Row::columns(rows))
                .and_then(|frame| self.buffered.vstack_mut_owned(frame).map(|_| ()));
            stacked.map_err(|source| refused("write", self.file.path(), source))?;
            self.loose_batches += 1;
            if self.buffered.height() >= T::ROW_GROUP_ROWS {
                self.close_row_group()?;
            } else if self.loose_batches >= MOST_LOOSE_BATCHES {
                self.put_together()?;
            }
        }
        Ok(())
    }

    /// Copies the waiting rows into one batch.
    fn put_together(&mut self) -> Result<(), TableError> {
        let columns = self.buffered.columns().iter().map(copied_together);
        let joined = columns.collect::<PolarsResult<_>>().and_then(data_frame);
        self.buffered = joined.map_err(|source| refused("write", self.file.path(), source))?;
        self.loose_batches = 0;
        Ok(())
    }

    /// Writes the waiting rows as a row group, so that the next rows start another.
    ///
    /// # Errors
    /// [`TableError::Parquet`] when the file cannot be written.
    pub(crate) fn close_row_group(&mut self) -> Result<(), TableError> {
        let empty = self.buffered.clear();
        let mut group = std::mem::replace(&mut self.buffered, empty);
        // The engine makes one row group of each chunk, and a chunk of each appended batch.
        group.rechunk_mut();
        self.loose_batches = 0;
        self.parquet
            .write_batch(&group)
            .map_err(|source| refused("write", self.file.path(), source))
    }

    /// Writes what waits and the footer, and gives the file its name.
    ///
    /// # Errors
    /// [`TableError`] when the file cannot be written or renamed; nothing is left of it then.
    pub fn finish(mut self) -> Result<(), TableError> {
        self.close_row_group()?;
        self.parquet
            .finish()
            .map_err(|source| refused("finish", self.file.path(), source))?;
        self.file.commit()
    }
}

/// Batches of waiting rows that are kept as they came. Each has a block of 8 KiB for every column of text, whatever
/// the number of its rows.
const MOST_LOOSE_BATCHES: usize = 32;

/// A column in one piece. Rechunking alone would keep the blocks of text that it came in.
fn copied_together(column: &Column) -> PolarsResult<Column> {
    Ok(match column.dtype() {
        DataType::String => {
            StringChunked::from_iter_options(column.name().clone(), column.str()?.iter())
                .into_column()
        }
        _ => column.rechunk(),
    })
}

fn data_frame(columns: Vec<Column>) -> PolarsResult<DataFrame> {
    DataFrame::new_infer_height(columns)
}

pub(super) fn refused(
    action: &'static str,
    path: &Path,
    source: impl Error + Send + Sync + 'static,
) -> TableError {
    TableError::Parquet {
        action,
        path: path.to_owned(),
        source: Box::new(source),
    }
}
