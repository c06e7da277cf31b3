//! What the program can do, each thing once: the command line and the window both ask here.
//!
//! A job is a request of plain data and `run(request, ..., &mut dyn Watch, &Cancel)`, which gives its result or an
//! error. Nothing here knows how a request was typed or clicked, or how a result is shown.

pub mod budgets;
pub mod capture;
pub mod capture_words;
pub mod display;
pub mod estimate;
pub mod failure;
pub mod fetch;
pub mod fidelity;
pub mod figure;
pub mod folders;
pub mod found_sessions;
pub mod left_out;
pub mod measure;
mod model_names;
pub mod models;
pub mod pace;
pub mod prompts;
mod provenance;
pub mod recipe;
pub mod session;
pub mod sweep;
pub mod train;
mod warnings;
mod watch;
pub mod window;

pub use kvlens_sessions::CancelFlag as Cancel;
pub use warnings::{SampleFacts, Warnings};
pub use watch::Watch;

/// Fixes the draws of every bootstrap, so that the same figures give the same interval.
pub const SEED: u64 = 0;

/// Budgets in tokens of the hit-rate table (Judge Q reports these); those that fit no prompt are left out.
pub const HIT_RATE_BUDGETS: [usize; 3] = [128, 256, 512];
