//! The program: see `kvlens --help`.

use std::process::ExitCode;

#[expect(
    unsafe_code,
    reason = "the number of threads is told by the environment"
)]
fn main() -> ExitCode {
    // SAFETY: nothing was started yet
    unsafe { kvlens_sessions::settle_number_of_threads() };
    kvlens::cli::run(kvlens::open_window)
}
