//! The workbench.
//!
//! Three parts that know little of each other: the *state* (plain data: [`state`], [`data`],
//! [`command`]), the *worker* (one thread that owns the model: [`worker`]), and the *views*
//! (functions from state to pixels that answer with commands: `views`). [`workbench`] ties them
//! together, once per frame. Nothing here computes what the analysis crate could.

mod application;
pub mod attention_picture;
pub mod capture_settings;
pub mod command;
mod compare_samples;
pub mod data;
pub mod derived;
mod dialogs;
pub mod export;
mod glossary;
mod growing;
pub mod headless;
mod heads_text;
mod jobs;
pub mod layout;
pub mod lessons;
mod markdown;
mod model_jobs;
pub mod numbers;
pub mod offscreen;
pub mod question_choices;
pub mod questions;
pub mod session_maps;
pub mod state;
pub mod theme;
mod views;
mod widgets;
pub mod workbench;
pub mod worker;

use std::path::PathBuf;

pub(crate) use application::sessions_folder;

/// What the workbench opens with.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Sessions to open; the last one stays on show.
    pub sessions: Vec<PathBuf>,
    /// What is done then, command by command.
    pub script: Vec<command::Command>,
}

/// Opens the workbench and stays until its window is closed.
///
/// # Errors
/// When no display can be opened, or no thread started.
pub fn run(start: Start) -> anyhow::Result<()> {
    application::open_window(start)
}
