//! Ctrl-C: the first one asks the work to stop after its current step, the second ends the program.

use super::output;
use crate::jobs::Cancel;
use anyhow::{Context, Result};

/// Ties Ctrl-C (and a polite kill) to a flag. To be called once in a run of the program.
///
/// # Errors
/// When the system refuses the handler.
pub fn cancel_on_interrupt() -> Result<Cancel> {
    let flag = Cancel::default();
    let handler = flag.clone();
    ctrlc::set_handler(move || {
        if handler.is_cancelled() {
            // every file is written aside and renamed, so there is nothing half-written to tidy up
            std::process::exit(130);
        }
        handler.cancel();
        output::note("stopping after the current step; press Ctrl-C again to stop at once");
    })
    .context("Ctrl-C cannot be handled")?;
    Ok(flag)
}
