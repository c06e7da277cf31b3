//! The program: see `kvlens --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kvlens::cli::run()
}
