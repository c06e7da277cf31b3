//! Figures for papers: from rows of numbers to SVG, PDF and PNG.
//!
//! [`FigureRow`]s are the data of a figure and all that it shows; [`chart()`] turns them into panels, marks,
//! a legend and a colour bar; [`render()`] sets those on a page of a column's width and writes it. Text stays
//! text, sizes are in points and millimetres, and the same rows give the same bytes on every machine.

mod axis;
mod chart;
mod clip;
mod font;
mod kinds;
mod layout;
mod marks;
pub mod palette;
mod pdf;
mod png;
mod rows;
mod scene;
mod svg;

use std::collections::BTreeSet;

use thiserror::Error;

pub use axis::{Axis, Scale};
pub use chart::{
    Beyond, CellSign, Chart, ColorBar, ColorMap, ColumnWidth, LegendEntry, Mark, PageStyle, Panel,
};
pub use kinds::{FigureKind, FigureText, TokenFate, chart};
pub use rows::{CHANCE, CommonRows, FigureRow, SeriesPlace, SeriesSamples};
pub use scene::Rgb;

/// Why a figure cannot be made.
#[derive(Debug, Error)]
pub enum FigureError {
    /// There is nothing to show.
    #[error("there is nothing to draw: no sample has what the figure asks for")]
    Empty,
    /// More panels than a page holds.
    #[error(
        "{panels} panels do not fit on a page; choose fewer windows or layers, or a wider page"
    )]
    TooTall {
        /// How many.
        panels: usize,
    },
    /// The built-in font.
    #[error("the built-in font cannot be opened ({reason})")]
    Font {
        /// What its reader says.
        reason: String,
    },
    /// A picture that cannot be drawn.
    #[error(
        "a picture of {width} by {height} pixels cannot be drawn ({reason}); give a smaller figure"
    )]
    Picture {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// What is wrong.
        reason: String,
    },
}

/// What a figure is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureFormat {
    /// Scalable, with text that another program can edit.
    Svg,
    /// Scalable, with the font inside.
    Pdf,
    /// Pixels.
    Png,
}

/// Pixels per inch of a PNG: what journals ask for colour figures.
pub const PIXELS_PER_INCH: f64 = 300.0;

/// A figure as a file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// Letters of its texts that the built-in font lacks: a question mark stands for each of them. None in an SVG, whose
    /// text is set in the fonts of whoever opens it.
    pub missing_letters: BTreeSet<char>,
}

/// Draws a figure.
///
/// # Errors
/// [`FigureError`] for a chart without panels or a picture that is too large.
pub fn render(
    chart: &Chart,
    style: &PageStyle,
    format: FigureFormat,
) -> Result<Rendered, FigureError> {
    let scene = layout::lay_out(chart, style)?;
    let missing_letters = match format {
        FigureFormat::Svg => BTreeSet::new(),
        FigureFormat::Pdf | FigureFormat::Png => scene.letters_missing_in(&font::Font::open()?),
    };
    let bytes = match format {
        FigureFormat::Svg => svg::write(&scene).into_bytes(),
        FigureFormat::Pdf => pdf::write(&scene)?,
        FigureFormat::Png => png::write(&scene, PIXELS_PER_INCH)?,
    };
    Ok(Rendered {
        bytes,
        missing_letters,
    })
}
