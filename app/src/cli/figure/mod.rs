//! `kvlens figure`: a picture for a paper, its numbers, and how to make both again.

mod arguments;

use anyhow::Result;

pub use arguments::FigureArguments;

use super::interrupt::cancel_on_interrupt;
use super::output;
use super::progress::Progress;
use super::session::unpacked;
use crate::jobs::figure::run as draw;

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, files that could not be written.
pub fn run(arguments: &FigureArguments) -> Result<()> {
    let cancel = cancel_on_interrupt()?;
    let mut progress = Progress::begin("draw")?;
    let typed = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let mut request = arguments.request(typed.skip(1).collect());
    request.sessions = unpacked(&arguments.sessions)?;
    let written = draw(&request, &mut progress, &cancel);
    progress.end();
    output::print(&format!("Figure written: {}\n", written?.join(", ")))
}
