//! `kvlens fidelity`: evict by each window, decode, and see what became of the output.

mod arguments;
mod text;

use anyhow::Result;
use kvlens_analysis::distinct;

pub use arguments::FidelityArguments;

use super::interrupt::cancel_on_interrupt;
use super::output;
use super::progress::Progress;
use super::session::unpacked;
use super::train::start_mode;
use crate::jobs::fidelity::{FidelityRequest, Finished, run as evict};
use crate::jobs::models::Models;
use crate::measurement::fidelity::EvictionPlan;

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, tables that could not be written; behind the tables, samples that could not be read.
pub fn run(arguments: &FidelityArguments) -> Result<()> {
    let request = FidelityRequest {
        sessions: unpacked(&arguments.sessions)?,
        out: arguments.out.clone(),
        budgets: distinct(arguments.budgets.iter().copied()),
        plan: EvictionPlan {
            options: arguments.options()?,
            allocation: arguments.allocation.kind(),
            decode: arguments.decode,
            join_final_budgets: true,
        },
        allocation: arguments.allocation,
        limit: arguments.limit.unwrap_or(usize::MAX),
        model: arguments.model.clone(),
        device: arguments.device,
        dtype: arguments.dtype,
        start: start_mode(arguments.resume, arguments.replace),
        command: command(),
    };
    let cancel = cancel_on_interrupt()?;
    let mut progress = Progress::begin("fidelity")?;
    let outcome = evict(&request, &mut Models::default(), &mut progress, &cancel);
    progress.end();
    let out = arguments.out.display();
    let Finished { evicted, left_out } = outcome?;
    output::print(&match evicted {
        Some(evicted) => {
            let text = text::text(&evicted, &request.budgets)?;
            format!("{text}\nTables written: {out}\n")
        }
        None => {
            format!("Nothing is left to go on with: the tables of this run are written: {out}\n")
        }
    })?;
    left_out.refuse("the tables are of the others")
}

/// As it was typed, but for going on, which leaves no trace in the tables.
fn command() -> Vec<String> {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    words
        .filter(|word| !["--resume", "--replace"].contains(&word.as_str()))
        .collect()
}
