//! Model, observation windows, capture and the session on disk: the only crate of KVLens that knows candle.
//!
//! Dimensions in the docs: L layers, H query heads, G key/value heads, T prompt tokens, S decode steps,
//! W window rows, D head size, R rows of one forward pass.

mod attention_rows;
mod cached_values;
mod cancel;
mod capture;
mod caught_panic;
mod decode_keys;
pub mod device_check;
mod error;
pub mod estimate;
mod eviction;
pub mod fidelity;
mod files;
mod footprint;
mod greedy;
mod half_format;
mod hash;
pub mod hub;
mod label;
pub mod model;
mod observation;
mod plan;
mod prefill;
mod stopwatch;
mod store;
mod threads;
pub mod training;
pub mod windows;

/// The worked example of ARCHITECTURE.md must compile.
#[cfg(doctest)]
#[doc = include_str!("../../ARCHITECTURE.md")]
mod architecture {}

pub use attention_rows::PromptKeys;
pub use cached_values::{CachedValues, OutputPlace};
pub use cancel::CancelFlag;
pub use capture::{CaptureEvent, CaptureSummary, Stage, StartMode, capture};
pub use decode_keys::DecodeKeys;
pub use error::SessionError;
pub use eviction::evict;
pub use files::{OwnedLock, SealedLines, write_file};
pub use half_format::HalfFormat;
pub use observation::{
    Cost, Evidence, Observation, ObservationInfo, QueryRows, ReducedRows, ReducedScores, Reduction,
    ScoreKind, TokenScores,
};
pub use plan::{CapturePlan, DecodePlan, Keep};
pub use prefill::{Needs, Prefilled, RunControl};
pub use store::{
    CapturedSample, FORMAT_VERSION, KeptBytes, LaterQuestion, LayerRange, Manifest, ModelShape,
    OpenSample, Repaired, SampleEntry, SampleHeader, SampleRecord, SampleState, Session, Shrink,
    Shrunk, is_packed, is_unpacked_in, merge, pack, part_name, repair, shrink, unpack,
};
pub use threads::{THREADS_VARIABLE, settle_number_of_threads};
