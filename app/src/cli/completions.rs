//! `kvlens completions`: what a shell completes after the program's name.

use anyhow::Result;
use clap::CommandFactory;

use super::args::{Arguments, CompletionsArguments};
use super::output;

/// Prints the shell's script.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(arguments: &CompletionsArguments) -> Result<()> {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "kvlens", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
