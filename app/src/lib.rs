//! KVLens, a workbench for KV-cache eviction: the command line and the window over
//! `kvlens-datasets`, `kvlens-sessions` and `kvlens-analysis`. No numerics live here.

pub mod cli;
pub mod demo;
pub mod gui;
pub mod measurement;
mod system_memory;
