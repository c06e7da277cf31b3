//! A picture for a paper, its numbers, and how to make both again.

mod caption;
mod data;
mod decode_eviction;
mod density;
mod fidelity;
mod gathering;
mod groups;
mod heads;
mod held;
mod kinds;
mod maps;
mod needle;
mod note;
mod one_head;
mod profile;
mod request;
mod rows;
mod samples;
mod words;
mod written;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use kvlens_analysis::figure::{FigureRow, FigureText, PageStyle, chart, render};
use serde_json::Value;

use super::failure::{Failure, refuse_contradiction};
use super::folders::check_output_folder;
use super::found_sessions::open_sessions;
use super::left_out::LeftOut;
use super::{Cancel, Watch};

pub use fidelity::{Eviction, figure_of_kind};
pub use kinds::{KindChoice, WidthChoice};
pub use request::{FigureRequest, command_line, metric_word};
pub use samples::curve_budgets;

use caption::caption;
use data::FigureJob;
use written::{WrittenFigure, format_of};

/// Letters without a glyph that a warning names at most.
const MOST_NAMED_LETTERS: usize = 12;

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
    /// What it shows, with its definitions, and what was left out.
    pub caption: String,
    /// Samples that it is made without, because their files are missing or damaged.
    pub left_out: LeftOut,
}

/// Makes the figure and gives its numbers, too.
///
/// # Errors
/// As [`run`].
pub fn draw(request: &FigureRequest, watch: &mut dyn Watch, cancel: &Cancel) -> Result<Drawn> {
    check(request)?;
    if fidelity::is_of_tables(request.kind) {
        let found = fidelity::collect(request)?;
        return finish(request, found.rows, &found.text, found.about, watch);
    }
    let (scores, paths) = match request.kind {
        KindChoice::Needle => fidelity::EvictedScores::take(&request.sessions)?,
        _ => (fidelity::EvictedScores::default(), request.sessions.clone()),
    };
    let sessions = open_sessions(&paths)?.tell(&*watch);
    let job = FigureJob::new(request, &sessions, scores)?;
    let found = job.collect(cancel, watch)?;
    let about = job.about(&found.left_out)?;
    let drawn = finish(request, found.rows, &found.text, about, watch)?;
    Ok(Drawn {
        left_out: found.left_out,
        ..drawn
    })
}

/// Makes a figure of fidelity of evictions that are at hand, and gives the names of its files. `about` says where they
/// are from.
///
/// # Errors
/// Bad input; files that could not be written.
pub fn run_of_evictions(
    request: &FigureRequest,
    evictions: Vec<Eviction>,
    about: Value,
    watch: &dyn Watch,
) -> Result<Vec<String>> {
    check(request)?;
    let found = fidelity::figure_of(request, evictions, about)?;
    Ok(finish(request, found.rows, &found.text, found.about, watch)?.files)
}

fn check(request: &FigureRequest) -> Result<()> {
    format_of(&request.out)?;
    check_font_size(request.font_size)?;
    refuse_contradiction(&request.options)?;
    check_output_folder(folder_of(&request.out))
}

/// Draws the rows and writes all files.
fn finish(
    request: &FigureRequest,
    rows: Vec<FigureRow>,
    text: &FigureText,
    about: Value,
    watch: &dyn Watch,
) -> Result<Drawn> {
    let format = format_of(&request.out)?;
    let style = PageStyle {
        width: request.width.into(),
        font_size: request.font_size,
    };
    let chart = chart(request.kind.into(), &rows, text, &style)
        .map_err(|error| Failure::BadInput(format!("{error}")))?;
    let picture = render(&chart, &style, format)?;
    if let Some(warning) = of_missing_letters(&picture.missing_letters) {
        watch.note(&warning);
    }
    let caption = caption(request, chart.note.as_deref());
    let files = WrittenFigure {
        out: &request.out,
        command: command_line(&request.words()),
        picture: &picture.bytes,
        rows: &rows,
        about,
        caption: &caption,
    }
    .write()?;
    Ok(Drawn {
        files,
        rows,
        names: text.names.clone(),
        caption,
        left_out: LeftOut::default(),
    })
}

/// What to say of letters that stand as question marks in the picture.
fn of_missing_letters(missing: &BTreeSet<char>) -> Option<String> {
    let named = missing.iter().take(MOST_NAMED_LETTERS);
    let named: Vec<String> = named
        .map(|letter| format!("{letter} (U+{:04X})", u32::from(*letter)))
        .collect();
    let rest = match missing.len().saturating_sub(MOST_NAMED_LETTERS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| {
        format!(
            "warning: the font of figures has no {}{rest}; PDF and PNG show a question mark in their place, an SVG keeps \
             them",
            named.join(", ")
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_without_a_glyph_are_named_and_counted() {
        assert_eq!(of_missing_letters(&BTreeSet::new()), None);
        let one = of_missing_letters(&BTreeSet::from(['中'])).unwrap();
        assert!(
            one.starts_with("warning: the font of figures has no 中 (U+4E2D); "),
            "{one}"
        );
        let many = ('\u{4e00}'..='\u{4e0f}').collect();
        let many = of_missing_letters(&many).unwrap();
        assert!(many.contains("(U+4E0B) and 4 more;"), "{many}");
    }
}
