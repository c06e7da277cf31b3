//! `kvlens open`: the workbench, or a picture of it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use kvlens_sessions::Session;

use super::args::OpenArguments;
use super::display;
use super::failure::Failure;
use crate::gui;
use crate::gui::command::{Command, LessonCommand};
use crate::gui::headless::{self, Screenshot};
use crate::gui::lessons::read_lesson;

/// Opens the workbench on the named sessions.
///
/// # Errors
/// A sentence for a session that cannot be opened, before any window appears; what the workbench
/// says when no display can be opened.
pub fn run(arguments: &OpenArguments) -> Result<()> {
    for session in &arguments.sessions {
        Session::open(session)?;
    }
    let mut script = Vec::new();
    if let Some(path) = &arguments.lesson {
        read_lesson(path)?;
        script.push(LessonCommand::OpenLesson(path.clone()).into());
    }
    if let Some(path) = &arguments.script {
        script.extend(read_script(path)?);
    }
    let start = gui::Start {
        sessions: arguments.sessions.clone(),
        script,
    };
    if let Some(out) = &arguments.screenshot {
        let screenshot = Screenshot {
            out: out.clone(),
            size: arguments.size.0,
            theme: arguments.theme.into(),
        };
        return headless::take(&start, &screenshot);
    }
    if display::named().is_none() {
        bail!(display::MISSING);
    }
    gui::run(start)
}

fn read_script(path: &Path) -> Result<Vec<Command>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the script cannot be read: {}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::BadInput(format!(
            "this is no script, which is a JSON list of commands such as [{{\"SetMetric\": \"mass\"}}, \"SelectAllHeads\"] ({error}): {}",
            path.display()
        ))
        .into()
    })
}
