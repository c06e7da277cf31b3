//! Stories and pictures of the window, driven through the code that the program draws with. One binary, so that the
//! libraries are linked once and the sessions of the stories captured once.

#![expect(
    clippy::unwrap_used,
    reason = "a test may end where something is missing"
)]

mod captures;
mod common;
mod decode_cache;
mod export;
mod fidelity;
mod final_budget;
mod lanes;
mod large;
mod lessons;
mod many_windows;
mod maps;
mod needle;
mod player;
mod profiles;
mod prompts;
mod questions;
mod recipes;
mod retrieval;
mod scoring;
mod sessions;
mod snapshots;
mod take_along;
mod texts;
mod view_snapshots;
mod views;
mod workbench;
