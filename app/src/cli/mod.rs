//! The command line: every job of the workbench without a display.
//!
//! Results go to stdout, progress and warnings to stderr. Exit codes: 0 success, 2 bad usage or bad
//! input with a sentence on stderr, 130 after Ctrl-C, 1 anything else.

mod args;
mod capture;
mod capture_flags;
mod capture_grid;
mod check_device;
mod completions;
mod cost_table;
mod data;
mod decode_eviction_table;
mod demo;
mod doctor;
mod failure;
mod fetch;
mod fidelity;
mod figure;
mod grid;
mod interrupt;
mod measure;
mod measure_arguments;
mod memory_table;
mod model_card;
mod open;
mod output;
mod plan_file;
mod progress;
mod prompt_arguments;
mod recall_table;
mod recipe;
mod session;
mod sweep;
mod sweep_plan;
mod train;
mod train_window;

use std::process::ExitCode;

use args::{Arguments, Command};

use crate::jobs::window::OpenWindow;

/// Runs the program on the process's arguments; `open_window` is what opens the workbench.
pub fn run(open_window: OpenWindow) -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) => {
            // a reader that went away needs no help text
            let _ = error.print();
            return ExitCode::from(failure::usage_code(&error));
        }
    };
    let outcome = match arguments.command.unwrap_or_default() {
        Command::Open(arguments) => open::run(&arguments, open_window),
        Command::Capture(arguments) => capture::run(&arguments),
        Command::Measure(arguments) => measure::run(&arguments),
        Command::Fidelity(arguments) => fidelity::run(&arguments),
        Command::Figure(arguments) => figure::run(&arguments),
        Command::Recipe(arguments) => recipe::run(&arguments),
        Command::Session(command) => session::run(&command),
        Command::Sweep(arguments) => sweep::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments, open_window),
        Command::Train(command) => train::run(&command),
        Command::Data(command) => data::run(&command),
        Command::Doctor => doctor::run(),
        Command::CheckDevice(arguments) => check_device::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&failure::sentence(&error));
            ExitCode::from(failure::exit_code(&error))
        }
    }
}
