//! The tidy tables that a measurement writes, one row per observation of a number, as Parquet or CSV.
//!
//! Every table is declared once, with its columns and their meaning; [`declared`] and [`markdown`] tell them as
//! README does. [`SCHEMA_VERSION`] stands in the metadata of every file, next to a `provenance` that the caller gives. No
//! type of the engine that writes them shows outside.

mod agreement;
mod cells;
mod complementarity;
mod cost;
mod csv_writer;
mod declare;
mod decode_eviction;
mod difference;
mod error;
mod evidence;
mod fidelity;
mod figure;
mod importance;
mod json_rows;
mod markdown;
mod needle;
mod output;
mod overlap;
mod parquet_pages;
mod partial_file;
mod profile;
mod questions;
mod reading;
mod sample;
mod summary;
mod window_head;
mod winner;
mod writer;

pub use agreement::{AgreementRow, AgreementTable, agreement_rows};
pub use complementarity::{ComplementarityRow, ComplementarityTable, complementarity_rows};
pub use cost::{CostRow, CostTable};
pub use csv_writer::CsvWriter;
pub use declare::{ColumnDeclaration, TableDeclaration};
pub use decode_eviction::{DecodeEvictionRow, DecodeEvictionTable, decode_eviction_rows};
pub use difference::{DifferenceRow, DifferenceTable, difference_rows};
pub use error::TableError;
pub use evidence::{EvidenceRow, EvidenceTable, evidence_rows};
pub use fidelity::{
    FidelityRow, FidelityStepRow, FidelityStepsTable, FidelitySummaryRow, FidelitySummaryTable,
    FidelityTable, RecallFidelityRow, RecallFidelityTable,
};
pub use figure::{FigureRow, FigureTable};
pub use importance::{ImportanceInput, ImportanceRow, ImportanceTable};
pub use json_rows::JsonRows;
pub use markdown::{markdown, markdown_columns};
pub use needle::{
    FidelityNeedleRow, FidelityNeedleTable, NeedleRow, NeedleTable, fidelity_needle_rows,
    needle_rows,
};
pub use output::TableOutput;
pub use overlap::{OverlapRow, OverlapTable, overlap_rows};
pub use profile::{
    NeighbourRow, NeighbourTable, ProfileRow, ProfileStabilityRow, ProfileStabilityTable,
    ProfileTable, neighbour_rows, profile_rows, profile_stability_rows,
};
pub use questions::{
    AllocationRow, AllocationTable, DriftRow, DriftTable, PlaceRow, PlaceTable, QueryRow,
    QueryTable,
};
pub use reading::TableFile;
pub use sample::{SampleContext, SampleRow, SamplesTable};
pub use summary::{SummaryRow, SummaryTable};
pub use window_head::{WindowContext, WindowHead};
pub use winner::{WinnerRow, WinnerTable, winner_rows};
pub use writer::{Table, TableWriter};

/// Version of the tables' columns, in each file's metadata under `schema_version`. It grows with every
/// change; within a version columns are only ever added, at the end.
///
/// 2: `agreement` has `rbo` and `total_variation`; `cost` has
/// `score_kind`; the tables `difference`, `winner` and `complementarity` are new.
///
/// 3: `overlap` and `agreement` have `score_kind`; `difference` and `winner` have `question_place`, and
/// `difference` has a row for the means over all heads; the tables `summary`, `drift`, `place`, `query`,
/// `allocation`, `fidelity`, `fidelity_steps` and `recall_fidelity` are new.
///
/// 4: columns stand where they read best, so their order is new in every table. A number that is undefined is a
/// missing cell, not NaN. Every table about single samples begins with the same columns, to which `content`,
/// `question_place`, `asked_length` and `depth` are new. `budget` (as typed) stands beside every `budget_tokens`.
/// `overlap` has `compare`, `visible_tokens`, `kept_recall`, `evidence_kept` and `ceiling`; `agreement` and
/// `summary` have `compare`, `summary` also `heads`, `all_heads` and `ceiling`; `allocation` and `fidelity` have
/// `kept_recall`, `fidelity` also `method_recall`. `fidelity_summary` is new. `recall_fidelity` goes by model, task and
/// place of the question, whatever session the samples come from; places are not taken together. `difference` has `contrast` and `window`: besides windows it pairs places of the question and models.
/// A sample that is measured twice counts once.
///
/// 5: `overlap` has `output_error`, a further metric of `summary`, `difference` and `winner`; lower is better. `fidelity` has it,
/// too.
/// `difference` has `margin` and `equivalent`. The tables `evidence`, `profile`, `neighbour`, `profile_stability`, `needle`,
/// `fidelity_needle` and `decode_eviction` are new.
pub const SCHEMA_VERSION: &str = "5";

/// How README redoes `summary.parquet` from `overlap.parquet`, in Python with polars: the mean over heads of every
/// sample (copies are one by their `content`), then over samples.
pub const SUMMARY_SNIPPET: &str = include_str!("tables/summary_of_overlap.py");

/// Every table, in the order of README.
pub fn declared() -> Vec<TableDeclaration> {
    vec![
        OverlapTable::declaration(),
        AgreementTable::declaration(),
        SummaryTable::declaration(),
        DifferenceTable::declaration(),
        WinnerTable::declaration(),
        ComplementarityTable::declaration(),
        NeedleTable::declaration(),
        EvidenceTable::declaration(),
        CostTable::declaration(),
        SamplesTable::declaration(),
        ImportanceTable::declaration(),
        DriftTable::declaration(),
        PlaceTable::declaration(),
        QueryTable::declaration(),
        AllocationTable::declaration(),
        ProfileTable::declaration(),
        NeighbourTable::declaration(),
        ProfileStabilityTable::declaration(),
        DecodeEvictionTable::declaration(),
        FidelityTable::declaration(),
        FidelityStepsTable::declaration(),
        FidelitySummaryTable::declaration(),
        FidelityNeedleTable::declaration(),
        RecallFidelityTable::declaration(),
        FigureTable::declaration(),
    ]
}
