//! `kvlens open`: the workbench.

use anyhow::{Result, bail};
use kvlens_sessions::Session;

use super::args::OpenArguments;
use super::display;
use crate::gui;

/// Opens the workbench on the named sessions.
///
/// # Errors
/// A sentence for a session that cannot be opened, before any window appears; what the workbench
/// says when no display can be opened.
pub fn run(arguments: &OpenArguments) -> Result<()> {
    for session in &arguments.sessions {
        Session::open(session)?;
    }
    if display::named().is_none() {
        bail!(display::MISSING);
    }
    gui::run(gui::Start {
        sessions: arguments.sessions.clone(),
    })
}
