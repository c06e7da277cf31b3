//! `kvlens figure`: a picture for a paper, its numbers, and how to make both again.

mod arguments;
pub mod command;
mod data;
mod groups;
mod heads;
mod maps;
mod samples;
mod written;

use std::path::Path;

use anyhow::Result;
use kvlens_analysis::figure::{PageStyle, chart, render};
use kvlens_sessions::CancelFlag;

pub use arguments::{FigureArguments, KindChoice, WidthChoice};
use command::command_line;

use super::failure::Failure;
use super::folders::check_can_create;
use super::found_sessions::open_sessions;
use super::interrupt::cancel_on_interrupt;
use super::output;
use super::progress::{Progress, Watch};
use data::FigureJob;
use written::{WrittenFigure, format_of};

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, files that could not be written.
pub fn run(arguments: &FigureArguments) -> Result<()> {
    let cancel = cancel_on_interrupt()?;
    let mut progress = Progress::begin("draw")?;
    let typed = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let typed: Vec<String> = typed.skip(1).collect();
    let written = make(arguments, &typed, &cancel, &mut progress);
    progress.end();
    output::print(&format!("Figure written: {}\n", written?.join(", ")))
}

/// Makes the figure and gives the names of its files; `typed` are the words of the command behind `kvlens`.
fn make(
    arguments: &FigureArguments,
    typed: &[String],
    cancel: &CancelFlag,
    watch: &mut dyn Watch,
) -> Result<Vec<String>> {
    let format = format_of(&arguments.out)?;
    check_font_size(arguments.font_size)?;
    check_can_create(folder_of(&arguments.out))?;
    let sessions = open_sessions(&arguments.sessions)?;
    let job = FigureJob::new(arguments, &sessions)?;
    let (rows, text) = job.collect(cancel, watch)?;
    let style = PageStyle {
        width: arguments.width.into(),
        font_size: arguments.font_size,
    };
    let chart = chart(arguments.kind.into(), &rows, &text, &style)
        .map_err(|error| Failure::BadInput(format!("{error}")))?;
    let picture = render(&chart, &style, format)?;
    WrittenFigure {
        out: &arguments.out,
        command: command_line(typed),
        picture: &picture,
        rows: &rows,
        job: &job,
    }
    .write()
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
