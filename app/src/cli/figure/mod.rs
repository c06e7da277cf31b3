//! `kvlens figure`: a picture for a paper, its numbers, and how to make both again.

mod arguments;

use anyhow::Result;

pub use arguments::FigureArguments;

use super::interrupt::cancel_on_interrupt;
use super::output;
use super::progress::Progress;
use super::session::unpacked;
use crate::jobs::figure::draw;

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, files that could not be written; behind them, samples that could not be read.
pub fn run(arguments: &FigureArguments) -> Result<()> {
    let cancel = cancel_on_interrupt()?;
    let mut progress = Progress::begin("draw")?;
    let typed = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let mut request = arguments.request(typed.skip(1).collect());
    request.sessions = unpacked(&arguments.sessions)?;
    for unused in request.without_part() {
        let kind = request.kind.name();
        progress.note(&format!("warning: {unused} plays no part in {kind}"));
    }
    let drawn = draw(&request, &mut progress, &cancel);
    progress.end();
    let drawn = drawn?;
    output::print(&format!("Figure written: {}\n", drawn.files.join(", ")))?;
    drawn.left_out.refuse("the figure is of the others")
}
