//! A session on disk: a folder `NAME.kvlens/` with `manifest.json` and one safetensors file per sample.
//!
//! Files are written aside, synced and renamed, so a killed run loses at most the sample in flight.

mod manifest;
mod sample_file;
mod session;
mod shape_check;

pub use manifest::{FORMAT_VERSION, Manifest, ModelShape, SampleEntry, SampleState};
pub use sample_file::{CapturedSample, SampleRecord};
pub use session::Session;

pub(crate) use manifest::MANIFEST_FILE;
pub(crate) use sample_file::write_sample;
pub(crate) use session::is_intact;
