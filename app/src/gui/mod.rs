//! The workbench.
//!
//! Three parts that know little of each other: the *state* (plain data: [`state`], [`data`],
//! [`command`]), the *lanes* (two threads, of which one owns the model: [`lanes`]), and the *views*
//! (functions from state to pixels that answer with commands: `views`). [`workbench`] ties them
//! together, once per frame. Nothing here computes what the analysis crate could.

mod application;
pub mod attention_picture;
pub mod capture_refusal;
pub mod capture_settings;
pub mod command;
mod compare_samples;
pub mod data;
pub mod derived;
mod desktop;
mod dialogs;
pub mod export;
mod forced;
mod glossary;
pub mod head_numbers;
pub mod head_words;
pub mod headless;
mod heads_text;
pub mod in_force;
pub mod lanes;
pub mod layout;
pub mod lessons;
pub mod link;
mod markdown;
pub mod needle_maps;
pub mod numbers;
pub mod offscreen;
pub mod prompt_preview;
pub mod query;
pub mod question_choices;
pub mod questions;
pub mod recipes;
pub mod seen_samples;
pub mod session_maps;
pub mod state;
pub mod theme;
mod toasts;
mod views;
mod widgets;
pub mod window_options;
pub mod workbench;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use kvlens_datasets::{MOST_TYPED_BYTES, read_text_at_most};

use crate::jobs::display;
use crate::jobs::failure::Failure;
use crate::jobs::window::{PictureTheme, WindowRequest};
use headless::Screenshot;
use lessons::read_lesson;
use link::read_state;
use state::ThemeChoice;

/// What the workbench opens with.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Sessions to open; the last one stays on show.
    pub sessions: Vec<PathBuf>,
    /// What is done then, command by command.
    pub script: Vec<command::Command>,
}

/// Opens the workbench and stays until its window is closed, or takes a picture of it.
///
/// # Errors
/// A lesson or script that cannot be read; when no display can be opened, or no thread started; a picture that cannot be
/// written.
pub fn open(request: &WindowRequest) -> anyhow::Result<()> {
    let mut script = Vec::new();
    if let Some(path) = &request.lesson {
        read_lesson(path)?;
        script.push(command::LessonCommand::OpenLesson(path.clone()).into());
    }
    if let Some(path) = &request.script {
        script.extend(read_script(path)?);
    }
    for link in &request.links {
        // a bad one is told before any window appears
        read_state(link)?;
        script.push(command::ProgramCommand::FollowLink(link.clone()).into());
    }
    let start = Start {
        sessions: request.sessions.clone(),
        script,
    };
    if let Some(picture) = &request.picture {
        let screenshot = Screenshot {
            out: picture.out.clone(),
            size: picture.size,
            theme: match picture.theme {
                PictureTheme::Light => ThemeChoice::Light,
                PictureTheme::Dark => ThemeChoice::Dark,
            },
        };
        return headless::take(&start, &screenshot);
    }
    if display::named().is_none() {
        bail!(display::MISSING);
    }
    application::open_window(start)
}

fn read_script(path: &Path) -> anyhow::Result<Vec<command::Command>> {
    let text = read_text_at_most(path, MOST_TYPED_BYTES)
        .with_context(|| format!("the script cannot be read: {}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::BadInput(format!(
            "this is no script, which is a JSON list of commands such as [{{\"SetMetric\": \"mass\"}}, \"SelectAllHeads\"] ({error}): {}",
            path.display()
        ))
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_damage_of_a_script_ends_the_program() {
        let script = r#"[{"OpenSession": "a.kvlens"}, {"SetMetric": "mass"}, "SelectAllHeads",
            {"SelectHeads": {"heads": [{"layer": 1, "head": 0}], "change": "Replace"}}]"#;
        crate::damages::each_is_read_or_refused("script.json", script, |path| {
            read_script(path)
                .map(drop)
                .map_err(|error| error.to_string())
        });
    }
}
