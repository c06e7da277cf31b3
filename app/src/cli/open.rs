//! `kvlens open`: the workbench, or a picture of it.

use std::path::PathBuf;

use anyhow::Result;
use kvlens_sessions::Session;

use super::args::OpenArguments;
use super::session::unpacked;
use crate::jobs::window::{LINK_START, OpenWindow, PictureRequest, WindowRequest};

/// Opens the workbench on the named sessions.
///
/// # Errors
/// A sentence for a session that cannot be opened, before any window appears; what the workbench
/// says when no display can be opened.
pub fn run(arguments: &OpenArguments, open_window: OpenWindow) -> Result<()> {
    let link = |path: &PathBuf| {
        let text = path.to_str()?;
        text.starts_with(LINK_START).then(|| text.to_owned())
    };
    let links: Vec<String> = arguments.sessions.iter().filter_map(link).collect();
    let folders = arguments
        .sessions
        .iter()
        .filter(|path| link(path).is_none());
    let folders: Vec<PathBuf> = folders.cloned().collect();
    let sessions = unpacked(&folders)?;
    for session in &sessions {
        Session::open(session)?;
    }
    let picture = arguments.screenshot.as_ref().map(|out| PictureRequest {
        out: out.clone(),
        size: arguments.size.0,
        theme: arguments.theme,
    });
    open_window(&WindowRequest {
        sessions,
        lesson: arguments.lesson.clone(),
        script: arguments.script.clone(),
        links,
        picture,
    })
}
