//! A session on disk: a folder `NAME.kvlens/` with `manifest.json` and one safetensors file per sample; while a capture
//! runs, and after one that was killed, also `journal.jsonl` with what became of samples since. A session whose samples
//! are captured in parts is a folder of such folders.
//!
//! Files are written aside, synced and renamed, so a killed run loses at most the sample in flight.

mod journal;
mod kept_bytes;
mod manifest;
mod merge;
mod new_folder;
mod opened_file;
mod pack;
mod parts;
mod repair;
mod rounded;
mod same_capture;
mod sample_file;
mod sample_reader;
mod session;
mod shape_check;
mod shrink;
mod smaller;
mod verified;

pub use kept_bytes::KeptBytes;
pub use manifest::{FORMAT_VERSION, Manifest, ModelShape, SampleEntry, SampleState};
pub use merge::merge;
pub use pack::{is_packed, is_unpacked_in, pack, unpack};
pub use parts::part_name;
pub use repair::{Repaired, repair};
pub use sample_file::{CapturedSample, LaterQuestion, LayerRange, SampleHeader, SampleRecord};
pub use session::{OpenSample, Session};
pub use shrink::{Shrink, Shrunk, shrink};

pub(crate) use journal::{JOURNAL_FILE, Journal, remove as remove_journal};
pub(crate) use manifest::{Found, LOCK_FILE, MANIFEST_FILE};
pub(crate) use merge::sample_file_name;
pub(crate) use same_capture::difference;
pub(crate) use sample_file::write_sample;
pub(crate) use smaller::reductions;
pub(crate) use verified::found_in_file;
