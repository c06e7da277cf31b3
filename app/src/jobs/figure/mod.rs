//! A picture for a paper, its numbers, and how to make both again.

mod data;
mod density;
mod fidelity;
mod groups;
mod heads;
mod held;
mod kinds;
mod maps;
mod needle;
mod note;
mod one_head;
mod request;
mod samples;
mod written;

use std::path::Path;

use anyhow::Result;
use kvlens_analysis::figure::{FigureRow, PageStyle, chart, render};

use super::failure::{Failure, refuse_contradiction};
use super::folders::check_can_create;
use super::found_sessions::open_sessions;
use super::{Cancel, Watch};

pub use kinds::{KindChoice, WidthChoice};
pub use request::{FigureRequest, command_line, metric_word};

use data::FigureJob;
use written::{WrittenFigure, format_of};

/// Makes the figure and gives the names of its files.
///
/// # Errors
/// Bad input; [`Failure::Interrupted`] after a cancel; files that could not be written.
pub fn run(request: &FigureRequest, watch: &mut dyn Watch, cancel: &Cancel) -> Result<Vec<String>> {
    Ok(draw(request, watch, cancel)?.files)
}

/// A figure that was made.
pub struct Drawn {
    /// The names of its files.
    pub files: Vec<String>,
    /// Its numbers.
    pub rows: Vec<FigureRow>,
    /// Names of the places 0, 1, ... where x is one.
    pub names: Vec<String>,
}

/// Makes the figure and gives its numbers, too.
///
/// # Errors
/// As [`run`].
pub fn draw(request: &FigureRequest, watch: &mut dyn Watch, cancel: &Cancel) -> Result<Drawn> {
    let format = format_of(&request.out)?;
    check_font_size(request.font_size)?;
    refuse_contradiction(&request.options)?;
    check_can_create(folder_of(&request.out))?;
    let (rows, text, about) = match fidelity::is_of_tables(request.kind) {
        true => {
            let found = fidelity::collect(request)?;
            (found.rows, found.text, found.about)
        }
        false => {
            let (scores, paths) = match request.kind {
                KindChoice::Needle => fidelity::EvictedScores::take(&request.sessions)?,
                _ => (fidelity::EvictedScores::default(), request.sessions.clone()),
            };
            let sessions = open_sessions(&paths)?;
            let job = FigureJob::new(request, &sessions, scores)?;
            let (rows, text) = job.collect(cancel, watch)?;
            (rows, text, job.about()?)
        }
    };
    let style = PageStyle {
        width: request.width.into(),
        font_size: request.font_size,
    };
    let chart = chart(request.kind.into(), &rows, &text, &style)
        .map_err(|error| Failure::BadInput(format!("{error}")))?;
    let picture = render(&chart, &style, format)?;
    let files = WrittenFigure {
        out: &request.out,
        command: command_line(&request.words()),
        picture: &picture,
        rows: &rows,
        about,
        caption: text.note.as_deref().unwrap_or_default(),
    }
    .write()?;
    Ok(Drawn {
        files,
        rows,
        names: text.names,
    })
}

/// The folder that a file is written to.
fn folder_of(file: &Path) -> &Path {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// A page cannot hold letters of any size.
fn check_font_size(points: f64) -> Result<()> {
    if (4.0..=24.0).contains(&points) {
        return Ok(());
    }
    Err(Failure::BadInput(format!(
        "a font size of {points} points cannot be set in a column; give 4 to 24"
    ))
    .into())
}
