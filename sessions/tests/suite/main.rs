//! The crate against its outside: other implementations, the disk, and what users get wrong. One binary, linked once.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot lay out what it needs has failed"
)]

mod bad_checkpoints;
mod common;
#[path = "../../../datasets/tests/checked/damage.rs"]
mod damage;
mod damaged_checkpoints;
mod decode_keys;
mod demo_model;
mod dequantised;
mod fidelity;
mod gemma;
mod gguf;
mod gguf_headers;
mod half_precision;
mod hub;
mod kept_scores;
mod later_questions;
mod long_rope;
mod modules;
mod mutations;
mod packed_sessions;
mod parity;
#[path = "../readers/mod.rs"]
mod readers;
mod real_folders;
mod sample_reads;
mod score_files;
mod score_tables;
mod sessions_on_disk;
mod shrunk_sessions;
mod structure;
mod tied_embeddings;
mod tokenizer_files;
mod trimmed_prompts;
mod value_weights;
mod window_parity;
mod window_structure;

/// Everything runs by the operations that are fast on the processor; `tests/suite_by_gpu_operations` does the other.
fn chosen(model: kvlens_sessions::model::Model) -> kvlens_sessions::model::Model {
    model
}
