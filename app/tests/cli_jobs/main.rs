//! The real program, run in folders of its own: jobs end to end, bad input, interrupts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod bad_input;
mod bad_models;
mod capture_and_measure;
mod chat;
mod decode_eviction;
mod demo;
mod estimate;
mod fidelity;
mod figure;
mod figure_of_one;
mod final_budget;
mod hub;
mod keep_recent;
mod left_out;
mod like_with_like;
mod measure_together;
mod plan;
mod prompts;
mod questions;
mod recipe;
mod resume;
mod score_file;
mod screenshot;
mod session;
mod stops;
mod support;
mod sweep;
mod train;
mod train_window;
mod values;
