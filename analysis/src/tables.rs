//! The tidy tables that a measurement writes, one row per observation of a number, as Parquet or CSV.
//!
//! Columns and their order are documented in README and carried by [`SCHEMA_VERSION`] in the metadata
//! of every file, next to a `provenance` that the caller gives. No type of the engine that writes
//! them shows outside.

mod agreement;
mod allocation;
mod columns;
mod complementarity;
mod cost;
mod csv_writer;
mod difference;
mod drift;
mod error;
mod fidelity;
mod fidelity_steps;
mod figure;
mod importance;
mod output;
mod overlap;
mod partial_file;
mod place;
mod query;
mod reading;
mod recall_fidelity;
mod sample;
mod summary;
mod winner;
mod writer;

pub use agreement::{AgreementRow, AgreementTable, agreement_rows};
pub use allocation::{AllocationRow, AllocationTable};
pub use complementarity::{ComplementarityRow, ComplementarityTable, complementarity_rows};
pub use cost::{CostRow, CostTable};
pub use csv_writer::CsvWriter;
pub use difference::{
    DifferenceRow, DifferenceTable, MapContext, difference_rows, overall_difference_row,
};
pub use drift::{DriftRow, DriftTable};
pub use error::TableError;
pub use fidelity::{FidelityRow, FidelityTable};
pub use fidelity_steps::{FidelityStepRow, FidelityStepsTable};
pub use figure::FigureTable;
pub use importance::{ImportanceInput, ImportanceRow, ImportanceTable};
pub use output::TableOutput;
pub use overlap::{OverlapRow, OverlapTable, overlap_rows};
pub use place::{PlaceRow, PlaceTable};
pub use query::{QueryRow, QueryTable};
pub use reading::TableFile;
pub use recall_fidelity::{RecallFidelityRow, RecallFidelityTable};
pub use sample::{SampleContext, SampleRow, SamplesTable};
pub use summary::SummaryTable;
pub use winner::{WinnerRow, WinnerTable, winner_rows};
pub use writer::{Table, TableWriter};

/// Version of the tables' columns, in each file's metadata under `schema_version`. It grows with every
/// change; columns are only ever added, at the end.
///
/// 2: `agreement` has `rbo` and `total_variation`; `cost` has
/// `score_kind`; the tables `difference`, `winner` and `complementarity` are new.
///
/// 3: `overlap` and `agreement` have `score_kind`; `difference` and `winner` have `question_place`, and
/// `difference` has a row for the means over all heads; the tables `summary`, `drift`, `place`, `query`,
/// `allocation`, `fidelity`, `fidelity_steps` and `recall_fidelity` are new.
pub const SCHEMA_VERSION: &str = "3";
