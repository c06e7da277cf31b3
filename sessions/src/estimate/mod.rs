//! What a capture takes in memory and on disk, before it runs: from the configuration, the headers of the weight
//! files, and the lengths of the prompts. Nothing is loaded but the tokenizer.
//!
//! Every figure follows from the shapes and from what the code holds at the same time, stage by stage
//! (`stages.rs`); only what the program itself and its tokenizer take was measured. A benchmark
//! (`benches/estimate.rs`) holds it against the peak of real captures.

mod estimator;
mod fit;
mod stages;
mod unsaved;

pub use estimator::{CaptureEstimator, MemoryEstimate};
pub use fit::{AvailableMemory, readable_bytes};
pub use stages::{MemoryPart, MemoryStage, PROGRAM_PART, StageMemory};
pub(crate) use unsaved::device_bytes_beside_weights;

pub use crate::footprint::{Memory, RunShape, WindowMemory};
