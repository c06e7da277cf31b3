//! How a table is declared: once, with its columns, their types and what they mean.
//!
//! `table!` makes of one declaration the struct of a row, its columns, the marker type with the name of the file, and
//! the description from which README's lines are made.

use polars::prelude::Column;

/// A column as README and the tests tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDeclaration {
    /// Its name in the file.
    pub name: &'static str,
    /// `text`, `u32`, `u64`, `f32`, `f64` or `bool`.
    pub kind: &'static str,
    /// Whether a cell may be missing.
    pub nullable: bool,
    /// What it says.
    pub meaning: &'static str,
    /// The group of columns that it comes with, where several tables have the same: `sample`.
    pub group: Option<&'static str>,
}

/// A table as README and the tests tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDeclaration {
    /// Name of the Parquet file.
    pub file: &'static str,
    /// What a row is of.
    pub one_row_per: &'static str,
    /// Its columns, in the order of the file.
    pub columns: Vec<ColumnDeclaration>,
}

/// Rows that know their columns; sealed, so that the engine's types stay inside.
pub trait Columnar: Sized {
    /// All columns of some rows, in the order of the file.
    fn columns(rows: &[Self]) -> Vec<Column>;
    /// The same columns in words.
    fn declared() -> Vec<ColumnDeclaration>;
}

/// Declares a group of columns that several tables share, as a struct that is a field of their rows.
macro_rules! columns {
    (
        $(#[$about:meta])+
        $name:ident $(<$life:lifetime>)? {
            $($(#[doc = $meaning:literal])+ $field:ident: $cell:ty,)+
        }
    ) => {
        $(#[$about])+
        pub struct $name $(<$life>)? {
            $($(#[doc = $meaning])+ pub $field: $cell,)+
        }

        impl $(<$life>)? $crate::tables::cells::Cells for $name $(<$life>)? {
            fn declare(
                _name: &'static str,
                _meaning: &'static str,
                into: &mut Vec<$crate::tables::declare::ColumnDeclaration>,
            ) {
                $(<$cell as $crate::tables::cells::Cells>::declare(
                    stringify!($field),
                    concat!($($meaning,)+).trim_ascii(),
                    into,
                );)+
            }

            fn columns<'r>(
                _name: &str,
                cells: impl Iterator<Item = &'r Self> + Clone,
                into: &mut Vec<polars::prelude::Column>,
            ) where
                Self: 'r,
            {
                $(<$cell as $crate::tables::cells::Cells>::columns(
                    stringify!($field),
                    cells.clone().map(|row| &row.$field),
                    into,
                );)+
            }
        }
    };
}

/// Declares a table: what it is about, its marker type and file, what a row is of, how many rows a row group has
/// where that is not the usual number, and the struct of a row with one field for each column (or group of columns).
macro_rules! table {
    (
        $table:ident in $file:literal, one row per $key:literal $(, row groups of $group:expr)?;
        $(#[$about:meta])+
        $row:ident $(<$life:lifetime>)? { $($fields:tt)* }
    ) => {
        $crate::tables::declare::columns! {
            $(#[$about])+
            #[derive(Debug, Clone, PartialEq)]
            $row $(<$life>)? { $($fields)* }
        }

        impl $(<$life>)? $crate::tables::declare::Columnar for $row $(<$life>)? {
            fn columns(rows: &[Self]) -> Vec<polars::prelude::Column> {
                let mut columns = Vec::new();
                <Self as $crate::tables::cells::Cells>::columns("", rows.iter(), &mut columns);
                columns
            }

            fn declared() -> Vec<$crate::tables::declare::ColumnDeclaration> {
                let mut columns = Vec::new();
                <Self as $crate::tables::cells::Cells>::declare("", "", &mut columns);
                columns
            }
        }

        #[doc = concat!("`", $file, "`: one row per ", $key, ".")]
        #[derive(Debug)]
        pub enum $table {}

        impl $crate::tables::writer::Table for $table {
            $crate::tables::declare::row_type!($row $(<$life>)?);
            const FILE_NAME: &'static str = $file;
            const ONE_ROW_PER: &'static str = $key;
            $(const ROW_GROUP_ROWS: usize = $group;)?
        }
    };
}

macro_rules! row_type {
    ($row:ident <$life:lifetime>) => {
        type Row<$life> = $row<$life>;
    };
    ($row:ident) => {
        type Row<'a> = $row;
    };
}

pub(super) use {columns, row_type, table};
