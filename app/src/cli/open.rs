//! `kvlens open`: the workbench.

use anyhow::Result;
use kvlens_sessions::Session;

use super::args::OpenArguments;
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
    gui::run(gui::Start {
        sessions: arguments.sessions.clone(),
    })
}
