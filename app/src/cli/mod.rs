//! The command line: every job of the workbench without a display.
//!
//! Results go to stdout, progress and warnings to stderr. Exit codes: 0 success, 2 bad usage or bad
//! input with a sentence on stderr, 130 after Ctrl-C, 1 anything else.

mod args;
mod budgets;
mod capture;
mod capture_grid;
mod cost_table;
mod demo;
mod display;
mod doctor;
mod failure;
mod fetch;
mod fidelity;
pub mod figure;
mod folders;
mod found_sessions;
mod grid;
mod interrupt;
mod measure;
mod measure_arguments;
mod memory_table;
mod model_card;
mod model_names;
mod open;
mod output;
mod pairs;
mod plan_file;
pub mod progress;
mod provenance;
mod question_tables;
mod recall_table;
mod tables;
mod train;
mod train_window;
mod warnings;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};

/// Runs the program on the process's arguments.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // a reader that went away needs no help text
            let _ = error.print();
            return ExitCode::from(failure::usage_code(&error));
        }
    };
    let outcome = match arguments.command.unwrap_or_default() {
        Command::Open(arguments) => open::run(&arguments),
        Command::Capture(arguments) => capture::run(&arguments),
        Command::Measure(arguments) => measure::run(&arguments),
        Command::Fidelity(arguments) => fidelity::run(&arguments),
        Command::Figure(arguments) => figure::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Train(command) => train::run(&command),
        Command::Doctor => doctor::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&failure::sentence(&error));
            ExitCode::from(failure::exit_code(&error))
        }
    }
}
