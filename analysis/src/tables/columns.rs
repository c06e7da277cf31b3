//! Columns from rows: one function per type of cell.

use polars::prelude::{
    BooleanChunked, Column, Float32Chunked, Float64Chunked, IntoColumn, NewChunkedArray,
    StringChunked, UInt32Chunked, UInt64Chunked,
};

/// Rows that know their columns; sealed, so that the engine's types stay inside.
pub trait Columnar: Sized {
    /// All columns of some rows, in the order of the file.
    fn columns(rows: &[Self]) -> Vec<Column>;
}

macro_rules! column_of {
    ($(#[$doc:meta])* $name:ident, $cell:ty, $array:ty, $build:ident) => {
        $(#[$doc])*
        pub(super) fn $name<'a, R>(name: &str, rows: &'a [R], cell: impl Fn(&'a R) -> $cell) -> Column {
            <$array>::$build(name.into(), rows.iter().map(cell)).into_column()
        }
    };
}

column_of!(text, &'a str, StringChunked, from_iter_values);
column_of!(
    optional_text,
    Option<&'a str>,
    StringChunked,
    from_iter_options
);
column_of!(count, u32, UInt32Chunked, from_iter_values);
column_of!(
    optional_count,
    Option<u32>,
    UInt32Chunked,
    from_iter_options
);
column_of!(
    /// For counts that outgrow 32 bits.
    large_count, u64, UInt64Chunked, from_iter_values
);
column_of!(score, f32, Float32Chunked, from_iter_values);
column_of!(number, f64, Float64Chunked, from_iter_values);
column_of!(
    optional_number,
    Option<f64>,
    Float64Chunked,
    from_iter_options
);
column_of!(
    optional_flag,
    Option<bool>,
    BooleanChunked,
    from_iter_options
);
column_of!(flag, bool, BooleanChunked, from_iter_values);
