//! The tidy Parquet tables that a measurement writes, one row per observation of a number.
//!
//! Columns and their order are documented in README and carried by [`SCHEMA_VERSION`] in the metadata
//! of every file, next to a `provenance` that the caller gives. No type of the engine that writes
//! them shows outside.

mod agreement;
mod columns;
mod cost;
mod error;
mod importance;
mod overlap;
mod partial_file;
mod reading;
mod sample;
pub mod summary;
mod writer;

pub use agreement::{AgreementRow, AgreementTable, agreement_rows};
pub use cost::{CostRow, CostTable};
pub use error::TableError;
pub use importance::{ImportanceInput, ImportanceRow, ImportanceTable};
pub use overlap::{OverlapRow, OverlapTable, overlap_rows};
pub use reading::TableFile;
pub use sample::{SampleContext, SampleRow, SamplesTable};
pub use writer::{Table, TableWriter};

/// Version of the tables' columns, in each file's metadata under `schema_version`.
pub const SCHEMA_VERSION: &str = "2";
