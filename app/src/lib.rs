//! KVLens, a workbench for KV-cache eviction: the command line and the window over
//! `kvlens-datasets`, `kvlens-sessions` and `kvlens-analysis`. No numerics live here.
//!
//! `cli` and `gui` ask [`jobs`] for everything that the program can do, and never each other.

pub mod cli;
#[cfg(test)]
mod damages;
pub mod demo;
#[cfg(feature = "gui")]
pub mod gui;
pub mod jobs;
pub mod measurement;
mod system_disk;
mod system_memory;
mod window;

pub use window::open_window;
