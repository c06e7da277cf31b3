//! The tables as they lie on disk: columns, types, metadata, row groups, and nothing half-written.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at its first wrong number"
)]

mod csv;
mod declared;
mod fidelity;
mod fixtures;
mod parquet;
mod questions;
mod windows;
